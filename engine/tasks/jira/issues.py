"""`io.kestra.plugin.jira.issues`: issues in Jira."""

from base64 import b64encode
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Instead, JsonText, Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.chat_messages import payload_object
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList


class JiraTask(RunnableTask):
    """Where Jira is, and who we are there."""

    base_url: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    access_token: Property[OptionalText] = None
    payload: JsonText[OptionalText] = None
    options: Property[HttpOptions | None] = None

    async def jira(self, context: RunContext, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON of one call; TaskFailed when Jira refuses."""
        given = {"json": body} if body is not None else {}
        return await rest_service.document(
            context, "Jira", method, self._url(path), options=self.options, headers=self._headers(context), **given
        )

    def body(self, own: dict[str, Any]) -> dict[str, Any]:
        """The document to send: the flow's own, if it gives one."""
        return payload_object(self.payload, "Jira") if self.payload and self.payload.strip() else own

    def _url(self, path: str) -> str:
        base = self.base_url.rstrip("/")
        route = "/rest/api/2"
        return f"{base}/{path}" if route in base else f"{base}{route}/{path}"

    def _headers(self, context: RunContext) -> dict[str, str]:
        if self.username and self.password:
            context.mask(self.password)
            pair = b64encode(f"{self.username}:{self.password}".encode()).decode()
            context.mask(pair)
            return {"Authorization": f"Basic {pair}"}
        if self.access_token:
            context.mask(self.access_token)
            return {"Authorization": f"Bearer {self.access_token}"}
        raise TaskFailed("Jira wants to know who asks.", fix="Give `username` and `password`, or `accessToken`.")


class Made(Outputs):
    """The issue Jira made."""

    id: str | None = None
    key: str | None = None
    url: str | None = None


class Create(JiraTask):
    """Create an issue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: ticket
type: io.kestra.plugin.jira.issues.Create
baseUrl: https://company.atlassian.net
username: "{{ secret('JIRA_USER') }}"
password: "{{ secret('JIRA_TOKEN') }}"
projectKey: OPS
summary: The nightly import failed
description: "Execution {{ execution.id }} failed."
labels: [import]
issueTypeId: "10001"
""",
    )
    type: Literal["io.kestra.plugin.jira.issues.Create"]
    project_key: Property[OptionalText] = None
    summary: Property[OptionalText] = None
    description: Property[OptionalText] = None
    labels: Property[TextList | None] = None
    issue_type_id: Property[OptionalText] = None
    issue_type: Annotated[Property[OptionalText], Instead("issueTypeId", "with the number of the type")] = None

    async def run(self, context: RunContext) -> Made:
        if not self.payload and not (self.project_key and self.summary):
            raise TaskFailed("An issue needs a project and a summary.", fix="Give `projectKey` and `summary`.")
        kind = {"id": self.issue_type_id} if self.issue_type_id else {"name": self.issue_type or "Task"}
        fields = {
            "project": {"key": self.project_key},
            "summary": self.summary,
            "description": self.description,
            "labels": self.labels,
            "issuetype": kind,
        }
        own = {"fields": {name: value for name, value in fields.items() if value is not None}}
        made = await self.jira(context, "POST", "issue", self.body(own)) or {}
        site = self.base_url.partition("/rest/")[0].rstrip("/")
        url = f"{site}/browse/{made['key']}" if made.get("key") else None
        return Made(id=made.get("id"), key=made.get("key"), url=url)


class CreateComment(JiraTask):
    """Comment on an issue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: comment
type: io.kestra.plugin.jira.issues.CreateComment
baseUrl: https://company.atlassian.net
username: "{{ secret('JIRA_USER') }}"
password: "{{ secret('JIRA_TOKEN') }}"
issueIdOrKey: OPS-12
body: It failed again.
""",
    )
    type: Literal["io.kestra.plugin.jira.issues.CreateComment"]
    project_id_or_key: Property[OptionalText] = None
    project_key: Property[OptionalText] = None  # which Kestra wants beside the issue's key, that says it already
    issue_id_or_key: Property[Text]
    text: Property[OptionalText] = Field(default=None, alias="body")

    async def run(self, context: RunContext) -> None:
        if not self.text and not self.payload:
            raise TaskFailed("The comment is empty.", fix="Give `body`.")
        await self.jira(context, "POST", f"issue/{self.issue_id_or_key}/comment", self.body({"body": self.text}))


class UpdateFields(JiraTask):
    """Change fields of an issue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: change
type: io.kestra.plugin.jira.issues.UpdateFields
baseUrl: https://company.atlassian.net
username: "{{ secret('JIRA_USER') }}"
password: "{{ secret('JIRA_TOKEN') }}"
issueIdOrKey: OPS-12
fields:
  summary: Solved
  labels: [import, solved]
""",
    )
    type: Literal["io.kestra.plugin.jira.issues.UpdateFields"]
    project_key: Property[OptionalText] = None  # as in CreateComment
    issue_id_or_key: Property[Text]
    fields: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> None:
        if not self.fields and not self.payload:
            raise TaskFailed("No field is named.", fix="Give `fields`.")
        await self.jira(context, "PUT", f"issue/{self.issue_id_or_key}", self.body({"fields": self.fields}))


class Found(Outputs):
    """The issue."""

    issue: dict[str, Any]


class Get(JiraTask):
    """Read an issue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.jira.issues.Get
baseUrl: https://company.atlassian.net
username: "{{ secret('JIRA_USER') }}"
password: "{{ secret('JIRA_TOKEN') }}"
issueIdOrKey: OPS-12
""",
    )
    type: Literal["io.kestra.plugin.jira.issues.Get"]
    issue_id_or_key: Property[Text]

    async def run(self, context: RunContext) -> Found:
        found = await self.jira(context, "GET", f"issue/{self.issue_id_or_key}")
        return Found(issue=found)
