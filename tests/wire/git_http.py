"""Repositories over smart HTTP: git's own `http-backend` behind a loopback server, with passwords if asked for."""

import base64
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.wire.loopback import Answered, Loopback, Received, serving


class GitHost:
    """Bare repositories below `root`, served at `url`/<name>.git. `credentials` are `user:password`, or nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.credentials: str | None = None
        self.wire: Loopback

    @property
    def url(self) -> str:
        return self.wire.url

    def create(self, name: str, commits: int = 3, branch: str = "main", titles: tuple[str, ...] = ()) -> Path:
        """A repository whose commits are of the last days, the newest first in `titles`."""
        bare, work = self.root / f"{name}.git", self.root / f"{name}-work"
        git(self.root, "init", "-q", "--bare", "-b", branch, str(bare))
        git(self.root, "clone", "-q", str(bare), str(work))
        git(work, "checkout", "-q", "-B", branch)
        titles = titles or tuple(f"Commit {n}" for n in range(commits, 0, -1))
        for age, title in reversed(list(enumerate(titles))):
            (work / "README.md").write_text(f"{title}\n")
            when = (datetime.now(UTC) - timedelta(hours=age + 1)).isoformat()
            git(work, "add", ".")
            git(work, "commit", "-q", "-m", title, env={"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when})
        git(work, "tag", "v1")
        git(work, "push", "-q", "origin", branch, "--tags")
        return bare

    def answer(self, request: Received) -> Answered:
        if self.credentials is not None:
            expected = "Basic " + base64.b64encode(self.credentials.encode()).decode()
            if request.headers.get("authorization") != expected:
                return Answered("Who are you?", 401, {"WWW-Authenticate": 'Basic realm="git"'})
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": "&".join(f"{key}={value}" for key, value in request.query.items()),
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "http.receivepack",
            "GIT_CONFIG_VALUE_1": "true",
        }
        said = subprocess.run(
            ["git", "http-backend"], input=request.body, env=environment, capture_output=True, check=True
        )
        head, _, body = said.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        return Answered(body, status, headers)


def git(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Run git as nobody in particular."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@example.com",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@example.com",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        **(env or {}),
    }
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, check=True, text=True)
    return done.stdout


@pytest.fixture
def git_host(tmp_path: Path) -> Iterator[GitHost]:
    """The host, running, without repositories."""
    root = tmp_path / "git-host"
    root.mkdir()
    host = GitHost(root)
    with serving(host.answer) as host.wire:
        yield host
