"""The names that a path in a template begins with: which there are, and what was meant by one that there is not."""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from engine.core.finding import Finding
from engine.core.template_reads import Read, of_read
from engine.core.yaml_text import Path
from engine.expressions import FUNCTIONS
from engine.expressions.access import has_method
from engine.expressions.trust import OUTSIDE_ROOTS

ROOTS = frozenset({"inputs", "outputs", "vars", "labels", "trigger", "execution", "taskrun", "flow"})
# Names that some templates have beside these: of triggers, tasks, webhooks, conditions, macros …
GIVEN = (
    ROOTS | OUTSIDE_ROOTS | {"task", "workerTaskrun", "envs", "globals", "kestra", "schedule", "response", "iteration"}
) - {"loop"}  # which a `{% for %}` gives
MEANT = ROOTS | {"task", "tasks", "envs", "globals", "parent", "parents", "item", "error", "workingDir", "outputDir"}
LIKE = 0.75  # how much of a name must be the same to be taken for a slip of the pen …
SURELY = 0.82  # … and where there may be names that nobody here knows
# What these names have, wherever they are read.
HAVE = {
    "flow": ("id", "namespace", "revision", "tenantId"),
    "task": ("id", "type"),
    "execution": ("id", "startDate", "endDate", "originalId", "state", "outputs"),
    "taskrun": ("id", "startDate", "attemptsCount", "parentId", "value", "iteration", "items"),
    "error": ("taskId", "message", "stackTrace"),
}
ITEM = ("index", "value", "key", "parent", "parents")  # what `item` has in a Loop
OPEN = frozenset({"execution", "taskrun"})  # … but for more in messages and messages about other runs
SLIPS = {"var": "vars", "variable": "vars", "variables": "vars", "param": "inputs", "params": "inputs"}
NOTHING = frozenset({"none", "nil", "undefined"})
INSIDE = {  # what people write by itself → where it stands
    "namespace": "flow.namespace",
    "flowId": "flow.id",
    "taskId": "task.id",
    "executionId": "execution.id",
    "startDate": "execution.startDate",
    "ds": "trigger.date | date('yyyy-MM-dd')",  # of Airflow …
    "ds_nodash": "trigger.date | date('yyyyMMdd')",
    "ts": "trigger.date",
    "execution_date": "trigger.date",
    "logical_date": "trigger.date",
    "data_interval_start": "trigger.date",
    "run_id": "execution.id",
}
# Names of other tools that no task gives to what it renders itself.
OF_NO_TASK = frozenset({"ds", "ds_nodash", "ts", "ti", "task_instance", "dag_run", "macros", "github", "matrix"})
_OF_DATES = re.compile(r"yy(?:yy)?|YYYY|MM|dd|DD|HH|yyyyMM(?:dd)?")
OF_TEXT = frozenset({"secret", "kv", "read", "env", "render", "fileExists", "fileSize", "isFileEmpty", "fileURI"})
ELSEWHERE: Mapping[str, Callable[[str], str]] = {
    "secrets": lambda name: f"Write `secret('{name}')`.",
    "env": lambda name: f"Write `envs.{name.lower()}`.",
    "secret": lambda name: f"Write `secret('{name}')`.",
    "kv": lambda name: f"Write `kv('{name}')`.",
}


OF_TOOLS: Mapping[str, Callable[[Sequence[str]], str]] = {  # names that other tools give → what does the same here
    "github": lambda rest: "What started the run is in `trigger`, for a Webhook in `trigger.body`.",
    "matrix": lambda rest: "Run the task in a ForEach, and write `taskrun.value`.",
    "each": lambda rest: "The value of a ForEach is `taskrun.value`.",
    "foreach": lambda rest: "The value of a ForEach is `taskrun.value`.",
    "loop": lambda rest: "In a ForEach the value is `taskrun.value`, and its number `taskrun.iteration`.",
    "namespace": lambda rest: _of_namespace(rest),
    "resume": lambda rest: "What a Pause was answered is in `outputs`, by its id: `outputs.ask.onResume`.",
    "onResume": lambda rest: "What a Pause was answered is in `outputs`, by its id: `outputs.ask.onResume`.",
    "webhook": lambda rest: "What started the run is in `trigger`, for a Webhook in `trigger.body`.",
    "steps": lambda rest: _of_step(rest),
    "needs": lambda rest: _of_step(rest),
    "jobs": lambda rest: _of_step(rest),
    "ti": lambda rest: "What a task hands on is read as `outputs.task.name`.",
    "task_instance": lambda rest: "What a task hands on is read as `outputs.task.name`.",
    "dag": lambda rest: "Write `flow.id`.",
    "dag_run": lambda rest: "Write `execution.id`; what a run is given is in `inputs`.",
    "macros": lambda rest: "Dates are moved by a filter: `trigger.date | dateAdd(-1, 'DAYS')`.",
}


