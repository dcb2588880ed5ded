"""What every input has, whatever its type."""

import json
from abc import ABC, abstractmethod
from typing import Any

from pydantic import AliasChoices, Field

from engine.core.dates import to_text
from engine.core.task import Part

HIDDEN = "******"


class InputRefused(ValueError):
    """A value does not fit an input; the text is the reason in Kestra's words."""


class DependsOn(Part):
    """When an input is asked for: all of `inputs` are, and `condition`, which may look at them, is true."""

    inputs: tuple[str, ...] = ()
    condition: str | bool | None = None


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

    @property
    def label(self) -> str:
        """What a form calls it."""
        return self.display_name or self.id

    @property
    def choices(self) -> tuple[str, ...]:
        """Values to choose from, when they stand in the flow."""
        return ()

    @property
    def accepts_blank(self) -> bool:
        """Whether an empty text is a value of this type rather than nothing."""
        return False

    @abstractmethod
    def coerce(self, value: Any) -> Any:
        """The value as its type; InputRefused when it can't be read as such. `value` is not None."""

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        """InputRefused when a typed value breaks a rule of this input. `options` replaces `choices` when given."""

    def show(self, given: Any) -> str:
        """What was given, for a message."""
        return HIDDEN if self.type == "SECRET" else spell(given)


def spell(given: Any) -> str:
    """A value as a person would have typed it: text as it is, containers as JSON."""
    if given is None:
        return "null"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, dict | list | tuple):
        return json.dumps(given, ensure_ascii=False, default=to_text)
    return to_text(given)


def unreadable(kind: str, given: Any, reason: str = "") -> InputRefused:
    """The refusal of a value that is not of its type at all."""
    details = f" with errors: {reason.rstrip('.')}" if reason else ""
    return InputRefused(f"Expected `{kind}` but received `{spell(given)}`{details}")
