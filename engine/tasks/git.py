"""`io.kestra.plugin.git`: repositories."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks.git_both import SyncBothTask, SyncFlowTask
from engine.tasks.git_namespace import NamespaceSyncTask, TenantSyncTask
from engine.tasks.git_outputs import PushOutputsTask
from engine.tasks.git_push import PushTask
from engine.tasks.git_replace import PushFilesTask, PushFlowsTask
from engine.tasks.git_repository import (
    PLAIN_REF,
    GitTask,
    default_branch,
    explained,
    fix,
    forget_configuration,
    without_password,
)
from engine.tasks.git_sync_folders import SyncFilesTask, SyncFlowsTask
from engine.tasks.property_types import OptionalInteger, OptionalText
from engine.tasks.working_files import inside

if TYPE_CHECKING:
    from git import Repo


class Cloned(Outputs):
    """Where the clone lies."""

    directory: str


class Clone(GitTask):
    """Clone a repository into the working directory; inside a WorkingDirectory, later tasks see the files."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: clone
type: io.kestra.plugin.git.Clone
url: https://github.com/kestra-io/blueprints
branch: main
""",
        """
id: clone
type: io.kestra.plugin.git.Clone
url: https://git.example.com/team/private.git
username: git
password: "{{ secret('GIT_TOKEN') }}"
directory: source
depth: 50
""",
    )
    type: Literal["io.kestra.plugin.git.Clone"]
    directory: Property[OptionalText] = None
    tag: Property[OptionalText] = None
    commit: Property[OptionalText] = None
    depth: Property[OptionalInteger] = Field(
        default=1, description="How many commits; all of them with `commit` or `tag`."
    )
    clone_submodules: Property[bool | None] = None
    clone_all_branches: Property[bool] = True
    no_tags: Property[bool] = False
    cache: Property[bool] = Field(default=False, description="Of no effect: each clone asks the server.")
    cache_ttl: Property[OptionalText] = Field(default=None, description="Of no effect.")

    async def run(self, context: RunContext) -> Cloned:
        self._check()
        url = await self.address(context)
        target = inside(context.working_dir, self.directory) if self.directory else context.working_dir
        target.mkdir(parents=True, exist_ok=True)
        await self.with_git(context, lambda: self._clone(url, target, context))
        context.log(f"Cloned {without_password(url)} into {target}.")
        return Cloned(directory=str(target))

    def _check(self) -> None:
        for name, ref in (("branch", self.branch), ("tag", self.tag), ("commit", self.commit)):
            if ref and not PLAIN_REF.match(ref):
                raise TaskFailed(f"`{name}` {ref!r} is not a name git allows.", fix="Give a branch, a tag or a commit.")
        if self.tag and self.no_tags:
            raise TaskFailed("`tag` cannot be used with `noTags: true`.")
        if not self.clone_all_branches and not self.branch:
            raise TaskFailed("`cloneAllBranches: false` needs a `branch`.")

    def _clone(self, url: str, target: Path, context: RunContext) -> None:
        import git

        plain = without_password(url)
        with self.environment(url, context.working_dir, context) as environment:
            try:
                forget_configuration(target)
                # One way for empty and filled folders: a WorkingDirectory may have put files there already.
                with git.Repo.init(target) as repository:
                    repository.git.update_environment(**environment)
                    branch = self._fetch(repository, plain)
                    if branch is not None:
                        self.keeper(context, url).keep(repository, branch, self.branch)
                    for name, value in (self.git_config or {}).items():
                        repository.git.config(str(name), str(value))
            except git.GitCommandError as error:
                said = explained(plain, "cloned", error.stderr or str(error))
                raise TaskFailed(said, fix=fix(error.stderr)) from error
            except git.GitCommandNotFound as error:
                raise TaskFailed("There is no `git` on this machine.", fix="Install git.") from error

    def _fetch(self, repository: "Repo", url: str) -> str | None:
        """The branch that is there now; None of a tag or a commit."""
        git, branch = repository.git, None
        git.remote("add", "origin", url)
        shallow = (
            ["--depth", str(self.depth)] if self.depth and self.depth > 0 and not (self.commit or self.tag) else []
        )
        tags = ["--no-tags"] if self.no_tags else ["--tags"] if self.tag else []
        wanted = f"+refs/heads/{self.branch}:refs/remotes/origin/{self.branch}"
        refs = [wanted] if not self.clone_all_branches else ["+refs/heads/*:refs/remotes/origin/*"]
        git.fetch(*shallow, *tags, "--", "origin", *refs)
        if self.commit or self.tag:
            wanted = git.rev_parse("--verify", f"{self.commit or f'refs/tags/{self.tag}'}^{{commit}}")
            git.checkout("--force", "--detach", wanted)
        else:
            branch = self.branch or default_branch(git)
            git.checkout("--force", "-B", branch, f"refs/remotes/origin/{branch}")
            git.branch("--set-upstream-to", f"origin/{branch}", branch)
        if self.clone_submodules:
            git.submodule("update", "--init", "--recursive", *shallow)
        return branch


class Push(PushTask):
    """Commit files of the working directory, of the namespace, and flows, and push them to a branch."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: push
type: io.kestra.plugin.git.Push
url: https://github.com/company/reports
branch: main
username: git
password: "{{ secret('GIT_TOKEN') }}"
commitMessage: "Report of {{ now() | date('yyyy-MM-dd') }}"
inputFiles:
  report.md: "{{ outputs.report.uri }}"
