"""`io.kestra.plugin.hubspot.deals`: deals in HubSpot."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from engine.plugin import Property
from engine.tasks.hubspot_service import CreateTask, DeleteTask, GetTask, SearchTask, UpdateTask
from engine.tasks.property_types import OptionalNumber, OptionalText, Text

NAMES = {
    "name": "dealname",
    "pipeline": "pipeline",
    "stage": "dealstage",
    "amount": "amount",
    "close_date": "closedate",
    "deal_type": "dealtype",
}
HUBSPOT = {"associationCategory": "HUBSPOT_DEFINED"}
COMPANY, CONTACT = 341, 3  # HubSpot's own kinds of association of a deal


class Create(CreateTask):
    """Create a deal."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deal
type: io.kestra.plugin.hubspot.deals.Create
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
name: A large order
pipeline: default
stage: presentationscheduled
amount: 50000
""",
    )
    kind: ClassVar[str] = "deals"
    names: ClassVar[Mapping[str, str]] = NAMES
    type: Literal["io.kestra.plugin.hubspot.deals.Create"]
    name: Property[Text]
    pipeline: Property[Text]
    stage: Property[Text]
    amount: Property[OptionalNumber] = None
    close_date: Property[OptionalText] = None
    deal_type: Property[OptionalText] = None
    associated_company_ids: Property[list[int] | None] = None
    associated_contact_ids: Property[list[int] | None] = None

    def associations(self) -> list[dict[str, Any]]:
        ids = [(COMPANY, one) for one in self.associated_company_ids or ()]
        ids += [(CONTACT, one) for one in self.associated_contact_ids or ()]
        return [{"to": {"id": one}, "types": [{**HUBSPOT, "associationTypeId": kind}]} for kind, one in ids]


class Get(GetTask):
    """Read a deal."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deal
type: io.kestra.plugin.hubspot.deals.Get
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
dealId: "{{ inputs.deal }}"
""",
    )
    kind: ClassVar[str] = "deals"
    type: Literal["io.kestra.plugin.hubspot.deals.Get"]
    deal_id: Property[Text]

    def record(self) -> str:
        return self.deal_id


class Update(UpdateTask):
    """Change properties of a deal."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deal
type: io.kestra.plugin.hubspot.deals.Update
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
dealId: "{{ inputs.deal }}"
additionalProperties:
  city: Bern
""",
    )
    kind: ClassVar[str] = "deals"
    names: ClassVar[Mapping[str, str]] = NAMES
    type: Literal["io.kestra.plugin.hubspot.deals.Update"]
    deal_id: Property[Text]
    name: Property[OptionalText] = None
    pipeline: Property[OptionalText] = None
    stage: Property[OptionalText] = None
    amount: Property[OptionalNumber] = None
    close_date: Property[OptionalText] = None
    deal_type: Property[OptionalText] = None
    associated_company_ids: Any = None
    associated_contact_ids: Any = None

    def record(self) -> str:
        return self.deal_id


class Delete(DeleteTask):
    """Delete a deal."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deal
type: io.kestra.plugin.hubspot.deals.Delete
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
dealId: "{{ inputs.deal }}"
""",
    )
    kind: ClassVar[str] = "deals"
    type: Literal["io.kestra.plugin.hubspot.deals.Delete"]
    deal_id: Property[Text]

    def record(self) -> str:
        return self.deal_id


class Search(SearchTask):
    """Search deals."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deal
type: io.kestra.plugin.hubspot.deals.Search
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
properties: [dealname]
fetchAllPages: true
""",
    )
    kind: ClassVar[str] = "deals"
    type: Literal["io.kestra.plugin.hubspot.deals.Search"]
