"""`io.kestra.plugin.ai.embeddings`: vectors in Pinecone, Weaviate and Milvus, through their REST APIs."""

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList

AT_ONCE = 200
PINECONE = "https://api.pinecone.io"
PINECONE_VERSION = "2025-01"
PINECONE_BYTES = 2_000_000  # in one call: docs.pinecone.io/reference/api/database-limits
TEXT = "text_segment"  # where Pinecone keeps the text, beside the metadata
UNTIL_READY = timedelta(minutes=5)
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
EVERYTHING = {"path": ["_id"], "operator": "NotEqual", "valueText": ""}
MILVUS_PORT = 19530


class Pinecone(EmbeddingStore):
    """A serverless index of Pinecone, which is made when it is not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Pinecone
apiKey: "{{ secret('PINECONE_API_KEY') }}"
cloud: AWS
region: us-east-1
index: handbook
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Pinecone"]
    api_key: Property[Text]
    cloud: Property[Text]
    region: Property[Text]
    index: Property[Text]
    namespace: Property[OptionalText] = Field(default=None, description="`default` unless said.")

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        if not segments and not drop:
            return {}
        host = await self._host(context, len(segments[0].vector) if segments else None)
        if host is not None and drop:
            try:
                await self._ask(context, "POST", f"{host}/vectors/delete", {"deleteAll": True, **self._where})
            except TaskFailed as error:
                if " answered 404" not in error.message:  # the namespace: nothing was kept yet
                    raise
        for vectors in _parts(map(self._kept, segments), PINECONE_BYTES):
            await self._ask(context, "POST", f"{host}/vectors/upsert", {"vectors": vectors, **self._where})
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        host = await self._host(context, None)
        if host is None:
            raise TaskFailed(f"Pinecone has no index {self.index}.", fix="Ingest documents first.")
        asked = {"vector": list(vector), "topK": most, "includeMetadata": True, "includeValues": True, **self._where}
        found = await self._ask(context, "POST", f"{host}/query", asked)
        near = [one for one in found.get("matches") or () if (1 + (one.get("score") or 0.0)) / 2 >= least]
        kept = [(dict(one.get("metadata") or {}), one.get("values") or []) for one in near]
        return [Segment(str(about.pop(TEXT, "")), values, about) for about, values in kept]

    def _kept(self, one: Segment) -> dict[str, Any]:
        about: dict[str, Any] = {**one.metadata, TEXT: one.text}
        return {"id": str(uuid.uuid4()), "values": list(one.vector), "metadata": about}

    @property
    def _where(self) -> dict[str, Any]:
        return {"namespace": self.namespace or "default"}

    async def _host(self, context: RunContext, size: int | None) -> str | None:
        """Where the index hears; None when there is none and no `size` to make it with."""
        base = (context.settings.provider("pinecone").base_url or PINECONE).rstrip("/")

        async def ready() -> str | None:
            about = await self._ask(context, "GET", f"{base}/indexes/{quote(self.index, safe='')}")
            host = str(rest_service.held(about, "Pinecone", "host"))
            return host if (about.get("status") or {}).get("ready", True) else None

        try:
            host = await ready()
        except TaskFailed as error:
            if " answered 404" not in error.message:
                raise
            if size is None:
                return None
            serverless = {"cloud": self.cloud.lower(), "region": self.region}
            made = {"name": self.index, "dimension": size, "metric": "cosine", "spec": {"serverless": serverless}}
            await self._ask(context, "POST", f"{base}/indexes", made)
            host = None
        if host is None:
            what, every = f"The index {self.index} of Pinecone", timedelta(seconds=1)
            host = await rest_service.waited(context, ready, every=every, most=UNTIL_READY, what=what, fix="")
        return host if "://" in host else f"{urlsplit(base).scheme}://{host}"

    async def _ask(self, context: RunContext, method: str, url: str, body: Any = None) -> Any:
        context.mask(self.api_key)
        headers = {"Api-Key": self.api_key, "X-Pinecone-API-Version": PINECONE_VERSION}
        given = {} if body is None else {"json": body}
        return await rest_service.mapping(context, "Pinecone", method, url, headers=headers, **given)


class Weaviate(EmbeddingStore):
    """A class of objects in Weaviate; everything goes over HTTP, what is said of gRPC has no effect."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Weaviate
