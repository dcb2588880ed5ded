"""What a person sees and does in a Slack client: finding buttons, filling modals by the client's own rules."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.wire.slack_rules import length

Json = dict[str, Any]


@dataclass(eq=False)
class Written:
    """A message as it stands in a channel, or as one person alone sees it (`only`)."""

    channel: str
    ts: str
    payload: Json
    user: str
    thread: str | None = None
    only: str | None = None
    metadata: Json | None = None
    files: list[Json] = field(default_factory=list)
    edits: int = 0
    pings: list[str] = field(default_factory=list)
    reactions: list[str] = field(default_factory=list)
    deleted: bool = False

    @property
    def blocks(self) -> list[Json]:
        return list(self.payload.get("blocks") or ())


@dataclass(eq=False)
class Window:
    """An open modal, or somebody's home tab."""

    id: str
    view: Json
    user: str
    hash: str = "h1"
    open: bool = True
    typed: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> list[Json]:
        return [block for block in self.view["blocks"] if block["type"] == "input"]

    def input(self, name: str) -> Json:
        """An input by its label or block id."""
        for block in self.inputs:
            if name in (block["label"]["text"], block["block_id"]):
                return block
        raise AssertionError(f"no input {name!r}; there are {[one['label']['text'] for one in self.inputs]}")


@dataclass
class Refusal:
    """A scripted answer: an error name, a 429, or a connection that breaks after (`taken`) or before the work."""

    error: str = ""
    retry_after: int | None = None
    drops: bool = False
    taken: bool = False
    status: int = 200


@dataclass
class Channel:
    id: str
    name: str
    members: set[str]
    archived: bool = False
    private: bool = False


@dataclass
class Heard:
    """One event on its way to the app, and its acknowledgement."""

    kind: str
    payload: Json
    ack: Any = None
    seconds: float | None = None
    status: int = 200


@dataclass
class ResponseAddress:
    channel: str
    user: str
    message: Written | None = None
    uses: int = 0
    expired: bool = False


def buttons(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """(block, button) of everything that can be pressed."""
    for block in blocks:
        for element in [*block.get("elements", ()), block.get("accessory") or {}]:
            if element.get("type") == "button":
                yield block, element


def find_button(blocks: list[Json], name: str) -> tuple[Json, Json] | None:
    """A button by its label or action id."""
    return next(
        ((block, one) for block, one in buttons(blocks) if name in (one["text"]["text"], one["action_id"])), None
    )


def state_of(element: Json, given: Any, known: list[Json]) -> Json:
    """What the client sends for one input: what it showed beforehand, or what the person put there."""
    kind = element["type"]
    offered = [*element.get("options", ()), *known]
    if kind in ("radio_buttons", "static_select", "external_select"):
        chosen = element.get("initial_option") if given is None else _pick(offered, given)
        return {"type": kind, "selected_option": chosen}
    if kind in ("checkboxes", "multi_static_select", "multi_external_select"):
        chosen = element.get("initial_options", []) if given is None else [_pick(offered, one) for one in given]
        return {"type": kind, "selected_options": chosen}
    if kind == "datepicker":
        return {"type": kind, "selected_date": given or element.get("initial_date")}
    if kind == "timepicker":
        return {"type": kind, "selected_time": given or element.get("initial_time")}
    if kind == "datetimepicker":
        return {"type": kind, "selected_date_time": given or element.get("initial_date_time")}
    if kind == "file_input":
        return {"type": kind, "files": given or []}
    value = element.get("initial_value") if given is None else str(given)
    if kind == "plain_text_input" and value:
        assert length(value) <= 3000, "Slack's client takes 3000 characters"
        assert element.get("multiline") or "\n" not in value, "one line only"
    if kind == "number_input" and value:
        assert element["is_decimal_allowed"] or "." not in value, "whole numbers only"
        low, high = float(element.get("min_value", "-inf")), float(element.get("max_value", "inf"))
        assert low <= float(value) <= high, f"{value} is not between {low} and {high}"
    return {"type": kind, "value": value or None}


def _pick(options: list[Json], wanted: Any) -> Json:
    for option in options:
        if wanted in (option["text"]["text"], option["value"]):
            return option
    raise AssertionError(f"no choice {wanted!r}; there are {[one['text']['text'] for one in options][:20]}")


def is_empty(state: Json) -> bool:
    """Whether a client would call the input unanswered."""
    return not any(value for key, value in state.items() if key != "type")


def fill(window: Window, answers: Json, suggested: dict[str, list[Json]], *, whole: bool = True) -> Json:
    """The state of a modal after somebody typed; AssertionError where the client would not let it go."""
    state: Json = {}
    for name, value in answers.items():
        window.typed[window.input(name)["block_id"]] = value
    for block in window.inputs:
        name, element = block["block_id"], block["element"]
        one = state_of(element, window.typed.get(name), suggested.get(name, []))
        missing = whole and is_empty(one) and not block.get("optional", False)
        assert not missing, f"{block['label']['text']!r} must be answered, says Slack's client"
        state[name] = {element["action_id"]: copy.deepcopy(one)}
    return state