flows:
  enabled: false
""",
    )
    type: Literal["io.kestra.plugin.git.Push"]


class PushExecutionFiles(PushOutputsTask):
    """Commit files that an execution made, and push them to a branch; what else lies in the folder there stays."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: push
type: io.kestra.plugin.git.PushExecutionFiles
url: https://github.com/company/reports
branch: reports
username: git
password: "{{ secret('GIT_TOKEN') }}"
files: ["*.csv"]
gitDirectory: analytics
commitMessage: "Reports of {{ now() }}"
""",
        """
id: archive
type: io.kestra.plugin.git.PushExecutionFiles
url: https://github.com/company/logs
username: git
password: "{{ secret('GIT_TOKEN') }}"
filesMap:
  "run-{{ execution.id }}.log": "{{ outputs.generate.outputFiles['run.log'] }}"
gitDirectory: logs
""",
    )
    type: Literal["io.kestra.plugin.git.PushExecutionFiles"]


class PushFlows(PushFlowsTask):
    """Commit the flows of a namespace and push them to a branch; flows that are gone go from the folder as well."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: push
type: io.kestra.plugin.git.PushFlows
sourceNamespace: company.dev
targetNamespace: company.prod
flows: "*"
includeChildNamespaces: true
url: https://github.com/company/flows
branch: release
username: git
password: "{{ secret('GIT_TOKEN') }}"
commitMessage: "Flows of {{ now() | date('yyyy-MM-dd') }}"
""",
    )
    type: Literal["io.kestra.plugin.git.PushFlows"]


class PushNamespaceFiles(PushFilesTask):
    """Commit the files of a namespace and push them to a branch; files that are gone go from the folder as well."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: push
type: io.kestra.plugin.git.PushNamespaceFiles
namespace: company.ai
files: ["prompts/**", "*.py"]
url: https://github.com/company/flows
username: git
password: "{{ secret('GIT_TOKEN') }}"
commitMessage: Prompts and scripts
""",
    )
    type: Literal["io.kestra.plugin.git.PushNamespaceFiles"]


class SyncFlows(SyncFlowsTask):
    """Deploy the flows of a repository's folder to a namespace, all of them or, when one is invalid, none."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.git.SyncFlows
targetNamespace: company
includeChildNamespaces: true
gitDirectory: flows
delete: true
url: https://github.com/company/flows
branch: main
username: git
password: "{{ secret('GIT_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.git.SyncFlows"]


class SyncNamespaceFiles(SyncFilesTask):
    """Copy the files of a repository's folder to the files of a namespace."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.git.SyncNamespaceFiles
namespace: company.ai
gitDirectory: prompts
url: https://github.com/company/prompts
branch: main
""",
    )
    type: Literal["io.kestra.plugin.git.SyncNamespaceFiles"]


class SyncFlow(SyncFlowTask):
    """Deploy one flow of a repository to a namespace, whatever namespace its text names."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.git.SyncFlow
url: https://github.com/company/flows
branch: main
username: git
password: "{{ secret('GIT_TOKEN') }}"
flowPath: marketing/weekly_report.yml
targetNamespace: company.marketing
""",
    )
    type: Literal["io.kestra.plugin.git.SyncFlow"]


class Sync(SyncBothTask):
    """Make the files and the flows (those in the folder `_flows`) of the flow's namespace what a repository holds.

    What the repository lacks is deleted. `SyncFlows` and `SyncNamespaceFiles` do one of the two each.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.git.Sync
url: https://github.com/company/flows
branch: main
username: git
password: "{{ secret('GIT_TOKEN') }}"
gitDirectory: production
namespaceFilesDirectory: scripts
dryRun: true
""",
    )
    type: Literal["io.kestra.plugin.git.Sync", "io.kestra.plugin.git.Reconcile"]


class NamespaceSync(NamespaceSyncTask):
    """Make a namespace what a repository holds, or (`sourceOfTruth: KESTRA`) the repository what the namespace holds.

    Flows lie in `<gitDirectory>/<namespace>/flows`, files in `<gitDirectory>/<namespace>/files`, with a folder for each
    part of the namespace. The running flow and those of watched folders are never deleted.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.git.NamespaceSync
namespace: company.team
sourceOfTruth: GIT
whenMissingInSource: DELETE
url: https://github.com/company/flows
branch: main
gitDirectory: kestra
username: git
password: "{{ secret('GIT_TOKEN') }}"
dryRun: true
""",
    )
    type: Literal["io.kestra.plugin.git.NamespaceSync"]


class TenantSync(TenantSyncTask):
    """Make all namespaces what a repository holds, or (`sourceOfTruth: KESTRA`) the repository what they hold.

    Flows lie in `<gitDirectory>/<namespace>/flows`, files in `<gitDirectory>/<namespace>/files`, where the name of a
    namespace is one folder, with its dots. The running flow and those of watched folders are never deleted.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.git.TenantSync
sourceOfTruth: GIT
whenMissingInSource: KEEP
url: https://github.com/company/flows
branch: main
gitDirectory: kestra
username: git
password: "{{ secret('GIT_TOKEN') }}"
dryRun: true
""",
    )
    type: Literal["io.kestra.plugin.git.TenantSync"]
