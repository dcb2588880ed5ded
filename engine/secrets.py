"""Secrets: where `secret()` looks, what is masked in logs and cards, and encryption of what must lie in the database.

Look-up order for NAME: environment `SECRET_NAME` (Base64, as in Kestra), `PARLEY_SECRET_NAME` (plain), the same in
`.env`, a file NAME in the secrets folder.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from dotenv import dotenv_values

from engine.errors import ExpressionFailed, SettingInvalid, StoreFailed
from engine.key_files import kept_key
from engine.settings import Settings
from engine.store.documents import dumps, loads

if TYPE_CHECKING:  # loaded with the first value that is sealed or opened
    from cryptography.fernet import MultiFernet

KEY_FILE = "encryption.key"
SEALED = "$sealed"  # a mapping with this one key stands for an encrypted value
SHORTEST = 3  # characters; masking less would only garble the log
LONGEST_NAME = 200  # characters; names of files end at 255 bytes
FOLLOWED = 10_000  # characters of a text that holds a secret and is written in another way
COMMON = frozenset({"true", "false", "null", "none", "yes", "no"})
REMEMBERED = 100_000  # spellings of secrets that came by and may be forgotten, the oldest first
REMEMBERED_TEXT = 20_000_000  # characters of these
FEW = 1000  # spellings that are looked for one by one; of more, those whose beginnings stand in a text


class Secrets:
    """What `secret('NAME')` finds."""

    def __init__(self, settings: Settings, masker: "Masker") -> None:
        self._folder = settings.secrets_dir
        self._masker = masker
        self._file = Path(".env")
        self._file_values: Mapping[str, str | None] = dotenv_values(self._file) if self._file.is_file() else {}

    def get(self, key: str) -> str:
        """The secret's text, which is masked from now on; ExpressionFailed when there is none."""
        if len(key) > LONGEST_NAME:
            raise ExpressionFailed(f"A secret's name has at most {LONGEST_NAME} characters.")
        name = re.sub(r"[^A-Za-z0-9_]", "_", key).upper()
        value = self._find(key, name)
        if value is None:
            raise ExpressionFailed(
                f"Cannot find secret for key '{key}'.",
                fix=f"Set PARLEY_SECRET_{name} in the environment of the bot, or SECRET_{name} as Base64.",
            )
        self._masker.add(value, for_good=True)
        return value

    def _find(self, key: str, name: str) -> str | None:
        for source in (os.environ, self._file_values):
            coded = source.get(f"SECRET_{name}")
            if coded is not None:
                return _decoded(name, coded)
            plain = source.get(f"PARLEY_SECRET_{name}")
            if plain is not None:
                return plain
        if self._folder is not None:
            for file_name in dict.fromkeys((key, name, name.lower())):
                path = self._folder / file_name
                if re.fullmatch(r"[\w.-]+", file_name) and not file_name.startswith(".") and path.is_file():
                    return _written(name, path)
        return None


def _written(name: str, path: Path) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ExpressionFailed(
            f"The file of the secret {name} can't be read.", fix="It holds UTF-8 text that the bot may read."
        ) from error


