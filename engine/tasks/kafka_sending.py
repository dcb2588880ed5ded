"""Sending messages to Kafka."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from engine.plugin import TaskFailed
from engine.tasks.kafka_connection import PATIENCE, Silent, explained


def send(settings: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], *, transactional: bool) -> None:
    """Send messages and wait until brokers have them: all or, as long as it is `transactional`, none. Blocks."""
    settings = {"message.timeout.ms": "30000", **settings, "logger": Silent()}
    if "delivery.timeout.ms" in settings:
        del settings["message.timeout.ms"]
    if transactional:
        settings["transactional.id"] = str(uuid.uuid4())
    failed: list[Any] = []

    def told(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error)

    with explained() as library:
        producer = library.Producer(settings)
        producer.list_topics(timeout=PATIENCE)  # fails at once when no broker answers
        if transactional:
            producer.init_transactions(PATIENCE)
            producer.begin_transaction()
        for message in messages:
            _queue(producer, {**message, "on_delivery": told})
        if left := producer.flush(60):
            raise TaskFailed(f"{left} messages were not taken within 60 seconds.", fix="Check the brokers.")
        if failed:
            if transactional:
                producer.abort_transaction(PATIENCE)
            raise library.KafkaException(failed[0])
        if transactional:
            producer.commit_transaction(PATIENCE)


def _queue(producer: Any, message: Mapping[str, Any]) -> None:
    while True:
        try:
            producer.produce(**message)
            break
        except BufferError:  # the queue is full
            producer.poll(1)
    producer.poll(0)
