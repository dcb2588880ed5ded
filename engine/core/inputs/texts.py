"""Input types whose values are text."""

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from engine.core.finding import Breach
from engine.core.inputs.declaration import Input, InputRefused, spell, unreadable
from engine.errors import ExpressionFailed
from engine.expressions import regexes

# A scheme and what it names, as in `jdbc:duckdb:` or `kestra:///a/b.ion`; an address on the web has a host.
_URI = re.compile(
    r"(?:https?|ftps?|sftp|wss?)://[^\s/?#]\S*|(?!(?:https?|ftps?|sftp|wss?):)[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE
)
_EMAIL = re.compile(r"|[a-zA-Z0-9_!#$%&'*+/=?`{|}~^.-]+@[a-zA-Z0-9.-]+", re.ASCII)


class _TextInput(Input):
    validator: str | None = Field(default=None, description="A regular expression the whole value must match.")

    @field_validator("validator")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                regexes.compiled(pattern)
            except ExpressionFailed as error:
                raise ValueError(f"invalid pattern [{pattern}]: {error.message}") from error
        return pattern

    @property
    def accepts_blank(self) -> bool:
        return True

    @property
    def may_take_time(self) -> bool:
        return self.validator is not None

    def coerce(self, value: Any) -> str:
        return spell(value)

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        if self.validator is None:
            return
        try:
            fits = regexes.matches(value, self.validator)
        except ExpressionFailed as error:
            raise InputRefused(f"it can't be held against the pattern `{self.validator}`: {error.message}") from error
        if not fits:
            raise InputRefused(f"it must match the pattern `{self.validator}`")


class StringInput(_TextInput):
    """Text."""

    type: Literal["STRING"]


class SecretInput(_TextInput):
    """Text that is encrypted at rest and never shown."""

    type: Literal["SECRET"]


class EmailInput(Input):
    """An e-mail address."""

    type: Literal["EMAIL"]

    @property
    def accepts_blank(self) -> bool:
        return True

    def coerce(self, value: Any) -> str:
        return spell(value)

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        if not _EMAIL.fullmatch(value):
            raise InputRefused("The input must be a valid email")


class UriInput(Input):
    """An address such as `https://example.com/page`."""

    type: Literal["URI"]

    def coerce(self, value: Any) -> str:
        text = spell(value)
        if not _URI.fullmatch(text):
            raise unreadable("URI", text)
        return text


class FileInput(Input):
    """A file: uploaded by whoever starts the flow, handed on as the URI under which it is stored."""

    type: Literal["FILE"]
    extension: str | None = Field(default=None, description="What the stored file's name ends with.")
    allowed_file_extensions: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _defaults_are_stored_files(self) -> "FileInput":
        if self.defaults is not None and not str(self.defaults).startswith(("nsfile://", "file://", "kestra://", "{{")):
            fix = "Write the URI of a file, such as `nsfile:///data.csv` for one of the namespace."
            raise Breach("no `defaults` can be set for inputs of type 'FILE'", ("defaults",), fix)
        return self

    def coerce(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise unreadable("FILE", value)
        return value

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        allowed = tuple(f".{one.lower().removeprefix('.')}" for one in self.allowed_file_extensions)
        if allowed and not value.lower().endswith(allowed):
            raise InputRefused(f"file type not allowed. Accepted extensions: {', '.join(allowed)}")
