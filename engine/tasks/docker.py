"""`io.kestra.plugin.docker`: images and containers."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import aliases
from engine.tasks.namespace_files import NamespaceFiles, place_namespace_files
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList, scalar_to_text
from engine.tasks.runners import WORK, Job
from engine.tasks.script_output import ScriptOutput
from engine.tasks.scripts.runner import containers
from engine.tasks.scripts.runner.docker import Cpu, Credentials, Docker, Memory
from engine.tasks.scripts.script_task import ScriptResult
from engine.tasks.threads import in_own_thread
from engine.tasks.working_files import collect, inside, place

if TYPE_CHECKING:
    from docker import DockerClient

R = TypeVar("R")


class DockerTask(RunnableTask):
    """Which engine, and who we are to registries."""

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


class Built(Outputs):
    """The image."""

    imageId: str  # noqa: N815 - appears as written


class Build(DockerTask):
    """Build an image, and push it if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: build
type: io.kestra.plugin.docker.Build
dockerfile: |
  FROM python:3.13-slim
  RUN pip install --no-cache-dir requests
tags: ["registry.example.com/tools:latest"]
push: true
credentials:
  registry: registry.example.com
  username: "{{ secret('REGISTRY_USER') }}"
  password: "{{ secret('REGISTRY_PASSWORD') }}"
""",
    )
    type: Literal["io.kestra.plugin.docker.Build"]
    dockerfile: Property[Text]
    tags: Property[TextList]
    platforms: Property[TextList | None] = None
    push: Property[bool] = False
    pull: Property[bool] = True
    build_args: Property[JsonMap | None] = None
    labels: Property[JsonMap | None] = None
    input_files: Property[JsonMap | None] = None
    namespace_files: Property[NamespaceFiles | bool | None] = None

    async def run(self, context: RunContext) -> Built:
        if not self.tags:
            raise TaskFailed("`tags` is empty.", fix="Name the image.")
        await place_namespace_files(context, self.namespace_files)
        await place(context, self.input_files or {})
        file = await asyncio.to_thread(self._dockerfile, context)

        def work(client: "DockerClient") -> str:
            image = ""
            for told in client.api.build(
                path=str(context.working_dir),
                dockerfile=str(file),
                tag=self.tags[0],
                pull=self.pull,
                rm=True,
                forcerm=True,
                decode=True,
                buildargs=_texts(self.build_args),
                labels=_texts(self.labels),
                platform=self.platforms[0] if self.platforms else None,
            ):
                image = _heard(context, told) or image
            built = client.images.get(image or self.tags[0])
            for tag in self.tags[1:]:
                built.tag(tag)
            if self.push:
                for tag in self.tags:
                    pushed(client, context, tag, self.registry)
            return str(built.id)

        return Built(imageId=await self.docker(context, work))

    def _dockerfile(self, context: RunContext) -> Path:
        """The file: one of the working directory by its name, else one that holds the text."""
        text = self.dockerfile
        if "\n" not in text.strip() and (named := inside(context.working_dir, text.strip())).is_file():
            return named
        path = context.working_dir / WORK / f"Dockerfile-{context.task_run_id}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path


class Run(DockerTask):
    """Run a container to its end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: check
type: io.kestra.plugin.docker.Run
containerImage: docker/whalesay
commands: [cowsay, hello]
""",
    )
    type: Literal["io.kestra.plugin.docker.Run"]
    container_image: Property[Text]
    commands: Property[TextList] = Field(default_factory=list)
    env: Property[JsonMap | None] = None
    input_files: Property[JsonMap | None] = None
    output_files: Property[TextList | None] = None
    namespace_files: Property[NamespaceFiles | bool | None] = None
    user: Property[OptionalText] = None
    entry_point: Property[TextList | None] = None
    extra_hosts: Property[TextList | None] = None
    network_mode: Property[OptionalText] = None
    port_bindings: Property[TextList | None] = None
    volumes: Property[TextList | None] = None
    pull_policy: Property[Literal["ALWAYS", "IF_NOT_PRESENT", "NEVER"]] = "IF_NOT_PRESENT"
    device_requests: Any = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    shm_size: Property[OptionalText] = None
    privileged: Property[bool] = False
    wait: Property[bool] = True
    delete: Property[bool] = True
    kill_grace_period: Any = None

    async def run(self, context: RunContext) -> ScriptResult:
        await place_namespace_files(context, self.namespace_files)
        await place(context, self.input_files or {})
        names = (set(Docker.model_fields) & set(Run.model_fields) & self.model_fields_set) - {"type", "config"}
        given = {name: getattr(self, name) for name in names}
        runner = Docker(type=Docker.type_names()[0], **{"entry_point": [], **given})
        heard = ScriptOutput(context)
        env = {str(name): str(scalar_to_text(value)) for name, value in (self.env or {}).items()}
        command = [str(word) for word in self.commands]
        job = Job(command, context.working_dir, env, heard.hear, image=self.container_image)
        try:
            ended = await runner.execute(job, context)
        finally:
            heard.end()
        files = await collect(context, self.output_files or [])
        result = ScriptResult(
            vars=heard.variables, exitCode=ended.exit_code, outputFiles=files, taskRunner=dict(ended.details)
        )
        if ended.exit_code != 0:
            raise TaskFailed(f"Command failed with exit code {ended.exit_code}", outputs=result.model_dump())
        return result


class Pull(DockerTask):
    """Fetch an image."""

    examples: ClassVar[tuple[str, ...]] = ("id: fetch\ntype: io.kestra.plugin.docker.Pull\nimage: python:3.13-slim\n",)
    type: Literal["io.kestra.plugin.docker.Pull"]
    image: Property[Text]

    async def run(self, context: RunContext) -> None:
        name = aliases.image(self.image, context.settings.images)
        limit = context.settings.docker.pull_timeout
        await self.docker(context, lambda client: containers.pull(client, name, self.registry, limit))


class Push(DockerTask):
    """Push an image to its registry."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: push
