from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.durations import parse, to_iso


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
        ("P1W", 604_800),
        ("PT36H", 129_600),
        ("P0D", 0),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "5M", "P1Y", "P1M", "PT1D", "10", "PT1,S5", "P99999999999D", "P1DT", "PT٣S"]
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


@given(st.timedeltas())
def test_reading_undoes_printing(length):
    assert parse(to_iso(length)) == length
