"""Who changed a flow last: the author of the last commit that touched its file, when the file is in a git work tree,
and of the one that brought what a run goes by, should the file have been changed since."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from engine.core.flow_texts import flow_texts

# A repository's own configuration may name programs to run; none of them is needed to read its history.
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false")
_PATIENCE = 5.0
_FURTHEST = 50  # commits of the file that are looked through for what a run goes by


@dataclass(frozen=True, slots=True)
class Editor:
    """The author of a change, as git has them. Anybody may write any name into a commit: git is trusted here."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why nobody can tell who changed a flow last."""

    why: str


async def editors_of(file: str, source: str) -> tuple[Editor, ...] | Unknown:
    """Who changed a flow's file last, and who wrote `source`, the text of it that a run goes by."""
    path = Path(file)
    if not file or not await asyncio.to_thread(path.is_file):
        return Unknown("the flow is in no file")
    changed = await _git(path, "status", "--porcelain", "--", path.name)
    if changed is None:
        return Unknown("its file is in no git work tree")
    if changed.strip():
        return Unknown("its file has changes that are not committed")
    told = await _git(path, "log", f"-{_FURTHEST}", "--format=%H%x00%aN%x00%aE", "--", path.name)
    commits = [line.split("\0") for line in (told or "").strip("\n").split("\n") if line]
    if not commits:
        return Unknown("its file was never committed")
    last = Editor(commits[0][1], commits[0][2].lower())
    brought: list[Editor] = []
    for commit, name, email in commits:
        if _holds(await _git(path, "show", f"{commit}:./{path.name}") or "", source):
            brought.append(Editor(name, email.lower()))
        elif brought:
            break
    if not brought:
        return Unknown("what this run goes by is in none of its last commits")
    # A later commit that left this text alone changed something else in the file; the first that has it brought it.
    return tuple(dict.fromkeys((last, brought[0], brought[-1])))


def _holds(whole: str, source: str) -> bool:
    """Whether a file holds a flow's text, however its lines end."""
    lines = source.removeprefix("\ufeff").splitlines()
    texts = flow_texts("\n".join(whole.removeprefix("\ufeff").splitlines()) + "\n")
    return lines in [text.text.splitlines() for text in texts]


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
