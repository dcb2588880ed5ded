from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from engine.core.conditions import AnyCondition, Condition, ConditionContext, Upstream
from engine.core.state import State
from engine.core.time_windows import TimeWindow
from engine.core.triggers import AnyTrigger, Trigger
from engine.errors import ExpressionFailed
from engine.tasks import catalogue
from engine.tasks.core.trigger.flow import Flow as FlowTrigger
from tests.core.language import renderer

CORE = "io.kestra.plugin.core"
CONTEXT = {"registry": catalogue()}
AT = datetime(2024, 3, 1, 10, 30, tzinfo=UTC)


def trigger(kind: str, **properties: Any) -> Any:
    made: Trigger = TypeAdapter(AnyTrigger).validate_python(
        {"id": "t", "type": f"{CORE}.trigger.{kind}", **properties}, context=CONTEXT
    )
    return made


def condition(kind: str, **properties: Any) -> Condition:
    made: Condition = TypeAdapter(AnyCondition).validate_python(
        {"type": f"{CORE}.condition.{kind}", **properties}, context=CONTEXT
    )
    return made


def upstream(flow_id: str = "a", state: str = "SUCCESS", **more: Any) -> Upstream:
    return Upstream("company.team", flow_id, State(state), **more)


def context(execution: Upstream | None = None, **variables: Any) -> ConditionContext:
    return ConditionContext(renderer(variables), {}, execution)


def holds(kind: str, execution: Upstream | None = None, **properties: Any) -> bool:
    return condition(kind, **properties).holds(context(execution))


@pytest.mark.parametrize(
    ("kind", "properties", "expected"),
    [
        ("DayWeek", {"date": "2013-09-09", "dayOfWeek": "MONDAY"}, True),
        ("PublicHoliday", {"date": "2024-12-25", "country": "FR"}, True),
        ("PublicHoliday", {"date": "2024-12-26", "country": "FR"}, False),
        ("PublicHoliday", {"date": "2024-01-06", "country": "DE", "subDivision": "BY"}, True),
        ("PublicHoliday", {"date": "2024-11-11", "country": "FR", "subDivision": "IDF"}, True),
        ("PublicHoliday", {"date": "2024-07-04"}, True),
        ("DayWeekInMonth", {"date": "2024-03-29", "dayOfWeek": "FRIDAY", "dayInMonth": "LAST"}, True),
        ("DayWeekInMonth", {"date": "2024-03-22", "dayOfWeek": "FRIDAY", "dayInMonth": "LAST"}, False),
        ("DayWeekInMonth", {"date": "2024-03-29", "dayOfWeek": "FRIDAY", "dayInMonth": "FOURTH"}, False),
        ("Weekend", {"date": "2013-09-09"}, False),
        ("WeekendCondition", {"date": "2013-09-08T23:59:59+02:00"}, True),
        ("DateTimeBetween", {"date": "2013-09-08T10:00:00Z", "after": "2013-09-08T10:00:00Z"}, False),
        ("DateTimeBetween", {"date": "2013-09-08T10:00:00Z", "before": "2013-09-08T12:30:00+02:00"}, True),
        ("TimeBetween", {"date": "2024-02-21T16:19:12+02:00", "before": "14:19:13Z"}, True),
        ("TimeBetween", {"date": "2024-02-21T16:19:12+02:00", "before": "14:19:12Z"}, False),
        ("Not", {"conditions": [{"type": f"{CORE}.condition.Weekend", "date": "2013-09-09"}]}, True),
        ("Expression", {"expression": "0"}, True),
        ("Expression", {"expression": " false "}, False),
        ("Expression", {"expression": ""}, False),
        ("ExpressionCondition", {"expression": "anything"}, True),
    ],
)
def test_a_condition_on_a_date(kind, properties, expected):
    assert holds(kind, **properties) is expected


