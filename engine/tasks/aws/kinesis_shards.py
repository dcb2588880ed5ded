"""How the records of a Kinesis stream are read: shard by shard, each from its own place on."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Literal

from engine.tasks import rest_service
from engine.tasks.aws.connection import asked

SERVICE = "AWS kinesis"
Start = Literal["LATEST", "TRIM_HORIZON", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"]


class Shards:
    """A stream's shards. `places`: the last record that was read of each."""

    def __init__(self, client: Any, stream: str, start: Mapping[str, Any], places: dict[str, str]) -> None:
        self.places = places
        self.are_drained = False
        self._client, self._stream, self._start = client, stream, start
        self._iterators: dict[str, str | None] = {}  # None: read to its end

    @property
    def are_over(self) -> bool:
        """Whether every shard is closed and read to its end."""
        return bool(self._iterators) and not any(self._iterators.values())

    async def discover(self) -> None:
        """Find the shards there are by now; those that are read already go on."""
        self._iterators |= await asked("kinesis", self._new)

    async def read(self, most: int | None) -> list[dict[str, Any]]:
        """What each shard has next, as rows: at most so many. `are_drained` says whether that is all for now."""
        if not self._iterators:
            await self.discover()
        return await asked("kinesis", lambda: self._read(most))

    def close(self) -> None:
        """Let the client go."""
        self._client.close()

    def _new(self) -> dict[str, str | None]:
        pages = self._client.get_paginator("list_shards").paginate(StreamName=self._stream)
        shards = [shard for page in pages for shard in rest_service.held(page, SERVICE, "Shards")]
        names = [str(rest_service.held(shard, SERVICE, "ShardId")) for shard in shards]
        return {name: self._iterator(name) for name in names if name not in self._iterators}

    def _iterator(self, shard: str) -> str:
        start = self._start
        if place := self.places.get(shard):
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": place}
        elif self._iterators and start["ShardIteratorType"] == "LATEST":  # a shard that came since then: all of it
            start = {"ShardIteratorType": "TRIM_HORIZON"}
        found = self._client.get_shard_iterator(StreamName=self._stream, ShardId=shard, **start)
        return str(rest_service.held(found, SERVICE, "ShardIterator"))

    def _read(self, most: int | None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        self.are_drained = True
        for shard, iterator in self._iterators.items():
            left = 1000 if most is None else min(most - len(rows), 1000)
            if iterator is None:
                continue
            if left <= 0:
                self.are_drained = False
                break
            got = self._client.get_records(ShardIterator=iterator, Limit=left)
            self._iterators[shard] = got.get("NextShardIterator")
            fresh = [_row(shard, record) for record in rest_service.held(got, SERVICE, "Records")]
            if fresh:
                self.places[shard] = str(fresh[-1]["sequenceNumber"])
            rows += fresh
            self.are_drained &= not got.get("MillisBehindLatest")
        return rows


def _row(shard: str, record: Mapping[str, Any]) -> dict[str, Any]:
    arrived = rest_service.held(record, SERVICE, "ApproximateArrivalTimestamp")
    return {
        "data": rest_service.held(record, SERVICE, "Data").decode("utf-8", "replace"),
        "partitionKey": rest_service.held(record, SERVICE, "PartitionKey"),
        "sequenceNumber": rest_service.held(record, SERVICE, "SequenceNumber"),
        "shardId": shard,
        "approximateArrivalTimestamp": arrived.astimezone(UTC).isoformat(),
    }
