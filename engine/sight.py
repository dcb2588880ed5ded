"""What a task may look at when it is asked which files it would change: all of it reads, nothing of it acts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from engine.settings import Settings

MAX_TEXT = 256 * 1024  # what is longer is told by its size


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds; `text` is None where it is no text, or too long a one."""

    size: int
    digest: str
    text: str | None

    @classmethod
    def of(cls, content: bytes) -> Self:
        """What these bytes are."""
        text = None
        if len(content) <= MAX_TEXT and b"\0" not in content:
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError:
                text = None
        return cls(len(content), hashlib.sha256(content).hexdigest(), text)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What a file holds; None when it is not there. Blocks."""
        try:
            if path.stat().st_size <= MAX_TEXT:
                return cls.of(path.read_bytes())
            with path.open("rb") as stream:
                return cls(path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest(), None)
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file as it is (None: it is not there) and as it would be (None: it would be gone)."""

    path: str
    before: Content | None
    after: Content | None

    @property
    def is_one(self) -> bool:
        """Whether anything is different afterwards."""
        return (self.before and self.before.digest) != (self.after and self.after.digest)


@dataclass(frozen=True, slots=True)
class Changes:
    """Files that a task would change in one place: `files of company.team`, `main of https://…`. `note` says what was
    compared with what, or what can't be told."""

    place: str
    files: Sequence[FileChange] = ()
    note: str = ""
    is_told: bool = True  # False: nobody can tell what changes


@dataclass(frozen=True, slots=True)
class DeployedFlow:
    """A flow as it is deployed; `file` is where a watched folder keeps it, "" when none does."""

    namespace: str
    id: str
    revision: int
    source: str
    file: str = ""
    description: str = ""
    inputs: Sequence[Mapping[str, Any]] = ()  # as declared


def is_within(namespace: str, wanted: str | None, *, below: bool) -> bool:
    """Whether a namespace is the one that is wanted, or one below it; without one, all are. Pure."""
    return wanted is None or namespace == wanted or (below and namespace.startswith(f"{wanted}."))


class SeenFiles(Protocol):
    """Internal storage, to look at."""

    def path(self, uri: str) -> Path:
        """A local file to read from; NotFound or Refused."""

    async def namespace_files(self, namespace: str | None = None) -> Mapping[str, Path]:
        """The files of a namespace (the own one): path below its folder → a local file to read from; Refused."""

    async def namespaces(self) -> list[str]:
        """Namespaces that have files."""


class SeenFlows(Protocol):
    """The flows there are, to look at."""

    async def list(self, namespace: str | None, *, below: bool = False) -> Sequence[DeployedFlow]:
        """The flows of a namespace, with `below` of its child namespaces too; of all without one."""

    async def check(self, source: str) -> tuple[str, str]:
        """Namespace and id of the flow a text describes; FlowInvalid."""


class Sight(Protocol):
    """Where a task would run, and what lies there."""

    @property
    def namespace(self) -> str:
        """The namespace of its flow."""

    @property
    def flow_id(self) -> str:
        """Its flow."""

    @property
    def settings(self) -> Settings:
        """What the operator set."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """What expressions see."""

    @property
    def files(self) -> SeenFiles:
        """Internal storage, as the task would see it."""

    @property
    def flows(self) -> SeenFlows | None:
        """The flows there are."""
