"""Commits: a copy of a branch is changed, committed and pushed."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.plugin import Outputs, Property, RunContext
from engine.tasks import git_contents as contents
from engine.tasks.git_repository import Author, Change, Checkout, GitTask, checked_out, commit_url, without_password
from engine.tasks.property_types import OptionalText, Text


class Pushed(Outputs):
    """The commit; empty when there was nothing to change, or it was only a trial."""

    commitId: str | None = None  # noqa: N815 - appears as written
    commitURL: str | None = None  # noqa: N815


class CommitTask(GitTask):
    """What every task that commits has."""

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

        commit, changes = await asyncio.to_thread(work)
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


class ReplaceTask(CommitTask):
    """What both tasks have that bring a folder of the repository up to date."""

    delete: Property[bool] = True

    async def replace(
        self,
        context: RunContext,
        directory: str,
        files: Mapping[str, bytes],
        meant: Callable[[str], bool],
        message: str,
    ) -> tuple[Pushed, list[Change]]:
        """Commit and push files; with `delete`, those of the folder go that are `meant` and no longer there."""

        def fill(checkout: Checkout) -> Sequence[str]:
            if self.delete:
                contents.drop_below(checkout.folder, directory, files, meant)
            contents.write_below(checkout.folder, directory, files)
            return ["."]

        return await self.commit(context, fill, message)


async def listed(context: RunContext, rows: Iterable[Mapping[str, Any]]) -> str:
    """The URI of a list of changes, one JSON object a line."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return await context.files.put(text.encode(), "changes.jsonl")
