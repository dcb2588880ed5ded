"""`parley audit`: through the running bot's loopback API when one runs on the data folder, else on the database."""

import asyncio
import csv
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from bot.audit import records
from bot.cli.kv import running
from bot.settings import read_settings
from engine.errors import Refused
from engine.runtime import Engine
from engine.store.forgetting import Forgotten

R = TypeVar("R")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for a formula


def verify(head: str, data: Path | None) -> None:
    """Print what a check found; exit 1 when a row is not as it was written."""
    found = _ask(data, "GET", "/verify", {"head": head}, lambda engine: records.verified(engine, head))
    if isinstance(found, str):
        found = json.loads(found)
    if not found["ok"]:
        sys.stdout.write(f"Row {found['broken']}: {found['why']}. {found['rows']} rows before it are whole.\n")
        sys.exit(1)
    sys.stdout.write(f"{found['rows']} rows are as they were written. The last is {found['number']}: {found['head']}\n")


def export(format: str, since: str, data: Path | None) -> None:
    """Print the rows, one a line."""
    if format not in ("jsonl", "csv"):
        raise Refused(f"There is no format {format!r}.", fix="Use jsonl or csv.")
    found = _ask(data, "GET", "", {"since": since}, lambda engine: records.rows(engine, since))
    rows = [json.loads(line) for line in found.splitlines()] if isinstance(found, str) else found
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
    found = _ask(data, "POST", f"/forget/{quote(person, safe='')}", {}, lambda engine: records.forget(engine, person))
    told = json.loads(found) if isinstance(found, str) else {}
    gone = Forgotten(told["removed"], told["runs"], told["underWay"]) if isinstance(found, str) else found
    if gone.is_nothing:
        sys.stderr.write(f"Nothing is kept of {person}.\n")
        sys.exit(1)
    sys.stderr.write(
        f"{person} is taken out: {gone.texts} texts of the record are gone, {gone.runs} runs no longer say who.\n"
    )
    if gone.under_way:
        sys.stderr.write(f"Runs under way that still do: {gone.under_way}. Repeat this when they have ended.\n")


def cell(value: Any) -> str:
    """A value as a cell that no spreadsheet evaluates."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _ask(
    data: Path | None,
    method: str,
    path: str,
    params: Mapping[str, str],
    direct: Callable[[Engine], Awaitable[R]],
) -> R | str:
    """The answer of the running bot as text, or what `direct` finds in the database."""
    settings = read_settings(data=data)
    beside = running(settings.data)
    if beside is None:
        return asyncio.run(_open(settings, direct))
    url, token = beside
    answer = httpx.request(
        method,
        f"{url}/api/v1/audit{path}",
        params=dict(params),
        headers={"Authorization": f"Bearer {token}"},
        timeout=300,
    )
    if answer.is_error:
        told = answer.json() if "json" in answer.headers.get("content-type", "") else {"error": answer.text[:200]}
        raise Refused(str(told["error"]))
    return answer.text


async def _open(settings: Any, direct: Callable[[Engine], Awaitable[R]]) -> R:
    engine = await Engine.open(settings)
    try:
        return await direct(engine)
    finally:
        await engine.stop()
