"""`io.kestra.plugin.zendesk.tickets`: tickets of Zendesk."""

from typing import ClassVar, Literal

import httpx

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList


class Ticket(Outputs):
    """The new ticket."""

    id: int
    url: str


class Create(RunnableTask):
    """Open a ticket."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: ticket
type: io.kestra.plugin.zendesk.tickets.Create
domain: company.zendesk.com
username: ops@example.com
token: "{{ secret('ZENDESK_TOKEN') }}"
subject: The nightly load failed
description: "{{ flow.id }} failed: {{ execution.id }}"
priority: NORMAL
ticketType: INCIDENT
tags: [workflow]
""",
    )
    type: Literal["io.kestra.plugin.zendesk.tickets.Create"]
    domain: Property[Text]
    username: Property[OptionalText] = None
    token: Property[OptionalText] = None
    oauth_token: Property[OptionalText] = None
    subject: Property[OptionalText] = None
    description: Property[OptionalText] = None
    priority: Property[Literal["URGENT", "HIGH", "NORMAL", "LOW"] | None] = None
    ticket_type: Property[Literal["PROBLEM", "INCIDENT", "QUESTION", "TASK"] | None] = None
    assignee_id: Property[OptionalInteger] = None
    tags: Property[TextList | None] = None

    async def run(self, context: RunContext) -> Ticket:
        base = self.domain.strip().rstrip("/")
        base = base if "://" in base else f"https://{base}"
        given = {
            "subject": self.subject,
            "comment": {"body": self.description} if self.description else None,
            "priority": self.priority and self.priority.lower(),
            "type": self.ticket_type and self.ticket_type.lower(),
            "assignee_id": self.assignee_id,
            "tags": self.tags,
        }
        body = {"ticket": {name: value for name, value in given.items() if value is not None}}
        headers = {"Authorization": self._who(context)}
        url = f"{base}/api/v2/tickets.json"
        made = await rest_service.mapping(context, "Zendesk", "POST", url, headers=headers, json=body)
        number = rest_service.held(made, "Zendesk", "ticket", "id")
        return Ticket(id=number, url=made["ticket"].get("url") or f"{base}/api/v2/tickets/{number}.json")

    def _who(self, context: RunContext) -> str:
        if self.token:
            context.mask(self.token)
            request = httpx.Request("GET", "https://unused.invalid")
            signed = next(httpx.BasicAuth(f"{self.username}/token", self.token).auth_flow(request))
            return str(signed.headers["Authorization"])
        if self.oauth_token:
            context.mask(self.oauth_token)
            return f"Bearer {self.oauth_token}"
        raise TaskFailed("It is not said who asks.", fix="Give `username` and `token`, or `oauthToken`.")
