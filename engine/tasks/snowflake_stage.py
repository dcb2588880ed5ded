"""Files of a stage of Snowflake: they lie in a store of Amazon, Azure or Google, encrypted by whoever puts them there.

Snowflake answers PUT and GET with the place, credentials for it and the key of the keys.
"""

import base64
import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from engine.plugin import RunContext, TaskFailed
from engine.tasks.runners import WORK
from engine.tasks.snowflake_session import Session
from engine.tasks.snowflake_stores import Marks, store_of
from engine.tasks.threads import in_own_thread

BLOCK = 1 << 20  # a multiple of the cipher's blocks
CIPHER_BLOCK = 16
GZIP = b"\x1f\x8b"


@contextmanager
def scratch(context: RunContext) -> Iterator[Path]:
    """A folder for what is only needed on the way."""
    folder = context.working_dir / WORK / f"stage-{context.task_run_id}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def put(
    context: RunContext, session: Session, source: Path, stage: str, name: str, folder: Path, *, compress: bool
) -> None:
    """Write a file into a stage, over what is there; TaskFailed."""
    told = await session.told(f"PUT {_text(f'file:///tmp/{name}')} {_text(stage)} AUTO_COMPRESS=FALSE OVERWRITE=TRUE")
    store = store_of(context, told)
    material = _material(told.get("encryptionMaterial"))

    def prepared() -> tuple[Path, Marks]:
        path = source
        if compress:
            path = folder / "compressed"
            with source.open("rb") as given, path.open("wb") as out, gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
                shutil.copyfileobj(given, packed, BLOCK)
        with path.open("rb") as content:
            digest = base64.b64encode(hashlib.file_digest(content, "sha256").digest()).decode()
        return encrypted(path, folder / "encrypted", material, digest) if material else (path, Marks(digest))

    path, marks = await in_own_thread(prepared)
    await store.put(name, path, marks)


async def get(context: RunContext, session: Session, stage: str, name: str, folder: Path, *, decompress: bool) -> Path:
    """A file of a stage, fetched into a folder; TaskFailed."""
    told = await session.told(f"GET {_text(f'{stage}/{name}')} {_text('file:///tmp/')}")
    found, materials = list(told.get("src_locations") or ()), _list(told.get("encryptionMaterial"))
    number = next((n for n, one in enumerate(found) if PurePosixPath(one).name == PurePosixPath(name).name), 0)
    if not found or (len(found) > 1 and PurePosixPath(found[number]).name != PurePosixPath(name).name):
        more = f" It has {', '.join(found[:5])}." if found else ""
        raise TaskFailed(f"The stage has no file {name!r}.{more}", fix="Correct `stageName` and `fileName`.")
    material = _material(materials[number] if number < len(materials) else None)
    fetched, plain = folder / "fetched", folder / "plain"
    marks = await store_of(context, told, number).get(found[number].lstrip("/"), fetched)

    def opened() -> Path:
        path = fetched
        if material and marks.key:
            path = decrypted(fetched, folder / "decrypted", material, marks)
        with path.open("rb") as content:
            if not decompress or content.read(2) != GZIP:
                return path
        try:
            with gzip.open(path) as packed, plain.open("wb") as out:
                shutil.copyfileobj(packed, out, BLOCK)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            fix = "Set `compress: false` to fetch it as it is."
            raise TaskFailed(f"{name} is no whole gzip: {error}.", fix=fix) from error
        return plain

    return await in_own_thread(opened)


def place(stage: str, prefix: str = "") -> str:
    """A stage as PUT and GET want it, with the folder in it."""
    plain = stage.strip().removeprefix("'").removesuffix("'")
    return "/".join(filter(None, [plain if plain.startswith("@") else f"@{plain}", prefix.strip("/")]))


def _text(given: str) -> str:
    if not given.isprintable() or {"'", "\\"} & set(given):
        raise TaskFailed(f"{given!r} is no name in a stage.", fix="Leave out quotes, backslashes and line breaks.")
    return f"'{given}'"


# Encryption


@dataclass(frozen=True, slots=True)
class Material:
    """The key by which the keys of files are locked, and its names."""

    key: bytes
    query: str
    master: str


def _material(given: Mapping[str, Any] | None) -> Material | None:
    if not given or not given.get("queryStageMasterKey"):
        return None
    key = base64.b64decode(given["queryStageMasterKey"])
    return Material(key, str(given.get("queryId")), str(given.get("smkId")))


def _list(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list) else [given]


def encrypted(source: Path, target: Path, material: Material, digest: str) -> tuple[Path, Marks]:
    """The file, encrypted with a new key, and what must be kept beside it. Blocks."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key, iv = os.urandom(len(material.key)), os.urandom(CIPHER_BLOCK)
    writer = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    with source.open("rb") as given, target.open("wb") as out:
        for block in iter(partial(given.read, BLOCK), b""):
            out.write(writer.update(block))
        out.write(writer.update(_padding(source.stat().st_size)) + writer.finalize())
    locker = Cipher(algorithms.AES(material.key), modes.ECB()).encryptor()  # noqa: S305 - as Snowflake has it
    locked = locker.update(key + _padding(len(key))) + locker.finalize()
    about = {"queryId": material.query, "smkId": material.master, "keySize": str(len(key) * 8)}
    said = json.dumps(about, separators=(",", ":"))
    return target, Marks(digest, base64.b64encode(locked).decode(), base64.b64encode(iv).decode(), said)


def decrypted(source: Path, target: Path, material: Material, marks: Marks) -> Path:
    """The file as it was before. Blocks; TaskFailed when the key does not fit."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    try:
        locker = Cipher(algorithms.AES(material.key), modes.ECB()).decryptor()  # noqa: S305 - as Snowflake has it
        key = _unpadded(locker.update(base64.b64decode(marks.key)) + locker.finalize())
        reader = Cipher(algorithms.AES(key), modes.CBC(base64.b64decode(marks.iv))).decryptor()
        with source.open("rb") as given, target.open("wb") as out:
            rest = b""
            for block in iter(partial(given.read, BLOCK), b""):
                out.write(rest)
                rest = reader.update(block)
            out.write(_unpadded(rest + reader.finalize()))
    except ValueError as error:
        raise TaskFailed("The file is encrypted with another key than Snowflake says.") from error
    return target


def _padding(size: int) -> bytes:
    count = CIPHER_BLOCK - size % CIPHER_BLOCK
    return bytes([count]) * count


def _unpadded(content: bytes) -> bytes:
    count = content[-1] if content else 0
    if not 1 <= count <= CIPHER_BLOCK or content[-count:] != bytes([count]) * count:
        raise ValueError("not padded")
    return content[:-count]
