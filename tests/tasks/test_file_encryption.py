"""Files encrypted with a password."""

import base64
import struct

import pytest

from engine.errors import TaskFailed
from engine.tasks.file_encryption import CHUNK, KESTRA

COMPRESS = "io.kestra.plugin.compress"
# printf 'hello\n' | openssl enc -aes-256-cbc -pbkdf2 -iter 10000 -k pässword -base64
OF_OPENSSL = "U2FsdGVkX18H7lP7oDlbfT4LtpnElvFaX3bxeTktvg0="
CHEAP = {"argon2TimeCost": 1, "memory": 1024, "iterations": 10_000}


async def encrypted(context, content, **given):
    source = await context.files.put(content, "notes.txt")
    made = await context.run(type=f"{COMPRESS}.FileEncrypt", from_=source, password="pässword", **CHEAP | given)
    return made.uri


async def decrypted(context, uri, **given):
    task = {"password": "pässword", "iterations": 10_000, **given}
    return await context.run(type=f"{COMPRESS}.FileDecrypt", from_=uri, **task)


@pytest.mark.parametrize("kind", ["PBKDF2_SHA256", "PBKDF2_SHA512", "ARGON2ID", "SCRYPT"])
@pytest.mark.parametrize("content", [b"", b"hello", b"x" * (CHUNK + 5)])
async def test_a_file_comes_back(context, kind, content):
    sealed = await encrypted(context, content, keyDerivation=kind)
    begins = context.files.path(sealed).read_bytes()[:9]
    assert begins.startswith(b"Salted__") if kind == "PBKDF2_SHA256" else begins == KESTRA
    found = await decrypted(context, sealed)
    assert context.files.path(found.uri).read_bytes() == content
    assert found.uri.endswith("notes.txt")


async def test_what_openssl_wrote_is_read(context):
    sealed = await context.files.put(base64.b64decode(OF_OPENSSL), "notes.enc")
    assert context.files.text((await decrypted(context, sealed)).uri) == "hello\n"


@pytest.mark.parametrize("kind", ["PBKDF2_SHA512", "ARGON2ID", "SCRYPT"])
async def test_another_password_or_a_changed_file_is_refused(context, kind):
    sealed = await encrypted(context, b"hello", keyDerivation=kind)
    with pytest.raises(TaskFailed, match="cannot be decrypted"):
        await decrypted(context, sealed, password="another")
    content = context.files.path(sealed).read_bytes()
    for damaged in (content[:-1] + bytes([content[-1] ^ 1]), content[:30], content[:-20]):
        with pytest.raises(TaskFailed, match="cannot be decrypted"):
            await decrypted(context, await context.files.put(damaged, "a.enc"))


async def test_what_cannot_be_done_is_told(context):
    with pytest.raises(TaskFailed, match="`iterations` must be from 10000"):
        await encrypted(context, b"x", iterations=999)
    with pytest.raises(TaskFailed, match="`memory` may be"):
        await encrypted(context, b"x", keyDerivation="SCRYPT", memory=1 << 21)
    with pytest.raises(TaskFailed, match=r"ARGON2ID .* more than may be worked through"):
        await encrypted(context, b"x", keyDerivation="ARGON2ID", argon2TimeCost=100, memory=1 << 20)
    with pytest.raises(TaskFailed, match=r"SCRYPT .* more than may be worked through"):
        await encrypted(context, b"x", keyDerivation="SCRYPT", parallelism=255, memory=1 << 20)
    endless = KESTRA + bytes((1, 3)) + bytes(28) + struct.pack(">IIH", 10_000_000, 1 << 20, 1) + bytes(16)
    with pytest.raises(TaskFailed, match=r"ARGON2ID .* more than may be worked through"):
        await decrypted(context, await context.files.put(endless, "a.enc"))
    with pytest.raises(TaskFailed, match="SCRYPT cannot work so"):
        await encrypted(context, b"x", keyDerivation="SCRYPT", memory=1000)
    with pytest.raises(TaskFailed, match="`parallelism` cannot be 300"):
        await encrypted(context, b"x", keyDerivation="SCRYPT", parallelism=300)
    for content, said in ((b"hello", "not encrypted"), (KESTRA + struct.pack("BB", 1, 9) + b"x" * 40, "not known")):
        with pytest.raises(TaskFailed, match=said):
            await decrypted(context, await context.files.put(content, "a.enc"))