@pytest.mark.parametrize(
    ("kind", "properties", "expected"),
    [
        ("ExecutionFlow", {"namespace": "company.team", "flowId": "a"}, True),
        ("ExecutionFlow", {"namespace": "company", "flowId": "a"}, False),
        ("ExecutionNamespace", {"namespace": "company", "prefix": True}, True),
        ("ExecutionNamespace", {"namespace": "company"}, False),
        ("ExecutionNamespace", {"namespace": "team", "comparison": "SUFFIX"}, True),
        ("ExecutionStatus", {"in": ["FAILED"]}, False),
        ("ExecutionStatus", {"in": ["SUCCESS"], "notIn": ["SUCCESS"]}, False),
        ("ExecutionStatusCondition", {"notIn": ["FAILED"]}, True),
        ("ExecutionLabels", {"labels": {"team": "red"}}, True),
        ("ExecutionLabels", {"labels": [{"key": "team", "value": "blue"}]}, False),
        ("ExecutionOutputs", {"expression": "true"}, False),
        ("HasRetryAttempt", {"in": ["FAILED"]}, True),
        ("HasRetryAttempt", {"in": ["WARNING"]}, False),
    ],
)
def test_a_condition_on_an_execution(kind, properties, expected):
    execution = upstream(labels={"team": "red"}, attempts=((State.FAILED, State.SUCCESS), (State.WARNING,)))
    assert holds(kind, execution, **properties) is expected


def test_a_condition_on_an_execution_needs_one():
    with pytest.raises(ExpressionFailed, match="Use it in a Flow trigger only"):
        holds("ExecutionStatus", **{"in": ["SUCCESS"]})


def test_outputs_are_seen_by_their_condition():
    execution = upstream(outputs={"n": 5})
    assert holds("ExecutionOutputs", execution, expression="{{ trigger.outputs.n > 4 }}")
    assert not holds("ExecutionOutputs", execution, expression="{{ trigger.outputs.n > 5 }}")


@pytest.mark.parametrize("bad", [{"after": "25:00:00Z"}, {"before": "soon"}])
def test_a_time_that_is_none_is_refused(bad):
    with pytest.raises((ValidationError, ExpressionFailed)):
        condition("TimeBetween", **bad)


def test_a_schedule_without_a_zone_uses_that_of_the_question():
    daily = trigger("Schedule", cron="@daily")
    berlin = datetime.fromisoformat("2024-03-01T10:30:00+01:00")
    assert daily.next_date(berlin, renderer()).isoformat() == "2024-03-02T00:00:00+01:00"
    assert daily.variables_at(AT, renderer())["date"] == "2024-03-01T10:30:00+00:00"


def test_conditions_of_both_names_all_have_to_hold():
    monday = {"type": f"{CORE}.condition.DayWeek", "dayOfWeek": "MONDAY"}
    morning = {"type": f"{CORE}.condition.TimeBetween", "after": "08:00:00Z", "before": "10:00:00Z"}
    both = trigger("Schedule", cron="0 * * * *", conditions=[monday], scheduleConditions=[morning])
    assert both.next_date(AT, renderer()) == datetime(2024, 3, 4, 9, tzinfo=UTC)


def test_conditions_skip_dates_and_whole_days():
    first_monday = trigger(
        "Schedule",
        cron="* * * * * *",
        withSeconds=True,
        conditions=[{"type": f"{CORE}.condition.DayWeekInMonth", "dayOfWeek": "MONDAY", "dayInMonth": "FIRST"}],
    )
    assert first_monday.next_date(AT, renderer()) == datetime(2024, 3, 4, tzinfo=UTC)
    assert first_monday.previous_date(AT, renderer()) == datetime(2024, 2, 5, 23, 59, 59, tzinfo=UTC)


