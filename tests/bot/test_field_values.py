"""What is typed into a field becomes its value, or says why not."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.spoken_times import read_duration
from bot.conversation import Attachment, Field, FieldType, Option
from bot.forms.values import FieldInvalid, Reader, value_of
from engine.core.durations import to_iso

# A Tuesday, half past eleven in the evening in London's winter.
READER = Reader(datetime(2026, 3, 24, 23, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
COLOURS = (Option("red", "red"), Option("green", "green"), Option("dark-green", "dark-green"))


def field(kind, **more):
    return Field("x", kind, "X", **more)


@pytest.mark.parametrize(
    ("asked", "typed", "value"),
    [
        (field("STRING"), " kept as it is ", " kept as it is "),
        (field("STRING"), {"a": 1}, '{"a": 1}'),
        (field("INT"), "42", 42),
        (field("INT"), " 1_000 ", 1000),
        (field("INT"), "-7", -7),
        (field("INT"), 5, 5),
        (field("INT", minimum="1", maximum="5"), "5", 5),
        (field("FLOAT"), "3.14", 3.14),
        (field("FLOAT"), "1e3", 1000.0),
        (field("BOOLEAN"), True, True),
        (field("BOOLEAN"), "Yes", True),
        (field("BOOLEAN"), "off", False),
        (field("SELECT", options=COLOURS), "red", "red"),
        (field("SELECT", options=COLOURS), "RED", "red"),
        (field("SELECT", options=COLOURS), "gr", "green"),
        (field("SELECT", options=COLOURS, allow_custom=True), "mauve", "mauve"),
        (field("SELECT", options=COLOURS, allow_custom=True), "gr", "gr"),
        (field("MULTISELECT", options=COLOURS), "red, gr", ["red", "green"]),
        (field("MULTISELECT", options=COLOURS), ["red", "red"], ["red"]),
        (field("MULTISELECT", options=COLOURS), '["dark-green"]', ["dark-green"]),
        (field("DATE"), "2026-03-31", "2026-03-31"),
        (field("DATE"), "tomorrow", "2026-03-26"),  # in Berlin it is Wednesday already
        (field("DATE"), "in 3 days", "2026-03-28"),
        (field("DATE"), "next friday", "2026-03-27"),
        (field("DATE"), "wed", "2026-04-01"),
        (field("TIME"), "14:30", "14:30:00"),
        (field("TIME"), "9:05", "09:05:00"),
        (field("TIME"), "2pm", "14:00:00"),
        (field("TIME"), "12:15 am", "00:15:00"),
        (field("DATETIME"), "2026-03-31T14:00Z", "2026-03-31T14:00:00Z"),
        (
            field("DATETIME"),
            "2026-03-31 14:00",
            "2026-03-31T12:00:00Z",
        ),  # the reader's zone, after the change to summer time
        (field("DATETIME"), "1774965600", "2026-03-31T14:00:00Z"),
        (field("DATETIME"), "tomorrow 14:00", "2026-03-26T13:00:00Z"),
        (field("DATETIME"), "in 2 hours", "2026-03-25T01:30:00Z"),
        (field("DURATION"), "PT1H30M", "PT1H30M"),
        (field("DURATION"), "1h30m", "PT1H30M"),
        (field("DURATION"), "2 days", "PT48H"),
        (field("DURATION"), "90 minutes and 30 s", "PT1H30M30S"),
        (field("JSON"), '{"a": [1]}', '{"a": [1]}'),
        (field("JSON"), {"a": [1]}, '{"a": [1]}'),
        (field("YAML"), "a: 1", "a: 1"),
        (field("ARRAY", item_type="INT"), "1, 2", [1, 2]),
        (field("ARRAY", item_type="STRING"), "a\nb, c", ["a", "b, c"]),
        (field("ARRAY", item_type="JSON"), '[{"a": 1}]', [{"a": 1}]),
        (field("URI"), " http://a.test ", "http://a.test"),
        (field("EMAIL"), "a@b.test", "a@b.test"),
        (field("FILE"), [Attachment("a.png", "/tmp/a", 3)], Attachment("a.png", "/tmp/a", 3)),
        (field("FILE", several=True), Attachment("a.png", "/tmp/a", 3), [Attachment("a.png", "/tmp/a", 3)]),
        (field("FILE", several=True), [Attachment("a.png", "/tmp/a", 3)] * 2, [Attachment("a.png", "/tmp/a", 3)] * 2),
    ],
)
def test_typed_becomes_value(asked, typed, value):
    assert value_of(asked, typed, READER) == value


@pytest.mark.parametrize(
    ("asked", "typed", "code", "says"),
    [
        (field("INT"), "three", "E06", "`x`: `three` is not a whole number. Example: `x=3`."),
        (field("INT"), "3.5", "E06", "not a whole number"),
        (field("INT"), True, "E06", "not a whole number"),
        (field("INT"), "9" * 19, "E06", "64 bits"),
        (field("INT"), "\u0663", "E06", "not a whole number"),
        (field("INT", minimum="1", maximum="5"), "6", "E07", "`x` must be between 1 and 5; you gave `6`."),
        (field("INT", minimum="1"), "0", "E07", "at least 1"),
        (field("FLOAT"), "3,14", "E06", "write `3.14`"),
        (field("FLOAT"), "nan", "E06", "not a number"),
        (field("FLOAT", maximum="1"), "1.5", "E07", "at most 1"),
        (field("BOOLEAN"), "maybe", "E06", "not yes or no"),
        (
            field("SELECT", options=COLOURS),
            "gren",
            "E08",
            "is not one of `red`, `green`, `dark-green`. Did you mean `green`?",
        ),
        (field("SELECT", options=COLOURS), "", "E08", "an empty text is not one of"),
        (field("MULTISELECT", options=COLOURS), "red, blue", "E08", "`blue` is not one of"),
        (
            field("DATE"),
            "31.03.2026",
            "E09",
            '`x`: I read dates as 2026-03-31 (or "tomorrow"). `31.03.2026` is neither.',
        ),
        (field("DATE", minimum="2026-04-01"), "2026-03-31", "E07", "at least 2026-04-01"),
        (field("TIME"), "25:00", "E09", "I read times"),
        (field("TIME"), "13pm", "E09", "I read times"),
        (field("DATETIME"), "soon", "E09", "I read moments"),
        (field("DURATION"), "5 parsecs", "E06", "PT1H30M or 1h30m"),
        (field("DURATION", maximum="PT1H"), "2h", "E07", "at most PT1H"),
        (field("JSON"), '{"a": }', "E10", "`x`: JSON breaks at line 1, column 7"),
        (field("ARRAY", item_type="INT"), "1, 2, c", "E06", "item 3: `x`: `c` is not a whole number"),
        (field("SECRET"), "hunter2", "E14", "Don't type secrets in chat"),
        (field("FILE"), "/etc/passwd", "E06", "a file: send one along"),
        (field("FILE"), "file:///etc/passwd", "E06", "a file: send one along"),
        (field("ARRAY", item_type="FILE"), "/etc/passwd", "E06", "a list of files: send them along"),
        (field("FILE", several=True), "/etc/passwd", "E06", "a file: send one along"),
        (
            field("FILE", several=True),
            [Attachment("a.png", "/tmp/a", 3), "/etc/passwd"],
            "E06",
            "a file: send one along",
        ),
        (field("FILE"), [Attachment("a.png", "/tmp/a", 3)] * 2, "E06", "a file: send one along"),
        (field("STRING"), [Attachment("a.bin", "/tmp/a", 3)], "E06", "a value"),
        (field("ARRAY"), Attachment("a.bin", "/tmp/a", 3), "E06", "a value"),
        (field("FILE", extensions=(".csv",)), Attachment("a.png", "/tmp/a", 3), "E06", "a file ending in .csv"),
        (field("INT"), Attachment("a.png", "/tmp/a", 3), "E06", "`a.png` is not a value"),
    ],
)
def test_what_does_not_fit_says_why(asked, typed, code, says):
    with pytest.raises(FieldInvalid) as refused:
        value_of(asked, typed, READER)
    assert refused.value.answer.code == code
    assert says in refused.value.answer.text


def test_a_secret_never_stands_in_its_refusal():
    with pytest.raises(FieldInvalid) as refused:
        value_of(field("SECRET"), "hunter2", READER)
    assert "hunter2" not in refused.value.answer.text
    assert value_of(field("SECRET"), "hunter2", Reader(READER.now, may_type_secrets=True)) == "hunter2"


def test_what_somebody_typed_cannot_break_out_of_its_marks():
    with pytest.raises(FieldInvalid) as refused:
        value_of(field("INT"), "`@everyone` <!channel>\n# hello", READER)
    assert "`\u02cb@everyone\u02cb <!channel> # hello`" in refused.value.answer.text


KINDS = get_args(FieldType)
typed_values = (
    st.text(max_size=20)
    | st.booleans()
    | st.integers()
    | st.lists(st.text(max_size=5), max_size=3)
    | st.from_regex(r"[0-9:. apmhPT,{}\[\]-]{1,14}")
)


@given(st.sampled_from(KINDS), typed_values, st.booleans(), st.sampled_from([None, "INT", "DATE", "JSON", "FILE"]))
def test_anything_typed_is_a_value_or_a_sentence(kind, typed, custom, item):
    asked = Field("x", kind, "X", options=COLOURS, allow_custom=custom, item_type=item)
    try:
        value_of(asked, typed, READER)
        return
    except FieldInvalid as error:
        refused = error
    assert refused.answer.code in {f"E{number:02}" for number in range(5, 15)}
    assert refused.answer.text


@given(st.integers(0, 10**7))
def test_spoken_durations_mean_what_iso_means(seconds):
    length = timedelta(seconds=seconds)
    assert read_duration(to_iso(length)) == length
    assert read_duration(f"{seconds // 3600}h {seconds % 3600 // 60}m {seconds % 60}s") == length


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=0)
    )
)
def test_a_moment_reads_back(moment):
    assert value_of(field("DATETIME"), moment.isoformat(), READER) == moment.isoformat().replace("+00:00", "Z")