def _of_step(rest: Sequence[str]) -> str:
    named = [one for one in rest if one not in ("outputs", "result")]
    return f"Write `outputs.{'.'.join(named)}`." if named else "What a task hands on is in `outputs`."


def _of_namespace(rest: Sequence[str]) -> str:
    stored = ".".join((f"kv('{rest[0]}')", *rest[1:])) if rest else "kv('…')"
    return f"Variables of a namespace are of Kestra's Enterprise Edition: keep it as a key, and write `{stored}`."


def nearest(root: str, like: float = LIKE) -> str:
    """The name that one is a slip of, "" when it is not as much like any."""
    if root in SLIPS:
        return SLIPS[root]
    lowered = {one.lower(): one for one in MEANT}
    near = get_close_matches(root.lower(), lowered, n=1, cutoff=like)
    return lowered[near[0]] if near else ""


def cause(root: str) -> str:
    """What a name that stands nowhere is told as: the letters of a date pattern together, any other by itself."""
    return "date" if _OF_DATES.fullmatch(root) else root


def advice(read: Read, *, is_subtracted: bool = False, is_compared: bool = False) -> str:
    """What to write for a path whose first name stands nowhere: behind a `-`, beside `==`, or elsewhere."""
    root, *rest = read.path
    if root in ELSEWHERE and rest:
        return ELSEWHERE[root](rest[0])
    if root in INSIDE and not rest:
        return f"Write `{INSIDE[root]}`."
    if root in OF_TOOLS:
        return OF_TOOLS[root](rest)
    if root.lower() in ("true", "false") and not rest:
        return f"Write `{root.lower()}`."
    if root.lower() in NOTHING and not rest:
        return "Write `null`."
    if near := nearest(root):
        return f"Did you mean `{near}`?"
    if root in FUNCTIONS:
        return f"It is a function: write `{root}({'' if _needs_nothing(root) else '…'})`."
    if _OF_DATES.fullmatch(root) and not rest:
        return "A pattern of dates stands in quotes: `date('yyyy-MM-dd')`."
    if (read.taker in OF_TEXT or is_compared) and not rest:
        return f"A text stands in quotes: `'{root}'`."
    if is_subtracted:
        return f"A `-` in a name is read as minus: write such a name in brackets, `['…-{root}']`."
    return "Values stand under `inputs`, `vars` and `outputs`; braces that are no template, in `{% raw %}`."


def of_item(path: Path, read: Read) -> Finding | None:
    """`item.name`: what the item of a Loop does not have."""
    if len(read.path) == 1 or read.path[1] in ITEM or has_method(read.path[1]):
        return None
    name = ".".join(read.path[1:])
    meant = "item.index" if name in ("iteration", "number", "i") else f"fromJson(item.value).{name}"
    return of_read(path, read, f"`item` has no `{read.path[1]}`.", "unknown-variable", f"Write `{meant}`.")


def part(read: Read) -> str:
    """What to write for a second name that the first does not have; "" when it may have it."""
    root, name = read.path[:2]
    if root == "execution" and name in ("status", "currentState"):
        return "Did you mean `execution.state`?"
    if name == "name" and "id" in HAVE[root]:
        return f"Did you mean `{root}.id`?"
    same = [one for one in HAVE[root] if one.lower() == name.lower()]
    near = same or get_close_matches(name, HAVE[root], n=1, cutoff=LIKE if root in OPEN else 0.5)
    if near:
        return f"Did you mean `{root}.{near[0]}`?"
    return "" if root in OPEN else f"It has {', '.join(HAVE[root])}."


def _needs_nothing(function: str) -> bool:
    return not FUNCTIONS[function].refusal(0, [])
