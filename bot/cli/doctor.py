"""`parley doctor`: what is wrong with a set-up; and a card that must be pressed."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bot.cli.loopback import running
from bot.doctor import examine, trial_card
from bot.findings import Finding
from bot.settings import BotSettings, read_settings
from engine.errors import Refused

SIGNS = {"ok": "ok   ", "hint": "hint ", "wrong": "WRONG"}


def doctor(as_json: bool, data: Path | None, flows: list[Path] | None, channel: str | None = None) -> None:
    """Print the findings; exit 1 when something is wrong, or when nobody pressed the test card."""
    settings = read_settings(data=data, flows=tuple(flows) if flows else None)
    found = asyncio.run(examine(settings))
    if channel is not None and not any(finding.verdict == "wrong" for finding in found):
        found.append(_pressed(settings, channel))
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=1) + "\n")
    else:
        for finding in found:
            sys.stdout.write(f"{SIGNS[finding.verdict]} {finding.name}: {finding.text}\n")
            if finding.fix:
                sys.stdout.write(f"      {finding.fix}\n")
    if any(finding.verdict == "wrong" for finding in found):
        if channel is not None and found[-1].name != NAME:
            sys.stderr.write("No test card was posted: mend what is wrong first.\n")
        sys.exit(1)


NAME = "test card"


def _pressed(settings: BotSettings, channel: str) -> Finding:
    """What came of a test card."""
    if running(settings.data) is not None:
        text = "A bot runs on this data folder, and would take the click for itself."
        return Finding(
            NAME, "wrong", text, "Stop it for this test; or type `/flow list` and press a button of its own."
        )
    try:
        return asyncio.run(trial_card.pressed(settings, channel, NAME))
    except Refused as error:
        return Finding(NAME, "wrong", error.message, error.fix)
