"""A test file as values, and what its assertions mean. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from engine.core.task import Part


class TaskFixture(Part):
    """What a task gives instead of running."""

    id: str
    description: str | None = None
    outputs: dict[str, Any] = Field(default_factory=dict)
    state: str = "SUCCESS"


class Fixtures(Part):
    """What a case starts from. `files` are texts by name; an input `file:///name` is that file."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    tasks: tuple[TaskFixture, ...] = ()
    trigger: dict[str, Any] | None = None


class Assertion(Part):
    """One thing that must hold of the ended run. `value` is a template; the others are rendered too."""

    value: str
    description: str | None = None
    error_message: str | None = None
    task_id: str | None = None
    equal_to: Any = None
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


class Expect(Part):
    """How the run must end, and texts that must stand in what it said to chat, in this order."""

    state: str | None = None
    messages: tuple[str, ...] = ()


class Case(Part):
    """One run of the flow. `now` is when it starts; `answers` are given to pauses by task id."""

    id: str
    type: str | None = None
    description: str | None = None
    disabled: bool = False
    fixtures: Fixtures = Fixtures()
    assertions: tuple[Assertion, ...] = ()
    now: datetime | None = None
    answers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    expect: Expect = Expect()


class Suite(Part):
    """A test file: the flow it is about, and its cases."""

    id: str
    namespace: str
    flow_id: str
    description: str | None = None
    disabled: bool = False
    test_cases: tuple[Case, ...] = Field(min_length=1)


CHECKS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "equal_to": ("be", lambda got, wanted: got == wanted),
    "not_equal_to": ("not be", lambda got, wanted: got != wanted),
    "greater_than": ("be more than", lambda got, wanted: float(got) > float(wanted)),
    "greater_than_or_equal_to": ("be at least", lambda got, wanted: float(got) >= float(wanted)),
    "less_than": ("be less than", lambda got, wanted: float(got) < float(wanted)),
    "less_than_or_equal_to": ("be at most", lambda got, wanted: float(got) <= float(wanted)),
    "starts_with": ("start with", lambda got, wanted: str(got).startswith(str(wanted))),
    "ends_with": ("end with", lambda got, wanted: str(got).endswith(str(wanted))),
    "contains": ("contain", lambda got, wanted: str(wanted) in str(got)),
    "is_in": ("be one of", lambda got, wanted: got in wanted),
    "not_in": ("be none of", lambda got, wanted: got not in wanted),
}


def judge(assertion: Assertion, got: Any, wanted: Mapping[str, Any]) -> str | None:
    """Why an assertion does not hold, or None. `wanted` holds its rendered operands by name."""
    for name, operand in wanted.items():
        verb, holds = CHECKS[name]
        given, meant = _alike(got, operand)
        try:
            held = holds(given, meant)
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


def _alike(got: Any, wanted: Any) -> tuple[Any, Any]:
    """A rendered text and a number or truth value written in YAML are compared as texts."""
    if isinstance(got, str) and isinstance(wanted, (bool, int, float)):
        return got, str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
    if isinstance(got, str) and isinstance(wanted, list):
        return got, [str(item) if not isinstance(item, str) else item for item in wanted]
    return got, wanted


def with_fixtures(document: Any, fixtures: Mapping[str, TaskFixture]) -> Any:
    """A flow's raw document in which the named tasks are stand-ins."""
    if isinstance(document, list):
        return [with_fixtures(item, fixtures) for item in document]
    if not isinstance(document, dict):
        return document
    fixture = fixtures.get(str(document.get("id"))) if isinstance(document.get("type"), str) else None
    if fixture is None:
        return {key: with_fixtures(value, fixtures) for key, value in document.items()}
    kept = {
        key: document[key] for key in ("runIf", "when", "allowFailure", "allowWarning", "disabled") if key in document
    }
    return {
        "id": fixture.id,
        "type": "parley.test.Fixture",
        "outputs": fixture.outputs,
        "state": fixture.state,
        **kept,
    }
