"""Which runs a program means, by Kestra's query parameters. What is not known here is refused: left out, it would widen
what is done. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime

from bot.web.requests import Wrong
from engine.core.durations import parse as parse_duration
from engine.core.state import State
from engine.plugin import Selection

AFTER, BEFORE = "GREATER_THAN_OR_EQUAL_TO", "LESS_THAN_OR_EQUAL_TO"
WRITTEN = re.compile(r"filters\[(\w+)\]\[(\w+)\]", re.ASCII)
SHORT = {  # names without an operator, as they were written before Kestra had filters
    "namespace": "PREFIX",
    "flowId": "EQUALS",
    "state": "IN",
    "startDate": AFTER,
    "endDate": BEFORE,
    "timeRange": "EQUALS",
}
MEANT = {
    ("namespace", "EQUALS"): "namespace",
    ("namespace", "PREFIX"): "namespace",
    ("flowId", "EQUALS"): "flow",
    ("state", "EQUALS"): "state",
    ("state", "IN"): "state",
    ("startDate", AFTER): "since",
    ("endDate", AFTER): "since",
    ("timeRange", "EQUALS"): "since",
    ("startDate", BEFORE): "until",
    ("endDate", BEFORE): "until",
}
SHOWN = 60  # characters of what was sent that an answer repeats


def selection(given: Iterable[tuple[str, str]], now: datetime) -> Selection:
    """The runs that `filters[field][OPERATOR]=value` and their short forms mean; Wrong."""
    said: dict[str, tuple[str, str, str]] = {}
    for name, text in given:
        shaped = WRITTEN.fullmatch(name)
        field, operator = (shaped[1], shaped[2]) if shaped else (name, SHORT.get(name, ""))
        meant = MEANT.get((field, operator))
        if meant is None:
            raise Wrong(f"Runs can't be chosen by `{name[:SHOWN]}`. Use {', '.join(SHORT)}, or these as filters.")
        if not text:
            raise Wrong(f"`{name}` is empty.")
        if meant in said and meant != "state":
            raise Wrong(f"`{name}` says again what `{said[meant][0]}` says.")
        before = f"{said[meant][2]}," if meant in said else ""
        said[meant] = (name, operator, before + text)
    if not said:
        raise Wrong(f"Say to which runs: by {', '.join(SHORT)}.")
    _, how, space = said.get("namespace", ("", "", None))
    flow = said["flow"][2] if "flow" in said else None
    states = tuple(_state(word) for word in said["state"][2].split(",")) if "state" in said else ()
    since, until = (_moment(said[name], now) if name in said else None for name in ("since", "until"))
    return Selection(space, flow, states, since, until, below=how == "PREFIX")


def _state(word: str) -> State:
    if word not in State.__members__:
        raise Wrong(f"`{word[:SHOWN]}` is no state. Use {', '.join(State.__members__)}.")
    return State(word)


def _moment(said: tuple[str, str, str], now: datetime) -> datetime:
    name, operator, text = said
    try:
        if operator == "EQUALS":
            return now - parse_duration(text)
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError("no zone")
    except (ValueError, OverflowError) as error:
        wanted = "a duration: `PT24H`" if operator == "EQUALS" else "a date with a zone: `2026-01-31T00:00:00Z`"
        raise Wrong(f"`{name}` is {wanted}.") from error
    return found
