"""Repositories: how they are reached, and a copy of a branch that is changed and pushed."""

import asyncio
import base64
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import urlsplit, urlunsplit

from engine.plugin import Property, RunContext, RunnableTask, Sight, TaskFailed
from engine.tasks import aliases, descendants
from engine.tasks.address_guard import check_address
from engine.tasks.git_copies import BranchCopy, Keeper
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text
from engine.tasks.secret_files import kept
from engine.tasks.threads import in_own_thread

if TYPE_CHECKING:
    from git import Repo

R = TypeVar("R")
SCP_LIKE = re.compile(r"^(?:[\w.-]+@)?[\w.-]+:(?!//)")
PLAIN_REF = re.compile(r"^[^-\s~^:?*\[\\\x00-\x1f][^\s~^:?*\[\\\x00-\x1f]*$")
# What a repository holds is never run, and a link in it is a small text file.
HARMLESS = (("core.symlinks", "false"), ("core.hooksPath", os.devnull), ("core.fsmonitor", "false"))


class GitTask(RunnableTask):
    """What every task about a repository has."""

    untold: ClassVar[frozenset[str]] = frozenset(
        {"username", "password", "private_key", "passphrase", "trusted_ca_pem_path", "git_config", "no_proxy"}
        | {"connect_timeout", "read_timeout", "timeout"}
    )
    url: Property[Text]
    branch: Property[OptionalText] = None
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    private_key: Property[OptionalText] = None
    passphrase: Property[OptionalText] = None
    trusted_ca_pem_path: Property[OptionalText] = None
    no_proxy: Property[bool] = False
    connect_timeout: Property[OptionalInteger] = 10_000
    read_timeout: Property[OptionalInteger] = 60_000
    git_config: Property[JsonMap | None] = None

    async def address(self, context: RunContext) -> str:
        """Where the repository is, its passwords masked; TaskFailed when the operator does not permit the way there."""
        url = aliases.rewrite(self.url.strip(), context.settings.urls)
        for secret in (self.password, urlsplit(url).password):
            if secret:
                context.mask(secret)
        protocol = protocol_of(url)
        if protocol not in context.settings.git.protocols:
            allowed = ", ".join(context.settings.git.protocols)
            raise TaskFailed(
                f"Repositories may not be reached over {protocol!r} ({without_password(url)}).",
                fix=f"Allowed: {allowed}. The operator adds others to `git.protocols`.",
            )
        if protocol in ("http", "https"):
            await check_address(url, context.settings)
        return url

    async def with_git(self, context: RunContext, work: Callable[[], R]) -> R:
        """What some work with git gives, in a thread of its own. Whoever stops the attempt ends git: a server may never
        answer."""
        try:
            return await in_own_thread(work)
        except asyncio.CancelledError:
            await asyncio.shield(in_own_thread(partial(descendants.end_marked, {_mark(context)})))
            raise

    def keeper(self, context: RunContext, url: str) -> Keeper:
        """Keeps what is seen of the repository, for those who are asked before it is changed."""
        return Keeper(context.settings, context.namespace, without_password(url))

    async def last_seen(self, sight: Sight) -> BranchCopy | None:
        """What the branch held when a task of this namespace last saw it; nobody is called for it."""
        url = without_password(aliases.rewrite(self.url.strip(), sight.settings.urls))
        return await asyncio.to_thread(BranchCopy.find, sight.settings, sight.namespace, url, self.branch or "")

    def place(self, sight: Sight) -> str:
        """The branch, and where its repository is."""
        url = without_password(aliases.rewrite(self.url.strip(), sight.settings.urls))
        return f"{self.branch or 'the default branch'} of {url}"

    @contextmanager
    def environment(
        self, url: str, home: Path, context: RunContext, more: Iterable[tuple[str, str]] = ()
    ) -> Iterator[dict[str, str]]:
        """git's environment: no questions, nobody's configuration, and the credentials, never as part of the URL."""
        settings: list[tuple[str, str]] = [("safe.directory", "*"), ("credential.helper", ""), *more]
        parts = urlsplit(url)
        user = self.username or parts.username
        password = self.password or parts.password
        if protocol_of(url) in ("http", "https"):
            if user or password:
                token = base64.b64encode(f"{user or 'git'}:{password or ''}".encode()).decode()
                origin = urlunsplit((parts.scheme, _host(parts.netloc), "/", "", ""))
                settings.append((f"http.{origin}.extraHeader", f"Authorization: Basic {token}"))
            if self.trusted_ca_pem_path:
                settings.append(("http.sslCAInfo", self.trusted_ca_pem_path))
            seconds = max((self.read_timeout or 60_000) // 1000, 1)
            settings += [("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", str(seconds))]
        environment = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ALLOW_PROTOCOL": ":".join(context.settings.git.protocols),  # for redirects and submodules too
            descendants.MARK: _mark(context),
            "HOME": str(home),
            "LC_ALL": "C",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for n, (name, value) in enumerate(settings):
            environment |= {f"GIT_CONFIG_KEY_{n}": name, f"GIT_CONFIG_VALUE_{n}": value}
        if self.no_proxy:
            environment["no_proxy"] = "*"
        with tempfile.TemporaryDirectory(prefix="parley-git-") as secrets:
            if self.private_key:
                environment["GIT_SSH_COMMAND"] = self._ssh(Path(secrets), environment)
            yield environment

    def _ssh(self, folder: Path, environment: dict[str, str]) -> str:
        key = kept(folder / "key", (self.private_key or "").rstrip() + "\n")
        if self.passphrase:
            said = kept(folder / "passphrase", self.passphrase)
            answer = kept(folder / "answer", f"#!/bin/sh\ncat {said}\n", 0o700)
            environment |= {"SSH_ASKPASS": answer, "SSH_ASKPASS_REQUIRE": "force"}
        seconds = max((self.connect_timeout or 10_000) // 1000, 1)
        return (
            f"ssh -i {key} -F /dev/null -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new "
            f"-o UserKnownHostsFile={folder / 'hosts'} -o ConnectTimeout={seconds}"
        )


@dataclass(frozen=True, slots=True)
class Change:
    """Lines of one file that a commit adds, removes or changes."""

    file: str
    added: int
    removed: int

    def row(self) -> dict[str, str]:
        """The change as a row of the list of changes."""
        changed = min(self.added, self.removed)
        return {
            "file": self.file,
            "additions": f"+{self.added - changed}",
            "deletions": f"-{self.removed - changed}",
            "changes": str(changed),
        }


@dataclass(frozen=True, slots=True)
class Author:
    """Who commits."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A copy of a branch in a folder of its own; its calls block."""

    repository: "Repo"
    folder: Path
    branch: str

    def changes(self, patterns: Iterable[str]) -> list[Change]:
        """Stage what changed below paths; the changes there are to commit."""
        self.repository.git.add("--all", "--", *patterns)
        listed = self.repository.git.diff("--cached", "--numstat", "--no-renames", "-z")
        found = []
        for entry in filter(None, listed.split("\0")):
            added, removed, file = entry.split("\t", 2)
            found.append(Change(file, _lines(added), _lines(removed)))
        return found

    def push(self, message: str, author: Author) -> str:
        """Commit what is staged and push it; the commit's id."""
        named = {"NAME": author.name, "EMAIL": author.email}
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in named.items()}
        self.repository.git.update_environment(**who)
        self.repository.git.commit("--quiet", "--no-verify", "--no-gpg-sign", "--cleanup=strip", f"--message={message}")
        self.repository.git.push("--quiet", "origin", f"HEAD:refs/heads/{self.branch}")
        return str(self.repository.git.rev_parse("HEAD"))


def _mark(context: RunContext) -> str:
    """What the processes of an attempt carry in their environment."""
    return f"git {context.task_run_id}.{context.attempt}"


@contextmanager
def checked_out(task: GitTask, context: RunContext, url: str, branch: str | None, *, make: bool) -> Iterator[Checkout]:
    """A copy of a branch, without one of the default branch, that is gone afterwards; with `make`, a branch that is
    not there begins at the default one.

    TaskFailed when the repository, or a branch that must be there, cannot be had; git's refusals leave as TaskFailed.
    """
    import git

    if branch is not None and not PLAIN_REF.match(branch):
        raise TaskFailed(f"`branch` {branch!r} is not a name git allows.", fix="Give the name of a branch.")
    plain = without_password(url)
    with (
        tempfile.TemporaryDirectory(prefix="parley-checkout-") as made,
        task.environment(url, Path(made), context, HARMLESS) as environment,
    ):
        folder = Path(made) / "repository"
        try:
            with git.Repo.init(folder) as repository:
                repository.git.update_environment(**environment)
                for name, value in (task.git_config or {}).items():
                    repository.git.config(str(name), str(value))
                repository.git.remote("add", "origin", plain)
                checkout = Checkout(repository, folder, _check_out(repository, branch, make))
                keeper = task.keeper(context, url)
                seen = _keep(keeper, checkout, branch, "")
                yield checkout
                _keep(keeper, checkout, branch, seen)
        except git.GitCommandError as error:
            raise TaskFailed(explained(plain, "reached", error.stderr or str(error)), fix=fix(error.stderr)) from error
        except git.GitCommandNotFound as error:
            raise TaskFailed("There is no `git` on this machine.", fix="Install git.") from error


def _keep(keeper: Keeper, checkout: Checkout, branch: str | None, seen: str) -> str:
    """Keep what a checkout holds unless that was `seen`; its commit, "" of an empty repository."""
    head = checkout.repository.head
    if not head.is_valid():
        return ""
    if (commit := head.commit.hexsha) != seen:
        keeper.keep(checkout.repository, checkout.branch, branch)
    return commit


def _check_out(repository: "Repo", branch: str | None, make: bool) -> str:
    git = repository.git
    branch = branch or default_branch(git)
    heads = {line.split("\t")[1] for line in str(git.ls_remote("--heads", "origin")).splitlines()}
    start = branch
    if f"refs/heads/{branch}" not in heads:
        if not make:
            raise TaskFailed(f"The repository has no branch {branch!r}.", fix="Check `branch`.")
        if not heads:
            git.symbolic_ref("HEAD", f"refs/heads/{branch}")
            return branch
        start = default_branch(git)
    git.fetch("--depth", "1", "--no-tags", "--", "origin", f"+refs/heads/{start}:refs/remotes/origin/{start}")
    git.checkout("--force", "-B", branch, f"refs/remotes/origin/{start}")
    return branch


def _lines(count: str) -> int:
    return int(count) if count.isdigit() else 0  # "-" of a binary file


def commit_url(url: str, branch: str, commit: str) -> str | None:
    """Where a commit can be looked at; None for repositories without a page."""
    plain = without_password(url)
    if protocol_of(plain) == "ssh":
        host, _, path = plain.removeprefix("ssh://").rpartition("@")[2].partition("/" if "://" in plain else ":")
        plain = f"https://{host.split(':')[0]}/{path}"
    if not plain.startswith(("http://", "https://")):
        return None
    base = plain.removesuffix("/").removesuffix(".git")
    found = f"{base}/{'commits' if 'bitbucket.org' in base else 'commit'}/{commit}"
    return f"{found}?refName=refs%2Fheads%2F{branch}" if "azure.com" in base else found


def explained(url: str, what: str, stderr: Any) -> str:
    """What git said, in a sentence about a repository that could not be `what`."""
    text = str(stderr).strip().removeprefix("stderr:").strip().removeprefix("'").removesuffix("'")
    return f"{url} could not be {what}: {text[:1000]}"


REFUSED = ("authentication", "could not read username", "returned error: 403", "permission denied")


def fix(stderr: Any) -> str:
    """What to do about what git said."""
    text = str(stderr).lower()
    if any(one in text for one in REFUSED):
        return "Give `username` and `password` (a token), or `privateKey`, of somebody who may do it."
    if "pathspec" in text or "not a commit" in text or "couldn't find remote ref" in text or "single revision" in text:
        return "Check `branch`, `tag` or `commit`."
    if "fetch first" in text or "non-fast-forward" in text:
        return "Somebody else pushed at the same time; add `retry` to the task."
    if "rejected" in text or "denied" in text:
        return "The repository's rules do not let this branch be pushed to."
    if "not found" in text or "does not exist" in text:
        return "Check the address; private repositories need `username` and `password`."
    return "Check the address and the network."


def protocol_of(url: str) -> str:
    """How a repository is reached: the URL's scheme, `ssh` for `user@host:path`, `file` for a path, or a `helper::`."""
    if found := re.match(r"^([A-Za-z0-9+.-]+)::", url):
        return found[1]
    if found := re.match(r"^([A-Za-z][A-Za-z0-9+.-]*)://", url):
        return found[1].lower()
    return "ssh" if SCP_LIKE.match(url) and not url.startswith(("/", ".")) else "file"


def without_password(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=_host(parts.netloc)))
    return url


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def default_branch(git: Any) -> str:
    """The branch a repository shows first; TaskFailed when it has none."""
    found = re.search(r"^ref: refs/heads/(\S+)\s+HEAD$", git.ls_remote("--symref", "origin", "HEAD"), re.MULTILINE)
    if found:
        return found[1]
    raise TaskFailed("The repository has no default branch; it may be empty.", fix="Give `branch`.")


def forget_configuration(target: Path) -> None:
    """Remove a `.git` that is there: a script in a container may have written programs for git to run into it."""
    present = target / ".git"
    if present.is_symlink() or present.is_file():
        present.unlink()
    elif present.is_dir():
        shutil.rmtree(present)
