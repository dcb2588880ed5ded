"""A namespace and its folder in a repository: what one has and the other lacks, and how they become alike."""

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from engine.plugin import Changes, Content, DeployedFlow, RunContext, Sight, TaskFailed
from engine.sight import SeenFlows
from engine.tasks import git_contents as contents
from engine.tasks.git_both import checked, deployed
from engine.tasks.git_commit import at, contents_of
from engine.tasks.git_contents import Found
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_repository import Checkout
from engine.tasks.git_sync import as_seen, chosen, chosen_files, flow_change, flows_of, stays
from engine.tasks.git_sync_folders import files_changed

FLOWS, FILES = "flows/", "files/"
ID = re.compile(r"""^id:[ \t]*(?P<mark>['"]?)(?P<id>[a-zA-Z0-9][\w.-]*)(?P=mark)[ \t]*(?:\#.*)?\r?$""", re.MULTILINE)
Row = dict[str, str]
Texts = dict[str, tuple[str, str]]  # a flow's id → its path and text


@dataclass(frozen=True, slots=True)
class Rules:
    """What the task says about what is missing or wrong."""

    when_missing: Literal["DELETE", "KEEP", "FAIL"]
    on_invalid: Literal["SKIP", "WARN", "FAIL"]
    protected: tuple[str, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """A namespace, and the folder of the repository in which its `flows` and `files` lie."""

    namespace: str
    folder: str
    rules: Rules

    @property
    def deletes(self) -> bool:
        """Whether what the source lacks goes from the other side."""
        is_safe = any(f"{self.namespace}.".startswith(f"{one}.") for one in self.rules.protected)
        return self.rules.when_missing == "DELETE" and not is_safe

    def lacking(self, names: Sequence[str], where: str) -> None:
        """TaskFailed when what the source lacks is to be no reason to go on."""
        if names and self.rules.when_missing == "FAIL":
            said = f"{where} lacks {len(names)} of what the other side has: {', '.join(names[:5])}."
            raise TaskFailed(f"{said} Nothing is changed.", fix="Use `whenMissingInSource: KEEP` or `DELETE`.")

    def row(self, path: str, key: str, kind: str, action: str) -> Row:
        """What became of a flow or file."""
        return {"file": f"{self.folder}/{path}", "key": f"{self.namespace}:{key}", "kind": kind, "action": action}

    # From the repository to here

    async def plan(self, context: RunContext, found: Sequence[Found]) -> "Plan":
        """What is to be done so that the namespace has what the folder holds; TaskFailed for flows that are none."""
        flows = flows_of(context)
        wanted, invalid = await self._wanted(flows, found)
        for problem in dict.fromkeys(invalid.values()):
            context.log(problem, "WARN" if self.rules.on_invalid == "WARN" else "INFO")
        files = {file.path.removeprefix(FILES): file.content for file in found if file.path.startswith(FILES)}
        present = {flow.id: flow for flow in await flows.list(self.namespace)}
        there = await chosen_files(context, self.namespace, [])
        gone = _gone(present, wanted, invalid)
        gone = [one for one in gone if not (self.deletes and stays(context, one))]
        return Plan(self, wanted, present, gone, files, there)

    async def _wanted(self, flows: SeenFlows, found: Iterable[Found]) -> tuple[Texts, dict[str, str]]:
        """Path and text of the flows by their ids, and what is wrong with those that are none, by the ids that they may
        be meant to have: "" when one could have any. TaskFailed."""
        wanted: Texts = {}
        invalid: dict[str, str] = {}
        for file in found:
            if not is_flow(file.path):
                continue
            try:
                key, source = await checked(flows, file, self.namespace)
            except TaskFailed as error:
                if self.rules.on_invalid == "FAIL":
                    raise
                told = ID.search(file.content.decode("utf-8", "replace"))
                unknown = "" if told else " Nobody can tell which flow it was, so none is deleted."
                names = (PurePosixPath(file.path).stem, told["id"] if told else "")
                invalid |= dict.fromkeys(names, f"{error.message}{unknown}")
                continue
            wanted[key[1]] = (file.path, source)
        return wanted, invalid

    async def seen_changes(self, sight: Sight, copy: BranchCopy) -> Sequence[Changes]:
        """What would be different here, if the branch holds this."""
        flows, held = flows_of(sight), copy.below(self.folder)
        texts = [Found(path, (one.text or "").encode()) for path, one in held.items()]
        wanted, invalid = await self._wanted(flows, texts)
        present = {flow.id: flow for flow in await flows.list(self.namespace)}
        changed = [
            flow_change((self.namespace, name), present[name].source if name in present else None, source)
            for name, (_, source) in wanted.items()
        ]
        own = (sight.namespace, sight.flow_id)
        gone = [one for one in _gone(present, wanted, invalid) if not one.file]
        if self.deletes:
            gone = [one for one in gone if (one.namespace, one.id) != own]
            changed += [flow_change((one.namespace, one.id), one.source, None) for one in gone]
        files = {path.removeprefix(FILES): one for path, one in held.items() if path.startswith(FILES)}
        there, note = await sight.files.namespace_files(self.namespace), as_seen(copy)
        other = await asyncio.to_thread(files_changed, self.namespace, there, files, note, delete=self.deletes)
        return (chosen(f"flows of {self.namespace}", changed, note), other)

    # From here to the repository

    async def here(self, sight: Sight) -> dict[str, bytes]:
        """The flows and files of the namespace, where they lie below a folder."""
        flows = await flows_of(sight).list(self.namespace)
        found = {
            f"{FLOWS}{one.id}.yaml": contents.pushed_source(one.source, one.namespace, self.namespace, None).encode()
            for one in flows
        }
        files = await chosen_files(sight, self.namespace, [])
        return found | {f"{FILES}{path}": content for path, content in files.items()}

    def filled(self, checkout: Checkout, here: Mapping[str, bytes]) -> list[Row]:
        """Make the folder of a checkout hold what is here, and nothing else if it deletes. Blocks; TaskFailed."""
        found = {one.path: one.content for one in contents.files_below(checkout.folder, self.folder) or []}
        wanted, gone, rows = placed(here, found), missing(here, found), list[Row]()
        self.lacking(gone, f"The namespace {self.namespace}")
        for path, content in wanted.items():
            state = "ADDED" if path not in found else "UPDATED_GIT"
            state = "UNCHANGED" if path in found and same(path, found[path], content) else state
            rows.append(self._told(path, state))
        rows.extend(self._told(path, "DELETED_GIT" if self.deletes else "UNCHANGED") for path in gone)
        new = {p: c for p, c in wanted.items() if p not in found or not same(p, found[p], c)}
        contents.write_below(checkout.folder, self.folder, new)
        if self.deletes:
            contents.drop_below(checkout.folder, self.folder, wanted, lambda path: path in gone)
        return rows

    def _told(self, path: str, state: str) -> Row:
        is_file = path.startswith(FILES)
        key = path.removeprefix(FILES) if is_file else PurePosixPath(path).stem
        return self.row(path, key, "FILE" if is_file else "FLOW", state)

    async def meant(self, sight: Sight, copy: BranchCopy | None) -> dict[str, Content | None]:
        """What a commit would change in the folder."""
        here = await self.here(sight)
        held = copy.below(self.folder) if copy else {}
        found = {path: (one.text or "").encode() for path, one in held.items()}
        wanted = {
            path: content
            for path, content in placed(here, found).items()
            if not (is_flow(path) and path in found and same(path, found[path], content))
        }
        gone = missing(here, found) if self.deletes else []
        told: dict[str, Content | None] = dict(contents_of(wanted, self.folder))
        return told | dict.fromkeys(at(self.folder, path) for path in gone)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done in a namespace: the flows and files the folder holds, those that are here, and what goes."""

    pair: Pair
    wanted: Texts
    present: Mapping[str, DeployedFlow]
    gone: Sequence[DeployedFlow]
    files: Mapping[str, bytes]
    there: Mapping[str, bytes]

    @property
    def lost(self) -> list[str]:
        """Files that only the namespace has."""
        return [path for path in self.there if path not in self.files]

    @property
    def lacked(self) -> list[str]:
        """Flows and files that only the namespace has."""
        return [*(one.id for one in self.gone), *self.lost]

    async def carried_out(self, context: RunContext) -> list[Row]:
        """Do it, unless this is a trial; what became of each flow and file."""
        pair, acts = self.pair, not self.pair.rules.dry_run
        rows = [await self._flow(context, name, *one) for name, one in self.wanted.items()]
        for path, content in self.files.items():
            state = "UNCHANGED" if self.there.get(path) == content else "UPDATED_KES"
            state = state if path in self.there else "ADDED"
            if state != "UNCHANGED" and acts:
                await context.files.put_namespace_file(pair.namespace, path, content)
            rows.append(pair.row(f"{FILES}{path}", path, "FILE", state))
        state = "DELETED_KES" if pair.deletes else "UNCHANGED"
        for one in self.gone:
            if pair.deletes and acts:
                await flows_of(context).delete(one.namespace, one.id)
            rows.append(pair.row(f"{FLOWS}{one.id}.yaml", one.id, "FLOW", state))
        for path in self.lost:
            if pair.deletes and acts:
                await context.files.delete_namespace_file(pair.namespace, path)
            rows.append(pair.row(f"{FILES}{path}", path, "FILE", state))
        return rows

    async def _flow(self, context: RunContext, name: str, path: str, source: str) -> Row:
        """Deploy a flow that is new or another one."""
        before = self.present.get(name)
        state = "ADDED" if before is None else "UPDATED_KES"
        if before is not None and before.source.strip() == source.strip():
            state = "UNCHANGED"
        if state != "UNCHANGED" and not self.pair.rules.dry_run:
            await deployed(flows_of(context), path, source)
        return self.pair.row(path, PurePosixPath(path).stem, "FLOW", state)


def _gone(present: Mapping[str, DeployedFlow], wanted: Collection[str], invalid: Collection[str]) -> list[DeployedFlow]:
    """Flows that the folder certainly does not hold, not even broken."""
    return [] if "" in invalid else [one for name, one in present.items() if name not in {*wanted, *invalid}]


def is_flow(path: str) -> bool:
    """Whether a file below the namespace's folder is a flow of it."""
    return path.startswith(FLOWS) and contents.is_flow(path.removeprefix(FLOWS), below=False)


def placed(here: Mapping[str, bytes], found: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is here, each flow in the file in which the repository has it already."""
    where = {PurePosixPath(path).stem: path for path in found if is_flow(path)}
    return {where.get(PurePosixPath(p).stem, p) if is_flow(p) else p: content for p, content in here.items()}


def missing(here: Mapping[str, bytes], found: Mapping[str, bytes]) -> list[str]:
    """Flows and files that only the repository has."""
    wanted = placed(here, found)
    return [path for path in found if (is_flow(path) or path.startswith(FILES)) and path not in wanted]


def same(path: str, one: bytes, other: bytes) -> bool:
    """Whether two contents are the same; blanks around a flow, and how its lines end, are nothing."""
    if not is_flow(path):
        return one == other
    return one.replace(b"\r\n", b"\n").strip() == other.replace(b"\r\n", b"\n").strip()
