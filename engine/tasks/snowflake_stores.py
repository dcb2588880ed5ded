"""The stores of Amazon, Azure and Google in which the stages of Snowflake lie."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from engine.plugin import RunContext, TaskFailed
from engine.tasks import outbound, rest_service
from engine.tasks.aws.connection import AwsConnected

BLOCK = 1 << 20
AZURE_BLOCK = 8 << 20


@dataclass(frozen=True, slots=True)
class Marks:
    """What is kept beside a file: the digest of its content; the key, locked, and how the file is encrypted with it."""

    digest: str
    key: str = ""
    iv: str = ""
    about: str = ""


class Store(Protocol):
    """Where the files of a stage lie."""

    async def put(self, name: str, source: Path, marks: Marks) -> None:
        """Write a file over what is there; TaskFailed."""

    async def get(self, name: str, target: Path) -> Marks:
        """Fetch a file; TaskFailed."""


def store_of(context: RunContext, told: Mapping[str, Any], number: int = 0) -> Store:
    """The store of a stage, as Snowflake describes it."""
    about = dict(told.get("stageInfo") or {})
    for secret in (about.get("creds") or {}).values():
        context.mask(str(secret).removeprefix("?"))  # so it stands behind other parameters of an address
    for signed in (about.get("presignedUrl"), *(told.get("presignedUrls") or ())):
        context.mask(urlsplit(signed or "").query)
    kind = str(about.get("locationType", "")).upper()
    if kind == "S3":
        return Amazon(context, about)
    if kind == "AZURE":
        return Azure(context, about)
    if kind == "GCS":
        urls = told.get("presignedUrls") or ()
        return Google(context, about, urls[number] if number < len(urls) else about.get("presignedUrl"))
    raise TaskFailed(f"The stage lies in a store of the kind {kind or 'unknown'}, which is not supported.")


class Amazon:
    """A bucket of S3."""

    def __init__(self, context: RunContext, about: Mapping[str, Any]) -> None:
        self._context = context
        self._bucket, _, self._path = str(about["location"]).partition("/")
        creds, endpoint = about["creds"], about.get("endPoint")
        self._aws = AwsConnected(
            access_key_id=creds["AWS_KEY_ID"],
            secret_key_id=creds["AWS_SECRET_KEY"],
            session_token=creds.get("AWS_TOKEN"),
            region=about.get("region"),
            endpoint_override=f"https://{endpoint}" if endpoint else None,
        )

    async def put(self, name: str, source: Path, marks: Marks) -> None:
        beside = {"sfc-digest": marks.digest}
        if marks.key:
            beside |= {"x-amz-key": marks.key, "x-amz-iv": marks.iv, "x-amz-matdesc": marks.about}
        extra = {"Metadata": beside, "ContentType": "application/octet-stream"}
        key = _joined(self._path, name)
        await self._aws.aws(
            self._context, "s3", lambda client: client.upload_file(str(source), self._bucket, key, ExtraArgs=extra)
        )

    async def get(self, name: str, target: Path) -> Marks:
        key = _joined(self._path, name)

        def work(client: Any) -> dict[str, str]:
            beside = client.head_object(Bucket=self._bucket, Key=key)["Metadata"]
            client.download_file(self._bucket, key, str(target))
            return dict(beside)

        beside = await self._aws.aws(self._context, "s3", work)
        names = ("sfc-digest", "x-amz-key", "x-amz-iv", "x-amz-matdesc")
        return Marks(*(beside.get(name, "") for name in names))


class Azure:
    """A container of Azure's blobs."""

    def __init__(self, context: RunContext, about: Mapping[str, Any]) -> None:
        self._context = context
        container, _, self._path = str(about["location"]).partition("/")
        end = str(about.get("endPoint") or "core.windows.net").removeprefix("blob.")
        base = _base(context) or f"https://{about['storageAccount']}.blob.{end}"
        self._base, self._query = f"{base}/{quote(container)}", about["creds"]["AZURE_SAS_TOKEN"].removeprefix("?")

    def _url(self, name: str, more: str = "") -> str:
        return f"{self._base}/{quote(_joined(self._path, name))}?{more}{self._query}"

    async def put(self, name: str, source: Path, marks: Marks) -> None:
        blocks: list[str] = []
        with source.open("rb") as content:
            while block := content.read(AZURE_BLOCK):
                blocks.append(base64.b64encode(f"{len(blocks):010}".encode()).decode())
                url = self._url(name, f"comp=block&blockid={quote(blocks[-1], safe='')}&")
                await rest_service.call(self._context, "Azure", "PUT", url, content=block)
        listed = "".join(f"<Latest>{one}</Latest>" for one in blocks)
        headers = {"x-ms-meta-sfcdigest": marks.digest, "x-ms-blob-content-type": "application/octet-stream"}
        if marks.key:
            headers |= {"x-ms-meta-encryptiondata": _wrapped(marks), "x-ms-meta-matdesc": marks.about}
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'
        await rest_service.call(
            self._context, "Azure", "PUT", self._url(name, "comp=blocklist&"), headers=headers, content=body.encode()
        )

    async def get(self, name: str, target: Path) -> Marks:
        return await _fetched(self._context, "Azure", self._url(name), {}, target, "x-ms-meta-", "sfcdigest")


