"""`io.kestra.plugin.odoo`: records of Odoo, over its XML-RPC."""

import xmlrpc.client
from typing import Any, ClassVar, Literal
from xml.parsers.expat import ExpatError

from pydantic import Field

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import JsonList, JsonMap, OptionalInteger, OptionalText, Text, TextList

READING = ("search_read", "read", "search")


class Answered(Fetched):
    """The records as asked for, the ids of those made or changed, and how many; `result` is of older flows."""

    ids: list[int] | None = None
    result: Any = None
    operation: str
    model: str
    recordCount: int  # noqa: N815 - appears as written


class Query(RunnableTask):
    """Search, read, create, change or delete records of a model."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: customers
type: io.kestra.plugin.odoo.Query
url: https://company.odoo.com
db: company
username: flows@company.com
password: "{{ secret('ODOO_PASSWORD') }}"
model: res.partner
operation: search_read
filters:
  - ["is_company", "=", true]
fields: [name, email]
limit: 10
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.odoo.Query"]
    url: Property[Text]
    db: Property[Text]
    username: Property[Text]
    password: Property[Text]
    model: Property[Text]
    operation: Property[Text] = "search_read"
    filters: Property[JsonList | None] = None
    fields: Property[TextList | None] = None
    values: Property[JsonMap | None] = None
    ids: Property[JsonList | None] = None
    limit: Property[OptionalInteger] = None
    offset: Property[OptionalInteger] = None
    order: Property[OptionalText] = None
    fetch_type: Property[FetchType | None] = Field(
        default=None, description="What becomes of records that are read; without it they are in `result`."
    )
    options: Property[HttpOptions | None] = None

    async def run(self, context: RunContext) -> Answered:
        context.mask(self.password)
        operation = self.operation.lower()
        arguments, named = self._arguments(operation)
        person = await self._rpc(context, "common", "authenticate", self.db, self.username, self.password, {})
        if not person:
            raise TaskFailed(f"Odoo does not know {self.username}.", fix="Check `db`, `username` and `password`.")
        whose = (self.db, person, self.password, self.model, operation)
        result = await self._rpc(context, "object", "execute_kw", *whose, arguments, named)
        count = self._count(operation, result)
        about = {"operation": operation, "model": self.model, "recordCount": count}
        if operation in READING and self.fetch_type:
            rows = [one if isinstance(one, dict) else {"id": one} for one in result]
            return Answered(**(await fetched(context, rows, self.fetch_type)).model_dump(), **about)
        ids = [result] if operation == "create" else _numbers(self.ids or []) or None
        return Answered(result=result, size=count, ids=ids, **about)

    def _arguments(self, operation: str) -> tuple[list[Any], dict[str, Any]]:
        page = {"limit": self.limit, "offset": self.offset, "order": self.order}
        named = {name: value for name, value in page.items() if value is not None}
        domain = list(self.filters or [])
        if operation == "search_read":
            return [domain], named | ({"fields": list(self.fields)} if self.fields else {})
        if operation == "search":
            return [domain], named
        if operation == "search_count":
            return [domain], {}
        if operation == "create" and self.values:
            return [self.values], {}
        if operation == "write" and self.ids and self.values:
            return [_numbers(self.ids), self.values], {}
        if operation in ("unlink", "read") and self.ids:
            return [_numbers(self.ids)], {"fields": list(self.fields)} if operation == "read" and self.fields else {}
        needs = {"create": "`values`", "write": "`ids` and `values`", "unlink": "`ids`", "read": "`ids`"}
        if operation in needs:
            raise TaskFailed(f"The operation {operation} needs {needs[operation]}.")
        raise TaskFailed(
            f"There is no operation {operation!r}.",
            fix="Use search_read, search, search_count, read, create, write or unlink.",
        )

    def _count(self, operation: str, result: Any) -> int:
        if isinstance(result, list):
            return len(result)
        if operation == "search_count":
            return int(result)
        return 1 if operation == "create" else len(self.ids or [])

    async def _rpc(self, context: RunContext, service: str, method: str, *arguments: Any) -> Any:
        body = xmlrpc.client.dumps(arguments, method, allow_none=True).encode()
        url = f"{self.url.rstrip('/')}/xmlrpc/2/{service}"
        headers = {"Content-Type": "text/xml"}
        answer = await rest_service.call(
            context, "Odoo", "POST", url, options=self.options, headers=headers, content=body
        )
        try:
            (found,), _ = xmlrpc.client.loads(answer.content, use_builtin_types=True)
        except xmlrpc.client.Fault as error:
            raise TaskFailed(f"Odoo refused: {error.faultString.strip().splitlines()[-1][:500]}") from error
        except (ExpatError, ValueError) as error:
            raise TaskFailed(f"{url} answered with something that is not Odoo's XML.", fix="Check `url`.") from error
        return found


def _numbers(ids: list[Any]) -> list[int]:
    try:
        return [int(one) for one in ids]
    except (TypeError, ValueError) as error:
        raise TaskFailed("`ids` holds something that is no number.", fix="Give the ids of records.") from error
