"""Inputs with a lowest and a highest value, both included."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import model_validator

from engine.core.dates import to_text
from engine.core.finding import Breach
from engine.core.inputs.declaration import Input, InputRefused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """Names of the two bounds, and what is said about a value beyond one."""

    low: str
    high: str
    too_low: str
    too_high: str


class BoundedInput(Input, Generic[T]):
    """An input whose values have an order."""

    limits: ClassVar[Limits]

    @model_validator(mode="after")
    def _bounds_are_readable(self) -> "BoundedInput[T]":
        for name in (self.limits.low, self.limits.high):
            if getattr(self, name) is not None:
                try:
                    self.coerce(getattr(self, name))
                except InputRefused as refused:
                    raise Breach(f"The bound can't be read: {refused}", (name,)) from refused
        return self

    @property
    def is_empty(self) -> bool:
        """Whether no value lies between the bounds."""
        low, high = self.bounds()
        return low is not None and high is not None and low > high  # type: ignore[operator]

    def bounds(self) -> tuple[T | None, T | None]:
        """The lowest and highest value; InputRefused (a ValueError) when one can't be read."""
        low, high = getattr(self, self.limits.low), getattr(self, self.limits.high)
        return (None if low is None else self.coerce(low), None if high is None else self.coerce(high))

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        """InputRefused when a value lies beyond a bound."""
        low, high = self.bounds()
        if low is not None and value < low:
            raise InputRefused(f"{self.limits.too_low} `{to_text(low)}`")
        if high is not None and value > high:
            raise InputRefused(f"{self.limits.too_high} `{to_text(high)}`")