type: io.kestra.plugin.docker.Push
tags: ["registry.example.com/tools:latest"]
credentials:
  username: "{{ secret('REGISTRY_USER') }}"
  password: "{{ secret('REGISTRY_PASSWORD') }}"
""",
    )
    type: Literal["io.kestra.plugin.docker.Push"]
    tags: Property[TextList]

    async def run(self, context: RunContext) -> None:
        def work(client: "DockerClient") -> None:
            for tag in self.tags:
                pushed(client, context, tag, self.registry)

        await self.docker(context, work)


class Tag(DockerTask):
    """Give an image another name."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: name
type: io.kestra.plugin.docker.Tag
sourceImage: tools:latest
targetImage: registry.example.com/tools:1.0
""",
    )
    type: Literal["io.kestra.plugin.docker.Tag"]
    source_image: Property[Text]
    target_image: Property[Text]

    async def run(self, context: RunContext) -> None:
        await self.docker(context, lambda client: client.images.get(self.source_image).tag(self.target_image))


class Stop(DockerTask):
    """End a container, and remove it unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = ("id: end\ntype: io.kestra.plugin.docker.Stop\ncontainerId: my-app\n",)
    type: Literal["io.kestra.plugin.docker.Stop"]
    container_id: Property[Text]
    kill: Property[bool] = False
    delete: Property[bool] = True

    async def run(self, context: RunContext) -> None:
        def work(client: "DockerClient") -> None:
            container = client.containers.get(self.container_id)
            if self.kill:
                container.kill()
            else:
                container.stop()
            if self.delete:
                container.remove(force=self.kill)  # what was killed may take a moment to end

        await self.docker(context, work)


class Rm(DockerTask):
    """Remove containers and images."""

    examples: ClassVar[tuple[str, ...]] = ("id: tidy\ntype: io.kestra.plugin.docker.Rm\nimageIds: [tools:latest]\n",)
    type: Literal["io.kestra.plugin.docker.Rm"]
    container_ids: Property[TextList | None] = None
    image_ids: Property[TextList | None] = None
    remove_volumes: Property[bool] = False
    force: Property[bool] = False

    async def run(self, context: RunContext) -> None:
        def work(client: "DockerClient") -> None:
            for name in self.container_ids or []:
                client.containers.get(name).remove(v=self.remove_volumes, force=self.force)
            for name in self.image_ids or []:
                client.images.remove(name, force=self.force)

        await self.docker(context, work)


def pushed(client: "DockerClient", context: RunContext, tag: str, auth: dict[str, str] | None) -> None:
    """Push one name of an image; TaskFailed with what the registry says."""
    for told in client.api.push(tag, stream=True, decode=True, auth_config=auth):
        _heard(context, told, quiet=True)


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


def _heard(context: RunContext, told: dict[str, Any], *, quiet: bool = False) -> str:
    """Log a line of the engine; the image's id when it names one. TaskFailed for an error."""
    if error := told.get("error"):
        raise TaskFailed(f"Docker refused: {str(error).strip()}")
    text = str(told.get("stream") or ("" if quiet else told.get("status") or "")).strip()
    if text:
        context.log(text)
    found = told.get("aux") or {}
    return str(found.get("ID") or "") if isinstance(found, dict) else json.dumps(found)


def _texts(given: Any) -> dict[str, str]:
    return {str(name): str(scalar_to_text(value)) for name, value in (given or {}).items()}
