"""Folders of this machine that are looked at again and again: what is new there, and what becomes of it."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from engine.plugin import Outputs, Part, Property, RunContext, TaskFailed
from engine.tasks import local_files
from engine.tasks.local_files import LocalFile, Reach, about, told
from engine.tasks.remote_files import ActionFields, FolderFields
from engine.tasks.threads import in_own_thread

T = TypeVar("T")
MOST_KNOWN = 10_000  # files that are remembered from one look to the next
Change = Literal["CREATE", "UPDATE"]


class WatchFields(Part):
    """What counts as news."""

    on: Property[Literal["CREATE", "UPDATE", "CREATE_OR_UPDATE"]] = "CREATE_OR_UPDATE"


class Changed(Outputs):
    """The files that are new or have changed, each with its `changeType`."""

    files: list[LocalFile]
    count: int


def cut(context: RunContext, found: Sequence[T], most: int) -> Sequence[T]:
    """The first `most`; that there are more is logged."""
    if len(found) > most:
        context.log(f"There are {len(found)} files; the first {most} are taken (`maxFiles`).", "WARN")
    return found[:most]


def fresh(
    reach: Reach, fields: FolderFields, on: str, known: Mapping[str, str], most: int
) -> tuple[list[tuple[Path, Change]], dict[str, str]]:
    """The first `most` files that are news, and what is known after it: what was not reached is news the next time."""
    news: list[tuple[Path, Change]] = []
    now: dict[str, str] = {}
    found = local_files.listed(reach, fields)
    if len(found) > MOST_KNOWN:
        raise TaskFailed(
            f"{len(found)} files lie in {fields.from_}; {MOST_KNOWN} at most can be watched.",
            fix="Let `action` take them away, or say by `regExp` which are meant.",
        )
    with told():
        for path in found:
            seen = local_files.version(path)
            before = known.get(str(path))
            if seen is None or seen == before:
                now.update({} if seen is None else {str(path): seen})
                continue
            change: Change = "CREATE" if before is None else "UPDATE"
            if change not in on:
                now[str(path)] = seen
            elif len(news) < most:
                news.append((path, change))
                now[str(path)] = seen
            elif before is not None:
                now[str(path)] = before
    return news, now


async def taken(context: RunContext, reach: Reach, fields: ActionFields, paths: Sequence[Path]) -> list[LocalFile]:
    """The files with the URIs of their contents in internal storage, then moved or deleted as `action` says."""
    goal = None
    if fields.action == "MOVE":
        if not fields.move_directory:
            raise TaskFailed("It is not said where to move the files.", fix="Give `moveDirectory`.")
        goal = reach.place(fields.move_directory)
    done = []
    for path in paths:
        done.append({**about(path), "uri": await local_files.stored(context, path)})
        if goal is not None:
            with told():
                target = await in_own_thread(partial(_away, reach, path, goal))
            done[-1] |= {"localPath": str(target), "parent": str(goal)}
        elif fields.action == "DELETE":
            with told():
                path.unlink()
    return done


def _away(reach: Reach, path: Path, goal: Path) -> Path:
    goal.mkdir(parents=True, exist_ok=True)
    return local_files.moved(reach, path, goal, overwrite=True)
