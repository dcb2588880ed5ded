"""A namespace and a folder of a repository made alike: the flows and files of one become those of the other."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field

from engine.plugin import Changes, Content, DeployedFlow, Property, RunContext, Sight, TaskFailed
from engine.sight import SeenFlows
from engine.tasks import git_contents as contents
from engine.tasks.core.namespace import Namespace
from engine.tasks.git_both import checked, deployed
from engine.tasks.git_commit import CommitTask, Meant, Pushed, at, contents_of, listed
from engine.tasks.git_contents import Found
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_repository import Checkout, checked_out, without_password
from engine.tasks.git_sync import as_seen, chosen, chosen_files, flow_change, flows_of, never_seen, stays
from engine.tasks.git_sync_folders import files_changed
from engine.tasks.property_types import OptionalText, TextList

FLOWS, FILES = "flows/", "files/"
Row = dict[str, str]


class NamespaceSynced(Pushed):
    """The commit, when the repository was changed, and the list of what became of each flow and file."""

    diff: str


class NamespaceSyncTask(CommitTask):
    """The flows and files of a namespace, and those of `<gitDirectory>/<namespace>/{flows,files}` of a repository."""

    namespace: Property[Namespace]
    git_directory: Property[OptionalText] = None
    source_of_truth: Property[Literal["GIT", "KESTRA"]] = Field(
        default="KESTRA", description="Which side the other becomes like."
    )
    when_missing_in_source: Property[Literal["DELETE", "KEEP", "FAIL"]] = "DELETE"
    protected_namespaces: Property[TextList] = Field(
        default_factory=lambda: ["system"], description="In these and below nothing is deleted."
    )
    on_invalid_syntax: Property[Literal["SKIP", "WARN", "FAIL"]] = "FAIL"
    clone_submodules: Any = None

    async def run(self, context: RunContext) -> NamespaceSynced:
        if self.source_of_truth == "GIT":
            pushed, rows = Pushed(), await self._brought(context)
        else:
            pushed, rows = await self._pushed(context)
        return NamespaceSynced(**pushed.model_dump(), diff=await listed(context, rows))

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        if self.dry_run or self.source_of_truth == "KESTRA":
            return await super().changes(sight, is_shared=is_shared)
        copy = await self.last_seen(sight)
        return never_seen(self.place(sight)) if copy is None else await self._seen_changes(sight, copy)

    @property
    def folder(self) -> str:
        """Where in the repository the namespace lies."""
        return "/".join(filter(None, [*(self.git_directory or "").split("/"), *self.namespace.split(".")]))

    @property
    def _deletes(self) -> bool:
        is_safe = any(f"{self.namespace}.".startswith(f"{one}.") for one in self.protected_namespaces)
        return self.when_missing_in_source == "DELETE" and not is_safe

    def _lacking(self, names: Sequence[str], where: str) -> None:
        """TaskFailed when what the source lacks is to be no reason to go on."""
        if names and self.when_missing_in_source == "FAIL":
            said = f"{where} lacks {len(names)} of what the other side has: {', '.join(names[:5])}."
            raise TaskFailed(f"{said} Nothing is changed.", fix="Use `whenMissingInSource: KEEP` or `DELETE`.")

    def _row(self, path: str, key: str, kind: str, action: str) -> Row:
        return {"file": f"{self.folder}/{path}", "key": f"{self.namespace}:{key}", "kind": kind, "action": action}

    # From the repository to here

    async def _brought(self, context: RunContext) -> list[Row]:
        flows, found = flows_of(context), await self._held(context)
        wanted, invalid = await self._wanted(flows, found)
        for problem in invalid.values():
            context.log(problem, "WARN" if self.on_invalid_syntax == "WARN" else "INFO")
        files = {file.path.removeprefix(FILES): file.content for file in found if file.path.startswith(FILES)}
        present = {flow.id: flow for flow in await flows.list(self.namespace)}
        there = await chosen_files(context, self.namespace, [])
        gone = [one for name, one in present.items() if name not in wanted and name not in invalid]
        gone = [one for one in gone if not (self._deletes and stays(context, one))]
        lost = [path for path in there if path not in files]
        self._lacking([*(one.id for one in gone), *lost], "The repository")
        rows = [await self._flow(context, present.get(name), *one) for name, one in wanted.items()]
        for path, content in files.items():
            state = "ADDED" if path not in there else "UNCHANGED" if there[path] == content else "UPDATED_KES"
            if state != "UNCHANGED" and not self.dry_run:
                await context.files.put_namespace_file(self.namespace, path, content)
            rows.append(self._row(f"{FILES}{path}", path, "FILE", state))
        state = "DELETED_KES" if self._deletes else "UNCHANGED"
        for one in gone:
            if self._deletes and not self.dry_run:
                await flows.delete(one.namespace, one.id)
            rows.append(self._row(f"{FLOWS}{one.id}.yaml", one.id, "FLOW", state))
        for path in lost:
            if self._deletes and not self.dry_run:
                await context.files.delete_namespace_file(self.namespace, path)
            rows.append(self._row(f"{FILES}{path}", path, "FILE", state))
        return rows

    async def _flow(self, context: RunContext, before: DeployedFlow | None, path: str, source: str) -> Row:
        """Deploy a flow that is new or another one."""
        state = "ADDED" if before is None else "UPDATED_KES"
        if before is not None and before.source.strip() == source.strip():
            state = "UNCHANGED"
        if state != "UNCHANGED" and not self.dry_run:
            await deployed(flows_of(context), path, source)
        return self._row(path, PurePosixPath(path).stem, "FLOW", state)

    async def _held(self, context: RunContext) -> list[Found]:
        """What the folder holds; TaskFailed when there is none: nothing is deleted because of a wrong name."""
        url = await self.address(context)

        def work() -> list[Found] | None:
            with checked_out(self, context, url, self.branch, make=False) as checkout:
                return contents.files_below(checkout.folder, self.folder)

        found = await self.with_git(context, work)
        if found is None:
            said = f"The branch {self.branch!r} of {without_password(self.url.strip())} has no folder {self.folder!r}."
            raise TaskFailed(said, fix="Correct `gitDirectory`: below it lies a folder for each part of a namespace.")
        return found

    async def _wanted(
        self, flows: SeenFlows, found: Iterable[Found]
    ) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
        """Id → path and text of the flows, and what is wrong with those that are none; TaskFailed."""
        wanted: dict[str, tuple[str, str]] = {}
        invalid: dict[str, str] = {}
        for file in found:
            if not is_flow(file.path):
                continue
            try:
                key, source = await checked(flows, file, self.namespace)
            except TaskFailed as error:
                if self.on_invalid_syntax == "FAIL":
                    raise
                invalid[PurePosixPath(file.path).stem] = error.message
                continue
            wanted[key[1]] = (file.path, source)
        return wanted, invalid

    async def _seen_changes(self, sight: Sight, copy: BranchCopy) -> Sequence[Changes]:
        flows, held = flows_of(sight), copy.below(self.folder)
        texts = [Found(path, (one.text or "").encode()) for path, one in held.items()]
        wanted, invalid = await self._wanted(flows, texts)
        present = {flow.id: flow for flow in await flows.list(self.namespace)}
        changed = [
            flow_change((self.namespace, name), present[name].source if name in present else None, source)
            for name, (_, source) in wanted.items()
        ]
        own = (sight.namespace, sight.flow_id)
        gone = [one for name, one in present.items() if name not in wanted and name not in invalid and not one.file]
        if self._deletes:
            gone = [one for one in gone if (one.namespace, one.id) != own]
            changed += [flow_change((one.namespace, one.id), one.source, None) for one in gone]
        files = {path.removeprefix(FILES): one for path, one in held.items() if path.startswith(FILES)}
        there, note = await sight.files.namespace_files(self.namespace), as_seen(copy)
        other = await asyncio.to_thread(files_changed, self.namespace, there, files, note, delete=self._deletes)
        return (chosen(f"flows of {self.namespace}", changed, note), other)

    # From here to the repository

    async def _pushed(self, context: RunContext) -> tuple[Pushed, list[Row]]:
        here, rows = await self._here(context), list[Row]()

        def fill(checkout: Checkout) -> Sequence[str]:
            found = {one.path: one.content for one in contents.files_below(checkout.folder, self.folder) or []}
            wanted, gone = placed(here, found), missing(here, found)
            self._lacking(gone, f"The namespace {self.namespace}")
            for path, content in wanted.items():
                state = "ADDED" if path not in found else "UPDATED_GIT"
                state = "UNCHANGED" if path in found and same(path, found[path], content) else state
                rows.append(self._told(path, state))
            rows.extend(self._told(path, "DELETED_GIT" if self._deletes else "UNCHANGED") for path in gone)
            new = {p: c for p, c in wanted.items() if p not in found or not same(p, found[p], c)}
            contents.write_below(checkout.folder, self.folder, new)
            if self._deletes:
                contents.drop_below(checkout.folder, self.folder, wanted, lambda path: path in gone)
            return ["."]

        pushed, _ = await self.commit(context, fill, self.commit_message or "Namespace sync from Kestra")
        return pushed, rows

    def _told(self, path: str, state: str) -> Row:
        is_file = path.startswith(FILES)
        key = path.removeprefix(FILES) if is_file else PurePosixPath(path).stem
        return self._row(path, key, "FILE" if is_file else "FLOW", state)

    async def meant(self, sight: Sight, copy: BranchCopy | None, *, is_shared: bool) -> Meant:
        here = await self._here(sight)
        held = copy.below(self.folder) if copy else {}
        found = {path: (one.text or "").encode() for path, one in held.items()}
        wanted = {
            path: content
            for path, content in placed(here, found).items()
            if not (is_flow(path) and path in found and same(path, found[path], content))
        }
        gone = missing(here, found) if self._deletes else []
        told: dict[str, Content | None] = dict(contents_of(wanted, self.folder))
        return Meant(told | dict.fromkeys(at(self.folder, path) for path in gone))

    async def _here(self, sight: Sight) -> dict[str, bytes]:
        """The flows and files of the namespace, where they lie below a folder."""
        flows = await flows_of(sight).list(self.namespace)
        found = {
            f"{FLOWS}{one.id}.yaml": contents.pushed_source(one.source, one.namespace, self.namespace, None).encode()
            for one in flows
        }
        files = await chosen_files(sight, self.namespace, [])
        return found | {f"{FILES}{path}": content for path, content in files.items()}


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
