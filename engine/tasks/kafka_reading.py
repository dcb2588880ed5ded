"""What Kafka's tasks and triggers that read share: a consumer, and messages as rows."""

import threading
import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from engine.plugin import Message, Outputs, Part, Property, RunContext, StoredUri, TaskFailed
from engine.tasks.kafka_connection import (
    PATIENCE,
    KafkaConnected,
    SerdeType,
    Silent,
    explained,
    headers_of,
    milliseconds,
    reader,
)
from engine.tasks.kafka_sending import send
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, TextList
from engine.tasks.rows import lines_of
from engine.tasks.runners import own_file
from engine.tasks.threads import in_own_thread

JOINING = 30  # seconds until a group has given us partitions
AT_ONCE = 500
AT_ONCE_HEARD = 50


class Consumed(Outputs):
    """How many messages were read, and the file they are in."""

    messagesCount: int  # noqa: N815 - appears as written
    uri: StoredUri


class OnSerdeError(Part):
    """What becomes of messages that can't be read."""

    type: Property[Literal["SKIPPED", "DLQ", "STORE"]] = Field(
        default="SKIPPED", description="Left out, sent to `topic` as they are, or kept as text."
    )
    topic: Property[OptionalText] = None

    @property
    def letters(self) -> str | None:
        """The topic for what can't be read; TaskFailed when it is missing."""
        if self.type == "DLQ" and not self.topic:
            raise TaskFailed("`onSerdeError` names no topic.", fix="Give `topic` in `onSerdeError`.")
        return self.topic if self.type == "DLQ" else None


class ConsumeFields(KafkaConnected):
    """Which topics, from where on, and for how long."""

    topic: Property[TextList | None] = None
    topic_pattern: Property[OptionalText] = None
    partitions: Property[list[int] | None] = None
    group_id: Property[OptionalText] = Field(
        default=None, description="Kafka keeps how far a group has read; without one everything is read each time."
    )
    group_type: Property[Literal["CONSUMER", "SHARE"]] = Field(
        default="CONSUMER", description="Share groups are not supported."
    )
    acknowledge_type: Property[Literal["ACCEPT", "RELEASE", "REJECT", "RENEW"]] = Field(
        default="ACCEPT", description="For share groups; without effect."
    )
    key_deserializer: Property[SerdeType] = "STRING"
    value_deserializer: Property[SerdeType] = "STRING"
    on_serde_error: OnSerdeError | None = Field(
        default=None, description="What becomes of messages that can't be read; without it the task fails."
    )
    schema_registry_vendor: Any = Field(default=None, description="For AVRO, which is not supported.")
    since: Property[OptionalText] = None
    poll_duration: Property[timedelta] = timedelta(seconds=5)
    max_records: Property[OptionalInteger] = None
    max_duration: Property[timedelta | None] = None
    header_filters: Property[JsonMap | None] = Field(
        default=None, description="Only messages whose headers have all of these values; of several by a name the last."
    )

    async def taking(self, context: RunContext) -> AsyncGenerator[Consumed, None]:
        """Messages stored as rows; the group's place moves on as it goes on."""
        path = own_file(context, "kafka", ".jsonl")
        reading = Reading(self, *await self.group(context), path)
        try:
            count = await in_own_thread(reading.read)
            uri = await context.files.put(path, "messages.jsonl")
            context.metric("records", count)
            if reading.unread:
                context.log(f"{reading.unread} messages could not be read.", "WARN")
            yield Consumed(messagesCount=count, uri=uri)
            await in_own_thread(reading.commit)
        finally:
            reading.stop.set()
            await in_own_thread(reading.close)
            path.unlink(missing_ok=True)

    async def group(self, context: RunContext) -> tuple[dict[str, Any], bool]:
        """The settings of a consumer, and whether it is one of a group; TaskFailed when it is not said what to read."""
        settings = await self.settings(context)
        if self.group_type == "SHARE":
            fix = "Use `groupType: CONSUMER`."
            raise TaskFailed("Kafka's client has share groups as a preview only; they are not supported.", fix=fix)
        group = self.group_id or settings.get("group.id")
        if (self.topic is None) == (self.topic_pattern is None):
            raise TaskFailed("Either `topic` or `topicPattern` says what to read.", fix="Give one of the two.")
        if self.topic_pattern and not group:
            raise TaskFailed("`topicPattern` needs `groupId`.", fix="Give `groupId`.")
        settings = {"enable.auto.commit": "false", "isolation.level": "read_committed", **settings}
        settings["group.id"] = group or str(uuid.uuid4())
        return settings, bool(group)


