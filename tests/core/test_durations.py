from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from engine.core.durations import LONGEST, Duration, parse, to_iso
from engine.core.executor.attempts import delay
from engine.core.property import Property
from engine.core.retries import Retry


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT5M6S", 306),
        ("P1D", 86_400),
        ("P2DT3H", 183_600),
        ("PT0.5S", 0.5),
        ("PT-1.5S", -1.5),
        ("-PT1H", -3600),
        ("pt10s", 10),
        ("PT36H", 129_600),
        ("P0D", 0),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "5M",
        "P1Y",
        "P1M",
        "PT1D",
        "10",
        "PT1,S5",
        "P99999999999D",
        "P365001D",
        "P1DT",
        "PT٣S",
        "P1W",
        "P1W2D",
    ],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a duration|is longer than"):
        parse(text)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=2), "PT48H"),
        (timedelta(0), "PT0S"),
        (timedelta(seconds=-0.5), "PT-0.5S"),
        (timedelta(hours=-1, minutes=-2), "PT-1H-2M"),
        (timedelta(minutes=5, seconds=6), "PT5M6S"),
        (timedelta(microseconds=1), "PT0.000001S"),
    ],
)
def test_a_duration_prints_as_in_java(length, text):
    assert to_iso(length) == text


@given(st.timedeltas(-LONGEST, LONGEST))
def test_reading_undoes_printing(length):
    assert parse(to_iso(length)) == length


@pytest.mark.parametrize("field", [Duration, Property[timedelta], Property[timedelta | None]])
@pytest.mark.parametrize("value", ["P365001D", "-P365001D", "999999999999", 1e300, float("inf"), float("nan"), 10**400])
def test_a_field_takes_no_duration_that_dates_can_not_be_counted_with(field, value):
    with pytest.raises(ValidationError, match="longer than 1,000 years"):
        TypeAdapter(field).validate_python(value)


FIELDS = [Duration, Property[timedelta], Property[timedelta | None]]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("written", "seconds"), [("PT1M", 60), ("90", 90), ("1.5", 1.5), (90, 90), ("P7D", 604_800)])
def test_a_field_takes_a_duration_or_seconds(field, written, seconds):
    assert TypeAdapter(field).validate_python(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("P1W", "days are the longest unit; write a week as `P7D`"),
        ("P1M", "days are the longest unit"),
        ("P1Y2M3DT4H", "days are the longest unit"),
        ("10:00", "'10:00' is not a duration; write it as `PT30S`"),
        ("30s", "is not a duration"),
        ("1 day", "is not a duration"),
        ("9" * 400, "is not a duration"),
    ],
)
def test_a_field_takes_nothing_else_for_a_duration(field, written, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(field).validate_python(written)


@pytest.mark.parametrize("factor", [1e200, 1e308, 2.0])
def test_waits_that_grow_stay_within_the_calendar(factor):
    policy = Retry(type="exponential", interval=timedelta(seconds=1), delay_factor=factor)
    assert all(delay(policy, number, "") <= LONGEST for number in range(1, 2000, 7))


@pytest.mark.parametrize("factor", [0, -2, float("nan"), float("inf")])
def test_waits_grow_by_a_number(factor):
    with pytest.raises(ValidationError):
        Retry(type="exponential", interval=timedelta(seconds=1), delay_factor=factor)
