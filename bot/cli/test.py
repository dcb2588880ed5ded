"""`parley test`: run the tests of flows and say which hold."""

import asyncio
import json
import re
import sys
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from bot.settings import read_settings, shipped_flows
from bot.testing.runner import Verdict, run_suite
from bot.testing.suites import find_suites
from bot.written_flows import WrittenFlows
from engine.errors import NotFound, SettingInvalid
from engine.tasks import catalogue

UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML can't hold


def test(files: list[Path], format: str, flows: list[Path] | None) -> None:
    """Exit 0 when every case holds, 1 when one does not, 2 when a file can't be read."""
    if format not in ("text", "json", "junit"):
        raise SettingInvalid(f"There is no format {format!r}.", fix="Write text, json or junit.")
    if missing := next((folder for folder in flows or () if not folder.is_dir()), None):
        raise NotFound(f"There is no folder {missing}.", fix="Check what --flows names.")
    suites = find_suites(files, catalogue())
    named = [*(flows or read_settings().flows), *(file.resolve().parent for file, _ in suites), shipped_flows("demo")]
    folders = WrittenFlows(list(dict.fromkeys(folder.resolve() for folder in named if folder.is_dir())))
    found = [verdict for _, suite in suites for verdict in asyncio.run(run_suite(suite, folders))]
    sys.stdout.write({"text": _text, "json": _json, "junit": _junit}[format](found))
    if any(verdict.problems for verdict in found):
        sys.exit(1)


def _text(found: list[Verdict]) -> str:
    lines = []
    for verdict in found:
        sign = "skip" if verdict.skipped else "FAIL" if verdict.problems else "ok  "
        lines.append(f"{sign} {verdict.suite} / {verdict.case}")
        lines += [f"       {problem}" for problem in verdict.problems]
    failed = sum(bool(verdict.problems) for verdict in found)
    skipped = sum(verdict.skipped for verdict in found)
    lines.append(f"{len(found) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return "\n".join(lines) + "\n"


def _json(found: list[Verdict]) -> str:
    rows = [
        {
            "suite": one.suite,
            "case": one.case,
            "ok": not one.problems,
            "skipped": one.skipped,
            "seconds": round(one.seconds, 3),
            "problems": one.problems,
        }
        for one in found
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def _junit(found: list[Verdict]) -> str:
    root = Element("testsuites", _counts(found))
    for name in dict.fromkeys(verdict.suite for verdict in found):
        mine = [verdict for verdict in found if verdict.suite == name]
        suite = SubElement(root, "testsuite", {"name": name, **_counts(mine)})
        for verdict in mine:
            case = SubElement(suite, "testcase", classname=name, name=verdict.case, time=f"{verdict.seconds:.3f}")
            if verdict.skipped:
                SubElement(case, "skipped")
            if verdict.problems:
                shown = [UNPRINTABLE.sub("?", problem) for problem in verdict.problems]
                SubElement(case, "failure", message=shown[0]).text = "\n".join(shown)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _counts(found: list[Verdict]) -> dict[str, str]:
    return {
        "tests": str(len(found)),
        "failures": str(sum(bool(verdict.problems) for verdict in found)),
        "errors": "0",
        "skipped": str(sum(verdict.skipped for verdict in found)),
        "time": f"{sum(verdict.seconds for verdict in found):.3f}",
    }