class Reading:
    """A consumer, and how far it has read; all calls block."""

    def __init__(
        self, fields: ConsumeFields, settings: dict[str, Any], is_group: bool, path: Path | None = None
    ) -> None:
        self.fields, self.settings, self.path, self.is_group = fields, settings, path, is_group
        self.since = milliseconds(fields.since)
        self.headers = dict(headers_of(fields.header_filters) or [])
        self.stop = threading.Event()
        self.consumer: Any = None
        self.next: dict[tuple[str, int], int] = {}
        self.letters: list[dict[str, Any]] = []  # what could not be read, on its way to another topic
        self.letters_to = fields.on_serde_error.letters if fields.on_serde_error else None
        self.unread = 0
        self._turn = threading.Lock()  # closing waits until nobody reads

    def read(self) -> int:
        """Write messages as rows until a poll brings none; how many."""
        assert self.path is not None  # noqa: S101 - who reads gives one
        fields, count = self.fields, 0
        key, value = reader(fields.key_deserializer), reader(fields.value_deserializer)
        with explained() as library, self._turn, self.path.open("w", encoding="utf-8") as file:
            self._open(library)
            end = time.monotonic() + fields.max_duration.total_seconds() if fields.max_duration else inf
            while not self.stop.is_set() and time.monotonic() < end:
                most = AT_ONCE if fields.max_records is None else min(AT_ONCE, fields.max_records - count)
                got = self._poll(library, most, end) if most > 0 else []
                for message in got:
                    if self._is_wanted(message) and (read := self._read(message, key, value)) is not None:
                        if read.problem is not None:
                            raise read.problem
                        file.writelines(lines_of([read.variables]))
                        count += 1
                    self.next[message.topic(), message.partition()] = message.offset() + 1
                if not got:
                    break
        return count

    def heard(self) -> list[Message]:
        """The next messages; none when there were none for a second."""
        fields, found = self.fields, []
        key, value = reader(fields.key_deserializer), reader(fields.value_deserializer)
        with explained() as library, self._turn:
            if self.consumer is None:
                self._open(library)
            for message in self.consumer.consume(AT_ONCE_HEARD, 1.0) if not self.stop.is_set() else []:
                if message.error():
                    raise library.KafkaException(message.error())
                self.next[message.topic(), message.partition()] = message.offset() + 1
                if self._is_wanted(message) and (read := self._read(message, key, value)) is not None:
                    found.append(read)
        return found

    def _read(self, message: Any, key: Any, value: Any) -> Message | None:
        """What a message says; None when it can't be read and is not to be handed on."""
        read = _message(message, key, value)
        if read.problem is None or self.fields.on_serde_error is None:
            return read
        self.unread += 1
        if self.fields.on_serde_error.type == "STORE":
            return replace(read, problem=None)
        if self.letters_to:
            sent = {"topic": self.letters_to, "key": message.key(), "value": message.value()}
            sent |= {"headers": message.headers()}
            self.letters.append({name: part for name, part in sent.items() if part is not None})
        return None

    def _is_wanted(self, message: Any) -> bool:
        return not self.headers or self.headers.items() <= dict(message.headers() or []).items()

    def _open(self, library: Any) -> None:
        self.consumer = library.Consumer({**self.settings, "logger": Silent()})
        self.consumer.list_topics(timeout=PATIENCE)
        self._subscribe(library)

    def _poll(self, library: Any, most: int, end: float) -> list[Any]:
        """Messages; none when there were none for as long as a poll lasts, which begins once we have partitions, or
        until the end of all reading."""
        joined, until = time.monotonic() + JOINING, None
        while not self.stop.is_set():
            now = time.monotonic()
            if until is None and (self.consumer.assignment() or now > joined):
                until = min(now + self.fields.poll_duration.total_seconds(), max(end, now))
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
        """Send on what could not be read, then let the group go on behind what was read."""
        if self.letters:
            send(self.settings, self.letters, transactional=False)
            self.letters = []
        if self.is_group and self.next:
            with explained() as library:
                places = [library.TopicPartition(*place, offset) for place, offset in self.next.items()]
                self.consumer.commit(offsets=places, asynchronous=False)

    def close(self) -> None:
        """Leave the group."""
        with self._turn:
            if self.consumer is not None:
                self.consumer.close()


def row_of(message: Any, key: Any, value: Any) -> dict[str, Any]:
    """A message as flows see it."""
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


def _message(message: Any, key: Any, value: Any) -> Message:
    """What was heard. A topic that was made anew counts from zero again, so the time is part of what names it."""
    place = f"{message.topic()}/{message.partition()}/{message.offset()}/{message.timestamp()[1]}"
    try:
        return Message(row_of(message, key, value), place)
    except TaskFailed as error:
        return Message(row_of(message, _legible, _legible), place, error)


def _legible(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")
