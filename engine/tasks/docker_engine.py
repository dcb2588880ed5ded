"""What the tasks of `docker` share: the engine, what it says, and texts that stand in files."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.property_types import OptionalText, scalar_to_text
from engine.tasks.runners import own_file
from engine.tasks.scripts.runner import containers
from engine.tasks.scripts.runner.docker import Credentials
from engine.tasks.threads import in_own_thread
from engine.tasks.working_files import inside

if TYPE_CHECKING:
    from docker import DockerClient

R = TypeVar("R")
PEERS = ("io.kestra.plugin.docker.cli.",)  # what newer flows call the same tasks


class DockerTask(RunnableTask):
    """Which engine, and who we are to registries."""

    peers: ClassVar[tuple[str, ...]] = PEERS

    host: Property[OptionalText] = None
    config: Any = None
    credentials: Credentials | None = None

    async def docker(self, context: RunContext, work: Callable[["DockerClient"], R]) -> R:
        """What `work` does with the engine, in a thread; TaskFailed when it refuses or is not there."""
        if self.credentials and self.credentials.password:
            context.mask(self.credentials.password)

        def run() -> R:
            client = containers.connect(self.host or context.settings.docker.host)
            if client is None:
                raise TaskFailed("There is no Docker engine.", fix="Start Docker, or give `host`.")
            try:
                with explained():
                    return work(client)
            finally:
                client.close()

        return await in_own_thread(run)

    @property
    def registry(self) -> dict[str, str] | None:
        """The credentials as the engine wants them."""
        return self.credentials.config() if self.credentials else None


def pushed(client: "DockerClient", context: RunContext, tag: str, auth: dict[str, str] | None) -> None:
    """Push one name of an image; TaskFailed with what the registry says."""
    for told in client.api.push(tag, stream=True, decode=True, auth_config=auth):
        heard(context, told, quiet=True)


@contextmanager
def explained() -> Iterator[None]:
    """TaskFailed for what the engine refuses."""
    from docker import errors

    try:
        yield
    except errors.NotFound as error:
        raise TaskFailed(f"Docker knows no such thing: {error.explanation or error}") from error
    except (errors.APIError, errors.DockerException) as error:
        raise TaskFailed(f"Docker refused: {getattr(error, 'explanation', None) or error}") from error


def heard(context: RunContext, told: dict[str, Any], *, quiet: bool = False) -> str:
    """Log a line of the engine; the image's id when it names one. TaskFailed for an error."""
    if error := told.get("error"):
        raise TaskFailed(f"Docker refused: {str(error).strip()}")
    text = str(told.get("stream") or ("" if quiet else told.get("status") or "")).strip()
    if text:
        context.log(text)
    found = told.get("aux") or {}
    return str(found.get("ID") or "") if isinstance(found, dict) else json.dumps(found)


def texts(given: Any) -> dict[str, str]:
    """A map as the engine takes it: of texts."""
    return {str(name): str(scalar_to_text(value)) for name, value in (given or {}).items()}


def written(context: RunContext, text: str, name: str) -> Path:
    """The file of a text: one of the working directory that it names, else one that holds it."""
    if "\n" not in text.strip() and (named := inside(context.working_dir, text.strip())).is_file():
        return named
    path = own_file(context, name)
    path.write_text(text, "utf-8")
    return path
