"""`io.kestra.plugin.elasticsearch`: documents in Elasticsearch and OpenSearch."""

import base64
import json
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import given_rows, rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.http_options import HttpOptions, Ssl
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList

AT_ONCE = 1000
REFRESH = {"IMMEDIATE": "true", "WAIT_UNTIL": "wait_for", "NONE": "false"}


class BasicAuth(Part):
    """User and password."""

    username: Property[OptionalText] = None
    password: Property[OptionalText] = None


class Connection(Part):
    """Where the cluster is, and who we are to it."""

    hosts: Property[TextList]
    basic_auth: BasicAuth | None = None
    headers: Property[TextList | None] = Field(default=None, description="Each as `Name: value`.")
    path_prefix: Property[OptionalText] = None
    strict_deprecation_mode: Property[bool | None] = None
    trust_all_ssl: Property[bool] = False


class ElasticsearchTask(RunnableTask):
    """Which cluster."""

    connection: Connection
    routing: Property[OptionalText] = None

    async def ask(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The JSON of one call to the first node that answers; TaskFailed when the cluster refuses."""
        where, headers = self.connection, {"Content-Type": "application/json"}
        if (who := where.basic_auth) and who.username:
            if who.password:
                context.mask(who.password)
            pair = base64.b64encode(f"{who.username}:{who.password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        for line in where.headers or []:
            name, _, value = line.partition(":")
            headers[name.strip()] = value.strip()
        options = HttpOptions(ssl=Ssl(insecure_trust_all_certificates=where.trust_all_ssl))
        params = {name: value for name, value in (given.pop("params", None) or {}).items() if value is not None}
        prefix = f"/{where.path_prefix.strip('/')}" if where.path_prefix else ""
        failed: TaskFailed | None = None
        for host in where.hosts:
            url = f"{host.rstrip('/')}{prefix}/{path.lstrip('/')}"
            try:
                return await rest_service.document(
                    context, "Elasticsearch", method, url, options=options, headers=headers, params=params, **given
                )
            except TaskFailed as error:
                if " answered " in error.message:
                    raise
                failed = error
        raise failed or TaskFailed("It is not said where Elasticsearch is.", fix="Give `connection.hosts`.")


class Found(Fetched):
    """What was found: `rows`, `row` or a file of rows, and how many there are in all."""

    total: int = 0


class Search(ElasticsearchTask):
    """Search documents."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: failed
type: io.kestra.plugin.elasticsearch.Search
connection:
  hosts: [https://elastic.example.com:9200]
  basicAuth:
    username: flows
    password: "{{ secret('ELASTIC_PASSWORD') }}"
indexes: [logs]
request:
  query:
    term:
      level: error
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Search", "io.kestra.plugin.opensearch.Search"]
    indexes: Property[TextList | None] = None
    request: Property[JsonMap]
    content_type: Property[Literal["JSON", "YAML"]] = "JSON"
    fetch_type: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Found:
        path = f"{_names(self.indexes)}_search"
        answer = await self.ask(context, "POST", path, params={"routing": self.routing}, json=self.request)
        hits = answer["hits"]
        rows = [{**(hit.get("_source") or {})} for hit in hits["hits"]]
        found = await fetched(context, rows, self.fetch_type)
        total = hits.get("total")
        return Found(**found.model_dump(), total=total["value"] if isinstance(total, dict) else total or len(rows))


class One(Outputs):
    """The document."""

    row: dict[str, Any]


class Get(ElasticsearchTask):
    """Fetch a document by its id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: order
type: io.kestra.plugin.elasticsearch.Get
connection:
  hosts: [https://elastic.example.com:9200]
index: orders
key: "17"
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Get", "io.kestra.plugin.opensearch.Get"]
    index: Property[Text]
    key: Property[Text]
    doc_version: Property[int | None] = None

    async def run(self, context: RunContext) -> One:
        params = {"routing": self.routing, "version": None if self.doc_version is None else str(self.doc_version)}
        found = await self.ask(context, "GET", f"{_name(self.index)}/_doc/{_name(self.key)}", params=params)
        return One(row=dict(found.get("_source") or {}))


class Kept(Outputs):
    """The document's id, and what became of it: `CREATED`, `UPDATED` …"""

    id: str
    result: str


class Put(ElasticsearchTask):
    """Keep a document."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.elasticsearch.Put
connection:
  hosts: [https://elastic.example.com:9200]
index: orders
key: "17"
value: {customer: ann, total: 4}
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Put", "io.kestra.plugin.opensearch.Put"]
    index: Property[Text]
    key: Property[OptionalText] = None
    value: Property[JsonMap]
    op_type: Property[Literal["INDEX", "CREATE", "UPDATE", "DELETE"]] = "INDEX"
    refresh_policy: Property[Literal["IMMEDIATE", "WAIT_UNTIL", "NONE"]] = "NONE"
    content_type: Property[Literal["JSON", "YAML"]] = "JSON"

    async def run(self, context: RunContext) -> Kept:
        params = {"routing": self.routing, "refresh": REFRESH[self.refresh_policy]}
        index, key = _name(self.index), _name(self.key) if self.key else ""
        if not key and self.op_type in ("UPDATE", "DELETE"):
            raise TaskFailed("It is not said which document.", fix="Give `key`.")
        if self.op_type == "UPDATE":
            body = {"doc": self.value}
            found = await self.ask(context, "POST", f"{index}/_update/{key}", params=params, json=body)
        elif self.op_type == "DELETE":
            found = await self.ask(context, "DELETE", f"{index}/_doc/{key}", params=params)
        else:
            more = {"op_type": "create"} if self.op_type == "CREATE" else {}
            method = "PUT" if key else "POST"
            found = await self.ask(context, method, f"{index}/_doc/{key}", params=params | more, json=self.value)
        return Kept(id=str(found["_id"]), result=str(found["result"]).upper())


class Answered(Outputs):
    """What the cluster answered."""

    status: int
    response: Any


class Request(ElasticsearchTask):
    """Call any part of the API."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.elasticsearch.Request
connection:
  hosts: [https://elastic.example.com:9200]
method: GET
endpoint: orders/_count
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Request", "io.kestra.plugin.opensearch.Request"]
    method: Property[Literal["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]] = "GET"
    endpoint: Property[Text]
    parameters: Property[JsonMap | None] = None
    body: Property[Any] = None

    async def run(self, context: RunContext) -> Answered:
        given: dict[str, Any] = {"params": {name: str(value) for name, value in (self.parameters or {}).items()}}
        if isinstance(self.body, str):
            given["content"] = self.body.encode()
        elif self.body is not None:
            given["json"] = self.body
        return Answered(status=200, response=await self.ask(context, self.method, self.endpoint, **given))


class Loaded(Outputs):
    """How many documents were kept."""

    size: int


class Load(ElasticsearchTask):
    """Keep the documents of a file, many at a time."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.elasticsearch.Load
connection:
  hosts: [https://elastic.example.com:9200]
from: "{{ outputs.orders.uri }}"
index: orders
idKey: id
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Load", "io.kestra.plugin.opensearch.Load"]
    from_: Property[Any] = Field(alias="from")
    index: Property[Text]
    op_type: Property[Literal["INDEX", "CREATE"]] = "INDEX"
    id_key: Property[OptionalText] = None
    remove_id_key: Property[bool] = True
    chunk: Property[int] = Field(default=AT_ONCE, ge=1)

    async def run(self, context: RunContext) -> Loaded:
        rows = await given_rows.rows(context, self.from_)
        for begin in range(0, len(rows), self.chunk):
            lines = [line for row in rows[begin : begin + self.chunk] for line in self._lines(row)]
            content = "".join(f"{line}\n" for line in lines).encode()
            answer = await self.ask(context, "POST", "_bulk", params={"routing": self.routing}, content=content)
            if answer.get("errors"):
                said = next(one["error"] for item in answer["items"] for one in item.values() if "error" in one)
                raise TaskFailed(f"Elasticsearch kept not all documents: {said.get('reason') or said}")
        context.metric("records", len(rows))
        return Loaded(size=len(rows))

    def _lines(self, row: Any) -> tuple[str, str]:
        if not isinstance(row, dict):
            raise TaskFailed(f"A document is no map: {str(row)[:100]!r}.", fix="Give maps.")
        about: dict[str, Any] = {"_index": self.index}
        if self.id_key and row.get(self.id_key) is not None:
            about["_id"] = str(row[self.id_key])
            if self.remove_id_key:
                row = {name: value for name, value in row.items() if name != self.id_key}
        head = json.dumps({self.op_type.lower(): about}, ensure_ascii=False)
        return head, json.dumps(row, ensure_ascii=False)


def _name(text: str) -> str:
    return quote(text, safe="")


def _names(indexes: list[str] | None) -> str:
    return f"{','.join(map(_name, indexes))}/" if indexes else ""
