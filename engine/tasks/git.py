"""`io.kestra.plugin.git`: repositories."""

import asyncio
import base64
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import aliases
from engine.tasks.address_guard import check_address
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text
from engine.tasks.working_files import inside

if TYPE_CHECKING:
    from git import Repo

SCP_LIKE = re.compile(r"^(?:[\w.-]+@)?[\w.-]+:(?!//)")
PLAIN_REF = re.compile(r"^[^-\s~^:?*\[\\\x00-\x1f][^\s~^:?*\[\\\x00-\x1f]*$")


class GitTask(RunnableTask):
    """What every task about a repository has."""

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
        """Where the repository is; TaskFailed when the operator does not permit the way there."""
        url = aliases.rewrite(self.url.strip(), context.settings.urls)
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

    @contextmanager
    def environment(self, url: str, home: Path, protocols: Iterable[str]) -> Iterator[dict[str, str]]:
        """git's environment: no questions, nobody's configuration, and the credentials, never as part of the URL."""
        settings: list[tuple[str, str]] = [("safe.directory", "*"), ("credential.helper", "")]
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
            "GIT_ALLOW_PROTOCOL": ":".join(protocols),  # for redirects and submodules too
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
        key = folder / "key"
        key.write_text((self.private_key or "").rstrip() + "\n")
        key.chmod(0o600)
        if self.passphrase:
            answer = folder / "answer"
            answer.write_text(f"#!/bin/sh\ncat {folder / 'passphrase'}\n")
            answer.chmod(0o700)
            (folder / "passphrase").write_text(self.passphrase)
            (folder / "passphrase").chmod(0o600)
            environment |= {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
        seconds = max((self.connect_timeout or 10_000) // 1000, 1)
        return (
            f"ssh -i {key} -F /dev/null -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new "
            f"-o UserKnownHostsFile={folder / 'hosts'} -o ConnectTimeout={seconds}"
        )


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

    async def run(self, context: RunContext) -> Cloned:
        self._check()
        if self.password:
            context.mask(self.password)
        url = await self.address(context)
        if (inline := urlsplit(url).password) is not None:
            context.mask(inline)
        target = inside(context.working_dir, self.directory) if self.directory else context.working_dir
        target.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._clone, url, target, context)
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
        with self.environment(url, context.working_dir, context.settings.git.protocols) as environment:
            try:
                # One way for empty and filled folders: a WorkingDirectory may have put files there already.
                with git.Repo.init(target) as repository:
                    repository.git.update_environment(**environment)
                    self._fetch(repository, plain)
                    for name, value in (self.git_config or {}).items():
                        repository.git.config(str(name), str(value))
            except git.GitCommandError as error:
                raise TaskFailed(
                    self._explained(plain, error.stderr or str(error)), fix=self._fix(error.stderr)
                ) from error
            except git.GitCommandNotFound as error:
                raise TaskFailed("There is no `git` on this machine.", fix="Install git.") from error

    def _fetch(self, repository: "Repo", url: str) -> None:
        git = repository.git
        if "origin" in [remote.name for remote in repository.remotes]:
            git.remote("set-url", "origin", url)
        else:
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
            branch = self.branch or _default_branch(git)
            git.checkout("--force", "-B", branch, f"refs/remotes/origin/{branch}")
            git.branch("--set-upstream-to", f"origin/{branch}", branch)
        if self.clone_submodules:
            git.submodule("update", "--init", "--recursive", *shallow)

    def _explained(self, url: str, stderr: Any) -> str:
        text = str(stderr).strip().removeprefix("stderr:").strip().removeprefix("'").removesuffix("'")
        return f"{url} could not be cloned: {text[:1000]}"

    def _fix(self, stderr: Any) -> str:
        text = str(stderr).lower()
        if (
            "authentication" in text
            or "could not read username" in text
            or "403" in text
            or "permission denied" in text
        ):
            return "Give `username` and `password` (a token), or `privateKey`, of somebody who may read it."
        if (
            "pathspec" in text
            or "not a commit" in text
            or "couldn't find remote ref" in text
            or "single revision" in text
        ):
            return "Check `branch`, `tag` or `commit`."
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


def _default_branch(git: Any) -> str:
    found = re.search(r"^ref: refs/heads/(\S+)\s+HEAD$", git.ls_remote("--symref", "origin", "HEAD"), re.MULTILINE)
    if found:
        return found[1]
    raise TaskFailed("The repository has no default branch; it may be empty.", fix="Give `branch`.")