def test_a_schedule_keeps_to_a_span_of_dates():
    span = "{{ trigger.date > '2024-03-10T00:00:00Z' and trigger.date < '2024-03-12T02:00:00+02:00' }}"
    spanning = trigger("Schedule", cron="0 0 * * *", when=span)
    assert spanning.next_date(AT, renderer()) == datetime(2024, 3, 11, tzinfo=UTC)
    assert spanning.next_date(datetime(2024, 3, 11, tzinfo=UTC), renderer()) is None


def test_a_date_that_never_comes_is_none():
    never = trigger("Schedule", cron="0 0 * * *", when="{{ false }}")
    assert never.next_date(AT, renderer()) is None
    assert not never.holds_at(AT, renderer())


def test_a_condition_that_can_not_be_rendered_fires_and_then_says_why():
    broken = trigger("Schedule", cron="@daily", when="{{ nothing.at.all }}")
    date = broken.next_date(AT, renderer())
    assert date == datetime(2024, 3, 2, tzinfo=UTC)
    with pytest.raises(ExpressionFailed):
        broken.holds_at(date, renderer())


def test_dates_of_a_list_come_in_order_once_each():
    listed = trigger(
        "ScheduleOnDates",
        timezone="Europe/Paris",
        dates=["2024-03-05T10:00:00Z", "2024-03-02T08:00:00", "2023-01-01T00:00:00Z"],
    )
    first = listed.next_date(AT, renderer())
    second = listed.next_date(first, renderer())
    assert [first.isoformat(), second.isoformat()] == ["2024-03-02T08:00:00+01:00", "2024-03-05T11:00:00+01:00"]
    assert listed.next_date(second, renderer()) is None
    assert listed.previous_date(AT, renderer()).year == 2023


def test_dates_of_a_list_come_in_order_where_the_clock_shows_an_hour_twice():
    first, second, third = "2027-10-31T02:45:00+02:00", "2027-10-31T02:15:00+01:00", "2027-10-31T02:50:00+01:00"
    listed = trigger("ScheduleOnDates", timezone="Europe/Berlin", dates=[third, first, second])
    found = [datetime(2027, 10, 30, tzinfo=UTC)]
    for _ in range(3):
        found.append(listed.next_date(found[-1], renderer()))
    assert [date.isoformat() for date in found[1:]] == [first, second, third]
    assert listed.next_date(found[-1], renderer()) is None
    assert listed.previous_date(found[2], renderer()).isoformat() == first


@pytest.mark.parametrize("dates", ["{{ vars.dates }}", ["{{ vars.dates[0] }}", "2024-03-09T00:00:00Z"]])
def test_dates_may_be_templates(dates):
    listed = trigger("ScheduleOnDates", dates=dates)
    render = renderer({"vars": {"dates": ["2024-03-05T10:00:00Z"]}})
    assert listed.next_date(AT, render) == datetime(2024, 3, 5, 10, tzinfo=UTC)
    assert listed.variables_at(AT, render)["next"] == "2024-03-05T10:00:00+00:00"
    with pytest.raises(ExpressionFailed, match="is not a date"):
        trigger("ScheduleOnDates", dates=["{{ 'soon' }}"]).next_date(AT, renderer())


@given(st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)))
def test_a_window_holds_its_moment(naive):
    now = naive.replace(tzinfo=UTC)
    for window in (
        TimeWindow(),
        TimeWindow(window=timedelta(hours=5), window_advance=timedelta(hours=2)),
        TimeWindow(type="SLIDING_WINDOW", window=timedelta(hours=1)),
    ):
        start, end = window.bounds(now)
        assert start <= now < end


def test_daily_windows():
    deadline = TimeWindow(type="DAILY_TIME_DEADLINE", deadline="09:00:00")
    morning, noon = datetime(2024, 3, 1, 8, tzinfo=UTC), datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert deadline.bounds(morning) == (datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 1, 9, tzinfo=UTC))
    assert deadline.bounds(noon)[0] == deadline.bounds(noon)[1]
    office = TimeWindow(type="DAILY_TIME_WINDOW", start_time="09:00:00", end_time="17:00:00")
    assert office.bounds(noon) == (datetime(2024, 3, 1, 9, tzinfo=UTC), datetime(2024, 3, 1, 17, tzinfo=UTC))
    assert office.bounds(morning)[0] == office.bounds(morning)[1]


