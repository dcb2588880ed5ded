"""`io.kestra.plugin.weaviate`: objects in a vector database."""

import json
import uuid
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import given_rows, rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched, filed
from engine.tasks.http_bodies import header
from engine.tasks.property_types import JsonMap, OptionalText, Text

AT_ONCE = 200
SERVICE = "Weaviate"
EVERYTHING = {"path": ["_id"], "operator": "NotEqual", "valueText": ""}


class WeaviateTask(RunnableTask):
    """Which cluster, and who asks."""

    url: Property[Text]
    api_key: Property[OptionalText] = None
    headers: Property[JsonMap | None] = None

    async def weaviate(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The JSON of one call; TaskFailed when Weaviate refuses."""
        headers = {str(name): header(value) for name, value in (self.headers or {}).items()}
        if self.api_key:
            context.mask(self.api_key)
            headers["Authorization"] = f"Bearer {self.api_key}"
        base = self.url.rstrip("/") if "://" in self.url else f"https://{self.url.rstrip('/')}"
        return await rest_service.document(context, SERVICE, method, f"{base}/v1/{path}", headers=headers, **given)


class Made(Outputs):
    """Whether the class is there now."""

    success: bool


class SchemaCreate(WeaviateTask):
    """Create a class of objects."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: schema
type: io.kestra.plugin.weaviate.SchemaCreate
url: https://cluster.weaviate.network
apiKey: "{{ secret('WEAVIATE_API_KEY') }}"
className: Question
fields:
  question: [text]
  points: [int]
""",
    )
    type: Literal["io.kestra.plugin.weaviate.SchemaCreate"]
    class_name: Property[Text]
    fields: Property[JsonMap]

    async def run(self, context: RunContext) -> Made:
        described = [
            {"name": name, "dataType": kind if isinstance(kind, list) else [kind]} for name, kind in self.fields.items()
        ]
        await self.weaviate(context, "POST", "schema", json={"class": self.class_name, "properties": described})
        return Made(success=True)


class Loaded(Outputs):
    """A file of what was kept, and how many objects that are."""

    uri: StoredUri
    createdCount: int  # noqa: N815 - appears as written


class BatchCreate(WeaviateTask):
    """Keep objects, many at a time."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.weaviate.BatchCreate
url: https://cluster.weaviate.network
apiKey: "{{ secret('WEAVIATE_API_KEY') }}"
className: Question
objects: "{{ outputs.questions.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.weaviate.BatchCreate"]
    class_name: Property[Text]
    objects: Property[Any]

    async def run(self, context: RunContext) -> Loaded:
        rows = await given_rows.rows(context, self.objects, "objects")
        if wrong := next((row for row in rows if not isinstance(row, dict)), None):
            raise TaskFailed(f"An object is no map: {str(wrong)[:100]!r}.", fix="Give maps.")
        for begin in range(0, len(rows), AT_ONCE):
            some = [
                {"class": self.class_name, "id": str(uuid.uuid4()), "properties": row}
                for row in rows[begin : begin + AT_ONCE]
            ]
            answer = await self.weaviate(context, "POST", "batch/objects", json={"objects": some})
            for told in rest_service.listed(answer, SERVICE):
                if errors := rest_service.listed(told, SERVICE, "result", "errors", "error"):
                    raise TaskFailed(f"Weaviate kept not all objects: {errors[0].get('message') or errors[0]}")
        context.metric("records", len(rows))
        uri = await filed(context, rows, "objects.jsonl")
        return Loaded(uri=uri, createdCount=len(rows))


class Query(WeaviateTask):
    """Query objects with GraphQL; each row is a map from its class to the object."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: questions
type: io.kestra.plugin.weaviate.Query
url: https://cluster.weaviate.network
apiKey: "{{ secret('WEAVIATE_API_KEY') }}"
query: |
  { Get { Question(limit: 5) { question answer } } }
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.weaviate.Query"]
    query: Property[Text]
    fetch_type: Property[FetchType] = "STORE"

    async def run(self, context: RunContext) -> Fetched:
        told = rest_service.mapped(await self.weaviate(context, "POST", "graphql", json={"query": self.query}), SERVICE)
        if errors := rest_service.listed(told, SERVICE, "errors"):
            said = ", ".join(str(one.get("message") or json.dumps(one)) for one in errors[:5])
            raise TaskFailed(f"Weaviate refused: {said}", fix="Check the names in the query.")
        by_class: dict[str, list[dict[str, Any]]] = {}
        for part in rest_service.mapped(told.get("data"), SERVICE).values():
            by_class |= {name: rest_service.listed(part, SERVICE, name) for name in rest_service.mapped(part, SERVICE)}
        if self.fetch_type == "FETCH_ONE":  # the object alone, as in Kestra
            return await fetched(context, [row for rows in by_class.values() for row in rows], "FETCH_ONE")
        rows = [{name: row} for name, rows in by_class.items() for row in rows]
        return await fetched(context, rows, self.fetch_type)


class Gone(Outputs):
    """What was deleted."""

    className: str  # noqa: N815 - appears as written
    success: bool
    deletedCount: int  # noqa: N815
    ids: list[str]


class Delete(WeaviateTask):
    """Delete an object, those that a filter finds, or without either all of a class."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.weaviate.Delete
url: https://cluster.weaviate.network
apiKey: "{{ secret('WEAVIATE_API_KEY') }}"
className: Question
filter:
  category: old
""",
    )
    type: Literal["io.kestra.plugin.weaviate.Delete"]
    class_name: Property[Text]
    object_id: Property[OptionalText] = None
    filter: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Gone:
        if self.object_id:
            await self.weaviate(
                context, "DELETE", f"objects/{quote(self.class_name, safe='')}/{quote(self.object_id, safe='')}"
            )
            return Gone(className=self.class_name, success=True, deletedCount=1, ids=[self.object_id])
        wanted = [_where(name, value) for name, value in (self.filter or {}).items()]
        where = {"operator": "And", "operands": wanted} if wanted else EVERYTHING
        body = {"match": {"class": self.class_name, "where": where}, "output": "verbose"}
        answer = rest_service.mapped(await self.weaviate(context, "DELETE", "batch/objects", json=body), SERVICE)
        told = rest_service.mapped(answer.get("results"), SERVICE)
        objects = rest_service.listed(told, SERVICE, "objects", each=["id"])
        ids = [str(one["id"]) for one in objects if one.get("status", "SUCCESS") == "SUCCESS"]
        count = int(told.get("successful") or 0)
        return Gone(className=self.class_name, success=not told.get("failed"), deletedCount=count, ids=ids)


def _where(name: str, value: Any) -> dict[str, Any]:
    """What a property must be: a text may hold `*`."""
    if isinstance(value, bool):
        return {"path": [name], "operator": "Equal", "valueBoolean": value}
    if isinstance(value, int | float):
        return {"path": [name], "operator": "Equal", "valueNumber": float(value)}
    return {"path": [name], "operator": "Like", "valueText": str(value)}
