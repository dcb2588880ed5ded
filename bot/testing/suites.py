"""Test files: found, read, and matched with the flows they are about."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.testing.cases import Suite
from engine.core import flow_problems, yaml_text
from engine.core.documents import is_test
from engine.core.flow_calls import called_names
from engine.core.registry import Registry
from engine.errors import FlowInvalid, NotFound, SettingInvalid

SUFFIXES = (".yaml", ".yml")


def find_suites(given: Iterable[Path], registry: Registry) -> list[tuple[Path, Suite]]:
    """The tests in files and folders; NotFound when there are none, SettingInvalid with the place of a mistake."""
    found, broken = [], []
    for path in given:
        if not path.exists():
            raise NotFound(f"There is no file {path}.", fix="Check the path.")
        for file in [path] if path.is_file() else [one for one in _yaml_files([path]) if "testCases" in _text(one)]:
            try:
                found.append((file, _suite(file, registry)))
            except SettingInvalid as error:
                broken.append(error)
    if broken:
        raise SettingInvalid("\n".join(map(str, broken)))
    if not found:
        fix = "A test file has `testCases`; see bot/docs/testing.md."
        raise NotFound("There are no tests in these folders.", fix=fix)
    return found


@dataclass(frozen=True, slots=True)
class WrittenFlow:
    """A flow as it stands in a file."""

    file: Path
    text: str
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return f"{self.document.get('namespace')}/{self.document.get('id')}"


class FlowFolders:
    """The flows in folders, by namespace and id; each file is read once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._flows: dict[tuple[str, str], WrittenFlow] | None = None
        self._unread: dict[Path, tuple[str, FlowInvalid]] = {}

    def find(self, namespace: str, flow_id: str) -> WrittenFlow | None:
        """One flow, as written."""
        return self._all().get((namespace, flow_id))

    def every(self) -> list[WrittenFlow]:
        """All of them."""
        return list(self._all().values())

    def needed(self, document: Mapping[str, Any], file: Path | None = None) -> list[tuple[WrittenFlow, bool]]:
        """The flows that a flow may call and those that they may call; whether each is called by its name."""
        seen = set() if file is None else {file.resolve()}
        waiting, found = [document], []
        while waiting:
            for name in called_names(waiting.pop()):
                called = self.every() if name is None else [one for one in [self.find(*name)] if one is not None]
                for one in called:
                    if one.file.resolve() not in seen:
                        seen.add(one.file.resolve())
                        found.append((one, name is not None))
                        waiting.append(one.document)
        return found

    def unread(self, flow_id: str) -> list[tuple[Path, FlowInvalid]]:
        """Files that are no YAML, and seem to hold a flow of this id."""
        self._all()
        wanted = re.compile(rf"^id:\s*[\"']?{re.escape(flow_id)}\b", re.MULTILINE)
        return [(file, error) for file, (text, error) in self._unread.items() if wanted.search(text)]

    def _all(self) -> dict[tuple[str, str], WrittenFlow]:
        if self._flows is None:
            self._flows = {}
            for file in _yaml_files(self._folders):
                text = _text(file)
                try:
                    document = yaml_text.read(text)
                except FlowInvalid as error:
                    self._unread[file] = (text, error)  # a broken neighbour is not what is asked for
                    continue
                if isinstance(document, Mapping) and "tasks" in document:
                    key = (str(document.get("namespace")), str(document.get("id")))
                    self._flows.setdefault(key, WrittenFlow(file, text, document))
        return self._flows


def _yaml_files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
            if not hidden and file.suffix in SUFFIXES and file.is_file():
                yield file


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


def _suite(file: Path, registry: Registry) -> Suite:
    try:
        document = yaml_text.read(file.read_text(encoding="utf-8-sig"))
        data = yaml_text.plain(document)
        if not is_test(data):
            raise SettingInvalid(f"{file} is no test: it has no `testCases`.", fix="See bot/docs/testing.md.")
        return Suite.model_validate(data, by_name=False, by_alias=True)
    except ValidationError as error:
        told = []
        for one in flow_problems.translate(error, data, registry, Suite):
            where = yaml_text.spell(one.path)
            place = f"{file}:{yaml_text.locate(document, one.path).line}: {f'{where}: ' if where else ''}"
            told.append(f"{place}{one.message} {one.suggestion or 'See bot/docs/testing.md.'}")
        raise SettingInvalid("\n".join(told)) from error
    except FlowInvalid as error:
        line = error.problems[0].line if error.problems else 1
        raise SettingInvalid(f"{file}:{line}: {error.message}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"{file} can't be read: {error}.") from error
