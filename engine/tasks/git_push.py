"""Files of the working directory and of namespaces, and flows, committed together."""

import asyncio
from collections.abc import Sequence

from pydantic import Field

from engine.plugin import Part, Property, RunContext
from engine.tasks import git_contents as contents
from engine.tasks.git_commit import CommitTask, Pushed
from engine.tasks.git_repository import Author, Checkout
from engine.tasks.git_sync import chosen_files
from engine.tasks.namespace_files import NamespaceFiles
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.working_files import inside, place


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

    directory: Property[OptionalText] = None
    namespace_files: Property[NamespaceFiles | bool | None] = None
    flows: PushedFlows = Field(default_factory=PushedFlows)
    input_files: Property[JsonMap | None] = None
    add_files_pattern: Property[TextList] = Field(default_factory=lambda: ["."])
    author_: AuthorNames | None = Field(default=None, alias="author")

    async def run(self, context: RunContext) -> Pushed:
        source = inside(context.working_dir, self.directory) if self.directory else context.working_dir
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

    def author(self) -> Author:
        given = self.author_ or AuthorNames()
        usual = super().author()
        return Author(given.name or usual.name, given.email or usual.email)

    async def _namespace_files(self, context: RunContext) -> dict[str, bytes]:
        wanted = self.namespace_files
        if not wanted or (isinstance(wanted, NamespaceFiles) and not wanted.enabled):
            return {}
        chosen = wanted if isinstance(wanted, NamespaceFiles) else NamespaceFiles()
        found: dict[str, bytes] = {}
        for namespace in chosen.namespaces or [context.namespace]:
            found |= await chosen_files(context, namespace, chosen.include or [], chosen.exclude or [])
        return found

    async def _flows(self, context: RunContext) -> dict[str, bytes]:
        if not self.flows.enabled or context.flows is None:
            return {}
        found = await context.flows.list(context.namespace, below=self.flows.child_namespaces)
        return {contents.pushed_path(f.namespace, f.id, context.namespace): f.source.encode() for f in found}
