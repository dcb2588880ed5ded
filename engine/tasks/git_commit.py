"""Commits: a copy of a branch is changed, committed and pushed."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from engine.plugin import Changes, Content, FileChange, Outputs, Property, RunContext, Sight, TaskFailed
from engine.tasks.fetched_rows import filed
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_repository import Author, Change, Checkout, GitTask, checked_out, commit_url, without_password
from engine.tasks.property_types import OptionalText, Text


class Pushed(Outputs):
    """The commit; empty when there was nothing to change, or it was only a trial."""

    commitId: str | None = None  # noqa: N815 - appears as written
    commitURL: str | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class Meant:
    """What a commit would hold: path in the repository → content (None: it would be gone); and what can't be told."""

    files: Mapping[str, Content | None]
    note: str = ""


class CommitTask(GitTask):
    """What every task that commits has."""

    untold = GitTask.untold | {"commit_message", "author_name", "author_email", "author_"}
    branch: Property[Text] = "main"
    commit_message: Property[OptionalText] = None
    author_name: Property[OptionalText] = None
    author_email: Property[OptionalText] = None
    dry_run: Property[bool] = False
    kestra_url: Any = None
    auth: Any = None

    def author(self) -> Author:
        """Who commits: as the task says, else the user of the repository."""
        return Author(self.author_name or self.username or "Parley", self.author_email or "parley@localhost")

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        """What the commit would change, compared with what a task of the namespace saw of the branch last."""
        if self.dry_run:
            return ()
        copy = await self.last_seen(sight)
        meant = await self.meant(sight, copy, is_shared=is_shared)
        there = copy.files if copy else {}
        found = [FileChange(path, there.get(path), held) for path, held in sorted(meant.files.items())]
        note = " ".join(filter(None, (compared(copy), meant.note)))
        return (Changes(self.place(sight), [one for one in found if one.is_one], note),)

    @abstractmethod
    async def meant(self, sight: Sight, copy: BranchCopy | None, *, is_shared: bool) -> Meant:
        """What the commit would hold, as far as what is at hand tells."""

    async def commit(
        self, context: RunContext, fill: Callable[[Checkout], Sequence[str]], message: str
    ) -> tuple[Pushed, list[Change]]:
        """Let `fill` change a copy of the branch, then commit and push what changed below the paths it returns."""
        url = await self.address(context)

        def work() -> tuple[str | None, list[Change]]:
            with checked_out(self, context, url, self.branch, make=True) as checkout:
                changes = checkout.changes(fill(checkout))
                if not changes or self.dry_run:
                    return None, changes
                return checkout.push(message, self.author()), changes

        commit, changes = await self.with_git(context, work)
        if commit is None:
            context.log("Nothing changed; nothing is pushed." if not changes else "A dry run: nothing is pushed.")
            return Pushed(), changes
        context.log(f"Pushed {commit[:12]} to {self.branch} of {without_password(url)}.")
        return Pushed(commitId=commit, commitURL=commit_url(url, self.branch, commit)), changes


class FlowsPushed(Pushed):
    """The commit, and the list of changes: one row a file."""

    flows: str


class FilesPushed(Pushed):
    """The commit, and the list of changes: one row a file."""

    files: str


def compared(copy: BranchCopy | None) -> str:
    """The sentence on what a branch was compared with."""
    if copy is None:
        return "No task of this namespace has seen the branch yet: files that are there already show as new."
    return f"Compared with commit {copy.commit[:12]}, seen at {copy.seen:%Y-%m-%d %H:%M} UTC."


def contents_of(files: Mapping[str, bytes], directory: str = "") -> dict[str, Content]:
    """Files below a folder of the repository, as a commit would hold them."""
    return {at(directory, name): Content.of(content) for name, content in files.items()}


def at(directory: str, name: str) -> str:
    """A path in the repository; TaskFailed when it leads out of it."""
    parts = PurePosixPath(directory, name.removeprefix("./")).parts
    if PurePosixPath(directory, name).is_absolute() or ".." in parts:
        raise TaskFailed(f"{name!r} is no path in the repository.", fix="Leave out `..`.")
    return str(PurePosixPath(*parts))


async def listed(context: RunContext, rows: Iterable[Mapping[str, Any]]) -> str:
    """The URI of a list of changes, one JSON object a line."""
    return await filed(context, rows, "changes.jsonl")
