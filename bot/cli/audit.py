"""`parley audit`: through the running bot's loopback API when one runs on the data folder, else on the database."""

import csv
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bot.audit import exported, records
from bot.cli.loopback import ask, operator
from bot.cli.purge import cut
from bot.settings import read_settings
from engine.audit_keys import fingerprint, new_key, pem, read_public
from engine.errors import NotFound, Refused
from engine.store.audit_proof import Trust
from engine.store.forgetting import Forgotten

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for a formula


def verify(file: Path | None, head: str, keys: Sequence[Path], accepted: Sequence[int], data: Path | None) -> None:
    """Print what a check found, of the record or of a file with an export; exit 1 when a row is not as it was written,
    or when one says that something was lost which nobody accepted."""
    publics = [one for path in keys for one in read_public(_text(path))]
    if file is not None:
        trust = Trust(frozenset(publics), bool(publics), frozenset(accepted), head)
        found = records.plain(exported.verified(_text(file).split("\n"), trust), is_known=bool(publics))
    else:
        params = {"head": head, "accept": ",".join(map(str, accepted)), "key": ",".join(publics)}
        found = ask(
            data,
            "GET",
            "/audit/verify",
            lambda engine: records.verified(engine, head, accepted, publics),
            json.loads,
            params=params,
        )
    sys.stdout.write(_told(found))
    if not found["ok"]:
        sys.exit(1)


def _told(found: dict[str, Any]) -> str:
    """A verdict in words; the hash of the last row comes last."""
    lines = [
        f"Row {loss['row']}: {loss['why']}. Who knows why adds --accept {loss['row']}." for loss in found["losses"]
    ]
    if found["broken"] is not None:
        lines.append(f"Row {found['broken']}: {found['why']}. {found['rows']} rows before it are whole.")
        return "\n".join(lines) + "\n"
    if not found["rows"]:
        return "\n".join([*lines, "There are no rows."]) + "\n"
    if found["first"] > 1:
        lines.append(f"Rows before {found['first']} are not here.")
    left = found["number"] - found["sealed"]
    if not found["sealed"]:
        lines.append("Nothing is signed: whoever can write the database could have written all of this.")
    else:
        newest = f"the newest {left} rows are" if left > 1 else "the newest row is"
        rest = f"; {newest} not covered yet" if left else ""
        lines.append(f"Signed up to row {found['sealed']} by key {', '.join(found['signers'])}{rest}.")
        if not found["known"]:
            lines.append("No key was given: compare this one with `parley audit key`, or give it with --key.")
    lines.append(f"{found['rows']} rows are as they were written. The last is {found['number']}: {found['head']}")
    return "\n".join(lines) + "\n"


def key(new: bool, data: Path | None) -> None:
    """Print the public key that signs, its fingerprint beside it; or a new private one."""
    if new:
        sys.stdout.write(f"{new_key()}\n")
        return
    _show(ask(data, "GET", "/audit/key", records.key, _public))


def rotate(lost: bool, data: Path | None) -> None:
    """Let a new key sign from now on."""
    body = {"lost": lost}
    turn = partial(records.rotate, by=operator(), after_loss=lost)
    _show(ask(data, "POST", "/audit/rotate", turn, _public, body=body))


def _show(public: str) -> None:
    sys.stdout.write(pem(public))
    sys.stderr.write(f"Fingerprint (SHA-256): {fingerprint(public)}\n")


def _public(text: str) -> str:
    return str(json.loads(text)["public"])


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} can't be read.", fix="Name a file that `parley audit` wrote.") from error


def export(format: str, since: str, run: str, data: Path | None) -> None:
    """Print the rows, one a line; exit 1 when nothing is on record of a run that was named."""
    if format not in ("jsonl", "csv"):
        raise Refused(f"There is no format {format!r}.", fix="Use jsonl or csv.")
    params = {"since": since, "run": run}
    rows = ask(data, "GET", "/audit", lambda engine: records.rows(engine, since, run), _lines, params=params)
    if run and not rows:
        raise NotFound(f"Nothing is on record of run {run}.", fix="Give the whole id, as its page shows it.")
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


def purge(before: str | None, older_than: str | None, dry_run: bool, data: Path | None) -> None:
    """Take old rows out of the record, and say how many that were."""
    until = cut(before, older_than, datetime.now(UTC), read_settings(data=data).timezone)
    body = {"before": until.isoformat(), "dryRun": dry_run}
    clean = partial(records.purge, before=until, by=operator(), dry_run=dry_run)
    count = ask(data, "POST", "/audit/purge", clean, lambda text: int(json.loads(text)["rows"]), body=body)
    rows = f"{count} rows of the record from before {until.isoformat(timespec='seconds')}"
    sys.stdout.write(f"{rows} would be taken out; none was.\n" if dry_run else f"{rows} are taken out.\n")


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
