"""The flows in folders, by namespace and id."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core import yaml_text
from engine.core.documents import is_aside
from engine.core.flow_calls import called_names
from engine.core.flow_texts import FlowText, flow_texts
from engine.errors import FlowInvalid, NotFound
from engine.flow_files import flow_files


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
    said: FlowText
    document: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and id."""
        return str(self.document.get("namespace")), str(self.document.get("id"))

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return "/".join(self.key)


def only_flow(file: Path) -> FlowText:
    """The flow of a file, whatever else stands in it; NotFound names them when it holds several."""
    text = file.read_text(encoding="utf-8-sig")
    found = [one for one in flow_texts(text) if not is_aside(one.text)]
    if len(found) > 1:
        names = [one.name for one in WrittenFlows((file,)).every()]
        fix = f"Name one of them, and its folder: {names[0]} --flows {file.parent}" if names else ""
        raise NotFound(f"{file} holds several flows: {', '.join(names)}.", fix=fix)
    return found[0] if found else FlowText(text)


class WrittenFlows:
    """The flows in folders, by namespace and id; each file is read once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._flows: dict[tuple[str, str], WrittenFlow] | None = None
        self._unread: list[tuple[Path, str, FlowInvalid]] = []

    def find(self, namespace: str, flow_id: str) -> WrittenFlow | None:
        """One flow, as written."""
        return self._all().get((namespace, flow_id))

    def every(self) -> list[WrittenFlow]:
        """All of them."""
        return list(self._all().values())

    def needed(self, document: Mapping[str, Any]) -> list[tuple[WrittenFlow, bool]]:
        """The flows that a flow may call and those that they may call; whether each is called by its name."""
        seen = {(str(document.get("namespace")), str(document.get("id")))}
        waiting, found = [document], []
        while waiting:
            for name in called_names(waiting.pop()):
                called = self.every() if name is None else [one for one in [self.find(*name)] if one is not None]
                for one in called:
                    if one.key not in seen:
                        seen.add(one.key)
                        found.append((one, name is not None))
                        waiting.append(one.document)
        return found

    def unread(self, flow_id: str) -> list[tuple[Path, FlowInvalid]]:
        """Files that are no YAML, and seem to hold a flow of this id."""
        self._all()
        wanted = re.compile(rf"^id:\s*[\"']?{re.escape(flow_id)}\b", re.MULTILINE)
        return [(file, error) for file, text, error in self._unread if wanted.search(text)]

    def _all(self) -> dict[tuple[str, str], WrittenFlow]:
        if self._flows is None:
            self._flows = {}
            for file in (file for folder in self._folders for file in flow_files(folder)):
                for said in flow_texts(text_of(file)):
                    try:
                        document = yaml_text.read(said.placed)
                    except FlowInvalid as error:
                        self._unread.append((file, said.text, error))  # a broken neighbour is not what is asked for
                        continue
                    if isinstance(document, Mapping) and "tasks" in document:
                        written = WrittenFlow(file, said, document)
                        self._flows.setdefault(written.key, written)
        return self._flows
