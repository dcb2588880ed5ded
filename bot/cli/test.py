"""`parley test`: run the tests of flows and say which hold."""

import asyncio
import json
import sys
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from pydantic import ValidationError

from bot.settings import read_settings, shipped_flows
from bot.testing.cases import Suite
from bot.testing.runner import Verdict, run_suite
from engine.core.yaml_text import plain, read
from engine.errors import EngineError, FlowInvalid, NotFound, SettingInvalid


def test(files: list[Path], format: str, flows: list[Path] | None) -> None:
    """Exit 0 when every case holds, 1 when one does not, 2 when a file can't be read."""
    if format not in ("text", "json", "junit"):
        raise SettingInvalid(f"There is no format {format!r}.", fix="Write text, json or junit.")
    found: list[Verdict] = []
    for file in _files(files):
        suite = _suite(file)
        named = [*(flows or read_settings().flows), shipped_flows("demo")]
        folders = [folder.resolve() for folder in named if folder.is_dir()]
        text = _flow_text(suite, [*folders, file.resolve().parent])
        found += asyncio.run(run_suite(suite, text, list(dict.fromkeys(folders))))
    sys.stdout.write({"text": _text, "json": _json, "junit": _junit}[format](found))
    if any(verdict.problems for verdict in found):
        sys.exit(1)


def _files(given: list[Path]) -> list[Path]:
    found = []
    for path in given:
        if path.is_dir():
            found += sorted(file for end in ("*.yaml", "*.yml") for file in path.rglob(end))
        elif path.is_file():
            found.append(path)
        else:
            raise NotFound(f"There is no file {path}.", fix="Check the path.")
    return found


def _suite(file: Path) -> Suite:
    try:
        return Suite.model_validate(plain(read(file.read_text(encoding="utf-8"))))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingInvalid(f"{file}: {where}: {first['msg']}.", fix="See bot/docs/testing.md.") from error
    except FlowInvalid as error:
        raise SettingInvalid(f"{file}: {error}") from error


def _flow_text(suite: Suite, folders: list[Path]) -> str:
    for folder in folders:
        for end in ("*.yaml", "*.yml"):
            for file in sorted(folder.rglob(end)) if folder.is_dir() else ():
                text = file.read_text(encoding="utf-8")
                if f"id: {suite.flow_id}" not in text:
                    continue
                try:
                    document = plain(read(text))
                except EngineError:
                    continue  # a broken neighbour is not what is tested
                found = document if isinstance(document, dict) and "tasks" in document else {}
                if (found.get("namespace"), found.get("id")) == (suite.namespace, suite.flow_id):
                    return text
    raise NotFound(
        f"Test {suite.id} is about {suite.namespace}/{suite.flow_id}, which is in none of the flow folders.",
        fix="Give its folder with --flows.",
    )


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
        {"suite": one.suite, "case": one.case, "ok": not one.problems, "skipped": one.skipped, "problems": one.problems}
        for one in found
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def _junit(found: list[Verdict]) -> str:
    root = Element("testsuites")
    for name in dict.fromkeys(verdict.suite for verdict in found):
        mine = [verdict for verdict in found if verdict.suite == name]
        failures = sum(bool(verdict.problems) for verdict in mine)
        suite = SubElement(root, "testsuite", name=name, tests=str(len(mine)), failures=str(failures))
        for verdict in mine:
            case = SubElement(suite, "testcase", classname=name, name=verdict.case)
            if verdict.skipped:
                SubElement(case, "skipped")
            for problem in verdict.problems:
                SubElement(case, "failure", message=problem)
    return tostring(root, encoding="unicode") + "\n"
