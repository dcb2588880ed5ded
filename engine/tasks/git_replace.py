"""A folder of a repository brought up to date with the flows or the files of a namespace."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.plugin import Content, Property, RunContext, Sight, TaskFailed
from engine.tasks import git_contents as contents
from engine.tasks.core.namespace import Namespace
from engine.tasks.git_commit import CommitTask, FilesPushed, FlowsPushed, Meant, Pushed, at, contents_of, listed
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_repository import Change, Checkout
from engine.tasks.git_sync import chosen_files, flows_of
from engine.tasks.property_types import Text, TextList
from engine.tasks.working_files import glob


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the folder is to hold, and which other files of it the task is about (those go, with `delete`)."""

    files: Mapping[str, bytes]
    is_meant: Callable[[str], bool]


class ReplaceTask(CommitTask):
    """What both tasks have that bring a folder of the repository up to date."""

    delete: Property[bool] = True

    async def replace(
        self, context: RunContext, directory: str, wanted: Wanted, message: str
    ) -> tuple[Pushed, list[Change]]:
        """Commit and push files; with `delete`, those of the folder go that are meant and no longer there."""

        def fill(checkout: Checkout) -> Sequence[str]:
            if self.delete:
                contents.drop_below(checkout.folder, directory, wanted.files, wanted.is_meant)
            contents.write_below(checkout.folder, directory, wanted.files)
            return ["."]

        return await self.commit(context, fill, message)

    def replaced(self, copy: BranchCopy | None, directory: str, wanted: Wanted) -> Meant:
        """The same, without a repository at hand."""
        held: dict[str, Content | None] = dict(contents_of(wanted.files, directory))
        there = copy.below(directory) if copy and self.delete else {}
        gone = {at(directory, name) for name in there if name not in wanted.files and wanted.is_meant(name)}
        return Meant({**held, **dict.fromkeys(gone)})


class PushFlowsTask(ReplaceTask):
    """The flows of a namespace, brought to a folder of the repository."""

    source_namespace: Property[Namespace | None] = None
    target_namespace: Property[Namespace | None] = None
    flows: Property[TextList | None] = None
    include_child_namespaces: Property[bool] = False
    git_directory: Property[Text] = "_flows"

    async def run(self, context: RunContext) -> FlowsPushed:
        wanted = await self._wanted(context)
        message = self.commit_message or f"Add flows from {self.source_namespace or context.namespace} namespace"
        pushed, changes = await self.replace(context, self.git_directory, wanted, message)
        return FlowsPushed(**pushed.model_dump(), flows=await listed(context, (change.row() for change in changes)))

    async def meant(self, sight: Sight, copy: BranchCopy | None, *, is_shared: bool) -> Meant:
        return self.replaced(copy, self.git_directory, await self._wanted(sight))

    async def _wanted(self, sight: Sight) -> Wanted:
        source = self.source_namespace or sight.namespace
        patterns = [glob(pattern) for pattern in self.flows or ["**"]]
        files = {
            contents.pushed_path(flow.namespace, flow.id, source): contents.pushed_source(
                flow.source, flow.namespace, source, self.target_namespace
            ).encode()
            for flow in await flows_of(sight).list(source, below=self.include_child_namespaces)
            if any(pattern.fullmatch(flow.id) for pattern in patterns)
        }

        def meant(path: str) -> bool:
            is_flow = contents.is_flow(path, below=self.include_child_namespaces)
            return is_flow and any(pattern.fullmatch(Path(path).stem) for pattern in patterns)

        return Wanted(files, meant)


class PushFilesTask(ReplaceTask):
    """The files of a namespace, brought to a folder of the repository."""

    namespace: Property[Namespace | None] = None
    files: Property[TextList | None] = None
    git_directory: Property[Text] = "_files"
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> FilesPushed:
        wanted = await self._wanted(context)
        message = self.commit_message or f"Add files from {self.namespace or context.namespace} namespace"
        pushed, changes = await self.replace(context, self.git_directory, wanted, message)
        return FilesPushed(**pushed.model_dump(), files=await listed(context, (change.row() for change in changes)))

    async def meant(self, sight: Sight, copy: BranchCopy | None, *, is_shared: bool) -> Meant:
        return self.replaced(copy, self.git_directory, await self._wanted(sight))

    async def _wanted(self, sight: Sight) -> Wanted:
        namespace = self.namespace or sight.namespace
        files = await chosen_files(sight, namespace, self.files or [])
        if not files and self.error_on_missing:
            raise TaskFailed(f"No file of {namespace} matches `files`.", fix="Correct the patterns.")
        patterns = [glob(pattern) for pattern in self.files or ["**"]]
        return Wanted(files, lambda path: any(pattern.fullmatch(path) for pattern in patterns))
