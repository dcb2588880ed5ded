"""The stores of Snowflake's stages: what Snowflake tells a driver of them, and Azure's and Google's on loopback."""

import base64
import json
import os
import re
from typing import Any

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.wire.loopback import Answered, Received

KEY = os.urandom(16)
MATERIAL = {"queryStageMasterKey": base64.b64encode(KEY).decode(), "queryId": "q-1", "smkId": 92019681909886}
STAGES: dict[str, dict[str, Any]] = {
    "S3": {
        "location": "stage-bucket/tables/7/raw/",
        "region": "eu-central-1",
        "endPoint": None,
        "creds": {"AWS_KEY_ID": "AKIA", "AWS_SECRET_KEY": "aws-s3cret", "AWS_TOKEN": "aws-t0ken"},
    },
    "AZURE": {
        "location": "stage/tables/7/raw/",
        "storageAccount": "sfc",
        "endPoint": "blob.core.windows.net",
        "creds": {"AZURE_SAS_TOKEN": "?sig=sas-s3cret&se=2030"},
    },
    "GCS": {
        "location": "stage-bucket/tables/7/raw/",
        "region": "eu",
        "creds": {"GCS_ACCESS_TOKEN": "gcs-t0ken"},
    },
}


def told(kind: str, *names: str, is_put: bool, sealed: bool = True) -> dict[str, Any]:
    """What Snowflake answers to PUT or GET."""
    stage = {"locationType": kind, "isClientSideEncrypted": sealed, **STAGES[kind]}
    material = (MATERIAL if sealed else None) if is_put else [MATERIAL if sealed else None for _ in names]
    command = "UPLOAD" if is_put else "DOWNLOAD"
    return {"command": command, "src_locations": list(names), "stageInfo": stage, "encryptionMaterial": material}


def _pkcs7(block: bytes) -> bytes:
    writer = padding.PKCS7(128).padder()
    return writer.update(block) + writer.finalize()


def _plain(block: bytes) -> bytes:
    reader = padding.PKCS7(128).unpadder()
    return reader.update(block) + reader.finalize()


def unsealed(content: bytes, key: str, iv: str, about: str) -> bytes:
    """What Snowflake reads when it loads an encrypted file."""
    assert json.loads(about) == {"queryId": "q-1", "smkId": "92019681909886", "keySize": "128"}
    locker = Cipher(algorithms.AES(KEY), modes.ECB()).decryptor()
    own = _plain(locker.update(base64.b64decode(key)) + locker.finalize())
    reader = Cipher(algorithms.AES(own), modes.CBC(base64.b64decode(iv))).decryptor()
    return _plain(reader.update(content) + reader.finalize())


def sealed(content: bytes) -> tuple[bytes, str, str]:
    """A file as Snowflake unloads it: encrypted, with its locked key and its start."""
    own, iv = os.urandom(16), os.urandom(16)
    writer = Cipher(algorithms.AES(own), modes.CBC(iv)).encryptor()
    locker = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor()
    locked = locker.update(_pkcs7(own)) + locker.finalize()
    body = writer.update(_pkcs7(content)) + writer.finalize()
    return body, base64.b64encode(locked).decode(), base64.b64encode(iv).decode()


class Store:
    """Blobs of Azure and objects of Google: path → content and what is kept beside it."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.blocks: dict[str, bytes] = {}

    def __call__(self, request: Received) -> Answered:
        is_azure = request.headers.get("authorization") != "Bearer gcs-t0ken"
        if is_azure and request.query.get("sig") != "sas-s3cret":
            return Answered("AuthenticationFailed", 403)
        prefix = "x-ms-meta-" if is_azure else "x-goog-meta-"
        if request.method == "GET":
            if request.path not in self.files:
                return Answered("BlobNotFound", 404)
            content, beside = self.files[request.path]
            return Answered(content, headers={prefix + name: value for name, value in beside.items()})
        if request.query.get("comp") == "block":
            self.blocks[request.query["blockid"]] = request.body
            return Answered(None, 201)
        beside = {n.lower()[len(prefix) :]: v for n, v in request.headers.items() if n.lower().startswith(prefix)}
        content = request.body
        if is_azure:
            assert request.query["comp"] == "blocklist"
            listed = re.findall("<Latest>(.*?)</Latest>", request.body.decode())
            content = b"".join(self.blocks.pop(one) for one in listed)
        self.files[request.path] = (content, beside)
        return Answered(None, 201)
