"""`io.kestra.plugin.kafka`: messages in topics."""

import json
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import given_rows
from engine.tasks.kafka_connection import (
    PATIENCE,
    KafkaConnected,
    SerdeType,
    explained,
    headers_of,
    reader,
    writer,
)
from engine.tasks.property_types import OptionalInteger, OptionalText, TextList
from engine.tasks.runners import WORK
from engine.tasks.threads import in_own_thread

JOINING = 30  # seconds until a group has given us partitions
AT_ONCE = 500


class Produced(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Produce(KafkaConnected, RunnableTask):
    """Send messages to a topic: all of them, or, as long as it is `transactional`, none."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: send
type: io.kestra.plugin.kafka.Produce
topic: orders
from:
  - key: "17"
    value: {customer: ann, amount: 4}
    headers: {source: flow}
valueSerializer: JSON
properties:
  bootstrap.servers: broker.example.com:9092
""",
    )
    type: Literal["io.kestra.plugin.kafka.Produce"]
    topic: Property[OptionalText] = Field(default=None, description="A message may name another one in `topic`.")
    from_: Property[Any] = Field(
        alias="from", description="Maps with `key`, `value`, `partition`, `timestamp` and `headers`, or a file of such."
    )
    key_serializer: Property[SerdeType] = "STRING"
    value_serializer: Property[SerdeType] = "STRING"
    key_avro_schema: Property[Any] = None
    value_avro_schema: Property[Any] = None
    transactional: Property[bool] = True

    async def run(self, context: RunContext) -> Produced:
        messages = [self._message(row) for row in await given_rows.rows(context, self.from_)]
        settings = {"message.timeout.ms": "30000", **await self.settings(context)}
        if "delivery.timeout.ms" in settings:
            del settings["message.timeout.ms"]
        if self.transactional:
            settings["transactional.id"] = str(uuid.uuid4())
        await in_own_thread(lambda: self._send(settings, messages))
        context.metric("records", len(messages))
        return Produced(messagesCount=len(messages))

    def _message(self, row: Any) -> dict[str, Any]:
        if not isinstance(row, dict):
            raise TaskFailed(f"A message is no map: {str(row)[:100]!r}.", fix="Give maps with `key` and `value`.")
        topic = row.get("topic") or self.topic
        if not topic:
            raise TaskFailed("It is not said which topic.", fix="Give `topic`.")
        found = {
            "topic": str(topic),
            "key": writer(self.key_serializer)(row.get("key")),
            "value": writer(self.value_serializer)(row.get("value")),
            "partition": None if row.get("partition") is None else int(row["partition"]),
            "timestamp": _milliseconds(row.get("timestamp")),
            "headers": headers_of(row.get("headers")),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _send(self, settings: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        failed: list[Any] = []

        def told(error: Any, _: Any) -> None:
            if error is not None:
                failed.append(error)

        with explained() as library:
            producer = library.Producer({**settings, "logger": _Silent()})
            producer.list_topics(timeout=PATIENCE)  # fails at once when no broker answers
            if self.transactional:
                producer.init_transactions(PATIENCE)
                producer.begin_transaction()
            for message in messages:
                while True:
                    try:
                        producer.produce(**message, on_delivery=told)
                        break
                    except BufferError:  # the queue is full
                        producer.poll(1)
                producer.poll(0)
            if left := producer.flush(60):
                raise TaskFailed(f"{left} messages were not taken within 60 seconds.", fix="Check the brokers.")
            if failed:
                if self.transactional:
                    producer.abort_transaction(PATIENCE)
                raise library.KafkaException(failed[0])
            if self.transactional:
                producer.commit_transaction(PATIENCE)


class Consumed(Outputs):
    """How many messages were read, and the file they are in."""

    messagesCount: int  # noqa: N815 - appears as written
    uri: str


class ConsumeFields(KafkaConnected):
    """Which topics, from where on, and for how long."""

    topic: Property[TextList | None] = None
    topic_pattern: Property[OptionalText] = None
    partitions: Property[list[int] | None] = None
    group_id: Property[OptionalText] = Field(
        default=None, description="Kafka keeps how far a group has read; without one everything is read each time."
    )
    key_deserializer: Property[SerdeType] = "STRING"
    value_deserializer: Property[SerdeType] = "STRING"
    since: Property[OptionalText] = None
    poll_duration: Property[timedelta] = timedelta(seconds=5)
    max_records: Property[OptionalInteger] = None
    max_duration: Property[timedelta | None] = None

    async def consumed(self, context: RunContext) -> Consumed:
        """Read messages and store them as rows; only then does the group's place move on."""
        settings = await self.settings(context)
        group = self.group_id or settings.get("group.id")
        if (self.topic is None) == (self.topic_pattern is None):
            raise TaskFailed("Either `topic` or `topicPattern` says what to read.", fix="Give one of the two.")
        if self.topic_pattern and not group:
            raise TaskFailed("`topicPattern` needs `groupId`.", fix="Give `groupId`.")
        settings = {"enable.auto.commit": "false", "isolation.level": "read_committed", **settings}
        settings["group.id"] = group or str(uuid.uuid4())
        path = context.working_dir / WORK / f"kafka-{context.task_run_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        reading = _Reading(self, settings, path, is_group=bool(group))
        try:
            count = await in_own_thread(reading.read)
            uri = await context.files.put(path, "messages.jsonl")
            await in_own_thread(reading.commit)
        finally:
            reading.stop.set()
            await in_own_thread(reading.close)
            path.unlink(missing_ok=True)
        context.metric("records", count)
        return Consumed(messagesCount=count, uri=uri)


class _Reading:
    """A consumer, and how far it has read; all calls block."""

    def __init__(self, fields: ConsumeFields, settings: dict[str, Any], path: Path, *, is_group: bool) -> None:
        self.fields, self.settings, self.path, self.is_group = fields, settings, path, is_group
        self.since = _milliseconds(fields.since)
        self.stop = threading.Event()
        self.consumer: Any = None
        self.next: dict[tuple[str, int], int] = {}

    def read(self) -> int:
        """Write messages as rows until a poll brings none; how many."""
        fields, count = self.fields, 0
        key, value = reader(fields.key_deserializer), reader(fields.value_deserializer)
        with explained() as library, self.path.open("w", encoding="utf-8") as file:
            self.consumer = library.Consumer({**self.settings, "logger": _Silent()})
            self.consumer.list_topics(timeout=PATIENCE)
            self._subscribe(library)
            until = time.monotonic() + fields.max_duration.total_seconds() if fields.max_duration else None
            while not self.stop.is_set() and (until is None or time.monotonic() < until):
                most = AT_ONCE if fields.max_records is None else min(AT_ONCE, fields.max_records - count)
                got = self._poll(library, most) if most > 0 else []
                for message in got:
                    file.write(json.dumps(_row(message, key, value), ensure_ascii=False) + "\n")
                    self.next[message.topic(), message.partition()] = message.offset() + 1
                count += len(got)
                if not got:
                    break
        return count

    def _poll(self, library: Any, most: int) -> list[Any]:
        """Messages; none when there were none for as long as a poll lasts, which begins once we have partitions."""
        joined, until = time.monotonic() + JOINING, None
        while not self.stop.is_set():
            now = time.monotonic()
            if until is None and (self.consumer.assignment() or now > joined):
                until = now + self.fields.poll_duration.total_seconds()
            got = self.consumer.consume(1, 0.2 if until is None else min(max(until - now, 0.01), 1.0))
            got += self.consumer.consume(most - 1, 0.05) if got and most > 1 else []
            for message in got:
                if message.error():
                    raise library.KafkaException(message.error())
            if got or (until is not None and time.monotonic() >= until):
                return list(got)
        return []

    def _subscribe(self, library: Any) -> None:
        fields, topics = self.fields, self.fields.topic or []
        if fields.topic_pattern:
            self.consumer.subscribe([f"^{fields.topic_pattern.removeprefix('^').removesuffix('$')}$"])
            return
        if self.is_group and not fields.partitions and not fields.since:
            self.consumer.subscribe(topics)
            return
        places = []
        for topic in topics:
            about = self.consumer.list_topics(topic, timeout=PATIENCE).topics[topic]
            if about.error:
                raise library.KafkaException(about.error)
            places += [library.TopicPartition(topic, number) for number in fields.partitions or about.partitions]
        if fields.since:
            for place in places:
                place.offset = self.since
            places = self.consumer.offsets_for_times(places, timeout=PATIENCE)
        elif not self.is_group:
            for place in places:
                place.offset = library.OFFSET_BEGINNING
        self.consumer.assign(places)

    def commit(self) -> None:
        """Let the group go on behind what was read."""
        if self.is_group and self.next:
            with explained() as library:
                places = [library.TopicPartition(*place, offset) for place, offset in self.next.items()]
                self.consumer.commit(offsets=places, asynchronous=False)

    def close(self) -> None:
        """Leave the group."""
        if self.consumer is not None:
            self.consumer.close()


class Consume(ConsumeFields, RunnableTask):
    """Read messages of topics into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.kafka.Consume
topic: orders
groupId: reports
valueDeserializer: JSON
maxRecords: 1000
properties:
  bootstrap.servers: broker.example.com:9092
  auto.offset.reset: earliest
""",
        """
id: read
type: io.kestra.plugin.kafka.Consume
topic: [orders, returns]
since: "{{ now() | dateAdd(-1, 'DAYS') }}"
properties:
  bootstrap.servers: broker.example.com:9093
  security.protocol: SASL_SSL
  sasl.mechanism: PLAIN
  sasl.jaas.config: >-
    org.apache.kafka.common.security.plain.PlainLoginModule required
    username="flows" password="{{ secret('KAFKA_PASSWORD') }}";
""",
    )
    type: Literal["io.kestra.plugin.kafka.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await self.consumed(context)


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are new messages for a group."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.kafka.Trigger
interval: PT30S
topic: orders
groupId: flows
valueDeserializer: JSON
properties:
  bootstrap.servers: broker.example.com:9092
  auto.offset.reset: earliest
""",
    )
    type: Literal["io.kestra.plugin.kafka.Trigger"]

    async def poll(self, context: RunContext) -> Consumed | None:
        names = set(ConsumeFields.model_fields) & self.model_fields_set
        given = self.model_dump(include=names, by_alias=True, exclude_unset=True, warnings=False)
        fields = ConsumeFields.model_validate(await context.render(given), context={"rendered": True})
        found = await fields.consumed(context)
        return found if found.messagesCount else None


class _Silent:
    """The library's own log; what fails is raised anyway."""

    def log(self, *_: Any) -> None:
        """Say nothing."""


def _row(message: Any, key: Any, value: Any) -> dict[str, Any]:
    kind, moment = message.timestamp()
    return {
        "key": key(message.key()),
        "value": value(message.value()),
        "headers": [{name: (data or b"").decode("utf-8", "replace")} for name, data in message.headers() or []],
        "topic": message.topic(),
        "partition": message.partition(),
        "timestamp": datetime.fromtimestamp(moment / 1000, UTC).isoformat() if kind else None,
        "offset": message.offset(),
    }


def _milliseconds(given: Any) -> int | None:
    if given is None or isinstance(given, int):
        return given
    try:
        found = datetime.fromisoformat(str(given).split("[")[0])
    except ValueError as error:
        raise TaskFailed(f"{given!r} is no point in time: {error}.", fix="2026-01-31T09:00:00Z") from error
    return int((found if found.tzinfo else found.astimezone()).timestamp() * 1000)
