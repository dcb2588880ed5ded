"""Metrics whose tags a flow or a script names: any name will do."""

from collections.abc import Mapping
from typing import Any, Literal

from engine.plugin import RunContext
from engine.tasks.property_types import scalar_to_text

Kind = Literal["counter", "timer", "gauge"]
RESERVED = frozenset({"name", "value", "kind"})  # what recording a metric calls its own arguments


def record(context: RunContext, kind: Kind, name: str, value: float, tags: Mapping[str, Any] | None) -> None:
    """Record a metric; a tag with the name of an argument gets an underscore."""
    given = {str(key): str(scalar_to_text(tag)) for key, tag in (tags or {}).items()}
    context.metric(name, value, kind, **{f"{key}_" if key in RESERVED else key: tag for key, tag in given.items()})
