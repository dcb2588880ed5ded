"""`parley validate`: what is wrong with flow files, for people, editors and CI."""

import codecs
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import quote

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from engine.core import yaml_text
from engine.core.documents import is_test, other_than_flow, resembles_flow, text_resembles_flow
from engine.core.flow_calls import FindFlow
from engine.core.flow_source import check
from engine.core.flow_texts import FlowText, flow_texts
from engine.core.registry import Registry
from engine.errors import FlowInvalid, Problem
from engine.flow_files import flow_files
from engine.settings import Settings
from engine.tasks import catalogue

COLORS = {"error": "bold red", "warning": "yellow", "hint": "cyan"}
GITHUB = {"error": "error", "warning": "warning", "hint": "notice"}
ASIDE = "not-a-flow"
SARIF = {"error": "error", "warning": "warning", "hint": "note"}


@dataclass(frozen=True, slots=True)
class Source:
    """What a file says of a flow, None when it could not be read. `named`: the call names the file itself."""

    file: Path
    named: bool
    said: FlowText | None = None
    document: Any = None
    problems: tuple[Problem, ...] = ()

    @property
    def key(self) -> tuple[str, str] | None:
        """Namespace and id; None when they are not there or no text."""
        top = self.document if isinstance(self.document, dict) else {}
        namespace, flow_id = top.get("namespace"), top.get("id")
        return (namespace, flow_id) if isinstance(namespace, str) and isinstance(flow_id, str) else None


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
    sources = [one for one in read_sources(paths) if one.named or not is_test(one.document)]
    find = known_flows(sources)
    registry = catalogue()
    problems = [found for one in sources for found in examine(one, registry, find, settings.plugin_defaults)]
    problems += twins(sources)
    order = {str(one.file): number for number, one in enumerate(sources)}
    WRITERS[format](sorted(_once(problems), key=lambda one: order[one.file]), len(order))
    if any(one.severity == "error" for one in problems) or (strict and problems):
        raise typer.Exit(1)


def read_sources(paths: Iterable[Path]) -> Iterator[Source]:
    """The named files, and the YAML files in named folders at any depth, but no hidden ones; each once."""
    seen: set[Path] = set()
    for path in paths:
        named = path.is_file()
        for file in [path] if named else flow_files(path):
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield from read_file(file, named=named)


def read_file(file: Path, *, named: bool = False) -> list[Source]:
    """A file read once: what it says of each of its flows, and the documents these are."""

    def unread(message: str, code: str, advice: str = "", line: int = 1, column: int = 1) -> list[Source]:
        return [Source(file, named, problems=(Problem("", message, "error", line, column, code, advice, str(file)),))]

    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return unread("The file holds no text.", "encoding", "Give it another ending, or move it elsewhere.")
        # What the error counts in begins behind the mark of a file that has one.
        before = error.object[: error.start].decode().split("\n")
        message = f"The file is not UTF-8 text: byte 0x{error.object[error.start]:02X}."
        return unread(message, "encoding", "Save it as UTF-8.", len(before), len(before[-1]) + 1)
    except OSError as error:
        return unread(f"The file can't be read: {error.strerror}.", "unreadable")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [_source(file, said, named=named) for said in flow_texts(text)]


def _source(file: Path, said: FlowText, *, named: bool) -> Source:
    try:
        return Source(file, named, said, yaml_text.read(said.placed))
    except FlowInvalid as broken:
        problems = tuple(replace(problem, file=str(file)) for problem in broken.problems)
        return Source(file, named, said, problems=problems)


def known_flows(sources: Sequence[Source]) -> FindFlow:
    """Finds flows among the files, in folders beside them, and those that are shipped."""
    documents = {one.key: one.document for one in sources}
    shipped = [Path(__file__).parent.parent / "flows", Path(__file__).parent.parent.parent / "flows"]
    folders = dict.fromkeys([*(one.file.parent for one in sources), *(folder for folder in shipped if folder.is_dir())])
    seen = {one.file.resolve() for one in sources}
    looked = False

    def find(namespace: str, flow_id: str) -> Mapping[str, Any] | None:
        nonlocal looked
        if (namespace, flow_id) not in documents and not looked:
            looked = True
            beside = {file.resolve(): file for folder in folders for file in flow_files(folder)}
            for other in (one for resolved, file in beside.items() if resolved not in seen for one in read_file(file)):
                documents.setdefault(other.key, other.document)
        found = documents.get((namespace, flow_id))
        return found if isinstance(found, dict) else None

    return find


def examine(
    source: Source, registry: Registry, find: FindFlow, defaults: Sequence[dict[str, Any]] = ()
) -> list[Problem]:
    """Everything there is to say about what a file says of one flow."""
    file, said = str(source.file), source.said
    if said is None:
        return list(source.problems)
    other = other_than_flow(source.document)
    if other:
        return [_aside(file, said.line, f"This is {other}, not a flow; it is left out.", "hint")]
    is_flow = resembles_flow(source.document) or (bool(source.problems) and text_resembles_flow(said.text))
    if not source.named and not is_flow:
        message = "This is no flow: a flow has `id`, `namespace` and `tasks`. It is left out."
        return [_aside(file, said.line, message, "warning")]
    if source.problems:
        return list(source.problems)
    return check(said.placed, registry, file, globals_defaults=defaults, find_flow=find, document=source.document)


def twins(sources: Iterable[Source]) -> Iterator[Problem]:
    """Warnings for flows that are defined a second time."""
    first: dict[tuple[str, str], Path] = {}
    for one in sources:
        if one.key is None or other_than_flow(one.document) or not resembles_flow(one.document):
            continue
        if one.key in first:
            where = "This file" if first[one.key] == one.file else str(first[one.key])
            message = f"{where} defines the flow `{one.key[0]}.{one.key[1]}` too; only one of them is deployed."
            spot = yaml_text.locate(one.document, ("id",))
            advice = "Give one of the two another id."
            yield Problem("id", message, "warning", spot.line, spot.column, "duplicate-flow", advice, str(one.file))
        first.setdefault(one.key, one.file)


def _once(problems: Iterable[Problem]) -> list[Problem]:
    """What is left out is told once a file, not for each of its documents."""
    asides: dict[tuple[str, str], Problem] = {}
    return [
        one
        for one in problems
        if one.code != ASIDE or one.severity == "error" or asides.setdefault((one.file, one.message), one) is one
    ]


def _aside(file: str, line: int, message: str, severity: Literal["warning", "hint"]) -> Problem:
    return Problem("", message, severity, line, 1, ASIDE, "", file)


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
    if not files:
        return "0 files: there is nothing to check here"
    counts = {name: sum(one.severity == name for one in problems) for name in COLORS}
    told = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
    return f"{files} file{'' if files == 1 else 's'}: {', '.join(told) or 'all good'}"


def write_json(problems: Sequence[Problem], files: int) -> None:
    """The problems as a list of objects."""
    keys = ("file", "line", "column", "path", "severity", "code", "message", "suggestion")
    _print_json([{key: getattr(one, key) for key in keys} for one in problems])


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
    uri = quote(Path(one.file).as_posix())
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


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(2)
