"""What a repository holds, brought here: flows and files of namespaces."""

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, overload

from engine.errors import FlowInvalid
from engine.plugin import (
    Changes,
    Content,
    DeployedFlow,
    FileChange,
    Flows,
    Outputs,
    Property,
    RunContext,
    Sight,
    TaskFailed,
)
from engine.sight import SeenFlows
from engine.tasks import git_contents as contents
from engine.tasks.git_contents import Found
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_repository import GitTask, checked_out, without_password
from engine.tasks.property_types import Text
from engine.tasks.working_files import glob


class FlowsSynced(Outputs):
    """The list of flows: one row each, with what became of it."""

    flows: str


class FilesSynced(Outputs):
    """The list of files: one row each, with what became of it."""

    files: str


class FetchTask(GitTask):
    """What every task has that brings something of a repository here."""

    dry_run: Property[bool] = False
    clone_submodules: Any = None
    kestra_url: Any = None
    auth: Any = None

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        """What would be different here, if the branch still holds what a task of the namespace saw last."""
        if self.dry_run:
            return ()
        copy = await self.last_seen(sight)
        if copy is None:
            return never_seen(self.place(sight))
        return await self.seen_changes(sight, copy)

    @abstractmethod
    async def seen_changes(self, sight: Sight, copy: BranchCopy) -> Sequence[Changes]:
        """What a branch brings that holds this."""

    async def below(self, context: RunContext, directory: str) -> list[Found] | None:
        """The files below a folder of the branch, without one of the default branch; None when it is missing."""
        url = await self.address(context)

        def work() -> list[Found] | None:
            with checked_out(self, context, url, self.branch, make=False) as checkout:
                return contents.files_below(checkout.folder, directory)

        return await self.with_git(context, work)

    def missing(self, directory: str) -> str:
        """The sentence about a folder that is not there."""
        branch = f"The branch {self.branch!r}" if self.branch else "The default branch"
        return f"{branch} of {without_password(self.url.strip())} has no folder {directory!r}."

    async def deleted(self, context: RunContext, flows: Flows, flow: DeployedFlow) -> bool:
        """Whether a flow that the repository lacks is gone; the running flow and those of watched folders stay."""
        if stays(context, flow):
            return False
        if not self.dry_run:
            await flows.delete(flow.namespace, flow.id)
        return True


