"""`io.kestra.plugin.hubspot.tickets`: tickets in HubSpot."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from engine.plugin import Property
from engine.tasks.hubspot_service import CreateTask
from engine.tasks.property_types import OptionalInteger, OptionalText

NAMES = {
    "subject": "subject",
    "content": "content",
    "pipeline": "hs_pipeline",
    "stage": "hs_pipeline_stage",
    "priority": "hs_ticket_priority",
}


class Create(CreateTask):
    """Open a ticket."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: ticket
type: io.kestra.plugin.hubspot.tickets.Create
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
subject: The nightly load failed
content: "{{ execution.id }}"
stage: 3
priority: HIGH
""",
    )
    kind: ClassVar[str] = "tickets"
    names: ClassVar[Mapping[str, str]] = NAMES
    type: Literal["io.kestra.plugin.hubspot.tickets.Create"]
    subject: Property[OptionalText] = None
    content: Property[OptionalText] = None
    pipeline: Property[OptionalInteger] = None
    stage: Property[OptionalInteger] = 1
    priority: Property[Literal["LOW", "MEDIUM", "HIGH"] | None] = None
