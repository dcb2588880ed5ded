"""`io.kestra.plugin.redis.pubsub`: messages through Redis."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks import given_rows
from engine.tasks.property_types import Text
from engine.tasks.redis.list import Pushed
from engine.tasks.redis_task import RedisTask, SerdeType, written


class Publish(RedisTask):
    """Send messages to a channel."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.redis.pubsub.Publish
url: redis://:secret@cache.example.com:6379/0
channel: orders
from: ["{{ execution.id }}"]
""",
    )
    type: Literal["io.kestra.plugin.redis.pubsub.Publish", "io.kestra.plugin.redis.Publish"]
    channel: Property[Text]
    from_: Property[Any] = Field(alias="from")
    serde_type: Property[SerdeType] = "STRING"

    async def run(self, context: RunContext) -> Pushed:
        values = [written(row, self.serde_type) for row in await given_rows.rows(context, self.from_)]
        async with self.redis(context) as client:
            for value in values:
                await client.publish(self.channel, value)
        context.metric("published.records.count", len(values))
        return Pushed(count=len(values))
