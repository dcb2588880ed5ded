"""Folders of flows: the files in them, and the flows by namespace and id."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core import yaml_text
from engine.core.flow_calls import called_names
from engine.errors import FlowInvalid

SUFFIXES = (".yaml", ".yml")


def flow_files(folder: Path) -> Iterator[Path]:
    """The YAML files of a folder at any depth, in order, without hidden ones and those in hidden folders."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.suffix in SUFFIXES and path.is_file():
            yield path


def text_of(file: Path) -> str:
    """What stands in a file; nothing when it can't be read."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


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
            for file in (file for folder in self._folders for file in flow_files(folder)):
                text = text_of(file)
                try:
                    document = yaml_text.read(text)
                except FlowInvalid as error:
                    self._unread[file] = (text, error)  # a broken neighbour is not what is asked for
                    continue
                if isinstance(document, Mapping) and "tasks" in document:
                    key = (str(document.get("namespace")), str(document.get("id")))
                    self._flows.setdefault(key, WrittenFlow(file, text, document))
        return self._flows
