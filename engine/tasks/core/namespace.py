"""`io.kestra.plugin.core.namespace`: the files that the flows of a namespace share."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from engine.plugin import (
    Changes,
    Content,
    FileChange,
    Outputs,
    Property,
    RunContext,
    RunnableTask,
    Sight,
    TaskFailed,
)
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList, document_from_text
from engine.tasks.purging import NamespacesTask, Versions
from engine.tasks.working_files import STORAGE, below, glob

NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*")


def _is_namespace(text: str) -> str:
    if not NAMESPACE.fullmatch(text):
        raise ValueError(f"{text!r} is not a namespace; write it as `company.team`")
    return text


def _files(value: Any) -> Any:
    if isinstance(value, str) and not value.lstrip().startswith(("[", "{")):
        return [value]
    return document_from_text(value)


Namespace = Annotated[Text, AfterValidator(_is_namespace)]


class Uploaded(Outputs):
    """Path in the namespace → URI of each file that was written."""

    files: dict[str, str]


class UploadFiles(RunnableTask):
    """Put files into a namespace: from the working directory by patterns, or stored ones under paths of their own."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: share
type: io.kestra.plugin.core.namespace.UploadFiles
namespace: company.team
filesMap:
  reports/latest.json: "{{ outputs.report.uri }}"
conflict: OVERWRITE
""",
    )
    type: Literal["io.kestra.plugin.core.namespace.UploadFiles"]
    namespace: Property[Namespace | None] = Field(default=None, description="The flow's own, if left out.")
    files: Property[Annotated[list[Text] | dict[str, Any] | None, BeforeValidator(_files)]] = Field(
        default=None, description="Patterns in the working directory and URIs of stored files, or a map of path to URI."
    )
    files_map: Property[JsonMap | None] = Field(default=None, description="Path in the namespace → a file's URI.")
    destination: Property[Text] = Field(default="/", description="The folder for all of them.")
    conflict: Property[Literal["OVERWRITE", "ERROR", "SKIP"]] = "OVERWRITE"

    async def run(self, context: RunContext) -> Uploaded:
        sources = dict(self._sources(context, context.working_dir))
        if not sources:
            raise TaskFailed("There is no file to upload.", fix="Check `files`: patterns name files of this task.")
        namespace = self.namespace or context.namespace
        there = await context.files.namespace_files(namespace)
        if self.conflict == "ERROR" and (taken := sorted(sources.keys() & there.keys())):
            raise TaskFailed(f"The namespace {namespace} has a file {taken[0]} already.", fix="Set `conflict`.")
        written = {}
        for path, source in sources.items():
            if not (self.conflict == "SKIP" and path in there):
                written[f"/{path}"] = await context.files.put_namespace_file(namespace, path, source)
        context.metric("uploaded", len(written))
        return Uploaded(files=written)

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        namespace = self.namespace or sight.namespace
        sources = dict(await asyncio.to_thread(self._sources, sight, None))
        there = await sight.files.namespace_files(namespace)
        if self.conflict == "ERROR" and (taken := sorted(sources.keys() & there.keys())):
            raise TaskFailed(f"The namespace {namespace} has a file {taken[0]} already.", fix="Set `conflict`.")
        after = {path: file for path, file in sources.items() if not (self.conflict == "SKIP" and path in there)}
        patterns = [one for one in self.files if not one.startswith(STORAGE)] if isinstance(self.files, list) else []
        note = f"And what fits {', '.join(patterns)} in its working directory by then." if patterns else ""
        return (await asyncio.to_thread(changed, namespace, there, after, note),)

    def _sources(self, context: Sight, folder: Path | None) -> list[tuple[str, Path]]:
        """(path in the namespace, local file) of everything to upload."""
        found: list[tuple[str, Path]] = []
        named: Mapping[str, Any] = {**(self.files if isinstance(self.files, dict) else {}), **(self.files_map or {})}
        for path, uri in named.items():
            if not isinstance(uri, str) or not uri.startswith(STORAGE):
                raise TaskFailed(f"{path!r} stands for no file's URI.", fix="Give it one, as `outputs.<task>.uri` is.")
            found.append((self._at(path), context.files.path(uri)))
        listed = self.files if isinstance(self.files, list) else []
        for uri in (one for one in listed if one.startswith(STORAGE)):
            source = context.files.path(uri)
            found.append((self._at(source.name), source))
        patterns = [glob(one) for one in listed if not one.startswith(STORAGE)]
        if folder is None or not patterns:
            return found
        for source in below(folder):
            name = source.relative_to(folder).as_posix()
            if any(pattern.fullmatch(name) for pattern in patterns):
                found.append((self._at(name), source))
        return found

    def _at(self, name: str) -> str:
        return _relative(str(PurePosixPath(self.destination) / name.lstrip("/")))


class Files(Outputs):
    """Path in the namespace → URI of a copy that belongs to this execution."""

    files: dict[str, str]


class DownloadFiles(RunnableTask):
    """Copy files of a namespace, which may be another one, into this execution's storage."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: templates
