"""`io.kestra.plugin.servicenow`: records in the tables of ServiceNow."""

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import filed
from engine.tasks.http_options import DEFAULT, Auth, HttpOptions
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList


class ServiceNowTask(RunnableTask):
    """Which instance, and who we are there."""

    domain: Property[Text]
    username: Property[Text]
    password: Property[Text]
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    headers: Property[JsonMap | None] = None
    options: Property[HttpOptions | None] = None

    @property
    def base(self) -> str:
        """The address of the instance: `domain` is its name, or where it is."""
        named = self.domain.strip().rstrip("/")
        if "://" in named:
            return named
        return f"https://{named}" if "." in named else f"https://{named}.service-now.com"

    async def records(self, context: RunContext, method: str, *path: str, **body: Any) -> Any:
        """The `result` of one call about a table; TaskFailed when ServiceNow refuses."""
        context.mask(self.password)
        headers = {str(name): str(value) for name, value in (self.headers or {}).items()}
        options = self.options or DEFAULT
        if self.client_id:
            headers["Authorization"] = f"Bearer {await self._token(context)}"
        else:
            options = options.model_copy(
                update={"auth": Auth(type="BASIC", username=self.username, password=self.password)}
            )
        url = "/".join((self.base, "api/now/table", *(quote(step, safe="") for step in path)))
        found = await rest_service.mapping(
            context,
            "ServiceNow",
            method,
            url,
            options=options,
            headers={"Accept": "application/json"} | headers,
            **body,
        )
        return found.get("result")

    async def _token(self, context: RunContext) -> str:
        context.mask(self.client_secret or "")
        asked = {
            "grant_type": "password",
            "client_id": self.client_id or "",
            "client_secret": self.client_secret or "",
            "username": self.username,
            "password": self.password,
        }
        found = await rest_service.mapping(
            context, "ServiceNow", "POST", f"{self.base}/oauth_token.do", options=self.options, data=asked
        )
        token = str(found.get("access_token") or "")
        if not token:
            raise TaskFailed("ServiceNow gave no token.", fix="Check `clientId` and `clientSecret`.")
        context.mask(token)
        return token


class Found(Outputs):
    """The records, or with `STORE` the file of them, how many, and where the first stands among all."""

    results: list[dict[str, Any]] | None = None
    uri: StoredUri | None = None
    size: int
    offset: int | None = None


class Get(ServiceNowTask):
    """Fetch the records of a table."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: incidents
type: io.kestra.plugin.servicenow.Get
domain: dev12345
username: flows
password: "{{ secret('SERVICENOW_PASSWORD') }}"
table: incident
query: active=true^priority=1
fields: [number, short_description]
limit: 100
""",
    )
    type: Literal["io.kestra.plugin.servicenow.Get"]
    table: Property[Text]
    query: Property[OptionalText] = Field(default=None, description="An encoded query: `active=true^priority=1`.")
    fields: Property[TextList | None] = Field(default=None, description="Which fields; all unless given.")
    limit: Property[OptionalInteger] = Field(default=None, description="No more records than this.")
    offset: Property[OptionalInteger] = Field(default=None, description="How many records are passed over.")
    fetch_type: Property[Literal["FETCH", "FETCH_ONE", "STORE"]] = "FETCH"

    async def run(self, context: RunContext) -> Found:
        asked = {
            "sysparm_query": self.query,
            "sysparm_limit": self.limit,
            "sysparm_offset": self.offset,
            "sysparm_fields": ",".join(self.fields or []) or None,
        }
        given = {name: str(value) for name, value in asked.items() if value is not None}
        found = rest_service.listed(await self.records(context, "GET", self.table, params=given), "ServiceNow")
        if self.fetch_type == "STORE":
            return Found(uri=await filed(context, found, "records.jsonl"), size=len(found), offset=self.offset)
        found = found[:1] if self.fetch_type == "FETCH_ONE" else found
        return Found(results=found, size=len(found), offset=self.offset)


class Made(Outputs):
    """The new record, and where people find it."""

    result: dict[str, Any]
    number: str | None = None
    sysId: str | None = None  # noqa: N815 - appears as written
    url: str | None = None


class PostTask(ServiceNowTask):
    """What every task has that makes a record."""

    async def made(self, context: RunContext, table: str, data: dict[str, Any]) -> Made:
        """A new record of a table."""
        found = rest_service.mapped(await self.records(context, "POST", table, json=data), "ServiceNow")
        key = str(found.get("sys_id") or "") or None
        url = f"{self.base}/nav_to.do?uri={quote(f'{table}.do?sys_id={key}', safe='')}" if key else None
        return Made(result=found, number=found.get("number"), sysId=key, url=url)


class Post(PostTask):
    """Make a record in a table."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: incident
type: io.kestra.plugin.servicenow.Post
domain: dev12345
username: flows
password: "{{ secret('SERVICENOW_PASSWORD') }}"
table: incident
data:
  short_description: The nightly load failed
  urgency: 2
""",
    )
    type: Literal["io.kestra.plugin.servicenow.Post"]
    table: Property[Text]
    data: Property[JsonMap]

    async def run(self, context: RunContext) -> Made:
        return await self.made(context, self.table, self.data)


class CreateIncident(PostTask):
    """Open an incident."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: incident
type: io.kestra.plugin.servicenow.CreateIncident
domain: dev12345
username: flows
password: "{{ secret('SERVICENOW_PASSWORD') }}"
shortDescription: The nightly load failed
incidentDescription: "{{ flow.id }}: {{ execution.id }}"
urgency: "1"
""",
    )
    type: Literal["io.kestra.plugin.servicenow.CreateIncident"]
    short_description: Property[Text]
    incident_description: Property[OptionalText] = None
    urgency: Property[OptionalText] = None
    data: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Made:
        named = {
            "short_description": self.short_description,
            "description": self.incident_description,
            "urgency": self.urgency,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return await self.made(context, "incident", {**(self.data or {}), **given})


class Changed(Outputs):
    """The record as it is now."""

    result: dict[str, Any]


class Update(ServiceNowTask):
    """Change fields of a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: note
type: io.kestra.plugin.servicenow.Update
domain: dev12345
username: flows
password: "{{ secret('SERVICENOW_PASSWORD') }}"
table: incident
sysId: "{{ outputs.incident.sysId }}"
data:
  comments: Somebody looks at it.
""",
    )
    type: Literal["io.kestra.plugin.servicenow.Update"]
    table: Property[Text]
    sys_id: Property[Text]
    data: Property[JsonMap]

    async def run(self, context: RunContext) -> Changed:
        found = await self.records(context, "PUT", self.table, self.sys_id, json=self.data)
        return Changed(result=rest_service.mapped(found, "ServiceNow"))


class Gone(Outputs):
    """That it is gone."""

    deleted: bool = True


class Delete(ServiceNowTask):
    """Delete a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.servicenow.Delete
domain: dev12345
username: flows
password: "{{ secret('SERVICENOW_PASSWORD') }}"
table: incident
sysId: "{{ outputs.incident.sysId }}"
""",
    )
    type: Literal["io.kestra.plugin.servicenow.Delete"]
    table: Property[Text]
    sys_id: Property[Text]

    async def run(self, context: RunContext) -> Gone:
        await self.records(context, "DELETE", self.table, self.sys_id)
        return Gone()
