"""Rendering texts and containers, and the guards that keep values inside the quotes a flow's author put them in."""

from collections.abc import Mapping
from typing import Any, Literal

from engine.expressions.failures import fail
from engine.expressions.frame import Printed
from engine.expressions.json_guard import guarded_json
from engine.expressions.limits import MAX_DEPTH
from engine.expressions.powershell_guard import guarded_powershell
from engine.expressions.printing import java_text, measure
from engine.expressions.services import Services
from engine.expressions.shell_guard import guarded_shell
from engine.expressions.templates import parse
from engine.expressions.values import Entry, Value, is_list, is_map
from engine.whole_text import writable

Guard = Literal["none", "json", "shell", "powershell"]


def evaluate(text: str, variables: Mapping[str, Any], services: Services) -> Any:
    """The value of an expression with its type; text when there is more than one. ExpressionFailed, NameMissing."""
    found = parse(text).evaluate(variables, services)
    # Parts of it may be shared, so that whoever walks through it would not come to an end.
    return _without_entries(found) if measure(found) else found


def _without_entries(value: Value) -> Value:
    """The value with a map in place of each entry of one, as JSON writes it."""
    if isinstance(value, Entry):
        return {java_text(value.key): _without_entries(value.value)}
    if is_map(value):
        return {key: _without_entries(item) for key, item in value.items()}
    return [_without_entries(item) for item in value] if is_list(value) else value


def render(value: Any, variables: Mapping[str, Any], services: Services, guard: Guard = "none") -> Any:
    """Text, or every text inside maps and lists, rendered; other values as they are. ExpressionFailed, NameMissing.

    `guard="json"`: a text that is a JSON document stays the document its author wrote, whatever the values hold.
    `guard="shell"`: values inside quotes of a command stay inside them; `guard="powershell"`: those of PowerShell's.
    All tell `services.warn` when they stepped in.
    """
    return _rendered(value, variables, services, guard, 0)


def _rendered(value: Value, variables: Mapping[str, Any], services: Services, guard: Guard, depth: int) -> Value:
    if isinstance(value, str):
        return _text(value, variables, services, guard)
    if depth > MAX_DEPTH:
        fail(f"A value is nested more than {MAX_DEPTH} levels deep.")
    if is_map(value):
        found: dict[Value, Value] = {}
        for key, item in value.items():
            name = _rendered(key, variables, services, "none", depth + 1)
            found.setdefault(name, _rendered(item, variables, services, guard, depth + 1))
        return found
    if is_list(value):
        return [_rendered(item, variables, services, guard, depth + 1) for item in value]
    return value


def _text(text: str, variables: Mapping[str, Any], services: Services, guard: Guard) -> str:
    return writable(_printed(text, variables, services, guard)) if "{" in text else text


def _printed(text: str, variables: Mapping[str, Any], services: Services, guard: Guard) -> str:
    template = parse(text)
    if guard == "none":
        return template.render(variables, services)
    pieces = template.pieces(variables, services)
    plain = "".join(pieces)
    if not any(isinstance(piece, Printed) and not piece.raw for piece in pieces):
        return plain
    if guard == "shell":
        return guarded_shell(pieces, services.warn)
    if guard == "powershell":
        return guarded_powershell(pieces, services.warn)
    return guarded_json(pieces, services.warn) if text.lstrip()[:1] in ("{", "[") else plain
