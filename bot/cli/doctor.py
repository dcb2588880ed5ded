"""`parley doctor`: what is wrong with a set-up."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bot.doctor import examine
from bot.settings import read_settings

SIGNS = {"ok": "ok   ", "hint": "hint ", "wrong": "WRONG"}


def doctor(as_json: bool, data: Path | None, flows: list[Path] | None) -> None:
    """Print the findings; exit 1 when something is wrong."""
    settings = read_settings(data=data, flows=tuple(flows) if flows else None)
    found = asyncio.run(examine(settings))
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=1) + "\n")
    else:
        for finding in found:
            sys.stdout.write(f"{SIGNS[finding.verdict]} {finding.name}: {finding.text}\n")
            if finding.fix:
                sys.stdout.write(f"      {finding.fix}\n")
    if any(finding.verdict == "wrong" for finding in found):
        sys.exit(1)
