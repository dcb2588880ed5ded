"""`io.kestra.plugin.nats.kv`: keys and values in buckets of NATS."""

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.json_text import read_json
from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.nats_connection import NatsConnected
from engine.tasks.property_types import JsonList, JsonMap, OptionalInteger, OptionalText, Text, TextList


class Bucket(Outputs):
    """The bucket as the server keeps it."""

    bucket: str
    description: str | None = None
    history: int
    entryCount: int  # noqa: N815 - appears as written
    bucketSize: int  # noqa: N815
    valueSize: int  # noqa: N815
    metadata: dict[str, str] | None = None


class CreateBucket(NatsConnected, RunnableTask):
    """Create a bucket."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bucket
type: io.kestra.plugin.nats.kv.CreateBucket
url: nats://nats.example.com:4222
name: prices
historyPerKey: 2
""",
    )
    type: Literal["io.kestra.plugin.nats.kv.CreateBucket"]
    name: Property[Text]
    description: Property[OptionalText] = None
    metadata: Property[JsonMap | None] = None
    history_per_key: Property[int] = Field(default=1, ge=1, le=64)
    bucket_size: Property[OptionalInteger] = None
    value_size: Property[OptionalInteger] = None

    async def run(self, context: RunContext) -> Bucket:
        api = extra("nats.js.api", "nats")
        config = api.KeyValueConfig(
            bucket=self.name,
            description=self.description,
            history=self.history_per_key,
            max_bytes=self.bucket_size,
            max_value_size=self.value_size,
        )
        async with self.connected(context) as connection:
            stream = connection.jetstream()
            made = await stream.create_key_value(config=config)
            info = (await made.status()).stream_info
            if self.metadata:
                kept = {str(name): str(value) for name, value in self.metadata.items()}
                info = await stream.update_stream(config=info.config.evolve(metadata=kept))
        kept = info.config
        return Bucket(
            bucket=self.name,
            description=kept.description or None,
            history=kept.max_msgs_per_subject,
            entryCount=info.state.messages,
            bucketSize=kept.max_bytes,
            valueSize=kept.max_msg_size,
            metadata=getattr(kept, "metadata", None),
        )


class Written(Outputs):
    """Which revision each key has now."""

    revisions: dict[str, int]


class Put(NatsConnected, RunnableTask):
    """Keep values, as JSON."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.nats.kv.Put
url: nats://nats.example.com:4222
bucketName: prices
values:
  apple: 2
  pear: {price: 3}
""",
    )
    type: Literal["io.kestra.plugin.nats.kv.Put"]
    bucket_name: Property[Text]
    values: Property[JsonMap | JsonList]

    async def run(self, context: RunContext) -> Written:
        async with self.connected(context) as connection:
            bucket = await connection.jetstream().key_value(self.bucket_name)
            done = {}
            for key, value in _pairs(self.values).items():
                done[key] = await bucket.put(key, json.dumps(value, ensure_ascii=False).encode())
        return Written(revisions=done)


class Found(Outputs):
    """Keys and their values; a key that is not there is left out."""

    output: dict[str, Any]


class Get(NatsConnected, RunnableTask):
    """Fetch values, as they are or as they were at a revision."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.nats.kv.Get
url: nats://nats.example.com:4222
bucketName: prices
keys: [apple, pear]
""",
    )
    type: Literal["io.kestra.plugin.nats.kv.Get"]
    bucket_name: Property[Text]
    keys: Property[TextList | None] = None
    key_revisions: Property[JsonMap | JsonList | None] = None

    async def run(self, context: RunContext) -> Found:
        missing = extra("nats.js.errors", "nats").KeyNotFoundError
        asked = _pairs(self.key_revisions) if self.key_revisions else dict.fromkeys(self.keys or ())
        found = {}
        async with self.connected(context) as connection:
            bucket = await connection.jetstream().key_value(self.bucket_name)
            for key, revision in asked.items():
                try:
                    entry = await bucket.get(key, revision=None if revision is None else int(revision))
                except missing:
                    continue
                found[key] = _value(key, entry.value or b"null")
        return Found(output=found)


class Delete(NatsConnected, RunnableTask):
    """Delete keys."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.nats.kv.Delete
url: nats://nats.example.com:4222
bucketName: prices
keys: [apple]
""",
    )
    type: Literal["io.kestra.plugin.nats.kv.Delete"]
    bucket_name: Property[Text]
    keys: Property[TextList]

    async def run(self, context: RunContext) -> None:
        async with self.connected(context) as connection:
            bucket = await connection.jetstream().key_value(self.bucket_name)
            for key in self.keys:
                await bucket.delete(key)


def _pairs(given: Any) -> dict[str, Any]:
    """Keys and values: a map, or a list of maps."""
    maps = given if isinstance(given, list) else [given]
    if wrong := next((one for one in maps if not isinstance(one, dict)), None):
        raise TaskFailed(f"{wrong!r} is no map.", fix="Give keys and their values.")
    return {str(key): value for one in maps for key, value in one.items()}


def _value(key: str, content: bytes) -> Any:
    try:
        return read_json(content)
    except ValueError as error:
        raise TaskFailed(f"The value of {key!r} is not JSON: {content[:80]!r}.") from error
