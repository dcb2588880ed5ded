"""What every input has, whatever its type."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from pydantic import AliasChoices, Field, PrivateAttr

from engine.core.dates import to_text
from engine.core.json_text import bounded
from engine.core.task import Part
from engine.core.yaml_text import Path
from engine.whole_text import writable

HIDDEN = "******"
LONGEST = 1_000  # characters of a value that a refusal shows


class InputRefused(ValueError):
    """A value does not fit an input; the text is the reason in Kestra's words."""


class DependsOn(Part):
    """When an input is asked for: all of `inputs` are, and `condition`, which may look at them, is true."""

    inputs: tuple[str, ...] = ()
    condition: str | bool | None = None


@dataclass(frozen=True, slots=True)
class Inside:
    """Where an input was written: its path in the list of inputs; for one inside others, those from the outermost on,
    and itself as it was written there."""

    path: Path
    outer: tuple["Input", ...] = ()
    written: "Input | None" = None


class Input(Part, ABC):
    """One value a flow, or somebody who resumes it, is asked for. A dot in the id nests: `a.b` is `inputs.a.b`."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][.a-zA-Z0-9_-]*$", validation_alias=AliasChoices("id", "name"))
    type: str
    description: str | None = None
    display_name: str | None = Field(default=None, max_length=64)
    required: bool = True
    defaults: Any = Field(default=None, description="Used when nothing is given; may be a {{ template }}.")
    prefill: Any = Field(default=None, description="What a form shows first, for an input that is not required.")
    depends_on: DependsOn | None = None
    _inside: Inside | None = PrivateAttr(default=None)

    def placed(self, inside: Inside) -> Self:
        """The same input, knowing where it was written."""
        copy = self.model_copy()
        copy._inside = inside
        return copy

    def path(self, index: int) -> Path:
        """Where in the list of inputs it was written; `index` is its number among those that are asked for."""
        return (index,) if self._inside is None else self._inside.path

    @property
    def outer(self) -> tuple["Input", ...]:
        """The inputs it was written in, the outermost first."""
        return () if self._inside is None else self._inside.outer

    @property
    def written(self) -> "Input":
        """The input with the rules that were written for it."""
        inside = self._inside
        return self if inside is None or inside.written is None else inside.written

    @property
    def asked_when(self) -> tuple[DependsOn, ...]:
        """All that must hold for it to be asked for."""
        return tuple(one.depends_on for one in (*self.outer, self.written) if one.depends_on is not None)

    @property
    def heading(self) -> str:
        """What a form writes above it and its neighbours, when it belongs to others."""
        return " \u203a ".join(one.label for one in self.outer)

    @property
    def label(self) -> str:
        """What a form calls it."""
        return self.display_name or self.written.id

    @property
    def choices(self) -> tuple[str, ...]:
        """Values to choose from, when they stand in the flow."""
        return ()

    @property
    def labels(self) -> dict[str, str]:
        """What some of the choices are called, by value."""
        return {}

    @property
    def accepts_blank(self) -> bool:
        """Whether an empty text is a value of this type rather than nothing."""
        return False

    @property
    def may_take_time(self) -> bool:
        """Whether reading or checking a value may take long, as by a pattern of the author's: not where others wait."""
        return False

    @abstractmethod
    def coerce(self, value: Any) -> Any:
        """The value as its type; InputRefused when it can't be read as such. `value` is not None."""

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        """InputRefused when a typed value breaks a rule of this input. `options` replaces `choices` when given."""

    def show(self, given: Any) -> str:
        """What was given, for a message."""
        return HIDDEN if self.type == "SECRET" else spell(given)


def standing_for(name: str, ids: Iterable[str]) -> list[str]:
    """The ids that a name in `dependsOn` means: an input, or all those inside it."""
    return [id_ for id_ in ids if id_ == name or id_.startswith(f"{name}.")]


def spell(given: Any) -> str:
    """A value as a person would have typed it: text as it is, containers as JSON."""
    if given is None:
        return "null"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, dict | list | tuple):
        return json.dumps(given, ensure_ascii=False, default=to_text)
    return to_text(given)


def excerpt(given: Any) -> str:
    """The beginning of a value as a person would have typed it, for a message."""
    text = writable(spell(given))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\u2026"


def unreadable(kind: str, given: Any, reason: str = "") -> InputRefused:
    """The refusal of a value that is not of its type at all."""
    details = f" with errors: {excerpt(reason.rstrip('.'))}" if reason else ""
    return InputRefused(f"Expected `{kind}` but received `{excerpt(given)}`{details}")


def from_json(kind: str, text: str) -> Any:
    """The value of a JSON text; InputRefused when it is none that can be worked with and kept."""
    try:
        return bounded(json.loads(text), exact=True)
    except (ValueError, RecursionError) as error:
        raise unreadable(kind, text, str(error)) from error


def kept(kind: str, value: Any) -> Any:
    """A value that was given as such; InputRefused when it can't be worked with and kept."""
    try:
        return bounded(value, exact=True)
    except ValueError as error:
        raise InputRefused(f"Expected `{kind}` with errors: {error}") from error