def _decoded(name: str, coded: str) -> str:
    try:
        return base64.b64decode("".join(coded.split()), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ExpressionFailed(
            f"The environment variable SECRET_{name} does not hold Base64.",
            fix=f"Encode it with `base64 -w0`, or set PARLEY_SECRET_{name} to the plain text.",
        ) from error


@lru_cache(FEW)
def _spellings(secret: str) -> frozenset[str]:
    found = {secret, secret.strip(), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    found |= {
        repr(secret)[1:-1],
        quote_plus(secret, errors="replace"),
        *(quote(secret, safe, errors="replace") for safe in ("", "/")),
    }
    if "\n" in secret:
        found |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= 12}
    return frozenset(text for text in found if len(text) >= SHORTEST and text.lower() not in COMMON)


class Masker:
    """Replaces every secret it was told of, in any text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._for_good: dict[str, None] = {}
        self._passing: OrderedDict[str, None] = (
            OrderedDict()
        )  # whatever comes by: tokens, answers, texts made of secrets
        self._passing_text = 0
        self._by_start: dict[str, dict[str, None]] = {}

    def add(self, secret: str, *, for_good: bool = False) -> None:
        """Never show this text from now on, nor its lines, nor its spelling in JSON, in a `repr` or in an address. What
        is not `for_good` is forgotten when very many others came after it."""
        with self._lock:
            for text in _spellings(secret):
                if text in self._for_good:
                    continue
                if text in self._passing:
                    self._passing.move_to_end(text)
                    if for_good:
                        self._for_good[text] = None
                        self._drop(text)
                else:
                    self._by_start.setdefault(text[:SHORTEST], {})[text] = None
                    if for_good:
                        self._for_good[text] = None
                    else:
                        self._passing[text] = None
                        self._passing_text += len(text)
            while len(self._passing) > REMEMBERED or self._passing_text > REMEMBERED_TEXT:
                oldest = next(iter(self._passing))
                self._drop(oldest)
                del self._by_start[oldest[:SHORTEST]][oldest]

    def _drop(self, text: str) -> None:
        del self._passing[text]
        self._passing_text -= len(text)

    def follow(self, text: str, work: Callable[[str], str]) -> bool:
        """Whether a text holds secrets; what some work makes of them, and of a short text, is hidden from then on."""
        found = list(self._in(text))
        if found and len(text) <= FOLLOWED:
            found.append(text)
        for one in found:
            self.add(work(one))
        return bool(found)

    @property
    def knows_any(self) -> bool:
        """Whether there is a secret to look for."""
        return bool(self._for_good or self._passing)

    def finds(self, text: str) -> bool:
        """Whether a secret stands in the text."""
        return any(True for _ in self._in(text))

    def _in(self, text: str) -> Iterator[str]:
        """The secrets that stand in the text."""
        if len(self._for_good) + len(self._passing) <= FEW:
            there = chain(tuple(self._for_good), tuple(self._passing))
        else:
            starts = {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}
            there = chain.from_iterable(tuple(self._by_start.get(start, ())) for start in starts)
        return (secret for secret in there if secret in text)

    def mask(self, text: str) -> str:
        """The text with each secret as stars."""
        longest_first = sorted(self._in(text), key=len, reverse=True)
        if not longest_first:
            return text
        pattern = "|".join(map(re.escape, longest_first))
        masked = re.sub(pattern, lambda found: "*" * len(found.group()), text)
        return masked.replace("*" * 9, "**masked*", 1)

    def mask_value(self, value: Any) -> Any:
        """The value with every text inside it masked; the value itself while there is no secret to look for."""
        if not self.knows_any:
            return value
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            return {self.mask(str(key)): self.mask_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask_value(item) for item in value]
        return value


OTHER_KEY = "A secret in the database was encrypted with another key."
ADD_KEY = "Add the former key to PARLEY_ENCRYPTION_KEY, after the new one and a comma."


def _is_key(text: str) -> bool:
    """Whether Fernet takes a text for a key."""
    try:
        return len(base64.urlsafe_b64decode(text)) == 32
    except ValueError:
        return False


class Vault:
    """Encrypts what must lie in the database. Each value is bound to its owner: moved elsewhere it does not open."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = tuple(keys)
        if not self._keys or not all(map(_is_key, self._keys)):
            raise SettingInvalid(
                "The encryption key is not 32 bytes of URL-safe Base64.",
                fix="Make one with `openssl rand -base64 32 | tr '+/' '-_'`; several go with commas, newest first.",
            )

    @cached_property
    def _fernet(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

        return MultiFernet([Fernet(key) for key in self._keys])

    @classmethod
    def of(cls, settings: Settings) -> "Vault":
        """The vault under `encryption_key`, or under a key that is made once in the data folder."""
        if settings.encryption_key:
            return cls([key.strip() for key in settings.encryption_key.split(",") if key.strip()])
        text = kept_key(settings.data / KEY_FILE, lambda: base64.urlsafe_b64encode(os.urandom(32)).decode() + "\n")
        return cls([key.strip() for key in text.replace("\n", ",").split(",") if key.strip()])

    @classmethod
    def there(cls, settings: Settings) -> "Vault | None":
        """The same without making a key: None when there is none yet."""
        return cls.of(settings) if settings.encryption_key or (settings.data / KEY_FILE).is_file() else None

    def fingerprints(self) -> tuple[str, ...]:
        """What tells each key from others and gives none away, the newest first."""
        return tuple(hmac.new(key.encode(), b"fingerprint", hashlib.sha256).hexdigest() for key in self._keys)

    def seal(self, value: Any, owner: str) -> dict[str, str]:
        """A value as it may lie in the database: `{"$sealed": …}`."""
        return {SEALED: self._fernet.encrypt(json.dumps([owner, value]).encode()).decode()}

    def open(self, sealed: Any, owner: str) -> Any:
        """The value inside; StoreFailed when the key is not the one it was sealed with, or the owner another."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            bound, value = json.loads(self._fernet.decrypt(sealed[SEALED].encode()))
        except InvalidToken as error:
            raise StoreFailed(OTHER_KEY, fix=ADD_KEY) from error
        if bound != owner:
            raise StoreFailed("A secret was moved from the place it was stored at.", fix="Store it again.")
        return value

    def rotate(self, sealed: Mapping[str, str]) -> dict[str, str]:
        """The same value under the newest key; StoreFailed when none of the keys opens it."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            return {SEALED: self._fernet.rotate(sealed[SEALED].encode()).decode()}
        except InvalidToken as error:
            raise StoreFailed(OTHER_KEY, fix=ADD_KEY) from error


class AtRest:
    """Documents as they lie in the database: every text that holds a secret is encrypted for its execution."""

    def __init__(self, vault: Vault, masker: Masker) -> None:
        self._vault = vault
        self._masker = masker

    def dumps(self, value: Any, owner: str) -> str:
        """JSON text of a value; texts that hold a secret are encrypted."""
        text = dumps(value)
        return dumps(self._sealed(loads(text), owner)) if self._masker.finds(text) else text

    def loads(self, text: str, owner: str) -> Any:
        """The value again; what was encrypted is masked from now on."""
        value = loads(text)
        return self._opened(value, owner) if SEALED in text else value

    def _sealed(self, value: Any, owner: str) -> Any:
        if isinstance(value, str):
            return self._vault.seal(value, owner) if self._masker.finds(json.dumps(value)) else value
        if isinstance(value, dict):
            return {key: self._sealed(item, owner) for key, item in value.items()}
        return [self._sealed(item, owner) for item in value] if isinstance(value, list) else value

    def _opened(self, value: Any, owner: str) -> Any:
        if isinstance(value, dict):
            if len(value) == 1 and isinstance(value.get(SEALED), str):
                try:
                    text = self._vault.open(value, owner)
                except StoreFailed:
                    return value  # text of this shape that came from outside opens nothing
                self._masker.add(str(text))
                return text
            return {key: self._opened(item, owner) for key, item in value.items()}
        return [self._opened(item, owner) for item in value] if isinstance(value, list) else value
