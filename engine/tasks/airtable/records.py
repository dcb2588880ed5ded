"""`io.kestra.plugin.airtable.records`: records of tables in Airtable."""

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.pages import Pages
from engine.tasks.property_types import JsonList, JsonMap, OptionalText, Text, TextList

API = "https://api.airtable.com/v0"
AT_ONCE = 10
MOST_PAGES = 1000


class AirtableTask(RunnableTask):
    """Which table, and who asks."""

    base_id: Property[Text]
    table_id: Property[Text]
    api_key: Property[Text]

    async def airtable(self, context: RunContext, method: str, record: str = "", **given: Any) -> dict[str, Any]:
        """The JSON of one call about the table, or about one record; TaskFailed when Airtable refuses."""
        context.mask(self.api_key)
        base = (context.settings.provider("airtable").base_url or API).rstrip("/")
        steps = [quote(one, safe="") for one in (self.base_id, self.table_id, record) if one]
        headers = {"Authorization": f"Bearer {self.api_key}"}
        url = "/".join([base, *steps])
        return await rest_service.mapping(context, "Airtable", method, url, headers=headers, **given)


class List(AirtableTask):
    """List records; the first page, unless all are wanted."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: urgent
type: io.kestra.plugin.airtable.records.List
baseId: app123
tableId: Tasks
apiKey: "{{ secret('AIRTABLE_API_KEY') }}"
filterByFormula: "{Priority} = 'High'"
enableAutoPagination: true
""",
    )
    type: Literal["io.kestra.plugin.airtable.records.List"]
    filter_by_formula: Property[OptionalText] = None
    fields: Property[TextList | None] = None
    max_records: Property[int | None] = None
    view: Property[OptionalText] = None
    enable_auto_pagination: Property[bool] = False
    fetch_type: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Fetched:
        asked = {
            "filterByFormula": self.filter_by_formula or None,
            "fields[]": self.fields or None,
            "maxRecords": self.max_records,
            "view": self.view or None,
        }
        params = {name: value for name, value in asked.items() if value is not None}
        found, pages = list[dict[str, Any]](), Pages("Airtable")
        for _ in range(MOST_PAGES):
            page = await self.airtable(context, "GET", params=params)
            found += rest_service.listed(page, "Airtable", "records")
            if not self.enable_auto_pagination or not (following := pages.after(page.get("offset"))):
                break
            params["offset"] = following
        return await fetched(context, found, self.fetch_type)


class One(Outputs):
    """The record: its id, when it was made, and its fields."""

    record: dict[str, Any]


class Get(AirtableTask):
    """Fetch a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: customer
type: io.kestra.plugin.airtable.records.Get
baseId: app123
tableId: Customers
recordId: rec456
apiKey: "{{ secret('AIRTABLE_API_KEY') }}"
""",
    )
    type: Literal["io.kestra.plugin.airtable.records.Get"]
    record_id: Property[Text]
    fields: Property[TextList | None] = None

    async def run(self, context: RunContext) -> One:
        found = await self.airtable(context, "GET", self.record_id)
        if self.fields:  # Airtable itself gives all of them
            rest_service.held(found, "Airtable", "fields")
            fields = rest_service.mapped(found, "Airtable", "fields")
            found["fields"] = {name: value for name, value in fields.items() if name in self.fields}
        return One(record=found)


class Created(Outputs):
    """The records that were made, and the first of them."""

    record: dict[str, Any] | None
    records: list[dict[str, Any]]
    recordIds: list[str]  # noqa: N815 - appears as written


class Create(AirtableTask):
    """Create a record (`fields`) or several (`records`)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: order
type: io.kestra.plugin.airtable.records.Create
baseId: app123
tableId: Orders
apiKey: "{{ secret('AIRTABLE_API_KEY') }}"
fields:
  Customer: "{{ inputs.customer }}"
  Amount: 17.5
typecast: true
""",
    )
    type: Literal["io.kestra.plugin.airtable.records.Create"]
    fields: Property[JsonMap | None] = None
    records: Property[JsonList | None] = None
    typecast: Property[bool] = False

    async def run(self, context: RunContext) -> Created:
        if bool(self.fields) == bool(self.records):
            raise TaskFailed("It is not said what to create.", fix="Give `fields`, or `records`, and not both.")
        rows = [self.fields] if self.fields else list(self.records or ())
        made: list[dict[str, Any]] = []
        for begin in range(0, len(rows), AT_ONCE):
            some = [{"fields": row} for row in rows[begin : begin + AT_ONCE]]
            body = {"records": some, "typecast": self.typecast}
            answer = await self.airtable(context, "POST", json=body)
            rest_service.held(answer, "Airtable", "records")
            made += rest_service.listed(answer, "Airtable", "records")
        ids = [rest_service.held(one, "Airtable", "id") for one in made]
        return Created(record=made[0] if made else None, records=made, recordIds=ids)


class Changed(One):
    """The record as it is now."""

    recordId: str  # noqa: N815 - appears as written


class Update(AirtableTask):
    """Change fields of a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: done
type: io.kestra.plugin.airtable.records.Update
baseId: app123
tableId: Tasks
recordId: rec456
apiKey: "{{ secret('AIRTABLE_API_KEY') }}"
fields:
  Status: Done
""",
    )
    type: Literal["io.kestra.plugin.airtable.records.Update"]
    record_id: Property[Text]
    fields: Property[JsonMap] = Field(min_length=1)
    typecast: Property[bool] = False

    async def run(self, context: RunContext) -> Changed:
        body = {"fields": self.fields, "typecast": self.typecast}
        found = await self.airtable(context, "PATCH", self.record_id, json=body)
        return Changed(record=found, recordId=rest_service.held(found, "Airtable", "id"))


class Delete(AirtableTask):
    """Delete a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.airtable.records.Delete
baseId: app123
tableId: Temporary
recordId: rec456
apiKey: "{{ secret('AIRTABLE_API_KEY') }}"
""",
    )
    type: Literal["io.kestra.plugin.airtable.records.Delete"]
    record_id: Property[Text]

    async def run(self, context: RunContext) -> None:
        await self.airtable(context, "DELETE", self.record_id)