class Google:
    """A bucket of Cloud Storage."""

    def __init__(self, context: RunContext, about: Mapping[str, Any], signed: str | None) -> None:
        self._context, self._signed = context, signed
        bucket, _, self._path = str(about["location"]).partition("/")
        token = (about.get("creds") or {}).get("GCS_ACCESS_TOKEN")
        self._headers = {"Authorization": f"Bearer {token}"} if token and not signed else {}
        if end := about.get("endPoint"):
            base = end.rstrip("/") if "://" in end else f"https://{end}"
        elif about.get("useVirtualUrl"):
            base, bucket = f"https://{bucket}.storage.googleapis.com", ""
        elif about.get("useRegionalUrl"):
            base = f"https://storage.{str(about.get('region')).lower()}.rep.googleapis.com"
        else:
            base = "https://storage.googleapis.com"
        self._base = "/".join(filter(None, [_base(context) or base, bucket]))

    def _url(self, name: str) -> str:
        return self._signed or f"{self._base}/{quote(_joined(self._path, name))}"

    async def put(self, name: str, source: Path, marks: Marks) -> None:
        size = await asyncio.to_thread(os.path.getsize, source)
        headers = {**self._headers, "x-goog-meta-sfc-digest": marks.digest, "Content-Length": str(size)}
        if marks.key:
            headers |= {"x-goog-meta-encryptiondata": _wrapped(marks), "x-goog-meta-matdesc": marks.about}
        answer = await outbound.send(self._context, "PUT", self._url(name), headers=headers, content=_blocks(source))
        rest_service.accepted(answer, "Google Cloud")

    async def get(self, name: str, target: Path) -> Marks:
        url = self._url(name)
        return await _fetched(self._context, "Google Cloud", url, self._headers, target, "x-goog-meta-", "sfc-digest")


def _base(context: RunContext) -> str | None:
    """What the operator says in place of the address of the store."""
    return context.settings.provider("snowflake_stage").base_url


def _joined(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}".lstrip("/")


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as content:
        while block := content.read(BLOCK):
            yield block


def _wrapped(marks: Marks) -> str:
    about = {
        "EncryptionMode": "FullBlob",
        "WrappedContentKey": {"KeyId": "symmKey1", "EncryptedKey": marks.key, "Algorithm": "AES_CBC_256"},
        "EncryptionAgent": {"Protocol": "1.0", "EncryptionAlgorithm": "AES_CBC_128"},
        "ContentEncryptionIV": marks.iv,
        "KeyWrappingMetadata": {"EncryptionLibrary": "Java 5.3.0"},
    }
    return json.dumps(about)


async def _fetched(
    context: RunContext, service: str, url: str, headers: Mapping[str, str], target: Path, prefix: str, digest: str
) -> Marks:
    # As it lies there, also when it is called a gzip on its way.
    beside = await rest_service.downloaded(context, service, url, target, raw=True, headers=headers)
    about = json.loads(beside.get(f"{prefix}encryptiondata") or "{}")
    key = (about.get("WrappedContentKey") or {}).get("EncryptedKey", "")
    said = beside.get(f"{prefix}matdesc", "")
    return Marks(beside.get(f"{prefix}{digest}", ""), key, about.get("ContentEncryptionIV", ""), said)
