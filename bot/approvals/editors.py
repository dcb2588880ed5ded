"""Who changed a flow last: the author of the last commit that touched its file, when the file is in a git work tree."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

# A repository's own configuration may name programs to run; none of them is needed to read its history.
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false")
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Editor:
    """The author of a change, as git has them. Anybody may write any name into a commit: git is trusted here."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why nobody can tell who changed a flow last."""

    why: str


async def editor_of(file: str) -> Editor | Unknown:
    """Who changed a flow's file last."""
    path = Path(file)
    if not file or not await asyncio.to_thread(path.is_file):
        return Unknown("the flow is in no file")
    changed = await _git(path, "status", "--porcelain", "--", path.name)
    if changed is None:
        return Unknown("its file is in no git work tree")
    if changed.strip():
        return Unknown("its file has changes that are not committed")
    told = await _git(path, "log", "-1", "--format=%aN%x00%aE", "--", path.name)
    name, _, email = (told or "").strip().partition("\0")
    return Editor(name, email.lower()) if name or email else Unknown("its file was never committed")


async def _git(path: Path, *arguments: str) -> str | None:
    """What git says; None when it can't."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    try:
        process = await asyncio.create_subprocess_exec(
            *_GIT, *arguments, cwd=path.parent, env={**environment, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    try:
        async with asyncio.timeout(_PATIENCE):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return out.decode("utf-8", "replace") if process.returncode == 0 else None