apiKey: "{{ secret('WEAVIATE_API_KEY') }}"
host: cluster.weaviate.network
port: 443
objectClass: Handbook
metadataKeys: [file_name]
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Weaviate"]
    api_key: Property[Text]
    scheme: Property[Literal["http", "https"]] = "https"
    host: Property[Text]
    port: Property[int]
    object_class: Property[Text]
    consistency_level: Property[Literal["ONE", "QUORUM", "ALL"]] = "QUORUM"
    avoid_dups: Property[bool] = Field(default=True, description="The same text is kept once.")
    metadata_field_name: Property[OptionalText] = Field(default=None, description="`_metadata` unless said.")
    metadata_keys: Property[TextList] = Field(default_factory=list, description="Metadata to keep; else none.")
    use_grpc_for_inserts: Property[bool] = False
    secured_grpc: Property[bool] = True
    grpc_port: Property[OptionalInteger] = None

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        if drop:
            await self._clear(context)
        params = {"consistency_level": self.consistency_level}
        for begin in range(0, len(segments), AT_ONCE):
            objects = [self._object(one) for one in segments[begin : begin + AT_ONCE]]
            told = await self._ask(context, "POST", "batch/objects", params=params, json={"objects": objects})
            if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
                raise TaskFailed("Weaviate does not say what it kept.", fix="Check `host` and `port`.")
            for one in told:
                if errors := ((one.get("result") or {}).get("errors") or {}).get("error"):
                    raise TaskFailed(f"Weaviate kept not all texts: {errors[0].get('message') or errors[0]}")
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        about = f"{self._field} {{ {' '.join(self._keys)} }}" if self._keys else ""
        near = f"nearVector: {{vector: {json.dumps(list(vector))}, certainty: {least}}}, limit: {most}"
        query = f"{{ Get {{ {self._class}({near}) {{ text {about} _additional {{ vector }} }} }} }}"
        told = await self._ask(context, "POST", "graphql", json={"query": query})
        if not isinstance(told, dict):
            raise TaskFailed("Weaviate does not say what it found.", fix="Check `host` and `port`.")
        if errors := told.get("errors"):
            said = ", ".join(str(one.get("message") or one) for one in errors[:5])
            raise TaskFailed(f"Weaviate refused: {said}", fix="Check `objectClass` and `metadataKeys`.")
        rows = ((told.get("data") or {}).get("Get") or {}).get(self._class) or []
        return [Segment(str(row.get("text") or ""), row["_additional"]["vector"], self._about(row)) for row in rows]

    def _object(self, segment: Segment) -> dict[str, Any]:
        about = {name: segment.metadata[name] for name in self._keys if name in segment.metadata}
        properties: dict[str, Any] = {"text": segment.text, **({self._field: about} if about else {})}
        vector = list(segment.vector)
        return {"class": self._class, "id": self._id(segment.text), "vector": vector, "properties": properties}

    def _id(self, text: str) -> str:
        if not self.avoid_dups:
            return str(uuid.uuid4())
        return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=5))

    def _about(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in (row.get(self._field) or {}).items() if value is not None}

    async def _clear(self, context: RunContext) -> None:
        try:
            await self._ask(context, "GET", f"schema/{self._class}")
        except TaskFailed as error:
            if " answered 404" in error.message:
                return
            raise
        match = {"match": {"class": self._class, "where": EVERYTHING}}
        while True:  # a cluster deletes so many in one call
            told = ((await self._ask(context, "DELETE", "batch/objects", json=match)) or {}).get("results") or {}
            if told.get("failed"):
                raise TaskFailed(f"Weaviate did not delete {told['failed']} objects of {self._class}.")
            if not told.get("successful"):
                return

    @property
    def _class(self) -> str:
        return _name(self.object_class, "objectClass")

    @property
    def _field(self) -> str:
        return _name(self.metadata_field_name or "_metadata", "metadataFieldName")

    @property
    def _keys(self) -> list[str]:
        return [_name(key, "metadataKeys") for key in self.metadata_keys]

    async def _ask(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        context.mask(self.api_key)
        url = f"{self.scheme}://{self.host}:{self.port}/v1/{path}"
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return await rest_service.document(context, "Weaviate", method, url, headers=headers, **given)


class Milvus(EmbeddingStore):
    """A collection of Milvus, which is made when it is not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Milvus
uri: http://milvus.example.com:19530
token: "{{ secret('MILVUS_TOKEN') }}"
collectionName: handbook
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Milvus"]
    token: Property[OptionalText] = None
    uri: Property[OptionalText] = Field(default=None, description="Or `host` and `port`.")
    host: Property[OptionalText] = Field(default=None, description="`localhost` unless said.")
    port: Property[OptionalInteger] = Field(default=None, description="19530 unless said.")
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    collection_name: Property[OptionalText] = Field(default=None, description="`default` unless said.")
    consistency_level: Property[Text] = "EVENTUALLY"
    index_type: Property[Text] = "FLAT"
    metric_type: Property[Literal["COSINE", "IP", "L2"]] = "COSINE"
    retrieve_embeddings_on_search: Property[bool] = False
    database_name: Property[OptionalText] = None
    auto_flush_on_insert: Property[bool] = False
    auto_flush_on_delete: Property[bool] = False
    id_field_name: Property[OptionalText] = None
    text_field_name: Property[OptionalText] = None
    metadata_field_name: Property[OptionalText] = None
    vector_field_name: Property[OptionalText] = None

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        there = rest_service.held(await self._ask(context, "collections/has"), "Milvus", "has")
        if there and drop:
            await self._ask(context, "collections/drop")
        if segments and (drop or not there):
            await self._ask(context, "collections/create", **self._described(len(segments[0].vector)))
        key, text, about, vector = self._fields
        for begin in range(0, len(segments), AT_ONCE):
            rows = [
                {key: str(uuid.uuid4()), text: one.text, about: one.metadata, vector: list(one.vector)}
                for one in segments[begin : begin + AT_ONCE]
            ]
            await self._ask(context, "entities/insert", data=rows)
        if segments and self.auto_flush_on_insert:
            await self._ask(context, "collections/flush")
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        _, text, about, at = self._fields
        wanted = [text, about, *([at] if self.retrieve_embeddings_on_search else [])]
        asked: dict[str, Any] = {"data": [list(vector)], "annsField": at, "limit": most, "outputFields": wanted}
        asked["consistencyLevel"] = self.consistency_level.capitalize()
        rows = await self._ask(context, "entities/search", **asked) or []
        near = [row for row in rows if self._score(row["distance"]) >= least]
        return [Segment(str(row.get(text) or ""), row.get(at) or [], _document(row.get(about))) for row in near]

    def _score(self, distance: float) -> float:
        """How near a row is, from 0 to 1; Milvus tells a likeness, of L2 a distance."""
        return 1 / (1 + distance) if self.metric_type == "L2" else (1 + distance) / 2

    @property
    def _fields(self) -> tuple[str, str, str, str]:
        """What the columns are called: id, text, metadata, vector."""
        given = (self.id_field_name, self.text_field_name, self.metadata_field_name, self.vector_field_name)
        key, text, about, vector = (
            name or usual for name, usual in zip(given, ("id", "text", "metadata", "vector"), strict=True)
        )
        return key, text, about, vector

    def _described(self, size: int) -> dict[str, Any]:
        key, text, about, vector = self._fields
        fields = [
            {"fieldName": key, "dataType": "VarChar", "isPrimary": True, "elementTypeParams": {"max_length": "36"}},
            {"fieldName": text, "dataType": "VarChar", "elementTypeParams": {"max_length": "65535"}},
            {"fieldName": about, "dataType": "JSON"},
            {"fieldName": vector, "dataType": "FloatVector", "elementTypeParams": {"dim": str(size)}},
        ]
        index = {"fieldName": vector, "indexName": vector, "metricType": self.metric_type, "indexType": self.index_type}
        schema = {"autoId": False, "enableDynamicField": False, "fields": fields}
        params = {"consistencyLevel": self.consistency_level.capitalize()}
        return {"schema": schema, "indexParams": [index], "params": params}

    async def _ask(self, context: RunContext, what: str, **given: Any) -> Any:
        key = self.token or (f"{self.username}:{self.password or ''}" if self.username else "")
        for secret in filter(None, (self.token, self.password)):
            context.mask(secret)
        body = {"collectionName": self.collection_name or "default", **given}
        if self.database_name:
            body["dbName"] = self.database_name
        base = self.uri or f"http://{self.host or 'localhost'}:{self.port or MILVUS_PORT}"
        url = f"{re.sub(r'^milvus://', 'http://', base.rstrip('/'))}/v2/vectordb/{what}"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        told = await rest_service.mapping(context, "Milvus", "POST", url, headers=headers, json=body)
        if told.get("code", 0) not in (0, 200):  # which comes with the status 200
            raise TaskFailed(f"Milvus refused {what}: {told.get('message') or told['code']}")
        return told.get("data")


def _parts(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists that a service takes at once: none longer than so many bytes of JSON, unless one row is."""
    part: list[dict[str, Any]] = []
    filled = 0
    for row in rows:
        length = len(json.dumps(row)) + 2
        if part and (len(part) == AT_ONCE or filled + length > size - 1000):  # what stands around them
            yield part
            part, filled = [], 0
        part.append(row)
        filled += length
    if part:
        yield part


def _name(text: str, of: str) -> str:
    """A name as it may stand in a query; TaskFailed when it is none."""
    if not NAME.fullmatch(text):
        raise TaskFailed(f"`{of}` {text!r} is no name.", fix="Letters, digits and `_`.")
    return text


def _document(kept: Any) -> dict[str, Any]:
    """Metadata as Milvus gives it: a map, or JSON text of one."""
    found = json.loads(kept) if isinstance(kept, str) else kept
    return dict(found or {})