class SyncTask(FetchTask):
    """What both tasks have that bring a folder of a repository here."""

    branch: Property[Text] = "main"
    delete: Property[bool] = False
    fail_on_missing_directory: Property[bool] = True
    ignore_invalid_flows: Property[bool] = False
    include_child_namespaces: Property[bool] = False

    async def fetched(self, context: RunContext, directory: str) -> list[Found] | None:
        """The files below a folder of the branch; None, with a warning, when it is missing and that is fine."""
        found = await self.below(context, directory)
        if found is None:
            missing = self.missing(directory)
            if self.fail_on_missing_directory:
                raise TaskFailed(missing, fix="Correct `gitDirectory`, or set `failOnMissingDirectory: false`.")
            context.log(f"{missing} Nothing is changed.", "WARN")
        return found

    async def checked(
        self, context: RunContext, flows: Flows, found: Sequence[Found], target: str
    ) -> tuple[dict[tuple[str, str], tuple[str, str]], bool]:
        """(namespace, id) → path and text of every flow, and whether that is all; TaskFailed names the invalid."""
        wanted: dict[tuple[str, str], tuple[str, str]] = {}
        invalid: list[str] = []
        for file in found:
            if not contents.is_flow(file.path, below=self.include_child_namespaces):
                continue
            namespace = contents.namespace_of(file.path, target)
            source = contents.with_namespace(file.content.decode("utf-8", "replace"), namespace)
            try:
                key = await flows.check(source)
            except FlowInvalid as error:
                invalid.append(f"{file.path}: {error}")
                continue
            if key[0] != namespace:  # the text hides its namespace from us, in quotes or by an anchor
                invalid.append(f"{file.path}: its namespace stays {key[0]}; write it as `namespace: {namespace}`.")
            elif key in wanted:
                invalid.append(f"{file.path}: {wanted[key][0]} has the same id.")
            else:
                wanted[key] = (file.path, source)
        for problem in invalid:
            context.log(problem, "WARN" if self.ignore_invalid_flows else "ERROR")
        if invalid and not self.ignore_invalid_flows:
            fix = "Correct them, or set `ignoreInvalidFlows: true`."
            raise TaskFailed(f"Invalid flows: {len(invalid)}; none is deployed. {invalid[0]}", fix=fix)
        if invalid and self.delete:
            context.log("As long as flows of the repository are invalid, none is deleted.", "WARN")
        return wanted, not invalid

    def tell(self, context: RunContext, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log what became of how many."""
        counts = Counter(str(row["syncState"]).lower() for row in rows)
        said = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing there"
        context.log(f"{'A dry run: ' if self.dry_run else ''}{said}.")


def stays(context: RunContext, flow: DeployedFlow) -> bool:
    """Whether nobody may delete a flow: the running one, and, which is said, what a watched folder keeps."""
    if flow.file:
        context.log(f"{flow.namespace}.{flow.id} is kept by {flow.file}; it is not deleted.", "WARN")
    return bool(flow.file) or (flow.namespace, flow.id) == (context.namespace, context.flow_id)


def never_seen(place: str) -> tuple[Changes]:
    """What can be told of a branch that nobody has seen."""
    note = "No task of this namespace has seen the branch yet, so what it brings can't be told before."
    return (Changes(place, (), note, is_told=False),)


def flow_row(state: str, namespace: str, flow_id: str, revision: int, path: str | None = None) -> dict[str, Any]:
    """A row of the list of flows."""
    row = {"syncState": state, "flowId": flow_id, "namespace": namespace, "revision": revision}
    return {"gitPath": path, **row} if path else row


@overload
def flows_of(context: RunContext) -> Flows: ...


@overload
def flows_of(context: Sight) -> SeenFlows: ...


def flows_of(context: Sight) -> SeenFlows:
    """The flows there are; TaskFailed when this run cannot reach them."""
    if context.flows is None:
        raise TaskFailed("This run cannot reach the flows.", fix="Run the flow with `parley up`.")
    return context.flows


def as_seen(copy: BranchCopy) -> str:
    """The sentence on what a branch is taken to hold."""
    return f"As of commit {copy.commit[:12]}, seen at {copy.seen:%Y-%m-%d %H:%M} UTC."


def chosen(place: str, found: Sequence[FileChange], note: str) -> Changes:
    """The changes among them."""
    return Changes(place, [one for one in found if one.is_one], note)


def source_in(held: Content, namespace: str) -> str:
    """A flow's text, brought to a namespace."""
    return contents.with_namespace(held.text or "", namespace)


def flow_change(key: tuple[str, str], before: str | None, after: str | None) -> FileChange:
    """How the text of a flow would change; blanks at its end are nothing."""
    told = [None if text is None else Content.of(f"{text.rstrip()}\n".encode()) for text in (before, after)]
    return FileChange(f"{key[0]}/{key[1]}.yml", *told)


async def chosen_files(
    context: Sight, namespace: str, include: Sequence[str], exclude: Sequence[str] = ()
) -> dict[str, bytes]:
    """The files of a namespace that patterns choose, all of them without patterns; path → content."""
    wanted, unwanted = [glob(p) for p in include or ["**"]], [glob(p) for p in exclude]
    files = await context.files.namespace_files(namespace)
    chosen = {
        path: source
        for path, source in files.items()
        if any(p.fullmatch(path) for p in wanted) and not any(p.fullmatch(path) for p in unwanted)
    }
    return await asyncio.to_thread(lambda: {path: source.read_bytes() for path, source in chosen.items()})
