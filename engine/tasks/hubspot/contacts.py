"""`io.kestra.plugin.hubspot.contacts`: people in HubSpot."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from engine.plugin import Property
from engine.tasks.hubspot_service import CreateTask, DeleteTask, GetTask, SearchTask, UpdateTask
from engine.tasks.property_types import OptionalText, Text

NAMES = {
    "email": "email",
    "first_name": "firstname",
    "last_name": "lastname",
    "phone": "phone",
    "job_title": "jobtitle",
    "lifecycle_stage": "lifecyclestage",
}


class Create(CreateTask):
    """Create a contact."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: contact
type: io.kestra.plugin.hubspot.contacts.Create
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
email: ann@example.com
firstName: Ann
lifecycleStage: lead
""",
    )
    kind: ClassVar[str] = "contacts"
    names: ClassVar[Mapping[str, str]] = NAMES
    type: Literal["io.kestra.plugin.hubspot.contacts.Create"]
    email: Property[Text]
    first_name: Property[OptionalText] = None
    last_name: Property[OptionalText] = None
    phone: Property[OptionalText] = None
    job_title: Property[OptionalText] = None
    lifecycle_stage: Property[OptionalText] = None


class Get(GetTask):
    """Read a contact."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: contact
type: io.kestra.plugin.hubspot.contacts.Get
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
contactId: "{{ inputs.contact }}"
""",
    )
    kind: ClassVar[str] = "contacts"
    type: Literal["io.kestra.plugin.hubspot.contacts.Get"]
    contact_id: Property[Text]

    def record(self) -> str:
        return self.contact_id


class Update(UpdateTask):
    """Change properties of a contact."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: contact
type: io.kestra.plugin.hubspot.contacts.Update
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
contactId: "{{ inputs.contact }}"
additionalProperties:
  city: Bern
""",
    )
    kind: ClassVar[str] = "contacts"
    names: ClassVar[Mapping[str, str]] = NAMES
    type: Literal["io.kestra.plugin.hubspot.contacts.Update"]
    contact_id: Property[Text]
    email: Property[OptionalText] = None
    first_name: Property[OptionalText] = None
    last_name: Property[OptionalText] = None
    phone: Property[OptionalText] = None
    job_title: Property[OptionalText] = None
    lifecycle_stage: Property[OptionalText] = None

    def record(self) -> str:
        return self.contact_id


class Delete(DeleteTask):
    """Delete a contact."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: contact
type: io.kestra.plugin.hubspot.contacts.Delete
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
contactId: "{{ inputs.contact }}"
""",
    )
    kind: ClassVar[str] = "contacts"
    type: Literal["io.kestra.plugin.hubspot.contacts.Delete"]
    contact_id: Property[Text]

    def record(self) -> str:
        return self.contact_id


class Search(SearchTask):
    """Search people."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: contact
type: io.kestra.plugin.hubspot.contacts.Search
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
properties: [email]
fetchAllPages: true
""",
    )
    kind: ClassVar[str] = "contacts"
    type: Literal["io.kestra.plugin.hubspot.contacts.Search"]
