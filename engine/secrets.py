"""Secrets: where `secret()` looks, what is masked in logs and cards, and encryption of what must lie in the database.

Look-up order for NAME: environment `SECRET_NAME` (Base64, as in Kestra), `PARLEY_SECRET_NAME` (plain), the same in `.env`, a file
NAME in the secrets folder.
"""

import base64
import binascii
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from dotenv import dotenv_values

from engine.errors import ExpressionFailed, SettingInvalid, StoreFailed
from engine.settings import Settings

SEALED = "$sealed"  # a mapping with this one key stands for an encrypted value
SHORTEST = 2  # characters; masking a single letter would only garble the log
REMEMBERED = 5000


class Secrets:
    """What `secret('NAME')` finds."""

    def __init__(self, settings: Settings, masker: "Masker") -> None:
        self._folder = settings.secrets_dir
        self._masker = masker
        self._file = Path(".env")
        self._file_values: Mapping[str, str | None] = dotenv_values(self._file) if self._file.is_file() else {}

    def get(self, key: str) -> str:
        """The secret's text, which is masked from now on; ExpressionFailed when there is none."""
        name = re.sub(r"[^A-Za-z0-9_]", "_", key).upper()
        value = self._find(key, name)
        if value is None:
            raise ExpressionFailed(
                f"Cannot find secret for key '{key}'.",
                fix=f"Set PARLEY_SECRET_{name} in the environment of the bot, or SECRET_{name} as Base64.",
            )
        self._masker.add(value)
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
                    return path.read_text("utf-8").rstrip("\r\n")
        return None


def _decoded(name: str, coded: str) -> str:
    try:
        return base64.b64decode("".join(coded.split()), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ExpressionFailed(
            f"The environment variable SECRET_{name} does not hold Base64.",
            fix=f"Encode it with `base64 -w0`, or set PARLEY_SECRET_{name} to the plain text.",
        ) from error


class Masker:
    """Replaces every secret it was told of, in any text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: OrderedDict[str, None] = OrderedDict()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Never show this text from now on, nor its lines, nor its spelling inside JSON."""
        spellings = {secret, secret.strip(), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        if "\n" in secret:
            spellings |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= 12}
        with self._lock:
            for text in spellings:
                if len(text) < SHORTEST:
                    continue
                if text in self._secrets:
                    self._secrets.move_to_end(text)
                else:
                    self._secrets[text] = None
                    self._pattern = None
            while len(self._secrets) > REMEMBERED:
                self._secrets.popitem(last=False)
                self._pattern = None

    def mask(self, text: str) -> str:
        """The text with each secret as stars."""
        pattern = self._compiled()
        if pattern is None:
            return text
        masked, count = pattern.subn(lambda found: "*" * len(found.group()), text)
        return masked.replace("*" * 9, "**masked*", 1) if count else text

    def mask_value(self, value: Any) -> Any:
        """The value with every text inside it masked."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            return {self.mask(str(key)): self.mask_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask_value(item) for item in value]
        return value

    def _compiled(self) -> re.Pattern[str] | None:
        with self._lock:
            if self._pattern is None and self._secrets:
                longest_first = sorted(self._secrets, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            return self._pattern


class Vault:
    """Encrypts what must lie in the database. Each value is bound to its owner: moved elsewhere it does not open."""

    def __init__(self, keys: Iterable[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except (ValueError, binascii.Error) as error:
            raise SettingInvalid(
                "The encryption key is not 32 bytes of URL-safe Base64.",
                fix="Make one with `openssl rand -base64 32 | tr '+/' '-_'`; several, newest first, are separated by commas.",
            ) from error

    @classmethod
    def of(cls, settings: Settings) -> "Vault":
        """The vault under `encryption_key`, or under a key that is made once in the data folder."""
        if settings.encryption_key:
            return cls([key.strip() for key in settings.encryption_key.split(",") if key.strip()])
        path = settings.data / "encryption.key"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls([key.strip() for key in path.read_text("ascii").replace("\n", ",").split(",") if key.strip()])
        with os.fdopen(descriptor, "w") as file:
            file.write(Fernet.generate_key().decode() + "\n")
        return cls.of(settings)

    def seal(self, value: Any, owner: str) -> dict[str, str]:
        """A value as it may lie in the database: `{"$sealed": …}`."""
        return {SEALED: self._fernet.encrypt(json.dumps([owner, value]).encode()).decode()}

    def open(self, sealed: Any, owner: str) -> Any:
        """The value inside; StoreFailed when the key is not the one it was sealed with, or the owner another."""
        try:
            bound, value = json.loads(self._fernet.decrypt(sealed[SEALED].encode()))
        except InvalidToken as error:
            raise StoreFailed(
                "A secret in the database was encrypted with another key.",
                fix="Add the former key to PARLEY_ENCRYPTION_KEY, after the new one and a comma.",
            ) from error
        if bound != owner:
            raise StoreFailed("A secret was moved from the place it was stored at.", fix="Store it again.")
        return value

    def rotate(self, sealed: Mapping[str, str]) -> dict[str, str]:
        """The same value under the newest key."""
        return {SEALED: self._fernet.rotate(sealed[SEALED].encode()).decode()}

    def open_all(self, value: Any, owner: str, masker: Masker) -> Any:
        """The value with everything sealed inside it opened, and masked from now on."""
        if is_sealed(value):
            try:
                opened = self.open(value, owner)
            except StoreFailed:
                return value  # text of this shape that came from outside opens nothing
            for text in _texts(opened):
                masker.add(text)
            return opened
        if isinstance(value, Mapping):
            return {key: self.open_all(item, owner, masker) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.open_all(item, owner, masker) for item in value]
        return value

    def reseal(self, value: Any, owner: str, new_owner: str) -> Any:
        """The value with everything that `owner` sealed inside it sealed for `new_owner`."""
        if is_sealed(value):
            try:
                return self.seal(self.open(value, owner), new_owner)
            except StoreFailed:
                return value
        if isinstance(value, Mapping):
            return {key: self.reseal(item, owner, new_owner) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.reseal(item, owner, new_owner) for item in value]
        return value


def is_sealed(value: Any) -> bool:
    """Whether a value has the shape of an encrypted one."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get(SEALED), str)


def hide_sealed(value: Any) -> Any:
    """The value with everything sealed shown as stars, for people."""
    if is_sealed(value):
        return "******"
    if isinstance(value, Mapping):
        return {key: hide_sealed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide_sealed(item) for item in value]
    return value


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
