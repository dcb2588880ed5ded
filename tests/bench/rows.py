"""Rows of the benchmark: a value, the physical limit it stands against, and what is promised."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEAD = ("figure", "series", "value", "unit", "n", "limit", "ratio", "must", "aim", "ok")
WIDTHS = (10, 42, 7, 13, 6, 6, 6, 6, 6, 3)
REFERENCE_LONE = 2400.0  # lone WAL commits a second, synchronous=FULL, of the machine the promises were made for


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` is value to limit; `must`, `aim` are scaled to the machine; `ok`: None without must."""

    figure: str
    series: str
    value: float
    unit: str
    n: int
    limit: float | None = None
    ratio: float | None = None
    must: float | None = None
    aim: float | None = None
    ok: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """The row for a program."""
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}

    def cells(self) -> tuple[str, ...]:
        """The row for people."""
        return tuple(_shown(getattr(self, name)) for name in HEAD)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the disk and SQLite allow, measured in the same run."""

    lone: float  # commits a second, one after the other
    grouped: float  # transitions a second, many in a commit

    @property
    def scale(self) -> float:
        """The share of the promised speed that may be asked of this machine."""
        return min(1.0, self.lone / REFERENCE_LONE)


def row(
    figure: str,
    series: str,
    value: float,
    unit: str,
    n: int,
    *,
    limit: float | None = None,
    must: float | None = None,
    aim: float | None = None,
    scale: float = 1.0,
    more_is_better: bool = True,
) -> Row:
    """A row with its promise scaled to the machine: rates shrink with it, times grow."""
    factor = scale if more_is_better else 1 / scale
    must = None if must is None else must * factor
    aim = None if aim is None else aim * factor
    ok = None if must is None else (value >= must if more_is_better else value <= must)
    ratio = None if not limit else value / limit
    return Row(figure, series, value, unit, n, limit, ratio, must, aim, ok)


def line(cells: Sequence[str]) -> str:
    """Cells of one line under each other's, however many lines come."""
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
