"""Triggers that an HTTP request fires: what came, and what a trigger makes of it. Values in, values out."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from engine.core.json_text import read_json
from engine.core.triggers import Trigger
from engine.expressions.json_reading import refuse_bomb


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came; names of headers are in lower case."""

    body: str
    headers: Mapping[str, Sequence[str]]
    parameters: Mapping[str, Sequence[str]]

    def header(self, name: str) -> str:
        """The first value of a header, "" without it."""
        return next(iter(self.headers.get(name, ())), "")

    def variables(self, body: Any) -> dict[str, Any]:
        """What expressions see as `trigger`, with the body as it was read."""
        return {
            "body": body,
            "headers": {name: list(values) for name, values in self.headers.items()},
            "parameters": {name: list(values) for name, values in self.parameters.items()},
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """One part of a `multipart/form-data` body; without a file name it is a field of the form."""

    name: str
    content: bytes
    filename: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What starts an execution. The same `key` again is the same request, however often it comes."""

    variables: Mapping[str, Any]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """An answer that no execution stands behind."""

    status: int
    text: str = ""


class RequestTrigger(Trigger):
    """A trigger at an address of its own."""

    credentials: ClassVar[tuple[str, ...]] = ()
    """Properties, besides `key`, that judge a request; they may be {{ templates }}."""
    is_silent: ClassVar[bool] = False
    """Whether the caller is told nothing of the execution."""
    has_open_key: ClassVar[bool] = False
    """Whether everybody may know the key, since something else is the credential."""

    key: str = Field(
        min_length=1, max_length=256, description="The credential in the address; may be a {{ template }}."
    )

    @abstractmethod
    def admit(self, arrived: Arrived, credentials: Mapping[str, str], now: datetime) -> Heard | Spoken:
        """What a request with the right key comes to, by credentials that are rendered."""


TEXTUAL = ("json", "xml", "yaml", "csv", "x-www-form-urlencoded")


def is_binary(content_type: str) -> bool:
    """Whether a body of a kind is bytes and no text; of no kind it is text."""
    kind = content_type.partition(";")[0].strip().lower()
    return bool(kind) and not kind.startswith("text/") and not any(word in kind for word in TEXTUAL)


def read_body(text: str) -> Any:
    """A body as JSON object or array, else as text; null when there is none. ExpressionFailed when it holds more values
    than any template could work with."""
    if not text:
        return None
    if text.lstrip()[:1] in ("[", "{"):
        refuse_bomb(text)
    try:
        value = read_json(text)
    except ValueError:
        return text
    return value if isinstance(value, dict | list) else text
