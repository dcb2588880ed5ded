"""Files of the working directory and of namespaces, and flows, committed together."""

import asyncio
import configparser
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from engine.plugin import Content, Part, Property, RunContext, Sight, TaskFailed
from engine.tasks import git_contents as contents
from engine.tasks.git_commit import CommitTask, Meant, Pushed, at, contents_of
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_repository import Author, Checkout
from engine.tasks.git_sync import chosen_files
from engine.tasks.namespace_files import NamespaceFiles
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList, scalar_to_text
from engine.tasks.working_files import STORAGE, inside, place


class AuthorNames(Part):
    """Who commits."""

    name: Property[OptionalText] = None
    email: Property[OptionalText] = None


class PushedFlows(Part):
    """Which flows go along with a push."""

    enabled: Property[bool] = True
    child_namespaces: Property[bool] = True
    git_directory: Property[Text] = "_flows"


class PushTask(CommitTask):
    """Files of the working directory and of the namespace, and flows, committed."""

    url: Property[Text] = Field(default="", description="Without it, what the working directory is a clone of.")
    directory: Property[OptionalText] = None
    namespace_files: Property[NamespaceFiles | bool | None] = None
    flows: PushedFlows = Field(default_factory=PushedFlows)
    input_files: Property[JsonMap | None] = None
    add_files_pattern: Property[TextList] = Field(default_factory=lambda: ["."])
    author_: AuthorNames | None = Field(default=None, alias="author")

    async def run(self, context: RunContext) -> Pushed:
        source = inside(context.working_dir, self.directory) if self.directory else context.working_dir
        if not self.url.strip():
            origin = await asyncio.to_thread(_origin, source)
            return await self.model_copy(update={"url": origin}).run(context)
        was_cloned = await asyncio.to_thread((source / ".git").exists)
        shared = await self._namespace_files(context)
        flows = await self._flows(context)
        await place(context, self.input_files or {}, source)

        def fill(checkout: Checkout) -> Sequence[str]:
            contents.overlay(checkout.folder, source, mirror=was_cloned)
            contents.write_below(checkout.folder, ".", shared)
            contents.write_below(checkout.folder, self.flows.git_directory, flows)
            return self.add_files_pattern

        pushed, _ = await self.commit(context, fill, self.commit_message or "Update by a flow")
        return pushed

    async def last_seen(self, sight: Sight) -> BranchCopy | None:
        return await super().last_seen(sight) if self.url.strip() else None

    def place(self, sight: Sight) -> str:
        return super().place(sight) if self.url.strip() else f"{self.branch} of the repository that was cloned"

    async def meant(self, sight: Sight, copy: BranchCopy | None, *, is_shared: bool) -> Meant:
        held = await asyncio.to_thread(self._given, sight)
        held |= contents_of(await self._namespace_files(sight))
        held |= contents_of(await self._flows(sight), self.flows.git_directory)
        told = {path: content for path, content in held.items() if self._is_added(path)}
        return Meant(told, "And what its working directory holds by then." if is_shared else "")

    def _given(self, sight: Sight) -> dict[str, Content]:
        """What `inputFiles` puts beside the rest. Blocks."""
        found = {}
        for name, content in (self.input_files or {}).items():
            text = "" if content is None else str(scalar_to_text(content))
            stored = Content.read(sight.files.path(text.strip())) if text.strip().startswith(STORAGE) else None
            found[at("", name)] = stored or Content.of(text.encode())
        return found

    def _is_added(self, path: str) -> bool:
        """Whether `addFilesPattern` takes a path: folders, files and globs, as git reads them."""
        for pattern in self.add_files_pattern:
            plain = pattern.removeprefix("./").rstrip("/")
            if plain in ("", ".") or path == plain or path.startswith(f"{plain}/") or fnmatchcase(path, plain):
                return True
        return False

    def author(self) -> Author:
        given = self.author_ or AuthorNames()
        usual = super().author()
        return Author(given.name or usual.name, given.email or usual.email)

    async def _namespace_files(self, context: Sight) -> dict[str, bytes]:
        wanted = self.namespace_files
        if not wanted or (isinstance(wanted, NamespaceFiles) and not wanted.enabled):
            return {}
        chosen = wanted if isinstance(wanted, NamespaceFiles) else NamespaceFiles()
        found: dict[str, bytes] = {}
        for namespace in chosen.namespaces or [context.namespace]:
            found |= await chosen_files(context, namespace, chosen.include or [], chosen.exclude or [])
        return found

    async def _flows(self, context: Sight) -> dict[str, bytes]:
        if not self.flows.enabled or context.flows is None:
            return {}
        found = await context.flows.list(context.namespace, below=self.flows.child_namespaces)
        return {contents.pushed_path(f.namespace, f.id, context.namespace): f.source.encode() for f in found}


def _origin(folder: Path) -> str:
    """Where a folder was cloned from. Blocks; nothing of what its configuration names is run or read."""
    from git import GitConfigParser

    try:
        configuration = GitConfigParser(folder / ".git" / "config", read_only=True, merge_includes=False)
        found = str(configuration.get_value('remote "origin"', "url", ""))
    except (OSError, configparser.Error, ValueError) as error:
        raise TaskFailed("What the clone in the working directory says of itself can't be read.") from error
    if not found.strip():
        raise TaskFailed(
            "There is no `url`, and the working directory holds no clone.",
            fix="Give `url`, or clone the repository before, in the same WorkingDirectory.",
        )
    return found
