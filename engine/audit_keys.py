"""Keys that sign the record of deeds (Ed25519): the bot's own, and how others are told from it.

A private key is 32 bytes as URL-safe Base64, one a line, the newest first; the newest signs, those after it are there
to hand over to it. A public key is the same of its own 32 bytes, or PEM as everybody else's tools write it.
"""

import base64
import binascii
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import SettingInvalid
from engine.key_files import kept_key
from engine.settings import AuditSettings, Settings

if TYPE_CHECKING:  # loaded with the first signature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "audit.key"
LENGTH = 32
# What every public key of this kind begins with in its standard form (RFC 8410), which `openssl` hashes and writes.
DER = bytes.fromhex("302a300506032b6570032100")
PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True)
class AuditKey:
    """One key that can sign."""

    seed: bytes

    @cached_property
    def _private(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def public(self) -> str:
        """The public key that goes with it."""
        return _text(self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The signature of a text."""
        return _text(self._private.sign(text.encode()))

    def __repr__(self) -> str:
        return "AuditKey(…)"


@dataclass(frozen=True, slots=True)
class AuditKeys:
    """The keys of one bot, the newest first. `file`: where they lie, None when the settings hold them."""

    keys: tuple[AuditKey, ...]
    file: Path | None = None

    @classmethod
    def there(cls, settings: Settings) -> "AuditKeys | None":
        """The keys that the settings give or that lie in the data folder; None without any. SettingInvalid."""
        if settings.audit.key is not None:
            return cls(_read_keys(settings.audit.key.get_secret_value(), "`audit.key`"))
        file = key_file(settings)
        if not file.is_file():
            if settings.audit.key_file is not None:
                raise SettingInvalid(
                    f"There is no file {file}, which `audit.key_file` names.", fix="Put the key there, or leave it out."
                )
            return None
        try:
            return cls(_read_keys(file.read_text("ascii"), str(file)), file)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingInvalid(f"{file} can't be read as a key.", fix="Check its owner and what is in it.") from error

    @classmethod
    def made(cls, settings: Settings) -> "AuditKeys":
        """The same; a key is made in the data folder when there is none."""
        found = cls.there(settings)
        if found is not None:
            return found
        file = key_file(settings)
        return cls(_read_keys(kept_key(file, lambda: _text(os.urandom(LENGTH)) + "\n"), str(file)), file)

    @property
    def newest(self) -> AuditKey:
        """The one that signs."""
        return self.keys[0]

    def of(self, public: str) -> AuditKey | None:
        """The one with a public key, if it is among them."""
        return next((key for key in self.keys if key.public == public), None)

    def renewed(self) -> "AuditKeys":
        """With a new key before the others, in the file before anything is signed with it; SettingInvalid when the
        settings hold the keys."""
        if self.file is None:
            raise SettingInvalid(
                "The key that signs the record stands in the settings, so this can't put another one there.",
                fix="Write a new one before it, with a comma between them (`parley audit key --new` prints one), and "
                "start again.",
            )
        return _written(AuditKeys((AuditKey(os.urandom(LENGTH)), *self.keys), self.file))

    def alone(self) -> "AuditKeys":
        """Without those that have handed over; where the settings hold the keys, they are the operator's to remove."""
        return self if self.file is None or len(self.keys) == 1 else _written(AuditKeys(self.keys[:1], self.file))


def key_file(settings: Settings) -> Path:
    """Where the key lies unless the settings hold it."""
    return settings.audit.key_file or settings.data / KEY_FILE


def new_key() -> str:
    """The text of a new private key."""
    return _text(os.urandom(LENGTH))


def trusted(settings: AuditSettings) -> frozenset[str]:
    """The public keys of other bots that the settings list; SettingInvalid."""
    return frozenset(one for text in settings.trusted for one in read_public(text))


def read_public(text: str) -> list[str]:
    """The public keys in a text: PEM, or lines of Base64; SettingInvalid when there is none, or one is none."""
    blocks = PEM.findall(text)
    lines = [_bytes("".join(block.split())) for block in blocks]
    if not blocks:
        lines = [_bytes(line) for line in text.replace(",", "\n").split()]
    raw = [None if line is None else line.removeprefix(DER) for line in lines]
    found = [_text(one) for one in raw if one is not None and len(one) == LENGTH]
    if not found or len(found) != len(raw):
        raise SettingInvalid(
            "That is no public key of the record.", fix="Give what `parley audit key` prints, as it is or its PEM."
        )
    return found


def fingerprint(public: str) -> str:
    """What people compare of a public key: `openssl pkey -pubin -in FILE -outform DER | sha256sum` gives it as well."""
    return hashlib.sha256(DER + (_bytes(public) or b"")).hexdigest()


def pem(public: str) -> str:
    """A public key as PEM."""
    body = base64.b64encode(DER + (_bytes(public) or b"")).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"


def is_signed(public: str, signature: str, text: str) -> bool:
    """Whether a signature is that of a text by the private key that belongs to a public one."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    raw, signed = _bytes(public), _bytes(signature)
    if raw is None or signed is None or len(raw) != LENGTH:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signed, text.encode())
    except InvalidSignature:
        return False
    return True


def _read_keys(text: str, where: str) -> tuple[AuditKey, ...]:
    seeds = [_bytes(one) for one in text.replace(",", "\n").split()]
    keys = [AuditKey(seed) for seed in seeds if seed is not None and len(seed) == LENGTH]
    if not keys or len(keys) != len(seeds):
        raise SettingInvalid(
            f"{where} does not hold a key that signs: 32 bytes as URL-safe Base64.",
            fix="Make one with `parley audit key --new`; several go in lines or with commas, newest first.",
        )
    return tuple(keys)


def _written(keys: AuditKeys) -> AuditKeys:
    """Put keys into their file, which is the old or the new one whatever is killed."""
    assert keys.file is not None  # noqa: S101 - the callers' promise
    text = "".join(f"{_text(key.seed)}\n" for key in keys.keys)
    descriptor, name = tempfile.mkstemp(prefix=f".{keys.file.name}.", dir=keys.file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(keys.file)
    finally:
        Path(name).unlink(missing_ok=True)
    return keys


def publics(keys: Iterable[AuditKey]) -> frozenset[str]:
    """The public keys of some."""
    return frozenset(key.public for key in keys)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: object) -> bytes | None:
    """What stands for bytes; None when it does not."""
    if not isinstance(text, str):
        return None
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