@pytest.mark.parametrize(
    "when",
    [
        "{{ trigger.namespace startsWith 'company' }}",
        "{{ namespace | startsWith('company') and flowId == 'a' }}",
        "{{ state != 'SUCCESS' }}",
        "{{ trigger.executionStatus == 'FAILED' }}",
        "{{ hasRetryAttempt == true }}",
    ],
)
def test_a_flow_trigger_asks_about_the_execution_by_any_name(when):
    seen = ConditionContext(renderer(), {"trigger": {"namespace": "company.team"}})
    retried = upstream("a", "FAILED", attempts=((State.FAILED, State.FAILED),))
    other = Upstream("other.team", "b", State.SUCCESS, attempts=((State.SUCCESS,),))
    elsewhere = ConditionContext(renderer(), {"trigger": {"namespace": "other.team"}})
    part: FlowTrigger = trigger("Flow", dependsOn=[{"when": when}])
    assert any(part.met(retried, seen).values())
    assert not any(part.met(other, elsewhere).values())
    whole: FlowTrigger = trigger("Flow", when=when)
    assert whole.looks_at(retried, seen)
    assert not whole.looks_at(other, elsewhere)


def test_a_flow_trigger_looks_at_ended_executions_that_meet_its_conditions():
    found: FlowTrigger = trigger(
        "Flow", conditions=[{"type": f"{CORE}.condition.ExecutionFlow", "namespace": "company.team", "flowId": "a"}]
    )
    assert found.looks_at(upstream("a"), context())
    assert not found.looks_at(upstream("b"), context())
    assert not found.looks_at(upstream("a", "RUNNING"), context())
    assert found.needed() == ()


