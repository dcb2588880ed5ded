"""What values are made of that Python has no own type for, and which Python types count as what."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

# Flows are dynamically typed: a value is whatever YAML, JSON, a task or a literal gave.
Value = Any


class Absent:
    """The type of ABSENT."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()  # an argument that was not given; null is a value


class Entry:
    """A key with its value, as `for` over a map yields it."""

    __slots__ = ("key", "value")

    def __init__(self, key: Value, value: Value) -> None:
        self.key = key
        self.value = value


def is_number(value: Value) -> bool:
    """Whether it is a number; a boolean is none, though Python thinks so."""
    kind = type(value)
    return kind is int or kind is float or (isinstance(value, (int, float, Decimal)) and kind is not bool)


def is_list(value: Value) -> bool:
    """Whether it is a list, tuple or set."""
    return isinstance(value, (list, tuple, set, frozenset))


def is_map(value: Value) -> bool:
    """Whether it is a map."""
    return isinstance(value, (dict, Mapping))
