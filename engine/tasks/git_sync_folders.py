"""A folder of a repository, brought to a namespace: its flows, or its files."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import FlowInvalid, Refused
from engine.plugin import Changes, Content, FileChange, Property, RunContext, Sight, TaskFailed
from engine.tasks import git_contents as contents
from engine.tasks.core.namespace import Namespace
from engine.tasks.git_commit import listed
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_sync import (
    FilesSynced,
    FlowsSynced,
    SyncTask,
    as_seen,
    chosen,
    flow_change,
    flow_row,
    flows_of,
    source_in,
)
from engine.tasks.property_types import Text


class SyncFlowsTask(SyncTask):
    """The flows of a folder."""

    target_namespace: Property[Namespace]
    git_directory: Property[Text] = "_flows"

    async def run(self, context: RunContext) -> FlowsSynced:
        flows = flows_of(context)
        found = await self.fetched(context, self.git_directory)
        if found is None:
            return FlowsSynced(flows=await listed(context, []))
        present = {
            (flow.namespace, flow.id): flow
            for flow in await flows.list(self.target_namespace, below=self.include_child_namespaces)
        }
        wanted, complete = await self.checked(context, flows, found, self.target_namespace)
        rows: list[dict[str, Any]] = []
        for key, (path, source) in wanted.items():
            before = present.get(key)
            state = "ADDED" if before is None else "UPDATED"
            if before is not None and before.source.rstrip() == source.rstrip():
                state = "UNCHANGED"
            revision = before.revision if before is not None else 0
            if state != "UNCHANGED" and not self.dry_run:
                try:
                    revision = (await flows.deploy(source)).revision
                except Refused as error:
                    raise TaskFailed(f"{path} cannot be deployed: {error.message}", fix=error.fix) from error
            rows.append(flow_row(state, *key, revision, f"{self.git_directory.rstrip('/')}/{path}"))
        gone = [flow for key, flow in present.items() if key not in wanted] if self.delete and complete else []
        rows += [
            flow_row("DELETED", flow.namespace, flow.id, flow.revision)
            for flow in gone
            if await self.deleted(context, flows, flow)
        ]
        self.tell(context, rows)
        return FlowsSynced(flows=await listed(context, rows))

    async def seen_changes(self, sight: Sight, copy: BranchCopy) -> Sequence[Changes]:
        flows = flows_of(sight)
        listed_flows = await flows.list(self.target_namespace, below=self.include_child_namespaces)
        present = {(flow.namespace, flow.id): flow.source for flow in listed_flows}
        found, left, invalid = [], set(present), 0
        for path, held in copy.below(self.git_directory).items():
            if not contents.is_flow(path, below=self.include_child_namespaces) or held.text is None:
                continue
            namespace = contents.namespace_of(path, self.target_namespace)
            source = source_in(held, namespace)
            try:
                key = await flows.check(source)
            except FlowInvalid:
                invalid += 1
                continue
            left.discard(key)
            found.append(flow_change(key, present.get(key), source))
        if invalid and not self.ignore_invalid_flows:
            raise TaskFailed(f"Invalid flows: {invalid}; none would be deployed.", fix="Correct them.")
        gone = sorted(left) if self.delete and not invalid else []
        found += [flow_change(key, present[key], None) for key in gone]
        return (chosen(f"flows of {self.target_namespace}", found, as_seen(copy)),)


class SyncFilesTask(SyncTask):
    """The files of a folder."""

    namespace: Property[Namespace | None] = None
    git_directory: Property[Text] = "_files"

    async def run(self, context: RunContext) -> FilesSynced:
        namespace = self.namespace or context.namespace
        found = await self.fetched(context, self.git_directory)
        if found is None:
            return FilesSynced(files=await listed(context, []))
        present = await context.files.namespace_files(namespace)
        rows: list[dict[str, Any]] = []
        for file in found:
            state, before = "ADDED", present.get(file.path)
            if before is not None:
                state = "UNCHANGED" if await asyncio.to_thread(before.read_bytes) == file.content else "OVERWRITTEN"
            if state != "UNCHANGED" and not self.dry_run:
                await context.files.put_namespace_file(namespace, file.path, file.content)
            path = f"{self.git_directory.rstrip('/')}/{file.path}"
            rows.append({"gitPath": path, "syncState": state, "kestraPath": f"/{file.path}"})
        kept = {file.path for file in found}
        for path in sorted(set(present) - kept) if self.delete else ():
            if not self.dry_run:
                await context.files.delete_namespace_file(namespace, path)
            rows.append({"syncState": "DELETED", "kestraPath": f"/{path}"})
        self.tell(context, rows)
        return FilesSynced(files=await listed(context, rows))

    async def seen_changes(self, sight: Sight, copy: BranchCopy) -> Sequence[Changes]:
        namespace = self.namespace or sight.namespace
        there = await sight.files.namespace_files(namespace)
        wanted = copy.below(self.git_directory)
        return (await asyncio.to_thread(files_changed, namespace, there, wanted, as_seen(copy), delete=self.delete),)


def files_changed(
    namespace: str, there: Mapping[str, Path], wanted: Mapping[str, Content], note: str, *, delete: bool
) -> Changes:
    """What becomes of the files of a namespace when a folder's are put there. Blocks."""
    paths = [*wanted, *(path for path in there if delete and path not in wanted)]
    before = {path: Content.read(there[path]) if path in there else None for path in paths}
    found = [FileChange(path, before[path], wanted.get(path)) for path in sorted(paths)]
    return chosen(f"files of {namespace}", found, note)
