"""The folders of flows: which files there are, what each of them holds, and which of them changed."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.core.documents import is_aside
from engine.core.flow import Flow
from engine.core.flow_source import invalid
from engine.core.flow_texts import FlowText, flow_text, flow_texts, with_flow
from engine.errors import FlowInvalid, Problem, Refused
from engine.flow_files import flow_files

log = logging.getLogger(__name__)

Key = tuple[str, str]  # namespace and id
Stamp = tuple[int, int]  # time and size of a file
Parse = Callable[[FlowText, str], Flow]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as it was read: its flows with their texts, and the problems of what else is in it."""

    path: Path
    flows: tuple[tuple[Flow, str], ...] = ()
    problem: FlowInvalid | None = None


class FlowFolders:
    """Knows what lay in the folders when they were last looked at. `parse` makes a flow of a text in a file."""

    def __init__(self, folders: Sequence[Path], parse: Parse) -> None:
        self._folders = folders
        self._parse = parse
        self._stamps: dict[Path, Stamp] = {}
        self._keys: dict[Path, frozenset[Key]] = {}  # of the files that could be read whole
        self._problems: dict[Path, FlowInvalid] = {}

    def problems(self) -> dict[str, FlowInvalid]:
        """What is wrong with files; the last good revisions of their flows go on."""
        return {str(path): problem for path, problem in self._problems.items()}

    def is_watched(self, file: str) -> bool:
        """Whether a file is there, in one of the folders."""
        return bool(file) and Path(file) in self._stamps

    def keeps(self, file: str, key: Key) -> bool:
        """Whether a file that is there has a flow, or may have it as it can't be read now."""
        return self.is_watched(file) and key in self._keys.get(Path(file), (key,))

    def has_lost(self, file: str, key: Key) -> bool:
        """Whether a flow came from a file in these folders, and is not in it any more."""
        if not file or self.keeps(file, key):
            return False
        resolved = Path(file).resolve()
        return any(resolved.is_relative_to(folder.resolve()) for folder in self._folders)

    async def look(self) -> Sequence[FoundFile] | None:
        """What is new or changed since the last look, and again what something was in the way of; None when all is as
        it was."""
        there = await asyncio.to_thread(self._scan)
        changed = [path for path, stamp in there.items() if self._stamps.get(path) != stamp]
        gone = [path for path in self._stamps if path not in there]
        is_same = bool(self._stamps) and not changed and not gone
        self._stamps = there
        if is_same:
            return None
        for path in gone:
            self._problems.pop(path, None)
            self._keys.pop(path, None)
        changed += [path for path in self._problems if path not in changed]
        files = [await asyncio.to_thread(self._read, path) for path in changed]
        for found in files:
            self._keys.pop(found.path, None)
            if found.problem is None:
                self._keys[found.path] = frozenset((flow.namespace, flow.id) for flow, _ in found.flows)
        return files

    def again(self, files: Iterable[FoundFile]) -> None:
        """Read files once more at the next look, changed or not."""
        for found in files:
            if found.path in self._stamps:
                self._stamps[found.path] = (0, 0)

    def tell(self, path: Path, problem: FlowInvalid | None) -> None:
        """What is wrong with a file, None when nothing is."""
        before = self._problems.pop(path, None)
        if problem is not None:
            self._problems[path] = problem
            if str(before) != str(problem):
                log.warning("%s: %s", path, problem)

    async def write(self, file: str, namespace: str, flow_id: str, text: str) -> str:
        """Give a flow another text in its file; that text as the file has it now. Refused when it can't be."""
        try:
            return await asyncio.to_thread(_write, Path(file), namespace, flow_id, text)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise Refused(f"{file} can't be written: {why}.", fix="Put the old text there.") from error

    def _scan(self) -> dict[Path, Stamp]:
        found: dict[Path, Stamp] = {}
        for path in (path for folder in self._folders for path in flow_files(folder)):
            try:
                stat = path.stat()
            except OSError:
                continue  # it went while we looked
            found[path] = (stat.st_mtime_ns, stat.st_size)
        return found

    def _read(self, path: Path) -> FoundFile:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            unread = FlowInvalid(f"The file can't be read: {error}", fix="Save it as UTF-8 text.")
            return FoundFile(path, problem=unread)
        flows: list[tuple[Flow, str]] = []
        problems: list[FlowInvalid] = []
        for part in flow_texts(text):
            try:
                flow = self._parse(part, str(path))
                self._refuse_second(flow, flows, part, path)
            except FlowInvalid as error:
                problems += [] if is_aside(part.text) else [error]
            else:
                flows.append((flow, part.text))
        whole = invalid([one for error in problems for one in error.problems], str(path)) if problems[1:] else None
        return FoundFile(path, tuple(flows), whole or (problems[0] if problems else None))

    def _refuse_second(self, flow: Flow, flows: Sequence[tuple[Flow, str]], part: FlowText, path: Path) -> None:
        if (flow.namespace, flow.id) in [(one.namespace, one.id) for one, _ in flows]:
            raise twin(flow, str(path), path, part.line)


def twin(flow: Flow, file: str, path: Path, line: int = 1) -> FlowInvalid:
    """The error of a flow that a file has already, seen at another place."""
    problem = Problem("id", f"{file} defines {flow.namespace}.{flow.id} already.", line=line, file=str(path))
    return FlowInvalid(problem.message, fix="Give one of the two another id.", problems=(problem,))


def _write(path: Path, namespace: str, flow_id: str, text: str) -> str:
    whole = with_flow(path.read_text("utf-8"), namespace, flow_id, text)
    if whole is None:
        raise Refused(f"{path} holds {namespace}.{flow_id} no more.", fix="Put the old text there.")
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(whole, "utf-8")
    fresh.replace(path)
    return flow_text(whole, namespace, flow_id).text
