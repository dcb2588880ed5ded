"""Which runs Kestra's query parameters mean."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.web.filters import selection
from bot.web.requests import Wrong
from engine.core.state import State
from engine.plugin import Selection

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([("namespace", "a.b")], Selection("a.b", below=True)),
        ([("filters[namespace][EQUALS]", "a.b")], Selection("a.b")),
        ([("filters[namespace][PREFIX]", "a.b")], Selection("a.b", below=True)),
        ([("flowId", "deploy"), ("namespace", "a")], Selection("a", "deploy", below=True)),
        ([("filters[flowId][EQUALS]", "deploy")], Selection(None, "deploy")),
        ([("state", "FAILED"), ("state", "KILLED")], Selection(states=(State.FAILED, State.KILLED))),
        ([("filters[state][IN]", "FAILED,KILLED")], Selection(states=(State.FAILED, State.KILLED))),
        ([("filters[state][EQUALS]", "PAUSED")], Selection(states=(State.PAUSED,))),
        ([("startDate", "2026-01-01T00:00:00Z"), ("endDate", "2026-01-02T01:00:00+01:00")],
         Selection(since=FIRST, until=FIRST + DAY)),
        ([("filters[startDate][GREATER_THAN_OR_EQUAL_TO]", "2026-01-01T00:00:00Z"),
          ("filters[startDate][LESS_THAN_OR_EQUAL_TO]", "2026-01-02T00:00:00Z")],
         Selection(since=FIRST, until=FIRST + DAY)),
        ([("timeRange", "PT24H")], Selection(since=NOW - DAY)),
    ],
)  # fmt: skip
def test_what_the_parameters_mean(given, meant):
    assert selection(given, NOW) == meant


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "Say to which runs"),
        ([("namespace", "")], "`namespace` is empty"),
        ([("labels", "team:web")], "can't be chosen by `labels`"),
        ([("filters[flowId][NOT_EQUALS]", "deploy")], r"can't be chosen by `filters\[flowId\]\[NOT_EQUALS\]`"),
        ([("filters[namespace][EQUALS][x]", "a")], "can't be chosen by"),
        ([("filters[state]", "FAILED")], "can't be chosen by"),
        ([("flowId", "a"), ("filters[flowId][EQUALS]", "b")], "says again what `flowId` says"),
        ([("namespace", "a"), ("filters[namespace][EQUALS]", "b")], "says again"),
        ([("timeRange", "PT1H"), ("startDate", "2026-01-01T00:00:00Z")], "says again what `timeRange` says"),
        ([("state", "RUNING")], "`RUNING` is no state. Use CREATED"),
        ([("state", "FAILED,")], "`` is no state"),
        ([("startDate", "2026-01-01T00:00:00")], "`startDate` is a date with a zone"),
        ([("startDate", "yesterday")], "`startDate` is a date with a zone"),
        ([("timeRange", "a day")], "`timeRange` is a duration: `PT24H`"),
        ([("timeRange", "P999999999D")], "`timeRange` is a duration"),
        ([("x" * 4000, "y")], "^Runs can't be chosen by `x{60}`"),
    ],
)
def test_what_is_not_understood_narrows_nothing_and_is_refused(given, says):
    with pytest.raises(Wrong, match=says):
        selection(given, NOW)
