"""What repositories hold, brought here: one flow of a repository, and a whole folder of flows and files at once."""

import asyncio
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import Field

from engine.errors import FlowInvalid, Refused
from engine.plugin import Changes, Flows, Outputs, Property, RunContext, Sight, TaskFailed
from engine.sight import SeenFlows
from engine.tasks import git_contents as contents
from engine.tasks.core.namespace import Namespace
from engine.tasks.git_contents import Found
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_sync import FetchTask, as_seen, chosen, flow_change, flows_of
from engine.tasks.git_sync_folders import files_changed
from engine.tasks.property_types import OptionalText, Text

FLOWS = "_flows/"
IGNORE = ".kestraignore"


class FlowSynced(Outputs):
    """The flow that was deployed; `revision` is what it had before when this is a dry run."""

    flowId: str  # noqa: N815 - appears as written
    namespace: str
    revision: int


class SyncFlowTask(FetchTask):
    """One flow of a repository, brought to a namespace."""

    branch: Property[Text] = "main"
    target_namespace: Property[Namespace]
    flow_path: Property[Text]

    async def run(self, context: RunContext) -> FlowSynced:
        flows = flows_of(context)
        folder, _, name = self.flow_path.removeprefix("/").rpartition("/")
        found = {file.path: file for file in await self.below(context, folder or ".") or []}
        if name not in found:
            raise TaskFailed(f"The repository has no file {self.flow_path!r}.", fix="Correct `flowPath`.")
        key, source = await checked(flows, found[name], self.target_namespace)
        present = {(flow.namespace, flow.id): flow for flow in await flows.list(self.target_namespace)}
        revision = present[key].revision if key in present else 0
        if not self.dry_run:
            revision = await deployed(flows, name, source)
        context.log(f"{'A dry run: ' if self.dry_run else ''}{'.'.join(key)}, revision {revision}.")
        return FlowSynced(flowId=key[1], namespace=key[0], revision=revision)

    async def seen_changes(self, sight: Sight, copy: BranchCopy) -> Sequence[Changes]:
        flows = flows_of(sight)
        held = copy.files.get(self.flow_path.removeprefix("/"))
        if held is None:
            raise TaskFailed(f"The repository has no file {self.flow_path!r}.", fix="Correct `flowPath`.")
        key, source = await checked(flows, Found(self.flow_path, (held.text or "").encode()), self.target_namespace)
        present = {(flow.namespace, flow.id): flow.source for flow in await flows.list(self.target_namespace)}
        place = f"flows of {self.target_namespace}"
        return (chosen(place, [flow_change(key, present.get(key), source)], as_seen(copy)),)


