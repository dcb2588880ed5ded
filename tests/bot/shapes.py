"""Every shape of a question, what a person presses and fills in, and what the flow then goes on with."""

from dataclasses import dataclass, field
from typing import Any

PAUSE = "io.kestra.plugin.core.flow.Pause"
YES, TEXT = {"id": "ok", "type": "BOOLEAN"}, {"id": "why", "type": "STRING"}
PICK = {"id": "size", "type": "SELECT", "values": ["small", "large", "huge"]}
MANY = {**PICK, "values": [f"s{n}" for n in range(5)]}
COUNT = {"id": "count", "type": "INT", "min": 1}
LATER = {"id": "date", "type": "DATE", "defaults": "2026-03-01"}


@dataclass(frozen=True)
class Shape:
    """`button` is pressed, then the form filled by field, if one opens; `wanted` is what `onResume` holds afterwards;
    None: the run is ended."""

    name: str
    asks: list[dict[str, Any]]
    buttons: list[str]
    button: str
    filled: dict[str, Any] = field(default_factory=dict)
    wanted: dict[str, Any] | None = field(default_factory=dict)


SHAPES = [
    Shape("nothing, yes", [], ["Approve", "Reject…"], "Approve"),
    Shape("nothing, no", [], ["Approve", "Reject…"], "Reject…", wanted=None),
    Shape("yes", [YES], ["Approve", "Reject…"], "Approve", wanted={"ok": True}),
    Shape("no", [YES], ["Approve", "Reject…"], "Reject…", wanted={"ok": False}),
    Shape("yes and a text", [YES, TEXT], ["Approve", "Reject…", "Answer in form"], "Approve",
          wanted={"ok": True, "why": ""}),
    Shape("no and a text", [YES, TEXT], ["Approve", "Reject…", "Answer in form"], "Reject…", {"why": "too red"},
          {"ok": False, "why": "too red"}),
    Shape("a form for yes", [YES, TEXT, LATER], ["Approve", "Reject…", "Answer in form"], "Answer in form",
          {"ok": True, "why": "fine", "date": "2026-04-01"}, {"ok": True, "why": "fine", "date": "2026-04-01"}),
    Shape("a choice", [PICK], ["small", "large", "huge"], "large", wanted={"size": "large"}),
    Shape("a choice and a text", [PICK, TEXT], ["small", "large", "huge", "Answer in form"], "huge",
          wanted={"size": "huge", "why": ""}),
    Shape("five choices", [MANY], ["Answer…", "Cancel run"], "Answer…", {"size": "s4"}, {"size": "s4"}),
    Shape("a number", [COUNT, YES], ["Answer…", "Cancel run"], "Answer…", {"count": "3", "ok": True},
          {"count": 3, "ok": True}),
    Shape("cancelled", [COUNT], ["Answer…", "Cancel run"], "Cancel run", wanted=None),
    Shape("two yes or no", [YES, {**YES, "id": "sure"}], ["Answer…", "Cancel run"], "Answer…",
          {"ok": True, "sure": False}, {"ok": True, "sure": False}),
]  # fmt: skip
APPROVAL = """
id: gate
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Approval
    commentRequired: ON_DENY
    decisions: {approve: Ship, deny: Hold}
  - {id: after, type: io.kestra.plugin.core.log.Log, message: on}
"""


def flow(shape: Shape) -> str:
    """A flow that asks it."""
    import yaml

    wait: dict[str, Any] = {"id": "wait", "type": PAUSE} | ({"onResume": shape.asks} if shape.asks else {})
    after = {"id": "after", "type": "io.kestra.plugin.core.log.Log", "message": "on"}
    return yaml.safe_dump({"id": "gate", "namespace": "company.team", "tasks": [wait, after]}, allow_unicode=True)


def check(shape: Shape, ended: Any) -> None:
    """The run went on with what was answered, or was ended."""
    runs = {run.task_id: run for run in ended.task_runs.values()}
    assert ("after" in runs) == (shape.wanted is not None)
    if shape.wanted:
        assert runs["wait"].outputs["onResume"] == shape.wanted
