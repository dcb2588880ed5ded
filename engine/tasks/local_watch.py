"""Folders of this machine that are looked at again and again: what is new there, and what becomes of it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from engine.plugin import Outputs, RunContext, TaskFailed
from engine.tasks import local_files
from engine.tasks.arrivals import Arrivals, Change, away
from engine.tasks.local_files import LocalFile, Reach, about, reached
from engine.tasks.remote_files import ActionFields, FolderFields


class Changed(Outputs):
    """The files that are new or have changed, each with its `changeType`."""

    files: list[LocalFile]
    count: int


def fresh(reach: Reach, fields: FolderFields, arrivals: Arrivals, most: int) -> list[tuple[Path, Change]]:
    """The first `most` files of a folder that are news."""
    return arrivals.news(local_files.listed(reach, fields), most, name=str, version=local_files.version)


def unheard(arrivals: Arrivals) -> Changed | None:
    """Files that an earlier look took and told nobody of."""
    files = arrivals.unheard(lambda name, version: local_files.version(Path(name)) == version)
    return Changed(files=[{**one, "changeType": "CREATE"} for one in files], count=len(files)) if files else None


async def taken(
    context: RunContext, fields: ActionFields, paths: Sequence[Path], arrivals: Arrivals | None = None
) -> list[LocalFile]:
    """The files with the URIs of their contents in internal storage, then moved or deleted as `action` says."""
    if fields.action == "MOVE" and not fields.move_directory:
        raise TaskFailed("It is not said where to move the files.", fix="Give `moveDirectory`.")

    def begun(reach: Reach) -> tuple[Path | None, list[LocalFile], list[str]]:
        goal = reach.place(fields.move_directory or "") if fields.action == "MOVE" else None
        done, versions = [about(path) for path in paths], [local_files.version(path) or "" for path in paths]
        if goal is not None:
            done = [{**one, "localPath": str(goal / one["name"]), "parent": str(goal)} for one in done]
        return goal, done, versions

    def to_goal(reach: Reach, path: Path, goal: Path) -> None:
        goal.mkdir(parents=True, exist_ok=True)
        local_files.moved(reach, path, goal / path.name, overwrite=True)

    goal, done, versions = await reached(context, begun)
    for path, one in zip(paths, done, strict=True):
        one["uri"], _ = await local_files.stored(context, path)

    async def act(gone: list[LocalFile]) -> None:
        for path, one in zip(paths, done, strict=True):
            if goal is not None:
                await reached(context, partial(to_goal, path=path, goal=goal))
            else:
                await reached(context, lambda _, path=path: path.unlink())  # type: ignore[misc]
            gone.append(one)

    if fields.action in ("MOVE", "DELETE") and done:  # none goes before all are stored
        return await away(context, done, act, arrivals, list(zip(map(str, paths), versions, strict=True)))
    return done
