"""Namespaces and folders of a repository made alike: the flows and files of one become those of the other."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from engine.plugin import Changes, Content, Property, RunContext, Sight, TaskFailed
from engine.tasks import git_contents as contents
from engine.tasks.core.namespace import NAMESPACE, Namespace
from engine.tasks.git_commit import CommitTask, Meant, Pushed, listed
from engine.tasks.git_contents import Found
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_pair import FILES, FLOWS, Pair, Row, Rules
from engine.tasks.git_repository import Checkout, checked_out, without_password
from engine.tasks.git_sync import flows_of, never_seen
from engine.tasks.property_types import OptionalText, TextList

DASHBOARDS = "_global/dashboards/"


class Synced(Pushed):
    """The commit, when the repository was changed, and the list of what became of each flow and file."""

    diff: str


class AlikeTask(CommitTask):
    """The flows and files of namespaces, and those of `<folder>/{flows,files}` of a repository."""

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

    @abstractmethod
    async def here(self, sight: Sight) -> list[Pair]:
        """The namespaces here, and where they lie in the repository."""

    @abstractmethod
    async def there(self, context: RunContext) -> list[tuple[Pair, list[Found]]]:
        """What the repository holds of each namespace; TaskFailed when it holds none: nothing is deleted because of a
        wrong name."""

    @abstractmethod
    async def seen(self, sight: Sight, copy: BranchCopy) -> list[Pair]:
        """The namespaces that a branch changes that holds this."""

    @property
    @abstractmethod
    def usual_message(self) -> str:
        """What a commit says when the task doesn't."""

    @property
    def base(self) -> str:
        """The folder in the repository."""
        return "/".join(filter(None, (self.git_directory or "").split("/")))

    def pair(self, namespace: str, folder: str) -> Pair:
        """A namespace and its folder, below the one of the task."""
        rules = Rules(
            self.when_missing_in_source, self.on_invalid_syntax, tuple(self.protected_namespaces), self.dry_run
        )
        return Pair(namespace, "/".join(filter(None, (self.base, folder))), rules)

    async def run(self, context: RunContext) -> Synced:
        if self.source_of_truth == "GIT":
            pushed, rows = Pushed(), await self._brought(context)
        else:
            pushed, rows = await self._pushed(context)
        return Synced(**pushed.model_dump(), diff=await listed(context, rows))

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        if self.dry_run or self.source_of_truth == "KESTRA":
            return await super().changes(sight, is_shared=is_shared)
        copy = await self.last_seen(sight)
        if copy is None:
            return never_seen(self.place(sight))
        return [one for pair in await self.seen(sight, copy) for one in await pair.seen_changes(sight, copy)]

    async def meant(self, sight: Sight, copy: BranchCopy | None, *, is_shared: bool) -> Meant:
        told: dict[str, Content | None] = {}
        for pair in await self.here(sight):
            told |= await pair.meant(sight, copy)
        return Meant(told)

    async def held(self, context: RunContext, directory: str) -> list[Found] | None:
        """What a folder of the branch holds; None when there is none."""
        url = await self.address(context)

        def work() -> list[Found] | None:
            with checked_out(self, context, url, self.branch, make=False) as checkout:
                return contents.files_below(checkout.folder, directory or ".")

        return await self.with_git(context, work)

    @property
    def _where(self) -> str:
        return f"The branch {self.branch!r} of {without_password(self.url.strip())}"

    async def _brought(self, context: RunContext) -> list[Row]:
        plans = [await pair.plan(context, found) for pair, found in await self.there(context)]
        for plan in plans:
            plan.pair.lacking(plan.lacked, "The repository")
        return [row for plan in plans for row in await plan.carried_out(context)]

    async def _pushed(self, context: RunContext) -> tuple[Pushed, list[Row]]:
        here, rows = [(pair, await pair.here(context)) for pair in await self.here(context)], list[Row]()

        def fill(checkout: Checkout) -> Sequence[str]:
            for pair, held in here:
                rows.extend(pair.filled(checkout, held))
            return ["."]

        pushed, _ = await self.commit(context, fill, self.commit_message or self.usual_message)
        return pushed, rows


class NamespaceSyncTask(AlikeTask):
    """One namespace, and `<gitDirectory>/<namespace>` with a folder for each part of its name."""

    namespace: Property[Namespace]

    @property
    def usual_message(self) -> str:
        return "Namespace sync from Kestra"

    async def here(self, sight: Sight) -> list[Pair]:
        return [self.pair(self.namespace, self.namespace.replace(".", "/"))]

    async def seen(self, sight: Sight, copy: BranchCopy) -> list[Pair]:
        return await self.here(sight)

    async def there(self, context: RunContext) -> list[tuple[Pair, list[Found]]]:
        (pair,) = await self.here(context)
        found = await self.held(context, pair.folder)
        if found is None:
            raise TaskFailed(
                f"{self._where} has no folder {pair.folder!r}.",
                fix="Correct `gitDirectory`: below it lies a folder for each part of a namespace.",
            )
        return [(pair, found)]


class TenantSyncTask(AlikeTask):
    """All namespaces, each with `<gitDirectory>/<namespace>`, whose name is written with its dots."""

    @property
    def usual_message(self) -> str:
        return "Tenant sync from Kestra"

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        found = await super().changes(sight, is_shared=is_shared)
        return [one for one in found if one.files or not one.is_told] or found[:1]

    async def here(self, sight: Sight) -> list[Pair]:
        names = {flow.namespace for flow in await flows_of(sight).list(None)}
        return [self.pair(name, name) for name in sorted(names.union(await sight.files.namespaces()))]

    async def seen(self, sight: Sight, copy: BranchCopy) -> list[Pair]:
        pairs = {pair.namespace: pair for pair in await self.here(sight)}
        return [
            *pairs.values(),
            *(self.pair(name, name) for name in grouped(copy.below(self.base)) if name not in pairs),
        ]

    async def there(self, context: RunContext) -> list[tuple[Pair, list[Found]]]:
        held = await self.held(context, self.base) or []
        found = grouped({one.path: one.content for one in held})
        if not found:
            raise TaskFailed(
                f"{self._where} holds no namespace below {self.base or '.'!r}.",
                fix="Correct `gitDirectory`: below it lies a folder a namespace, with `flows` and `files` in it.",
            )
        if any(one.path.startswith(DASHBOARDS) for one in held):
            context.log(f"{DASHBOARDS} is left alone: there are no dashboards here.", "WARN")
        pairs = {pair.namespace: pair for pair in await self.here(context)}
        pairs |= {name: self.pair(name, name) for name in found if name not in pairs}
        return [(pair, [Found(*one) for one in found.get(name, {}).items()]) for name, pair in pairs.items()]


def grouped(files: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Files below a folder by the namespaces they belong to; TaskFailed when a name is none of a namespace."""
    found: dict[str, dict[str, Any]] = {}
    for path, content in files.items():
        name, _, below = path.partition("/")
        if below.startswith((FLOWS, FILES)):
            found.setdefault(name, {})[below] = content
    for name in found:
        if not NAMESPACE.fullmatch(name):
            raise TaskFailed(f"The folder {name!r} is named like no namespace.", fix="Rename it.")
    return found
