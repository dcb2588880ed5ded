"""Azure Event Hubs: who asks, events as rows, and how far the partitions of a hub have been read."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from engine.core.json_text import read_json
from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.azure_blobs import BlobConnected
from engine.tasks.extras import extra
from engine.tasks.given_rows import text_of
from engine.tasks.property_types import JsonMap, OptionalMoment, OptionalText, Text

Serde = Literal["STRING", "BINARY", "ION", "JSON"]
Row = dict[str, Any]
Hear = Callable[[str, Sequence[Any]], Awaitable[None]]
PORT, DOMAIN = 5671, "servicebus.windows.net"


class HubConnected(Part):
    """Which hub, and who asks."""

    connection_string: Property[OptionalText] = None
    shared_key_account_name: Property[OptionalText] = None
    shared_key_account_access_key: Property[OptionalText] = None
    sas_token: Property[OptionalText] = None
    client_max_retries: Property[int] = Field(default=5, ge=0)
    client_retry_delay: Property[int] = Field(default=500, ge=0, description="In milliseconds.")
    namespace: Property[Text]
    event_hub_name: Property[Text]
    custom_endpoint_address: Property[OptionalText] = None

    @property
    def host(self) -> str:
        """The whole name of the namespace, as its checkpoints have it."""
        parts = _parts(self.connection_string)
        return urlsplit(parts.get("Endpoint", "")).hostname or f"{self.namespace}.{DOMAIN}"

    async def told(self, context: RunContext) -> dict[str, Any]:
        """What a client of the library is made with; TaskFailed when it is not said who asks."""
        for secret in (self.connection_string, self.shared_key_account_access_key, self.sas_token):
            if secret:
                context.mask(secret)
        for part in ("SharedAccessKey", "SharedAccessSignature"):
            if secret := _parts(self.connection_string).get(part):
                context.mask(secret)
        place = urlsplit(_parts(self.connection_string).get("Endpoint", "")).netloc or self.host
        for address in (f"https://{place if ':' in place else f'{place}:{PORT}'}", self.custom_endpoint_address):
            if address:
                await check_address(address, context.settings)
        given: dict[str, Any] = {
            "eventhub_name": self.event_hub_name,
            "retry_total": self.client_max_retries,
            "retry_backoff_factor": self.client_retry_delay / 1000,
        }
        if self.custom_endpoint_address:
            given["custom_endpoint_address"] = self.custom_endpoint_address
        if self.connection_string:
            return {**given, "conn_str": self.connection_string}
        keys = extra("azure.core.credentials", "azure")
        if self.shared_key_account_name and self.shared_key_account_access_key:
            who = keys.AzureNamedKeyCredential(self.shared_key_account_name, self.shared_key_account_access_key)
        elif self.sas_token:
            who = keys.AzureSasCredential(self.sas_token)
        else:
            raise TaskFailed("It is not said who asks.", fix="Give `connectionString`, a shared key or `sasToken`.")
        return {**given, "fully_qualified_namespace": self.host, "credential": who}


@asynccontextmanager
async def client_of(kind: str, told: Mapping[str, Any], **more: Any) -> AsyncIterator[Any]:
    """A client of the library, closed at the end; what it raises leaves as TaskFailed."""
    library = await asyncio.to_thread(extra, "azure.eventhub.aio", "azure")
    made = getattr(library, kind)
    with explained():
        given = {**told, **more}
        client = made.from_connection_string(given.pop("conn_str"), **given) if "conn_str" in given else made(**given)
        async with client:
            yield client


@contextmanager
def explained() -> Iterator[None]:
    """What the library raises leaves as TaskFailed."""
    errors = extra("azure.eventhub.exceptions", "azure")
    try:
        yield
    except errors.EventHubError as error:
        fix = "Check the credentials, `namespace`, `eventHubName` and the network."
        raise TaskFailed(f"Event Hubs: {str(error).splitlines()[0]}", fix=fix) from error
    except ValueError as error:
        raise TaskFailed(
            f"Event Hubs can't be asked like this: {error}",
            fix="Check what the message names; it may be a part of `connectionString`.",
        ) from error


@dataclass(frozen=True, slots=True)
class Place:
    """How far a partition has been read."""

    offset: str
    sequence: int


class ReadFields(HubConnected):
    """Which events, from where on, and where it is kept how far they were read."""

    body_deserializer: Property[Serde] = "STRING"
    body_deserializer_properties: Property[JsonMap | None] = Field(default=None, description="Of no effect.")
    consumer_group: Property[Text] = "$Default"
    partition_starting_position: Property[Literal["EARLIEST", "LATEST", "INSTANT"]] = Field(
        default="EARLIEST", description="Where a partition begins of which nothing was read."
    )
    enqueue_time: Property[OptionalMoment] = Field(default=None, description="For INSTANT.")
    checkpoint_store_properties: Property[JsonMap] = Field(
        description="`connectionString` of a storage account and `containerName`, where it is kept how far was read."
    )

    def row(self, event: Any) -> Row:
        """An event as flows see it; TaskFailed when its body is not what it should be."""
        body, properties = b"".join(event.body), event.properties or {}
        enqueued = event.enqueued_time
        return {
            "partitionKey": _text(event.partition_key),
            "body": read(self.body_deserializer, body),
            "contentType": _text(event.content_type),
            "correlationId": _text(event.correlation_id),
            "messageId": _text(event.message_id),
            "enqueuedTimestamp": round(enqueued.timestamp() * 1000) if enqueued else None,
            "offset": int(event.offset) if str(event.offset).isdecimal() else event.offset,
            "sequenceNumber": event.sequence_number,
            "properties": {str(_text(name)): _text(value) for name, value in properties.items()},
        }

    async def places(self, context: RunContext) -> dict[str, Place]:
        """How far each partition has been read; TaskFailed when that can't be had."""
        store, container = self._store()
        prefix = self._path("")

        def work(client: Any) -> dict[str, Place]:
            found = {}
            there = client.get_container_client(container).list_blobs(name_starts_with=prefix, include=["metadata"])
            for blob in there:
                about = blob.metadata or {}
                if "offset" in about:
                    number = int(about.get("sequencenumber") or 0)
                    found[blob.name.removeprefix(prefix)] = Place(about["offset"], number)
            return found

        return await store.azure(context, work)

    async def keep(self, context: RunContext, places: Mapping[str, Place]) -> None:
        """Keep how far partitions have been read, as Azure's own libraries do; TaskFailed."""
        store, container = self._store()

        def work(client: Any) -> None:
            for partition, place in places.items():
                about = {"offset": place.offset, "sequencenumber": str(place.sequence)}
                blob = client.get_blob_client(container, self._path(partition))
                blob.upload_blob(b"", overwrite=True, metadata=about)

        await store.azure(context, work)

    async def read_all(
        self, client: Any, places: Mapping[str, Place], hear: Hear, most: int, patience: float | None = None
    ) -> None:
        """Let `hear` have the events of every partition as they come, `most` at once, for as long as nobody ends it;
        after `patience` seconds without any it hears that there are none. TaskFailed when they can't be read."""
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def broken(about: Any, error: BaseException) -> None:
            if not failed.done():
                failed.set_exception(error)

        async def one(partition: str) -> None:
            async def heard(about: Any, events: Sequence[Any]) -> None:
                try:
                    await hear(partition, events)
                except Exception as error:  # noqa: BLE001 - the library would go on without a word
                    await broken(about, error)
                    await asyncio.Future()  # nothing after it is heard

            await client.receive_batch(
                heard,
                on_error=broken,
                partition_id=partition,
                max_batch_size=most,
                max_wait_time=patience,
                **starts[partition],
            )

        starts = {name: self._start(places.get(name)) for name in await client.get_partition_ids()}
        reading = [asyncio.ensure_future(one(partition)) for partition in starts]
        try:
            done, _ = await asyncio.wait([*reading, failed], return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            failed.cancel()
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    def _start(self, place: Place | None) -> dict[str, Any]:
        if place is not None:
            return {"starting_position": place.offset, "starting_position_inclusive": False}
        if self.partition_starting_position == "INSTANT":
            if self.enqueue_time is None:
                raise TaskFailed("`partitionStartingPosition: INSTANT` wants a time.", fix="Give `enqueueTime`.")
            return {"starting_position": self.enqueue_time}
        return {"starting_position": "-1" if self.partition_starting_position == "EARLIEST" else "@latest"}

    def _store(self) -> tuple[BlobConnected, str]:
        given = self.checkpoint_store_properties
        for name in ("connectionString", "containerName"):
            if not str(given.get(name) or "").strip():
                raise TaskFailed(f"`checkpointStoreProperties` lack `{name}`.", fix=f"Give `{name}`.")
        told = {"connectionString": given["connectionString"]}
        return BlobConnected.model_validate(told, context={"rendered": True}), str(given["containerName"])

    def _path(self, partition: str) -> str:
        return f"{self.host}/{self.event_hub_name}/{self.consumer_group}/checkpoint/".lower() + partition


def place_of(events: Sequence[Any]) -> Place:
    """How far was read with the last of some events."""
    return Place(str(events[-1].offset), int(events[-1].sequence_number))


def read(kind: Serde, body: bytes) -> Any:
    """The value of a body; bytes themselves are written in base64. TaskFailed when it is none."""
    if kind == "BINARY":
        return base64.b64encode(body).decode()
    if kind == "STRING":
        return body.decode("utf-8", "replace")
    try:
        return read_json(body)
    except ValueError as error:
        raise TaskFailed(f"An event is no {kind}: {body[:100]!r}.", fix="Use `bodyDeserializer: STRING`.") from error


def written(kind: Serde, value: Any) -> bytes:
    """A value as a body; TaskFailed when it can't be one."""
    if kind == "BINARY":
        try:
            return base64.b64decode(str(value), validate=True)
        except (binascii.Error, ValueError) as error:
            raise TaskFailed("A body is not in base64.", fix="Use `bodySerializer: STRING`.") from error
    return (text_of(value) if kind == "STRING" else json.dumps(value, ensure_ascii=False)).encode()


def _parts(connection: str | None) -> dict[str, str]:
    return dict(part.split("=", 1) for part in (connection or "").split(";") if "=" in part)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
