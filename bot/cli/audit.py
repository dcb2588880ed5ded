"""`parley audit`: through the running bot's loopback API when one runs on the data folder, else on the database."""

import csv
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bot.audit import records
from bot.cli.loopback import ask, operator
from engine.errors import Refused
from engine.store.forgetting import Forgotten

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for a formula


def verify(head: str, data: Path | None) -> None:
    """Print what a check found; exit 1 when a row is not as it was written."""
    params = {"head": head}
    found = ask(data, "GET", "/audit/verify", lambda engine: records.verified(engine, head), json.loads, params=params)
    if not found["ok"]:
        sys.stdout.write(f"Row {found['broken']}: {found['why']}. {found['rows']} rows before it are whole.\n")
        sys.exit(1)
    sys.stdout.write(f"{found['rows']} rows are as they were written. The last is {found['number']}: {found['head']}\n")


def export(format: str, since: str, data: Path | None) -> None:
    """Print the rows, one a line."""
    if format not in ("jsonl", "csv"):
        raise Refused(f"There is no format {format!r}.", fix="Use jsonl or csv.")
    params = {"since": since}
    rows = ask(data, "GET", "/audit", lambda engine: records.rows(engine, since), _lines, params=params)
    if format == "jsonl":
        sys.stdout.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        writer.writerow([cell(value) for value in row.values()])


def forget(person: str, data: Path | None) -> None:
    """Take a person out; exit 1 when the record knows nothing of them."""
    path = f"/audit/forget/{quote(person, safe='')}"
    gone = ask(data, "POST", path, lambda engine: records.forget(engine, person, operator()), _forgotten)
    if gone.is_nothing:
        sys.stderr.write(f"Nothing is kept of {person}.\n")
        sys.exit(1)
    sys.stderr.write(
        f"{person} is taken out: {gone.texts} texts of the record are gone, {gone.runs} runs no longer say who.\n"
    )
    if gone.under_way:
        sys.stderr.write(f"Runs under way that still do: {gone.under_way}. Repeat this when they have ended.\n")


def _lines(text: str) -> list[dict[str, Any]]:
    """Of JSON lines; texts in them may hold what Unicode also takes for the end of a line."""
    return [json.loads(line) for line in text.split("\n") if line]


def _forgotten(text: str) -> Forgotten:
    told = json.loads(text)
    return Forgotten(told["removed"], told["runs"], told["underWay"])


def cell(value: Any) -> str:
    """A value as a cell that no spreadsheet evaluates."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
