"""`io.kestra.plugin.hubspot.companies`: companies in HubSpot."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from engine.plugin import Property
from engine.tasks.hubspot_service import CreateTask, DeleteTask, GetTask, SearchTask, UpdateTask
from engine.tasks.property_types import OptionalText, Text

NAMES = {
    "name": "name",
    "domain": "domain",
    "company_description": "description",
    "industry": "industry",
    "company_type": "type",
}


class Create(CreateTask):
    """Create a company."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: company
type: io.kestra.plugin.hubspot.companies.Create
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
name: Example
domain: example.com
industry: ACCOUNTING
""",
    )
    kind: ClassVar[str] = "companies"
    names: ClassVar[Mapping[str, str]] = NAMES
    type: Literal["io.kestra.plugin.hubspot.companies.Create"]
    name: Property[Text]
    domain: Property[Text]
    company_description: Property[OptionalText] = None
    industry: Property[OptionalText] = None
    company_type: Property[OptionalText] = None


class Get(GetTask):
    """Read a company."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: company
type: io.kestra.plugin.hubspot.companies.Get
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
companyId: "{{ inputs.company }}"
""",
    )
    kind: ClassVar[str] = "companies"
    type: Literal["io.kestra.plugin.hubspot.companies.Get"]
    company_id: Property[Text]

    def record(self) -> str:
        return self.company_id


class Update(UpdateTask):
    """Change properties of a company."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: company
type: io.kestra.plugin.hubspot.companies.Update
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
companyId: "{{ inputs.company }}"
additionalProperties:
  city: Bern
""",
    )
    kind: ClassVar[str] = "companies"
    names: ClassVar[Mapping[str, str]] = NAMES
    type: Literal["io.kestra.plugin.hubspot.companies.Update"]
    company_id: Property[Text]
    name: Property[OptionalText] = None
    domain: Property[OptionalText] = None
    company_description: Property[OptionalText] = None
    industry: Property[OptionalText] = None
    company_type: Property[OptionalText] = None

    def record(self) -> str:
        return self.company_id


class Delete(DeleteTask):
    """Delete a company."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: company
type: io.kestra.plugin.hubspot.companies.Delete
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
companyId: "{{ inputs.company }}"
""",
    )
    kind: ClassVar[str] = "companies"
    type: Literal["io.kestra.plugin.hubspot.companies.Delete"]
    company_id: Property[Text]

    def record(self) -> str:
        return self.company_id


class Search(SearchTask):
    """Search companies."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: company
type: io.kestra.plugin.hubspot.companies.Search
apiKey: "{{ secret('HUBSPOT_TOKEN') }}"
properties: [name]
fetchAllPages: true
""",
    )
    kind: ClassVar[str] = "companies"
    type: Literal["io.kestra.plugin.hubspot.companies.Search"]
