"""The record as a file that `parley audit export` wrote, checked without the database and without any private key."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from engine.errors import Refused
from engine.store.audit_proof import MARKS, Marks, Trust, Verdict, canonical, check, private_key
from engine.store.tables import instant

SAME = ("platform", "action", "entity", "execution_id", "flow", "prev", "hash")


def verified(lines: Iterable[str], trust: Trust) -> Verdict:
    """What a check of an exported file found; Refused when it is none, and names the line."""
    rows, kept, without = [], dict[str, bool](), set[str]()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append(_row(json.loads(line), kept, without))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Refused(
                    f"Line {number} is no row of the record.",
                    fix="Give a file that `parley audit export` wrote as jsonl.",
                ) from error
    kept |= dict.fromkeys(without & kept.keys(), False)  # taken out of one row, and there in another
    marks = Marks.of((row for row in rows if row["action"] in MARKS), trust)
    return check(rows, marks, kept, trust, is_part=bool(rows) and rows[0]["id"] != 1)


def _row(told: Mapping[str, Any], kept: dict[str, bool], without: set[str]) -> dict[str, Any]:
    """A line as the row that was hashed; keys of texts that are there go into `kept`, of others into `without`."""
    shown = {
        "person": (told["person"], {"id": told["person"], "name": told["name"]}),
        "details": ("", told["details"]),
    }
    row = {name: told[name] for name in SAME}
    row |= {"id": told["number"], "at": instant(datetime.fromisoformat(told["at"])), "facts": canonical(told["facts"])}
    for what, (owner, content) in shown.items():
        key, salt = told["proof"].get(what, ("", ""))
        if not salt and not any(content.values()):
            row[what] = key  # nothing was there, or it was taken out, which a row has to say
            without.add(key)
        else:
            fits = key and private_key(salt, owner, canonical(content)) == key
            kept[key] = True
            row[what] = key if fits else "not what was hashed"
    return row
