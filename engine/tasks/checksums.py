"""Whether a downloaded file is the one that was meant: by the checksum a flow gives, or the one a service keeps."""

import asyncio
import hashlib
from base64 import b64decode
from pathlib import Path
from typing import Literal

from pydantic import Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalText

NAMES = {"MD5": "md5", "SHA_1": "sha1", "SHA_256": "sha256", "SHA_512": "sha512"}


class GivenChecksum(Part):
    """A checksum that the flow gives."""

    validate_checksum: Property[bool] = False
    checksum_expected: Property[OptionalText] = Field(default=None, description="In hexadecimal.")
    checksum_algorithm: Property[Literal["MD5", "SHA_1", "SHA_256", "SHA_512"]] = "SHA_256"

    async def checked(self, path: Path, name: str) -> None:
        """TaskFailed when a file isn't the one that was meant."""
        if not self.validate_checksum:
            return
        if not self.checksum_expected or not self.checksum_expected.strip():
            raise TaskFailed("It is not said which checksum is expected.", fix="Give `checksumExpected`.")
        await _compared(path, name, self.checksum_algorithm, self.checksum_expected.strip().lower())


class KeptChecksum(Part):
    """Whether files are compared with the MD5 that the service keeps of them."""

    validate_checksum: Property[bool | None] = None
    fail_on_missing_checksum: Property[bool | None] = None

    async def checked(self, context: RunContext, path: Path, name: str, kept: bytes | None) -> None:
        """TaskFailed when a file isn't the one the service keeps the MD5 of."""
        if not self.validate_checksum:
            return
        if kept:
            await _compared(path, name, "MD5", bytes(kept).hex())
        elif self.fail_on_missing_checksum:
            raise TaskFailed(f"There is no MD5 kept of {name}.", fix="Leave out `failOnMissingChecksum`.")
        else:
            context.log(f"There is no MD5 kept of {name}, and it was not compared.", "WARN")


class EitherChecksum(KeptChecksum):
    """The MD5 that the service keeps of a file, or a checksum that the flow gives, which counts more."""

    expected_checksum: Property[OptionalText] = Field(default=None, description="In hexadecimal or base64.")
    checksum_algorithm: Property[Literal["MD5", "SHA_256"]] = "MD5"

    async def checked(self, context: RunContext, path: Path, name: str, kept: bytes | None) -> None:
        if self.expected_checksum:
            expected = digest_of(self.expected_checksum.strip(), self.checksum_algorithm)
            return await _compared(path, name, self.checksum_algorithm, expected)
        if self.validate_checksum and self.checksum_algorithm != "MD5":
            raise TaskFailed("Only an MD5 is kept of files.", fix="Give `expectedChecksum`, or no algorithm.")
        return await super().checked(context, path, name, kept)


def digest_of(text: str, algorithm: str) -> str:
    """The hexadecimal digits of a checksum that is written so or in base64; TaskFailed when it is none."""
    size = hashlib.new(NAMES[algorithm]).digest_size
    for read in (bytes.fromhex, lambda given: b64decode(given, validate=True)):
        try:
            digest = read(text)
        except ValueError:
            continue
        if len(digest) == size:
            return digest.hex()
    raise TaskFailed(f"`expectedChecksum` {text!r} is no {algorithm}.", fix=f"It has {size * 2} hexadecimal digits.")


async def _compared(path: Path, name: str, algorithm: str, expected: str) -> None:
    found = await asyncio.to_thread(_digest, path, algorithm)
    if found != expected:
        raise TaskFailed(
            f"The {algorithm} of {name} is {found}, not {expected}.",
            fix="It is another file, or came broken: try again.",
        )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, NAMES[algorithm]).hexdigest()
