"""`io.kestra.plugin.algolia`: records of an index of Algolia."""

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.property_types import JsonMap, Text, TextList, document_from_text

Record = Annotated[dict[str, Any], BeforeValidator(document_from_text, json_schema_input_type=dict[str, Any] | str)]
Records = Annotated[list[Record], BeforeValidator(document_from_text, json_schema_input_type=list[Record] | str)]


class AlgoliaTask(RunnableTask):
    """Which index, and who asks."""

    application_id: Property[Text]
    api_key: Property[Text] = Field(description="The key of an administrator.")
    index_name: Property[Text]

    async def algolia(self, context: RunContext, verb: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The JSON of one call about the index; TaskFailed when Algolia refuses."""
        context.mask(self.api_key)
        public = f"https://{quote(self.application_id.strip(), safe='')}.algolia.net"
        base = (context.settings.provider("algolia").base_url or public).rstrip("/")
        url = f"{base}/1/indexes/{quote(self.index_name, safe='')}/{verb}"
        headers = {"X-Algolia-Application-Id": self.application_id, "X-Algolia-API-Key": self.api_key}
        return await rest_service.mapping(context, "Algolia", "POST", url, headers=headers, json=asked)

    async def batch(self, context: RunContext, action: str, bodies: list[dict[str, Any]]) -> dict[str, Any]:
        """What Algolia answers to one action on each of some records."""
        asked = [{"action": action, "body": body} for body in bodies]
        return await self.algolia(context, "batch", {"requests": asked})


class Indexed(Outputs):
    """What Algolia answered: `taskID` and `objectIDs`."""

    result: dict[str, Any]


class Index(AlgoliaTask):
    """Put records into an index. One with the `objectID` of a record that is there takes its place; one without gets an
    id. Algolia answers before they can be found."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: index
type: io.kestra.plugin.algolia.Index
applicationId: "{{ secret('ALGOLIA_APP_ID') }}"
apiKey: "{{ secret('ALGOLIA_API_KEY') }}"
indexName: products
objects:
  - objectID: prod_123
    name: Black T-shirt
  - "{{ outputs.row.json | merge({'objectID': outputs.row.json.id}) }}"
""",
    )
    type: Literal["io.kestra.plugin.algolia.Index"]
    objects: Property[Records]

    async def run(self, context: RunContext) -> Indexed:
        return Indexed(result=await self.batch(context, "addObject", self.objects))


class Deleted(Outputs):
    """The ids that Algolia was told to forget."""

    objectIds: list[str]  # noqa: N815 - appears as written


class Delete(AlgoliaTask):
    """Take records out of an index. Ids that are not there are no failure."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.algolia.Delete
applicationId: "{{ secret('ALGOLIA_APP_ID') }}"
apiKey: "{{ secret('ALGOLIA_API_KEY') }}"
indexName: products
objectIds: [prod_001, prod_002]
""",
    )
    type: Literal["io.kestra.plugin.algolia.Delete"]
    object_ids: Property[TextList]

    async def run(self, context: RunContext) -> Deleted:
        answer = await self.batch(context, "deleteObject", [{"objectID": one} for one in self.object_ids])
        return Deleted(objectIds=answer.get("objectIDs") or [])


class Found(Outputs):
    """How many records fit, and those of the page that was asked for."""

    nbHits: int  # noqa: N815 - appears as written
    hits: list[dict[str, Any]]


class Search(AlgoliaTask):
    """Look in an index; without `params`, at the first twenty records."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: shirts
type: io.kestra.plugin.algolia.Search
applicationId: "{{ secret('ALGOLIA_APP_ID') }}"
apiKey: "{{ secret('ALGOLIA_API_KEY') }}"
indexName: products
params:
  query: t-shirt
  hitsPerPage: 5
""",
    )
    type: Literal["io.kestra.plugin.algolia.Search"]
    params: Property[JsonMap] = Field(
        default={}, description="Algolia's own parameters of a search: `query`, `hitsPerPage`, `filters` and so on."
    )

    async def run(self, context: RunContext) -> Found:
        answer = await self.algolia(context, "query", self.params)
        return Found(nbHits=answer.get("nbHits") or 0, hits=answer.get("hits") or [])