type: io.kestra.plugin.core.namespace.DownloadFiles
namespace: company.shared
files: ["templates/**.html"]
""",
    )
    type: Literal["io.kestra.plugin.core.namespace.DownloadFiles"]
    namespace: Property[Namespace]
    files: Property[TextList] = Field(description="A path or pattern, or a list of them.")
    destination: Property[Text] = Field(default="", description="A folder put before each path of the output.")

    async def run(self, context: RunContext) -> Files:
        found = {}
        for path, source in await _matching(context, self.namespace, self.files):
            at = f"/{_relative(str(PurePosixPath(self.destination) / path))}"
            found[at] = await context.files.put(source, source.name)
        context.metric("downloaded", len(found))
        return Files(files=found)


def changed(namespace: str, there: Mapping[str, Path], after: Mapping[str, Path | None], note: str = "") -> Changes:
    """Files of a namespace that would be replaced, or (None) be gone. Blocks."""
    found = [
        FileChange(path, Content.read(there[path]) if path in there else None, Content.read(source) if source else None)
        for path, source in sorted(after.items())
    ]
    return Changes(f"files of {namespace}", [one for one in found if one.is_one], note)


class Deleted(Outputs):
    """Paths that were deleted."""

    files: list[str]


class DeleteFiles(RunnableTask):
    """Delete files of a namespace."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.namespace.DeleteFiles
namespace: company.team
files: ["drafts/**"]
""",
    )
    type: Literal["io.kestra.plugin.core.namespace.DeleteFiles"]
    namespace: Property[Namespace]
    files: Property[TextList] = Field(description="A path or pattern, or a list of them.")
    delete_parent_folder: Property[bool] = Field(default=False, description="Folders left empty go too.")

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        gone = dict.fromkeys(path for path, _ in await _matching(sight, self.namespace, self.files))
        there = await sight.files.namespace_files(self.namespace)
        return (await asyncio.to_thread(changed, self.namespace, there, gone),)

    async def run(self, context: RunContext) -> Deleted:
        matching = await _matching(context, self.namespace, self.files)
        tidy = self.delete_parent_folder
        gone = [p for p, _ in matching if await context.files.delete_namespace_file(self.namespace, p, tidy=tidy)]
        context.metric("deleted", len(gone))
        return Deleted(files=[f"/{path}" for path in gone])


class PurgedFiles(Outputs):
    """How many versions of files were deleted."""

    size: int


class PurgeFiles(NamespacesTask):
    """Delete versions of files of namespaces. A file has one version here: it goes only when all are meant."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.namespace.PurgeFiles
namespaces: [company]
filePattern: "drafts/**"
behavior:
  type: version
  keepAmount: 0
""",
    )
    type: Literal["io.kestra.plugin.core.namespace.PurgeFiles"]
    file_pattern: Property[OptionalText] = None
    behavior: Property[Versions] = Versions(type="version", keep_amount=1)

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        if self.behavior.spares_the_newest:
            return ()
        pattern, found = glob(self.file_pattern or "**"), []
        for namespace in filter(self.covers, await sight.files.namespaces()):
            there = await sight.files.namespace_files(namespace)
            gone = dict.fromkeys(path for path in there if pattern.fullmatch(path) or pattern.fullmatch(f"/{path}"))
            found.append(await asyncio.to_thread(changed, namespace, there, gone))
        return [one for one in found if one.files]

    async def run(self, context: RunContext) -> PurgedFiles:
        if self.behavior.spares_the_newest:
            context.log("A file has one version here, its newest: there is nothing older to purge.")
            return PurgedFiles(size=0)
        pattern = glob(self.file_pattern or "**")
        size = 0
        for namespace in filter(self.covers, await context.files.namespaces()):
            there = await context.files.namespace_files(namespace)
            for path in (path for path in there if pattern.fullmatch(path) or pattern.fullmatch(f"/{path}")):
                size += await context.files.delete_namespace_file(namespace, path)
        context.log(f"Purged {size} files.")
        return PurgedFiles(size=size)


async def _matching(context: Sight, namespace: str, patterns: list[str]) -> list[tuple[str, Path]]:
    compiled = [glob(pattern) for pattern in patterns]
    there = await context.files.namespace_files(namespace)
    return [(path, file) for path, file in there.items() if any(one.fullmatch(path) for one in compiled)]


def _relative(path: str) -> str:
    """A path below a namespace's folder; TaskFailed when it leads out of it."""
    parts = PurePosixPath(path.lstrip("/")).parts
    if not parts or ".." in parts:
        raise TaskFailed(f"{path!r} is not a path inside a namespace.", fix="Leave out `..`.")
    return str(PurePosixPath(*parts))
