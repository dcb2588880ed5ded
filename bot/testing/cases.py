"""A test file as values, and what its assertions mean. Pure."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from engine.core.flow import Flow
from engine.core.flow_validation import tasks
from engine.core.state import State
from engine.core.task import Part

# Parts of a flow's document in which an `id` with a `type` is no task.
NO_TASKS = frozenset(
    ("inputs", "outputs", "triggers", "variables", "labels", "onResume", "pluginDefaults", "taskDefaults", "extend")
)
KEPT = ("description", "runIf", "when", "allowFailure", "allowWarning", "disabled")


class TaskFixture(Part):
    """What a task gives instead of running."""

    id: str
    description: str | None = None
    outputs: dict[str, Any] = Field(
        default_factory=dict, description="`{{ files['name'] }}` is a file of the fixtures."
    )
    state: Literal["SUCCESS", "WARNING", "FAILED"] = "SUCCESS"


class Fixtures(Part):
    """What a case starts from. `files` are texts by name: `{{ files['name'] }}`, `{{ fileURI('name') }}`, `file:///name`."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    tasks: tuple[TaskFixture, ...] = ()
    trigger: dict[str, Any] | None = None


class Assertion(Part):
    """One thing that must hold of the ended run. `value` is a template; what it is compared with is rendered too."""

    value: str
    description: str | None = None
    error_message: str | None = None
    task_id: str | None = Field(default=None, description="Render it as that task would, with its `taskrun`.")
    equal_to: Any = Field(default=None, validation_alias=AliasChoices("equalTo", "equalsTo"))
    not_equal_to: Any = None
    greater_than: Any = None
    greater_than_or_equal_to: Any = None
    less_than: Any = None
    less_than_or_equal_to: Any = None
    starts_with: Any = None
    ends_with: Any = None
    contains: Any = None
    is_in: Any = Field(default=None, alias="in")
    not_in: Any = None
    is_null: bool | None = None
    is_not_null: bool | None = None

    @property
    def operands(self) -> dict[str, Any]:
        """What the value is compared with, by operator."""
        return {name: getattr(self, name) for name in CHECKS if getattr(self, name) is not None}


class Expect(Part):
    """How the run must end, and texts that must stand in what it said to chat, in this order."""

    state: State | None = None
    messages: tuple[str, ...] = ()


class Case(Part):
    """One run. `now` is when it starts; `answers` are given to pauses by task id, of a list one at a time."""

    id: str
    type: str | None = None
    description: str | None = None
    disabled: bool = False
    fixtures: Fixtures = Fixtures()
    assertions: tuple[Assertion, ...] = ()
    now: datetime | None = None
    answers: dict[str, dict[str, Any] | tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    expect: Expect = Expect()


class Suite(Part):
    """A test file: the flow it is about, and its cases."""

    id: str
    namespace: str
    flow_id: str
    description: str | None = None
    disabled: bool = False
    test_cases: tuple[Case, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        if twice := _twice(one.id for one in self.test_cases):
            raise ValueError(f"two cases have the id `{twice[0]}`")
        return self


CHECKS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "equal_to": ("be", lambda got, wanted: got == wanted),
    "not_equal_to": ("not be", lambda got, wanted: got != wanted),
    "greater_than": ("be more than", lambda got, wanted: float(got) > float(wanted)),
    "greater_than_or_equal_to": ("be at least", lambda got, wanted: float(got) >= float(wanted)),
    "less_than": ("be less than", lambda got, wanted: float(got) < float(wanted)),
    "less_than_or_equal_to": ("be at most", lambda got, wanted: float(got) <= float(wanted)),
    "starts_with": ("start with", lambda got, wanted: _text(got).startswith(_text(wanted))),
    "ends_with": ("end with", lambda got, wanted: _text(got).endswith(_text(wanted))),
    "contains": ("contain", lambda got, wanted: _text(wanted) in _text(got)),
    "is_in": ("be one of", lambda got, wanted: any(_same(got, one) for one in _items(wanted))),
    "not_in": ("be none of", lambda got, wanted: not any(_same(got, one) for one in _items(wanted))),
}
EQUALITY = ("equal_to", "not_equal_to")


def judge(assertion: Assertion, got: Any, wanted: Mapping[str, Any]) -> str | None:
    """Why an assertion does not hold, or None. `wanted` holds its rendered operands by name."""
    if not wanted and assertion.is_null is None and assertion.is_not_null is None:
        return f"{assertion.value} is compared with nothing: give the assertion `equalTo`, for example, or `isNull`"
    for name, operand in wanted.items():
        verb, holds = CHECKS[name]
        try:
            held = _same(got, operand) == (name == "equal_to") if name in EQUALITY else holds(got, operand)
        except (TypeError, ValueError):
            held = False
        if not held:
            return assertion.error_message or f"{assertion.value} must {verb} {operand!r}, and is {got!r}"
    empty = got is None or got == ""
    if (assertion.is_null and not empty) or (assertion.is_not_null is False and not empty):
        return assertion.error_message or f"{assertion.value} must be null, and is {got!r}"
    if (assertion.is_not_null and empty) or (assertion.is_null is False and empty):
        return assertion.error_message or f"{assertion.value} must not be null"
    return None


def misfits(case: Case, flow: Flow) -> Iterator[str]:
    """What a case names that its flow does not have."""
    known = {task.id: task for _, task in tasks(flow)}
    named = [
        *((fixture.id, "fixtures") for fixture in case.fixtures.tasks),
        *((one.task_id, "assertions") for one in case.assertions if one.task_id is not None),
    ]
    for name, where in named:
        if name not in known:
            yield f"{where} name a task {name!r}, which the flow does not have"
    for name in case.answers:
        if not hasattr(known.get(name), "on_resume") and type(known.get(name)).__name__ != "Approval":
            yield f"answers name {name!r}, which is no pause of the flow"
    twice = _twice(fixture.id for fixture in case.fixtures.tasks)
    yield from (f"fixtures stand in for the task {name!r} twice" for name in twice)


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def with_fixtures(document: Any, fixtures: Mapping[str, TaskFixture]) -> Any:
    """A flow's raw document in which the named tasks are stand-ins."""
    if isinstance(document, list):
        return [with_fixtures(item, fixtures) for item in document]
    if not isinstance(document, dict):
        return document
    fixture = fixtures.get(str(document.get("id"))) if isinstance(document.get("type"), str) else None
    if fixture is None:
        return {key: value if key in NO_TASKS else with_fixtures(value, fixtures) for key, value in document.items()}
    return {
        "id": fixture.id,
        "type": "parley.test.Fixture",
        "outputs": fixture.outputs,
        "state": fixture.state,
        **{key: document[key] for key in KEPT if key in document},
    }


def _text(value: Any) -> str:
    """A value as a template prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "" if value is None else str(value)


def _same(got: Any, wanted: Any) -> bool:
    """Whether a rendered value is what was written in YAML: as text, as a number, or as JSON."""
    if got == wanted or _text(got) == _text(wanted):
        return True
    if isinstance(got, str) and isinstance(wanted, dict | list):
        try:
            return bool(json.loads(got) == wanted)
        except ValueError:
            return False
    numbers = isinstance(wanted, int | float) and not isinstance(wanted, bool)
    try:
        return numbers and not isinstance(got, bool) and float(got) == float(wanted)
    except (TypeError, ValueError):
        return False


def _items(wanted: Any) -> list[Any]:
    """The list an operator wants; text may hold it as JSON."""
    read = json.loads(wanted) if isinstance(wanted, str) else wanted
    if not isinstance(read, list):
        raise TypeError("not a list")
    return read
