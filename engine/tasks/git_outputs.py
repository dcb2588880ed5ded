"""Files that an execution made, committed."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from engine.plugin import Content, Property, RunContext, Sight, TaskFailed
from engine.tasks import git_contents as contents
from engine.tasks.git_commit import CommitTask, FilesPushed, Meant, at, listed
from engine.tasks.git_copies import BranchCopy
from engine.tasks.git_repository import Checkout
from engine.tasks.property_types import JsonMap, Text, TextList
from engine.tasks.working_files import below, glob


class PushOutputsTask(CommitTask):
    """Files that an execution made, committed."""

    git_directory: Property[Text] = "_outputs"
    files: Property[TextList | None] = Field(
        default=None,
        description="Globs: of the working directory, or, when nothing there fits, of the `outputFiles` of tasks.",
    )
    files_map: Property[JsonMap | None] = Field(default=None, description="Name in the repository → URI of a file.")
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> FilesPushed:
        found = self._found(context, context.working_dir)
        if not found:
            said = f"No file fits {self.files}." if self.files else "There are no files to push."
            if self.error_on_missing:
                raise TaskFailed(said, fix="Correct `files` or `filesMap`.")
            context.log(f"{said} Nothing is pushed.", "WARN")
            return FilesPushed(files=await listed(context, []))

        def fill(checkout: Checkout) -> Sequence[str]:
            contents.write_below(checkout.folder, self.git_directory, {n: p.read_bytes() for n, p in found.items()})
            return ["."]

        message = self.commit_message or f"Add files from execution {context.execution_id}"
        pushed, changes = await self.commit(context, fill, message)
        return FilesPushed(**pushed.model_dump(), files=await listed(context, (change.row() for change in changes)))

    async def meant(self, sight: Sight, copy: BranchCopy | None, *, is_shared: bool) -> Meant:
        found = await asyncio.to_thread(self._found, sight, None)
        read = await asyncio.to_thread(lambda: {name: Content.read(path) for name, path in found.items()})
        here = is_shared and self.files_map is None and bool(self.files)
        note = "What its working directory holds by then comes first." if here else ""
        return Meant({at(self.git_directory, name): held for name, held in read.items() if held is not None}, note)

    def _found(self, sight: Sight, folder: Path | None) -> dict[str, Path]:
        if self.files_map is not None:
            return {str(name): sight.files.path(str(uri)) for name, uri in self.files_map.items()}
        patterns = [glob(pattern) for pattern in self.files or ["**"]]
        here = {path.relative_to(folder).as_posix(): path for path in below(folder)} if folder and self.files else {}
        made = {name: sight.files.path(uri) for name, uri in made_files(sight.variables.get("outputs"))}
        for held in (here, made):
            if fits := {name: path for name, path in held.items() if any(p.fullmatch(name) for p in patterns)}:
                return fits
        return {}


def made_files(outputs: Any) -> Iterator[tuple[str, str]]:
    """Name and URI of the `outputFiles` of every task."""
    for given in outputs.values() if isinstance(outputs, Mapping) else ():
        files = given.get("outputFiles") if isinstance(given, Mapping) else None
        if isinstance(files, Mapping):
            yield from ((str(name), uri) for name, uri in files.items() if isinstance(uri, str))
