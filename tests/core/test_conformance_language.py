"""The conformance cases about the language itself: saving flows, typing inputs, schedules, conditions, defaults."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from engine.core.conditions import AnyCondition, Condition, ConditionContext, Upstream
from engine.core.dates import to_text
from engine.core.flow import Flow
from engine.core.flow_source import load
from engine.core.inputs import AnyInput, Input, resolve
from engine.core.plugin_defaults import apply
from engine.core.state import State
from engine.core.triggers import AnyTrigger, Scheduled, Trigger
from engine.core.yaml_text import plain, read
from engine.errors import FlowInvalid
from engine.tasks import catalogue
from engine.tasks.core.trigger.schedule import Schedule
from tests.core.language import renderer
from tests.shared import shared

KINDS = ("validate", "inputs", "schedule", "schedule_next", "schedule_execution", "condition", "plugin_defaults")
SCHEDULE = "io.kestra.plugin.core.trigger.Schedule"
CONTEXT = {"registry": catalogue()}


def of_kind(kind: str) -> list[dict[str, Any]]:
    document = plain(read(shared("conformance/engine_cases.yaml").read_text(encoding="utf-8")))
    return [case for case in document["cases"] if case["kind"] == kind]


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=to_text))


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def check_validate(case: dict[str, Any]) -> None:
    text = json.dumps(case["flow"], ensure_ascii=False)
    if case["expect"]["valid"]:
        assert isinstance(load(text, catalogue()), Flow)
        return
    with pytest.raises(FlowInvalid) as caught:
        load(text, catalogue())
    messages = [problem.message for problem in caught.value.problems]
    for part in case["expect"].get("errors_contain", []):
        assert any(part in message for message in messages), (part, messages)


def check_inputs(case: dict[str, Any]) -> None:
    declared: tuple[Input, ...] = TypeAdapter(tuple[AnyInput, ...]).validate_python(case["inputs_declaration"])
    found = resolve(declared, case["given"], renderer())
    expect = case["expect"]
    if "error_contains" in expect:
        assert expect["error_contains"] in found.problems[0].message
        return
    assert found.problems == ()
    assert as_json(found.values) == expect["typed"]
    assert found.enabled == expect.get("enabled", found.enabled)


def trigger_of(declared: dict[str, Any]) -> Scheduled:
    whole = {"id": "schedule", "type": SCHEDULE, **declared}
    trigger: Trigger = TypeAdapter(AnyTrigger).validate_python(whole, context=CONTEXT)
    assert isinstance(trigger, Scheduled)
    return trigger


def check_schedule(case: dict[str, Any]) -> None:
    trigger, at, expect = trigger_of(case["trigger"]), datetime.fromisoformat(case["evaluate_at"]), case["expect"]
    assert trigger.holds_at(at, renderer()) is expect["fires"]
    found = trigger.variables_at(at, renderer())
    assert {name: found.get(name) for name in ("date", "next", "previous") if name in expect} == {
        name: expect[name] for name in ("date", "next", "previous") if name in expect
    }
    if expect.get("next_absent"):
        assert "next" not in found


def check_schedule_next(case: dict[str, Any]) -> None:
    found = trigger_of(case["trigger"]).next_date(datetime.fromisoformat(case["after"]), renderer())
    assert found == datetime.fromisoformat(case["expect"]["next"])


def check_schedule_execution(case: dict[str, Any]) -> None:
    flow = load(json.dumps(case["flow"]), catalogue())
    (trigger,) = flow.triggers
    assert isinstance(trigger, Schedule)
    variables = trigger.variables_at(datetime.fromisoformat(case["fire_at"]), renderer())
    render = renderer({"trigger": variables, "schedule": variables})
    given = {
        name: render(value, {}, False) if isinstance(value, str) else value for name, value in trigger.inputs.items()
    }
    found = resolve(flow.inputs, given, render)
    assert as_json(found.values) == case["expect"]["inputs"]
    labels = dict(flow.labels) | {key: render(value, {}, False) for key, value in trigger.labels}
    assert labels.items() >= case["expect"]["labels_include"].items()
    assert variables.items() >= case["expect"]["trigger"].items()


def check_condition(case: dict[str, Any]) -> None:
    condition: Condition = TypeAdapter(AnyCondition).validate_python(case["condition"], context=CONTEXT)
    upstream = None
    if "execution" in case:
        given = case["execution"]
        upstream = Upstream(
            given["namespace"], given["flowId"], State(given["state"]), given["labels"], given["outputs"]
        )
    now = datetime(2024, 3, 1, tzinfo=UTC).isoformat()
    context = ConditionContext(renderer(), {"trigger": {"date": now}}, upstream)
    assert condition.holds(context) is case["expect"]


def check_plugin_defaults(case: dict[str, Any]) -> None:
    found = apply([case["task"]], case["flow_defaults"], case["global_defaults"])
    assert plain(found) == [case["expect"]]


def test_every_case_of_the_language(kind, subtests):
    cases = of_kind(kind)
    assert cases
    for case in cases:
        with subtests.test(case["id"]):
            globals()[f"check_{kind}"](case)
