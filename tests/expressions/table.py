"""One row a fact of the language: a template, and what it prints or FAILS."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from engine.errors import ExpressionFailed
from engine.expressions import Services, parse

FAILS = "<fails>"
NOW = datetime(2026, 3, 5, 12, 30, 15, 123456, tzinfo=UTC)
VALUES: Mapping[str, Any] = {
    "s": "abc", "n": 5, "e": "", "nul": None, "l": [1, 2, 3], "el": [], "em": {}, "strs": ["b", "a", "c"],
    "m": {"a": 1, "b": {"c": "x"}}, "mn": {"a": None}, "ns": {"x-y": 1, "contains": 2}, "multi": "x\ny",
    "js": '{"a":1}', "users": [{"name": "ann"}, {"name": "bob"}], "nested": {"a": [1, {"b": None}]},
    "big": 123456789012345678901234567890, "dec": Decimal("1.50"), "dece": Decimal("1E+11"), "ctl": "\x01\x1f",
    "nb": "\xa0a\t", "ep": 1709641815,
    "zdt": datetime(2024, 3, 5, 14, 30, 15, 123456, timezone(timedelta(hours=2))),
    "inst": datetime(2024, 3, 5, 12, 30, 15, 123456, UTC), "ldt": datetime(2024, 3, 5, 12, 30, 15),
    "ld": date(2024, 3, 5), "dur": timedelta(hours=1, minutes=30),
    "one": "1", "two": "{{ one }}", "three": "{{ two }}", "cyc1": "{{ cyc2 }}", "cyc2": "{{ cyc1 }}",
    "flow": {"id": "f", "namespace": "my.ns"}, "task": {"id": "t"}, "taskrun": {"id": "t", "value": "v1"},
    "outputs": {"make": {"v1": {"value": "A"}, "v2": {"value": "B"}}}, "parents": [],
    "tasks": {"t1": {"state": "FAILED"}, "t2": {"state": "SUCCESS"}}, "envs": {"api_host": "h1"},
}  # fmt: skip


def printed(template: str, services: Services | None = None) -> str:
    """What a template prints for these values, or FAILS."""
    try:
        return parse(template).render(VALUES, services or Services(now=lambda: NOW, error_logs=list))
    except ExpressionFailed:
        return FAILS
