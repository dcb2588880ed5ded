"""Test files: found, read, and matched with the flows they are about."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.testing.cases import Suite
from bot.written_flows import text_of
from engine.core import flow_problems, yaml_text
from engine.core.documents import is_test
from engine.core.flow_texts import flow_texts
from engine.core.registry import Registry
from engine.errors import FlowInvalid, NotFound, SettingInvalid
from engine.flow_files import flow_files


def find_suites(given: Iterable[Path], registry: Registry) -> list[tuple[Path, Suite]]:
    """The tests in files and folders; NotFound when there are none, SettingInvalid with the place of a mistake."""
    found, broken = [], []
    for path in given:
        if not path.exists():
            raise NotFound(f"There is no file {path}.", fix="Check the path.")
        for file in [path] if path.is_file() else [one for one in flow_files(path) if "testCases" in text_of(one)]:
            try:
                found += [(file, suite) for suite in _suites(file, registry)]
            except SettingInvalid as error:
                broken.append(error)
    if broken:
        raise SettingInvalid("\n".join(map(str, broken)))
    if not found:
        fix = "A test file has `testCases`; see bot/docs/testing.md."
        raise NotFound("There are no tests in these folders.", fix=fix)
    return found


def _suites(file: Path, registry: Registry) -> list[Suite]:
    try:
        parts = flow_texts(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"{file} can't be read: {error}.") from error
    try:
        documents = [yaml_text.read(part.placed) for part in parts]
    except FlowInvalid as error:
        line = error.problems[0].line if error.problems else 1
        raise SettingInvalid(f"{file}:{line}: {error.message}") from error
    found = [_suite(file, document, registry) for document in documents if is_test(document)]
    if not found:
        raise SettingInvalid(f"{file} is no test: it has no `testCases`.", fix="See bot/docs/testing.md.")
    return found


def _suite(file: Path, document: Any, registry: Registry) -> Suite:
    data = yaml_text.plain(document)
    try:
        return Suite.model_validate(data, by_name=False, by_alias=True)
    except ValidationError as error:
        told = []
        for one in flow_problems.translate(error, data, registry, Suite):
            where = yaml_text.spell(one.path)
            place = f"{file}:{yaml_text.locate(document, one.path).line}: {f'{where}: ' if where else ''}"
            told.append(f"{place}{one.message} {one.suggestion or 'See bot/docs/testing.md.'}")
        raise SettingInvalid("\n".join(told)) from error
