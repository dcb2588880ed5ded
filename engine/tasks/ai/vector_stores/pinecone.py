"""`io.kestra.plugin.ai.embeddings`: vectors in Pinecone."""

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.property_types import OptionalText, Text

AT_ONCE = 200
API = "https://api.pinecone.io"
VERSION = "2025-01"
MOST_BYTES = 2_000_000  # in one call: docs.pinecone.io/reference/api/database-limits
TEXT = "text_segment"  # where the text is kept, beside the metadata
UNTIL_READY = timedelta(minutes=5)


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
        for vectors in _parts(map(self._kept, segments), MOST_BYTES):
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
        base = (context.settings.provider("pinecone").base_url or API).rstrip("/")

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
        headers = {"Api-Key": self.api_key, "X-Pinecone-API-Version": VERSION}
        given = {} if body is None else {"json": body}
        return await rest_service.mapping(context, "Pinecone", method, url, headers=headers, **given)


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