def test_several_conditions_are_met_by_several_executions():
    found: FlowTrigger = trigger(
        "Flow",
        conditions=[
            {
                "id": "both",
                "type": f"{CORE}.condition.MultipleCondition",
                "window": "P1D",
                "conditions": {
                    "a": {"type": f"{CORE}.condition.ExecutionFlow", "namespace": "company.team", "flowId": "a"},
                    "b": {"type": f"{CORE}.condition.ExecutionFlow", "namespace": "company.team", "flowId": "b"},
                },
            }
        ],
    )
    (needed,) = found.needed()
    first, second = found.met(upstream("a"), context())["both"], found.met(upstream("b"), context())["both"]
    assert (first, second) == ({"a"}, {"b"})
    assert not needed.enough(first)
    assert needed.enough(first | second)
    assert needed.window.bounds(AT) == (datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("more", "enough"),
    [
        ({}, False),
        ({"mode": "ANY"}, True),
        ({"mode": "AT_LEAST", "minSatisfied": 1}, True),
        ({"mode": "AT_LEAST", "minSatisfied": 2}, False),
    ],
)
def test_depends_on(more, enough):
    parts = [{"namespace": "company.team", "flowId": name, "states": ["SUCCESS"]} for name in ("a", "b")]
    found: FlowTrigger = trigger("Flow", dependsOn=parts, window={"lookback": "PT2H"}, **more)
    (needed,) = found.needed()
    assert found.looks_at(upstream("a"), context())
    met = found.met(upstream("a"), context())[needed.key]
    assert needed.enough(met) is enough
    assert found.met(upstream("a", "FAILED"), context())[needed.key] == frozenset()
    assert needed.window.window == timedelta(hours=2)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"field": "FLOW_ID", "type": "EQUAL_TO", "value": "a"}, True),
        ({"field": "FLOW_ID", "type": "NOT_EQUAL_TO", "value": "a"}, False),
        ({"field": "NAMESPACE", "type": "STARTS_WITH", "value": "company"}, True),
        ({"field": "NAMESPACE", "type": "ENDS_WITH", "value": "company"}, False),
        ({"field": "NAMESPACE", "type": "REGEX", "value": "company\\..*"}, True),
        ({"field": "NAMESPACE", "type": "CONTAINS", "value": "any.t"}, True),
        ({"field": "STATE", "type": "IN", "values": ["SUCCESS", "WARNING"]}, True),
        ({"field": "STATE", "type": "NOT_IN", "values": ["SUCCESS"]}, False),
        ({"field": "EXPRESSION", "type": "IS_TRUE", "value": "yes"}, True),
        ({"field": "EXPRESSION", "type": "IS_FALSE", "value": "0"}, True),
        ({"field": "EXPRESSION", "type": "IS_NULL", "value": ""}, True),
        ({"field": "EXPRESSION", "type": "IS_NOT_NULL", "value": ""}, False),
    ],
)
def test_preconditions(filters, expected):
    found: FlowTrigger = trigger("Flow", preconditions={"id": "p", "where": [{"id": "w", "filters": [filters]}]})
    (needed,) = found.needed()
    assert needed.enough(found.met(upstream("a"), context())["p"]) is expected


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("Flow", {"mode": "AT_LEAST", "dependsOn": [{"flowId": "a"}]}),
        ("Flow", {"mode": "AT_LEAST", "minSatisfied": 2, "dependsOn": [{"flowId": "a"}]}),
        ("Flow", {"mode": "AT_LEAST", "minSatisfied": 1}),
        (
            "Flow",
            {
                "preconditions": {
                    "id": "p",
                    "where": [{"id": "w", "filters": [{"field": "STATE", "type": "REGEX", "value": "["}]}],
                }
            },
        ),
        ("Webhook", {"key": "x" * 257}),
        ("Webhook", {}),
        ("ScheduleOnDates", {"dates": ["tomorrow"]}),
        ("ScheduleOnDates", {"dates": ["0001-01-01T00:00:00"]}),
        ("ScheduleOnDates", {"dates": ["9999-12-31T23:59:59-10:00"]}),
        ("Schedule", {"cron": "@daily", "recoverMissedSchedules": "SOME"}),
    ],
)
def test_a_wrong_trigger_is_refused(kind, properties):
    with pytest.raises(ValidationError):
        trigger(kind, **properties)


def test_a_window_lies_in_its_own_zone():
    midday = datetime(2024, 7, 1, 12, tzinfo=UTC)
    office = TimeWindow(type="DAILY_TIME_WINDOW", start_time="09:00", end_time="17:00", timezone="America/New_York")
    start, end = office.bounds(midday)
    assert start == end, "it is eight in New York"
    start, end = office.bounds(midday + timedelta(hours=2))
    assert (start, end) == (datetime(2024, 7, 1, 13, tzinfo=UTC), datetime(2024, 7, 1, 21, tzinfo=UTC))
    early = TimeWindow(type="DAILY_TIME_DEADLINE", deadline="09:00:00+01:00")
    assert early.bounds(midday - timedelta(hours=5))[1] == datetime(2024, 7, 1, 8, tzinfo=UTC)
    assert early.bounds(midday - timedelta(hours=4))[0] == early.bounds(midday - timedelta(hours=4))[1], "it is nine"
    day = TimeWindow(timezone="Asia/Tokyo").bounds(midday + timedelta(hours=6))
    assert day == (datetime(2024, 7, 1, 15, tzinfo=UTC), datetime(2024, 7, 2, 15, tzinfo=UTC))


