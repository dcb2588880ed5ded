"""`io.kestra.plugin.jira.issues`: issues in Jira."""

import asyncio
import json
from base64 import b64encode
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from engine.plugin import Instead, JsonText, Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.chat_messages import payload_object
from engine.tasks.fetched_rows import FetchType
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList


class Read(Outputs):
    """What was found: `row`, `rows` or a file of them, and how many."""

    row: dict[str, Any] | None = None
    rows: list[dict[str, Any]] | None = None
    uri: StoredUri | None = None
    size: int = 0


class JiraTask(RunnableTask):
    """Where Jira is, and who we are there."""

    base_url: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    access_token: Property[OptionalText] = None
    payload: JsonText[OptionalText] = None
    options: Property[HttpOptions | None] = None

    async def jira(
        self, context: RunContext, method: str, path: str, body: dict[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        """The JSON object of one call, an empty one when nothing is answered; TaskFailed when Jira refuses."""
        given = {"json": body} if body is not None else {}
        return await rest_service.mapping(
            context,
            "Jira",
            method,
            self._url(path),
            options=self.options,
            headers=self._headers(context),
            **given,
            **more,
        )

    def body(self, own: dict[str, Any]) -> dict[str, Any]:
        """The document to send: the flow's own, if it gives one."""
        return payload_object(self.payload, "Jira") if self.payload and self.payload.strip() else own

    def _url(self, path: str) -> str:
        base = self.base_url.strip().rstrip("/")
        base = base if "://" in base else f"https://{base}"
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


def issue_path(*steps: str) -> str:
    """Where an issue is, or something of it."""
    return "/".join(["issue", *(quote(step.strip(), safe="") for step in steps)])


class ReadTask(JiraTask):
    """Something that Jira is asked for: one, or all that fit."""

    max_results: Property[int] = Field(default=50, ge=1)

    async def several(self, context: RunContext, found: list[dict[str, Any]], kind: FetchType) -> Read:
        """What is handed on of all: `rows`, or a file with one JSON list of them."""
        context.metric("fetch.size", len(found))
        if kind == "STORE":
            text = await asyncio.to_thread(lambda: json.dumps(found).encode())
            return Read(uri=await context.files.put(text, "found.json"), size=len(found))
        return Read(rows=found, size=len(found))


class ChangeTask(JiraTask):
    """Something that is done to an issue there is. Kestra's knows what only `Create` uses, and leaves it unread."""

    project_key: Property[OptionalText] = None
    summary: Property[OptionalText] = None
    labels: Property[TextList | None] = None
    issue_type_id: Property[OptionalText] = None
    issue_id_or_key: Property[Text]


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
    priority: Property[OptionalText] = Field(default=None, description="A priority's name, such as High, or its id.")
    issue_type_id: Property[OptionalText] = None
    issue_type: Annotated[Property[OptionalText], Instead("issueTypeId", "with the number of the type")] = None

    async def run(self, context: RunContext) -> Made:
        if not self.payload and not self.project_key:
            raise TaskFailed("An issue needs a project.", fix="Give `projectKey`.")
        kind = {"id": self.issue_type_id} if self.issue_type_id else {"name": self.issue_type or "Task"}
        fields = {
            "project": {"key": self.project_key},
            "summary": self.summary,
            "description": self.description,
            "labels": self.labels,
            "issuetype": kind,
            "priority": {"id" if self.priority.isdigit() else "name": self.priority} if self.priority else None,
        }
        own = {"fields": {name: value for name, value in fields.items() if value is not None}}
        made = await self.jira(context, "POST", "issue", self.body(own))
        site = self.base_url.partition("/rest/")[0].rstrip("/")
        url = f"{site}/browse/{made['key']}" if made.get("key") else None
        return Made(id=made.get("id"), key=made.get("key"), url=url)


class CreateComment(ChangeTask):
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
    text: Property[OptionalText] = Field(default=None, alias="body")

    async def run(self, context: RunContext) -> None:
        if not self.text and not self.payload:
            raise TaskFailed("The comment is empty.", fix="Give `body`.")
        await self.jira(context, "POST", issue_path(self.issue_id_or_key, "comment"), self.body({"body": self.text}))


class UpdateFields(ChangeTask):
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
    fields: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> None:
        if not self.fields and not self.payload:
            raise TaskFailed("No field is named.", fix="Give `fields`.")
        await self.jira(context, "PUT", issue_path(self.issue_id_or_key), self.body({"fields": self.fields}))


class Found(Read):
    """The issues; one also as `issue`."""

    issue: dict[str, Any] | None = None


class Get(ReadTask):
    """Read an issue, or all that a query of JQL finds."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.jira.issues.Get
baseUrl: https://company.atlassian.net
username: "{{ secret('JIRA_USER') }}"
password: "{{ secret('JIRA_TOKEN') }}"
issueIdOrKey: OPS-12
""",
        """
id: open
type: io.kestra.plugin.jira.issues.Get
baseUrl: https://company.atlassian.net
username: "{{ secret('JIRA_USER') }}"
password: "{{ secret('JIRA_TOKEN') }}"
jql: project = OPS AND status = Open ORDER BY created DESC
fetchType: FETCH
maxResults: 10
""",
    )
    type: Literal["io.kestra.plugin.jira.issues.Get"]
    fetch_type: Property[FetchType] = "FETCH_ONE"
    issue_id_or_key: Property[OptionalText] = None
    jql: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Found | Read:
        if self.fetch_type == "NONE":
            return Found()
        if self.fetch_type == "FETCH_ONE":
            if not self.issue_id_or_key:
                raise TaskFailed("It is not said which issue is meant.", fix="Give `issueIdOrKey`.")
            found = await self.jira(context, "GET", issue_path(self.issue_id_or_key))
            return Found(issue=found, row=found, size=1)
        if not self.jql:
            raise TaskFailed("It is not said which issues are meant.", fix="Give `jql`.")
        params = {"jql": self.jql, "maxResults": str(self.max_results)}
        if self._is_cloud():  # which has dropped the older search; the newer one tells ids only, unless asked
            answer = await self.jira(context, "GET", "search/jql", params=params | {"fields": "*navigable"})
        else:
            answer = await self.jira(context, "GET", "search", params=params)
        return await self.several(context, rest_service.listed(answer, "Jira", "issues"), self.fetch_type)

    def _is_cloud(self) -> bool:
        host = urlsplit(self._url("search")).hostname or ""
        return host.endswith(".atlassian.net") or host == "api.atlassian.com"
