"""What changed in a range of a spreadsheet from one look to the next."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEPT = 200_000  # characters of values that are remembered cell by cell; of more it is known only that they changed
TOLD = 1000  # changed cells that are told one by one

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is remembered of a range."""

    mark: str
    rows: int
    values: Rows | None

    @classmethod
    def of(cls, values: Rows) -> "Sheet":
        """A range as it is."""
        text = json.dumps(values, ensure_ascii=False)
        return cls(
            hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            len(values),
            values if len(text) <= KEPT else None,
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Sheet":
        """What was remembered."""
        return cls(document["mark"], document["rows"], document["values"])

    def document(self) -> dict[str, Any]:
        """What to remember."""
        return {"mark": self.mark, "rows": self.rows, "values": self.values}

    def changes(self, after: "Sheet") -> dict[str, Any]:
        """How it differs from what was there before; rows and columns count from 0."""
        told = {"rowDelta": after.rows - self.rows, "rowsBefore": self.rows, "rowsAfter": after.rows}
        if self.values is None or after.values is None:
            return {**told, "cellChanges": [], "truncated": True}
        changed, widest = [], 0
        for row in range(max(self.rows, after.rows)):
            old, new = (list(values[row]) if row < len(values) else [] for values in (self.values, after.values))
            width = max(len(old), len(new))
            widest = max(widest, width)
            pairs = zip(old + [None] * (width - len(old)), new + [None] * (width - len(new)), strict=True)
            changed += [
                {"row": row, "col": column, "before": before, "after": now}
                for column, (before, now) in enumerate(pairs)
                if before != now
            ]
        cut = len(changed) > TOLD
        return {**told, "maxColumnsCompared": widest, "cellChanges": changed[:TOLD], "truncated": cut}
