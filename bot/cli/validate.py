"""`parley validate`: what is wrong with flow files, for people, editors and CI."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from engine.core import yaml_text
from engine.core.flow_source import FlowExists, check
from engine.core.registry import Registry
from engine.errors import FlowInvalid, Problem
from engine.settings import Settings
from engine.tasks import catalogue

SUFFIXES = (".yml", ".yaml")
COLORS = {"error": "bold red", "warning": "yellow", "hint": "cyan"}
GITHUB = {"error": "error", "warning": "warning", "hint": "notice"}
SARIF = {"error": "error", "warning": "warning", "hint": "note"}


def validate(paths: Sequence[Path], format: str = "text", strict: bool = False) -> None:
    """Check flow files and folders; exits with 1 when there are errors (with `strict`, when there is anything)."""
    if format not in WRITERS:
        _refuse(f"There is no format {format!r}; use one of {', '.join(WRITERS)}.")
    missing = [path for path in paths if not path.exists()]
    if missing:
        _refuse(f"{missing[0]} is not there.")
    try:
        settings = Settings()
    except (ValidationError, ValueError) as error:
        _refuse(f"The settings can't be read: {error}")
    files = list(flow_files(paths))
    exists = known_flows(files)
    problems = [found for file in files for found in examine(file, catalogue(), exists, settings.plugin_defaults)]
    WRITERS[format](problems, len(files))
    if any(one.severity == "error" for one in problems) or (strict and problems):
        raise typer.Exit(1)


def flow_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The named files, and the YAML files in named folders at any depth, but no hidden ones and no unit tests."""
    for path in paths:
        if path.is_file():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if not hidden and file.suffix in SUFFIXES and file.is_file() and "testCases" not in _top(file):
                yield file


def known_flows(files: Iterable[Path]) -> FlowExists:
    """Whether a flow is among the files, in a folder beside one of them, or shipped."""
    shipped = [Path(__file__).parent.parent / "flows", Path(__file__).parent.parent.parent / "flows"]
    folders = dict.fromkeys([*(file.parent for file in files), *(folder for folder in shipped if folder.is_dir())])
    names: set[tuple[Any, Any]] | None = None

    def exists(namespace: str, flow_id: str) -> bool:
        nonlocal names
        if names is None:
            found = (_top(file) for folder in folders for file in folder.rglob("*") if file.suffix in SUFFIXES)
            names = {(top.get("namespace"), top.get("id")) for top in found}
        return (namespace, flow_id) in names

    return exists


def examine(
    file: Path, registry: Registry, exists: FlowExists, defaults: Sequence[dict[str, Any]] = ()
) -> list[Problem]:
    """Everything there is to say about one file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return [
            Problem(
                "",
                f"The file is not UTF-8 text: byte {error.start}.",
                line=1,
                column=1,
                code="encoding",
                file=str(file),
            )
        ]
    except OSError as error:
        return [
            Problem(
                "", f"The file can't be read: {error.strerror}.", line=1, column=1, code="unreadable", file=str(file)
            )
        ]
    return check(text, registry, str(file), globals_defaults=defaults, flow_exists=exists)


def write_text(problems: Sequence[Problem], files: int) -> None:
    """One line a problem, its advice below, and a count at the end."""
    console = Console(soft_wrap=True, highlight=False)
    for one in problems:
        place = Text(f"{one.file}:{one.line}:{one.column}: ")
        place.append(one.severity, COLORS[one.severity])
        place.append(f": {f'{one.path}: ' if one.path else ''}{one.message}")
        if one.suggestion:
            place.append(f"\n    {one.suggestion}", "dim")
        console.print(place)
    console.print(
        Text(summary(problems, files), "bold red" if any(p.severity == "error" for p in problems) else "green")
    )


def summary(problems: Sequence[Problem], files: int) -> str:
    """`3 files: 1 error, 2 hints`."""
    counts = {name: sum(one.severity == name for one in problems) for name in COLORS}
    told = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
    return f"{files} file{'' if files == 1 else 's'}: {', '.join(told) or 'all good'}"


def write_json(problems: Sequence[Problem], files: int) -> None:
    """The problems as a list of objects."""
    keys = ("file", "line", "column", "path", "severity", "code", "message", "suggestion")
    _print_json([{key: asdict(one)[key] for key in keys} for one in problems])


def write_github(problems: Sequence[Problem], files: int) -> None:
    """Workflow commands that GitHub shows as annotations."""
    for one in problems:
        place = f"file={_property(one.file)},line={one.line},col={one.column},title={_property(one.code)}"
        told = f"{f'{one.path}: ' if one.path else ''}{one.message} {one.suggestion}".strip()
        sys.stdout.write(f"::{GITHUB[one.severity]} {place}::{_message(told)}\n")


def write_sarif(problems: Sequence[Problem], files: int) -> None:
    """SARIF 2.1.0, for code scanning."""
    _print_json(
        {
            "version": "2.1.0",
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "parley",
                            "rules": [{"id": code} for code in sorted({p.code for p in problems})],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "results": [_sarif_result(one) for one in problems],
                }
            ],
        }
    )


WRITERS: dict[str, Callable[[Sequence[Problem], int], None]] = {
    "text": write_text,
    "json": write_json,
    "github": write_github,
    "sarif": write_sarif,
}


def _sarif_result(one: Problem) -> dict[str, Any]:
    region = {"startLine": max(one.line, 1), "startColumn": max(one.column, 1)}
    uri = Path(one.file).as_posix()
    return {
        "ruleId": one.code,
        "level": SARIF[one.severity],
        "message": {"text": f"{f'{one.path}: ' if one.path else ''}{one.message} {one.suggestion}".strip()},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
    }


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _top(file: Path) -> dict[str, Any]:
    try:
        document = yaml_text.read(file.read_text(encoding="utf-8-sig"))
    except (FlowInvalid, OSError, UnicodeDecodeError):
        return {}
    return document if isinstance(document, dict) else {}


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(2)
