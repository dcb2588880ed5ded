"""`io.kestra.plugin.linear.issues`: issues in Linear."""

from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.linear_service import LinearTask
from engine.tasks.property_types import OptionalText, Text, TextList

CREATE = "mutation($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { id } } }"


class Created(Outputs):
    """The issue."""

    isSuccess: bool  # noqa: N815 - appears as written
    issueId: str | None = None  # noqa: N815


class Create(LinearTask):
    """Open an issue of a team; labels that there are not are left out, with a warning."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.linear.issues.Create
token: "{{ secret('LINEAR_TOKEN') }}"
team: Platform
title: The nightly load failed
description: "Execution {{ execution.id }}"
labels: [Bug]
""",
    )
    type: Literal["io.kestra.plugin.linear.issues.Create"]
    team: Property[Text]
    title: Property[Text]
    description: Property[OptionalText] = None
    labels: Property[TextList | None] = None

    async def run(self, context: RunContext) -> Created:
        teams = await self.named(context, "teams")
        team = next((identity for name, identity in teams if name.lower() == self.team.lower()), None)
        if team is None:
            there = ", ".join(sorted(name for name, _ in teams)[:10])
            raise TaskFailed(f"Linear has no team {self.team!r} that this token may see.", fix=f"There are: {there}.")
        given: dict[str, Any] = {"teamId": team, "title": self.title}
        if self.description is not None:
            given["description"] = self.description
        if self.labels:
            labels = await self.named(context, "issueLabels")
            given["labelIds"] = [identity for name, identity in labels if name in self.labels]
            if missing := set(self.labels) - {name for name, _ in labels}:
                context.log(f"Linear has no label {', '.join(sorted(missing))}.", "WARN")
        made = rest_service.mapped(await self.linear(context, CREATE, input=given), "Linear", "issueCreate")
        issue = rest_service.mapped(made, "Linear", "issue")
        return Created(isSuccess=bool(made.get("success")), issueId=issue.get("id"))
