"""Files between internal storage and a task's working directory: `inputFiles` in, `outputFiles` out."""

import asyncio
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from engine.errors import NotFound
from engine.plugin import RunContext, TaskFailed
from engine.tasks.local_files import reached
from engine.tasks.property_types import document_from_text, scalar_to_text
from engine.tasks.runners import WORK

STORAGE, OF_NAMESPACE, LOCAL = "kestra://", "nsfile://", "file://"
STORED_URI = re.compile(r"kestra:///[^\s\"'`<>|;&(){}\[\]\\,]+")


def inside(folder: Path, name: str) -> Path:
    """The path of a name below a folder; TaskFailed when it would lie outside, whatever links stand in between."""
    path = folder / name.removeprefix("./")
    if "\0" in name:
        raise TaskFailed(f"No file can have the name {name!r}.", fix="Leave out what is no character.")
    if PurePosixPath(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise TaskFailed(
            f"The file name {name!r} leaves the working directory.", fix="Use a relative name without `..`."
        )
    return path


async def place(context: RunContext, files: Mapping[str, Any], folder: Path | None = None) -> list[Path]:
    """Write `inputFiles` below the working directory; their paths.

    Each is a name → text, nothing, or the URI of a file: of storage, of a namespace (`nsfile:///path`,
    `nsfile://other.namespace/path`) or of this machine (`file:///path`).
    """
    folder = folder or context.working_dir
    placed = []
    for name, content in files.items():
        path = inside(folder, name)
        text = "" if content is None else scalar_to_text(content)
        if not isinstance(text, str):
            raise TaskFailed(
                f"The content of input file {name!r} is a list or a map.", fix="Give text or a file's URI."
            )
        stored = await _source(context, text.strip())
        try:
            await asyncio.to_thread(_write, path, text, stored)
        except OSError as error:
            raise TaskFailed(f"{name[:80]!r} can't be written: {error.strerror}.", fix="Change its name.") from error
        placed.append(path)
    return placed


async def rendered_map(context: RunContext, written: Any, name: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """The map of a late property `name`, whose templates see `names` too; TaskFailed when it is none."""
    try:
        found = document_from_text(await context.render(written, **names))
    except ValueError as error:
        raise TaskFailed(f"`{name}` {error}.") from error
    if found is not None and not isinstance(found, dict):
        raise TaskFailed(f"`{name}` is no map.")
    return dict(found or {})


async def _source(context: RunContext, text: str) -> Path | None:
    """The file that a URI names, None when the text is none; NotFound, Refused, TaskFailed."""
    if text.startswith(STORAGE):
        return context.files.path(text)
    if text.startswith(OF_NAMESPACE):
        namespace, _, name = text.removeprefix(OF_NAMESPACE).partition("/")
        found = (await context.files.namespace_files(namespace or None)).get(unquote(name))
        if found is None:
            raise NotFound(f"There is no file {text}.", fix="Put it among the files of the namespace.")
        return found
    return await reached(context, lambda reach: _there(reach.place(text))) if text.startswith(LOCAL) else None


def _there(path: Path) -> Path:
    path.stat()  # FileNotFoundError
    return path


def _write(path: Path, text: str, stored: Path | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if stored is None:
        path.write_text(text, "utf-8")
    else:
        shutil.copyfile(stored, path)


async def collect(context: RunContext, patterns: Iterable[str], folder: Path | None = None) -> dict[str, str]:
    """Store what the `outputFiles` globs match; relative path → URI. What matches nothing is simply absent."""
    folder = folder or context.working_dir
    compiled = [glob(pattern) for pattern in patterns]
    if not compiled:
        return {}
    found = await asyncio.to_thread(
        lambda: [
            path for path in below(folder) if any(p.fullmatch(path.relative_to(folder).as_posix()) for p in compiled)
        ]
    )
    return {path.relative_to(folder).as_posix(): await context.files.put(path, path.name) for path in found}


def below(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, in order; links that lead out of it are left alone."""
    home = folder.resolve()
    for path in sorted(folder.rglob("*")):
        ours = path.relative_to(folder).parts[0] == WORK
        if not ours and path.is_file() and path.resolve().is_relative_to(home):
            yield path


def glob(pattern: str) -> re.Pattern[str]:
    """Java's glob as a regular expression: `*` stays in a folder, `**` crosses them, `{a,b}` is either."""
    if pattern.startswith("regex:"):
        try:
            return re.compile(pattern.removeprefix("regex:"))
        except re.error as error:
            raise TaskFailed(f"The pattern {pattern!r} is not a regular expression: {error}.") from error
    text = pattern.removeprefix("glob:").removeprefix("./").lstrip("/")
    out, depth, at = [], 0, 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "*":
            crosses = text[at : at + 1] == "*"
            at += crosses
            out.append(".*" if crosses else "[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[" and "]" in text[at + 1 :]:
            end = text.index("]", at + 1)
            inner = text[at:end].replace("\\", r"\\")
            out.append(f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
            at = end + 1
        elif character == "{":
            depth += 1
            out.append("(?:")
        elif character == "}" and depth:
            depth -= 1
            out.append(")")
        elif character == "," and depth:
            out.append("|")
        elif character == "\\" and at < len(text):
            out.append(re.escape(text[at]))
            at += 1
        else:
            out.append(re.escape(character))
    try:
        return re.compile("".join(out) + ")" * depth)
    except re.error as error:
        raise TaskFailed(f"The pattern {pattern!r} is not a glob: {error}.") from error


async def fetch_uris(context: RunContext, text: str) -> str:
    """The text with every storage URI replaced by the path of a copy in the working directory."""
    for uri in dict.fromkeys(STORED_URI.findall(text)):
        source = context.files.path(uri)
        target = context.working_dir / WORK / "files" / uri.removeprefix("kestra:///").replace("/", "_")
        target.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(shutil.copyfile, source, target)
        text = text.replace(uri, str(target))
    return text