class SyncBothTask(FetchTask):
    """Flows and files of the flow's namespace, made what a repository holds."""

    git_directory: Property[OptionalText] = None
    namespace_files_directory: Property[OptionalText] = Field(
        default=None, description="Files of the namespace outside this folder stay as they are."
    )

    async def run(self, context: RunContext) -> None:
        directory = (self.git_directory or "").strip("/") or "."
        found = await self.below(context, directory)
        if found is None:
            raise TaskFailed(self.missing(directory), fix="Correct `gitDirectory`.")
        found = await asyncio.to_thread(_without_ignored, found)
        context.log(f"The dry run is {'on; nothing' if self.dry_run else 'off; this'} is changed:")
        flows = [file for file in found if file.path.startswith(FLOWS)]
        if flows:
            await self._flows(context, flows_of(context), flows)
        await self._files(context, [file for file in found if not file.path.startswith(FLOWS)])

    async def seen_changes(self, sight: Sight, copy: BranchCopy) -> Sequence[Changes]:
        held = copy.below((self.git_directory or "").strip("/") or ".")
        if (ignore := held.get(IGNORE)) is not None:
            ignored = await asyncio.to_thread(_ignored, (ignore.text or "").encode(), list(held))
            held = {path: content for path, content in held.items() if path not in ignored}
        home, note, found = sight.namespace, as_seen(copy), []
        if any(path.startswith(FLOWS) for path in held):
            flows = flows_of(sight)
            texts = [Found(p, (c.text or "").encode()) for p, c in held.items() if p.startswith(FLOWS)]
            wanted = await self._wanted(flows, home, texts)
            present = {(flow.namespace, flow.id): flow for flow in await flows.list(home, below=True)}
            kept = {flow_id for _, flow_id in wanted} | {sight.flow_id}
            gone = [key for key, flow in present.items() if key[0] == home and key[1] not in kept and not flow.file]
            changed = [flow_change(k, present[k].source if k in present else None, s) for k, (_, s) in wanted.items()]
            changed += [flow_change(key, present[key].source, None) for key in gone]
            found.append(chosen(f"flows of {home}", changed, note))
        files = {self._prefix + path: content for path, content in held.items() if not path.startswith(FLOWS)}
        there = await sight.files.namespace_files(home)
        there = {path: file for path, file in there.items() if path.startswith(self._prefix)}
        found.append(await asyncio.to_thread(files_changed, home, there, files, note, delete=True))
        return found

    @property
    def _prefix(self) -> str:
        prefix = "/".join(filter(None, (self.namespace_files_directory or "").split("/")))
        return f"{prefix}/" if prefix else ""

    async def _flows(self, context: RunContext, flows: Flows, found: Sequence[Found]) -> None:
        home = context.namespace
        wanted = await self._wanted(flows, home, found)
        present = {(flow.namespace, flow.id) for flow in await flows.list(home, below=True)}
        for key, (path, source) in wanted.items():
            if not self.dry_run:
                await deployed(flows, path, source)
            context.log(f"{'~' if key in present else '+'} /{FLOWS}{key[1]}.yml")
        kept = {flow_id for _, flow_id in wanted}
        for flow in await flows.list(home):
            if flow.id not in kept and await self.deleted(context, flows, flow):
                context.log(f"- /{FLOWS}{flow.id}.yml")

    async def _wanted(
        self, flows: SeenFlows, home: str, found: Sequence[Found]
    ) -> dict[tuple[str, str], tuple[str, str]]:
        """(namespace, id) → path and text of every flow; TaskFailed."""
        wanted: dict[tuple[str, str], tuple[str, str]] = {}
        for file in found:
            if "/" in file.path.removeprefix(FLOWS):
                raise TaskFailed(f"{file.path} lies in a folder of its own.", fix=f"Keep all flows in {FLOWS} itself.")
            own = contents.declared_namespace(file.content.decode("utf-8", "replace"))
            key, source = await checked(flows, file, own if own and own.startswith(f"{home}.") else home)
            if key in wanted:
                raise TaskFailed(f"{file.path}: {wanted[key][0]} has the same id.", fix="Rename one of them.")
            wanted[key] = (file.path, source)
        return wanted

    async def _files(self, context: RunContext, found: Sequence[Found]) -> None:
        prefix = self._prefix
        present = {path for path in await context.files.namespace_files(context.namespace) if path.startswith(prefix)}
        wanted = {prefix + file.path: file.content for file in found}
        for path in sorted(present - set(wanted)):
            context.log(f"- /{path.removeprefix(prefix)}")
            if not self.dry_run:
                await context.files.delete_namespace_file(context.namespace, path)
        for path, content in wanted.items():
            context.log(f"{'~' if path in present else '+'} /{path.removeprefix(prefix)}")
            if not self.dry_run:
                await context.files.put_namespace_file(context.namespace, path, content)


async def checked(flows: SeenFlows, file: Found, namespace: str) -> tuple[tuple[str, str], str]:
    """Namespace and id of a repository's flow, and its text in that namespace; TaskFailed when it is none."""
    source = contents.with_namespace(file.content.decode("utf-8", "replace"), namespace)
    try:
        key = await flows.check(source)
    except FlowInvalid as error:
        raise TaskFailed(f"{file.path} is no valid flow; none is deployed. {error}", fix="Correct it.") from error
    if key[0] != namespace:  # the text hides its namespace from us, in quotes or by an anchor
        fix = f"Write it as `namespace: {namespace}`."
        raise TaskFailed(f"{file.path}: its namespace stays {key[0]}.", fix=fix)
    return key, source


async def deployed(flows: Flows, path: str, source: str) -> int:
    """The revision that a text has now."""
    try:
        return (await flows.deploy(source)).revision
    except Refused as error:
        raise TaskFailed(f"{path} cannot be deployed: {error.message}", fix=error.fix) from error


def _without_ignored(found: Sequence[Found]) -> list[Found]:
    patterns = next((file.content for file in found if file.path == IGNORE), None)
    if patterns is None:
        return list(found)
    ignored = _ignored(patterns, [file.path for file in found])
    return [file for file in found if file.path not in ignored]


def _ignored(patterns: bytes, paths: Collection[str]) -> set[str]:
    """The paths that patterns like those of `.gitignore` match, as git itself sees it. Blocks."""
    import git

    with tempfile.TemporaryDirectory(prefix="parley-ignore-") as folder, tempfile.TemporaryFile() as given:
        given.write("\0".join(paths).encode())
        given.seek(0)
        with git.Repo.init(folder) as repository:
            (Path(folder) / ".git" / "info").mkdir(exist_ok=True)
            (Path(folder) / ".git" / "info" / "exclude").write_bytes(patterns)
            try:
                found = repository.git.check_ignore("--no-index", "--stdin", "-z", istream=given)
            except git.GitCommandError as error:
                if error.status == 1:  # none
                    return set()
                raise TaskFailed(f"git cannot read {IGNORE}: {error.stderr}", fix="Correct its patterns.") from error
    return set(filter(None, str(found).split("\0")))
