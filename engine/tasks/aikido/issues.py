"""`io.kestra.plugin.aikido.issues`: groups of findings."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import (
    Look,
    Outputs,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    TaskFailed,
)
from engine.tasks.aikido_service import AikidoConnected, Session
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.property_types import Moment, OptionalInteger, OptionalText, Text, TextList
from engine.tasks.trigger_fields import fields_of

PAGE = 100


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
        found = await (await self.session(context)).tell("PUT", f"{self.path}/snooze", json=body)
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
        found = await (await self.session(context)).tell("PUT", f"{self.path}/unsnooze", json={})
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
        found = await (await self.session(context)).ask("GET", self.path)
        return {"issue": found, "issueGroup": found}  # as it is called now, and as it was


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


class Export(AikidoConnected, RunnableTask):
    """Export findings: as rows, or as the file that Aikido makes of the first of them (`format: CSV`)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: findings
type: io.kestra.plugin.aikido.issues.Export
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
filterSeverities: [CRITICAL]
""",
    )
    type: Literal["io.kestra.plugin.aikido.issues.Export", "io.kestra.plugin.aikido.issues.ExportIssues"]
    format: Property[Literal["JSON", "CSV"]] = "JSON"
    filter_status: Property[OptionalText] = None
    filter_severities: Property[TextList | None] = None
    filter_issue_type: Property[OptionalText] = None
    filter_team_id: Property[OptionalInteger] = None
    filter_code_repo_id: Property[OptionalInteger] = None
    filter_container_repo_id: Property[OptionalInteger] = None
    filter_domain_id: Property[OptionalInteger] = None
    fetch_type: Property[FetchType] = "STORE"

    async def run(self, context: RunContext) -> Fetched:
        params: dict[str, Any] = {
            "filter_status": self.filter_status or None,
            "filter_severities": [one.lower() for one in self.filter_severities or ()] or None,
            "filter_issue_type": self.filter_issue_type or None,
            "filter_team_id": self.filter_team_id,
            "filter_code_repo_id": self.filter_code_repo_id,
            "filter_container_repo_id": self.filter_container_repo_id,
            "filter_domain_id": self.filter_domain_id,
        }
        session = await self.session(context)
        if self.format == "JSON":
            return await fetched(context, await session.pages("issues/export", PAGE, **params), self.fetch_type)
        content = await session.file("issues/export", {**params, "format": "csv", "page": 0, "per_page": PAGE})
        lines = content.decode("utf-8", "replace").splitlines()
        if len(lines) >= PAGE:
            context.log(f"The file holds {PAGE} findings at most; `format: JSON` gives all of them.", "WARN")
        return Fetched(uri=await context.files.put(content, "issues.csv"), size=max(len(lines) - 1, 0))


class Discovered(Outputs):
    """The group of findings that is new."""

    issueGroupId: int  # noqa: N815 - appears as written
    issueType: str | None = None  # noqa: N815
    severityScore: int  # noqa: N815
    severity: str | None = None
    title: str | None = None
    firstDetectedAt: int  # noqa: N815


class ThresholdFields(AikidoConnected):
    """Who asks, and how severe a finding must be."""

    severity_threshold: Property[int] = Field(default=0, ge=0, le=100)


class Trigger(ThresholdFields, PollingTrigger):
    """Start an execution for each new group of findings, the oldest first, one a look; not for those of before."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: urgent
type: io.kestra.plugin.aikido.issues.Trigger
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
severityThreshold: 80
interval: PT5M
""",
    )
    type: Literal["io.kestra.plugin.aikido.issues.Trigger", "io.kestra.plugin.aikido.issues.IssueTrigger"]

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, ThresholdFields, context)
        groups = await (await fields.session(context)).pages("open-issue-groups", PAGE)
        there = sorted(
            (int(one["first_detected_at"]), int(one["id"]), one)
            for one in {one["id"]: one for one in groups if _is_whole(one)}.values()
            if one["severity_score"] >= fields.severity_threshold
        )
        if "moment" not in context.memory:
            return Look(None, _seen([(moment, group) for moment, group, _ in there]))
        since, known = context.memory["moment"], context.memory["groups"]
        fresh = [one for one in there if one[0] > since or (one[0] == since and one[1] not in known)]
        if not fresh:
            return Look(None, context.memory)
        moment, group, about = fresh[0]
        memory = {"moment": moment, "groups": [*(known if moment == since else []), group]}
        found = Discovered(
            issueGroupId=group,
            issueType=about.get("type"),
            severityScore=about["severity_score"],
            severity=about.get("severity"),
            title=about.get("title"),
            firstDetectedAt=moment,
        )
        return Look(found, memory)


def _is_whole(group: dict[str, Any]) -> bool:
    return all(group.get(name) is not None for name in ("id", "first_detected_at", "severity_score"))


def _seen(groups: list[tuple[int, int]]) -> dict[str, Any]:
    """What a trigger knows that has seen these: the latest moment, and which groups are of it."""
    latest = max((moment for moment, _ in groups), default=0)
    return {"moment": latest, "groups": [group for moment, group in groups if moment == latest]}