@pytest.mark.parametrize(
    ("window", "kind"),
    [
        ({"deadline": "09:00:00"}, "DAILY_TIME_DEADLINE"),
        ({"from": "09:00:00", "to": "17:00:00"}, "DAILY_TIME_WINDOW"),
        ({"lookback": "PT1H"}, "SLIDING_WINDOW"),
        ({"every": "PT6H", "offset": "PT1H"}, "DURATION_WINDOW"),
        ({"offset": "PT1H"}, "DURATION_WINDOW"),
        ({}, "DURATION_WINDOW"),
    ],
)
def test_every_kind_of_newer_window(window, kind):
    found: FlowTrigger = trigger("Flow", dependsOn=[{"namespace": "a"}], window={**window, "timezone": "Europe/Paris"})
    (needed,) = found.needed()
    assert (needed.window.type, needed.window.timezone, needed.reset) == (kind, "Europe/Paris", False)
    once: FlowTrigger = trigger("Flow", dependsOn=[{"namespace": "a"}], window={**window, "fireOnce": True})
    assert once.needed()[0].reset


def test_what_was_met_without_a_window_must_be_met_again():
    found: FlowTrigger = trigger("Flow", dependsOn=[{"namespace": "a"}, {"namespace": "b"}])
    assert found.needed()[0].reset


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"from": "09:00:00"}, "`from` and `to`, or neither"),
        ({"deadline": "09:00:00", "lookback": "PT1H"}, "of one kind, but has `deadline` and `lookback`"),
        ({"timezone": "Mars/Olympus"}, "no time zone"),
    ],
)
def test_a_window_that_is_none(window, said):
    with pytest.raises(ValidationError, match=said):
        trigger("Flow", dependsOn=[{"namespace": "a"}], window=window)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("EQUAL_TO", "team:red", True),
        ("EQUAL_TO", "team:blue", False),
        ("NOT_EQUAL_TO", "size:1", True),
        ("IS_NOT_NULL", "team", True),
        ("IS_NULL", "team", False),
        ("IS_NULL", "size", True),
        ("STARTS_WITH", "team:re", True),
        ("IN", ["team:blue", "team:red"], True),
        ("NOT_IN", ["team:blue"], True),
    ],
)
def test_a_precondition_on_a_label(kind, value, expected):
    given = {"values": value} if isinstance(value, list) else {"value": value}
    where = [{"id": "w", "filters": [{"field": "LABEL", "type": kind, **given}]}]
    found: FlowTrigger = trigger("Flow", preconditions={"id": "p", "where": where})
    met = found.met(upstream(labels={"team": "red"}), context())
    assert met == {"p": frozenset({"where:w"} if expected else set())}


def test_what_a_flow_waits_for_may_be_of_any_namespace_in_newer_flows_only():
    found: FlowTrigger = trigger("Flow", id="t", dependsOn=[{"states": ["SUCCESS"]}])
    assert found.met(upstream(), context())["t:dependsOn"]
    assert not found.met(upstream(state="FAILED"), context())["t:dependsOn"]
    with pytest.raises(ValidationError, match="`namespace` is missing"):
        trigger("Flow", preconditions={"id": "p", "flows": [{"flowId": "a"}]})


def test_older_names_of_the_window_of_several_conditions():
    part = {"type": f"{CORE}.condition.ExecutionFlow", "namespace": "a", "flowId": "b"}
    for name in ("sla", "timeSLA", "timeWindow"):
        found = condition("MultipleCondition", id="m", conditions={"a": part}, **{name: {"window": "PT12H"}})
        assert found.span.window == timedelta(hours=12)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"returnOutputs": True}, "`returnOutputs` requires `wait: true`"),
        ({"responseCode": 201}, "`responseCode` requires `wait: true`"),
        ({"wait": True, "responseContentType": "text/plain"}, "requires `wait` and `returnOutputs`"),
        ({"wait": True, "returnOutputs": True, "responseContentType": "text/html"}, "text/plain"),
        ({"conditions": [{"type": f"{CORE}.condition.MultipleCondition", "id": "m", "conditions": {}}]}, "conditions"),
    ],
)
def test_a_webhook_that_cannot_answer_so(more, said):
    with pytest.raises(ValidationError, match=said):
        trigger("Webhook", key="k", **more)
