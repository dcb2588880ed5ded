"""`io.kestra.plugin.aikido.issues`: groups of findings."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.aikido_service import AikidoConnected, Session
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.property_types import Moment, OptionalInteger, OptionalText, Text, TextList


class GroupTask(AikidoConnected, RunnableTask):
    """Which group of findings."""

    issue_group_id: Property[Text]

    @property
    def path(self) -> str:
        """Where it is in the API."""
        return f"issues/groups/{quote(self.issue_group_id, safe='')}"


class Snoozed(Outputs):
    """Whether it is asleep now, and how many findings with it."""

    success: bool | None = None
    snoozedSingleIssuesAmount: int | None = None  # noqa: N815 - appears as written


class Snooze(GroupTask):
    """Let a group of findings sleep until a moment."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: snooze
type: io.kestra.plugin.aikido.issues.Snooze
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
issueGroupId: "5004"
until: "{{ now() | dateAdd(30, 'DAYS') }}"
reason: Confirmed as a false positive
""",
    )
    type: Literal["io.kestra.plugin.aikido.issues.Snooze", "io.kestra.plugin.aikido.issues.SnoozeIssue"]
    until: Property[Moment]
    reason: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Snoozed:
        if self.until <= datetime.now(UTC):
            raise TaskFailed(f"`until` {self.until.isoformat()} is in the past.", fix="Give a later moment.")
        body: dict[str, Any] = {"snooze_until": int(self.until.timestamp())}
        if self.reason:
            body["reason"] = self.reason
        found = await (await self.session(context)).ask("PUT", f"{self.path}/snooze", json=body) or {}
        return Snoozed(
            success=found.get("success"), snoozedSingleIssuesAmount=found.get("snoozed_single_issues_amount")
        )


class Awake(Outputs):
    """Whether it is awake now."""

    success: bool | None = None


class Unsnooze(GroupTask):
    """Wake a group of findings up."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: wake
type: io.kestra.plugin.aikido.issues.Unsnooze
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
issueGroupId: "5004"
""",
    )
    type: Literal["io.kestra.plugin.aikido.issues.Unsnooze", "io.kestra.plugin.aikido.issues.UnsnoozeIssue"]

    async def run(self, context: RunContext) -> Awake:
        found = await (await self.session(context)).ask("PUT", f"{self.path}/unsnooze", json={}) or {}
        return Awake(success=found.get("success"))


class Get(GroupTask):
    """Fetch a group of findings, as Aikido describes it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: finding
type: io.kestra.plugin.aikido.issues.Get
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
issueGroupId: "5004"
""",
    )
    type: Literal["io.kestra.plugin.aikido.issues.Get", "io.kestra.plugin.aikido.issues.GetIssue"]

    async def run(self, context: RunContext) -> dict[str, Any]:
        return {"issueGroup": await (await self.session(context)).ask("GET", self.path)}


class ListOpen(AikidoConnected, RunnableTask):
    """List the groups of open findings."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: urgent
type: io.kestra.plugin.aikido.issues.ListOpen
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
severities: [CRITICAL, HIGH]
""",
    )
    type: Literal["io.kestra.plugin.aikido.issues.ListOpen", "io.kestra.plugin.aikido.issues.ListOpenIssues"]
    filter_code_repo_id: Property[OptionalInteger] = None
    filter_container_repo_id: Property[OptionalInteger] = None
    filter_team_id: Property[OptionalInteger] = None
    filter_issue_type: Property[OptionalText] = None
    filter_status: Property[OptionalText] = None
    severities: Property[TextList | None] = None
    page_size: Property[int] = Field(default=20, ge=10, le=100)
    fetch_type: Property[FetchType] = "FETCH"

    async def groups(self, session: Session) -> list[dict[str, Any]]:
        """The groups, Aikido's most urgent first."""
        found = await session.pages(
            "open-issue-groups",
            self.page_size,
            filter_code_repo_id=self.filter_code_repo_id,
            filter_container_repo_id=self.filter_container_repo_id,
            filter_team_id=self.filter_team_id,
            filter_issue_type=self.filter_issue_type,
            filter_status=self.filter_status,
        )
        wanted = {one.lower() for one in self.severities or ()}
        return [one for one in found if not wanted or str(one.get("severity", "")).lower() in wanted]

    async def run(self, context: RunContext) -> Fetched:
        return await fetched(context, await self.groups(await self.session(context)), self.fetch_type)
