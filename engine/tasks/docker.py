"""`io.kestra.plugin.docker`: images and containers."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from engine.plugin import Instead, Outputs, Property, RunContext, TaskFailed
from engine.tasks import aliases
from engine.tasks.core.runner import Process
from engine.tasks.docker_engine import PEERS, DockerTask, heard, pushed, texts, written
from engine.tasks.namespace_files import NamespaceFiles, place_namespace_files
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList, scalar_to_text
from engine.tasks.runners import WORK, Job, Runner
from engine.tasks.script_output import ScriptOutput
from engine.tasks.scripts.runner import containers
from engine.tasks.scripts.runner.docker import Cpu, Docker, Memory
from engine.tasks.scripts.script_task import PROCESS, ScriptResult, ScriptTask, concluded, quoted
from engine.tasks.working_files import STORAGE, collect, place

if TYPE_CHECKING:
    from docker import DockerClient


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
        file = await asyncio.to_thread(written, context, self.dockerfile, "Dockerfile")

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
                buildargs=texts(self.build_args),
                labels=texts(self.labels),
                platform=self.platforms[0] if self.platforms else None,
            ):
                image = heard(context, told) or image
            built = client.images.get(image or self.tags[0])
            for tag in self.tags[1:]:
                built.tag(tag)
            if self.push:
                for tag in self.tags:
                    pushed(client, context, tag, self.registry)
            return str(built.id)

        return Built(imageId=await self.docker(context, work))


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
    warning_on_std_err: Annotated[Any, Instead("")] = None

    async def run(self, context: RunContext) -> ScriptResult:
        await place_namespace_files(context, self.namespace_files)
        await place(context, self.input_files or {})
        names = (set(Docker.model_fields) & set(Run.model_fields) & self.model_fields_set) - {"type", "config"}
        given = {name: getattr(self, name) for name in names}
        runner = Docker(type=Docker.type_names()[0], **{"entry_point": [], **given})
        output = ScriptOutput(context)
        env = {str(name): str(scalar_to_text(value)) for name, value in (self.env or {}).items()}
        command = [str(word) for word in self.commands]
        job = Job(command, context.working_dir, env, output.hear, image=self.container_image)
        try:
            ended = await runner.execute(job, context)
        finally:
            output.end()
        files = await collect(context, self.output_files or [])
        return concluded(ended, output.variables, files)


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


class Listed(Outputs):
    """The images: `id`, `repoTags`, `repoDigests`, `size`, `created` (seconds since 1970) and `labels` each."""

    images: list[dict[str, Any]]
    count: int


class ImageLs(DockerTask):
    """List the images of the engine."""

    examples: ClassVar[tuple[str, ...]] = (
        "id: before\ntype: io.kestra.plugin.docker.ImageLs\nimageNameFilter: alpine:latest\n",
    )
    type: Literal["io.kestra.plugin.docker.ImageLs"]
    show_all: Property[bool] = Field(default=False, description="True: layers of builds and images without a name too.")
    image_name_filter: Property[OptionalText] = Field(default=None, description="`alpine`, `alpine:3.18` or `alp*`.")
    label_filter: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Listed:
        labels = [f"{name}={value}" for name, value in texts(self.label_filter).items()]

        def work(client: "DockerClient") -> list[dict[str, Any]]:
            return list(client.api.images(self.image_name_filter, all=self.show_all, filters={"label": labels}))

        images = [
            {
                "id": one["Id"],
                "repoTags": one.get("RepoTags") or [],
                "repoDigests": one.get("RepoDigests") or [],
                "size": one["Size"],
                "created": one["Created"],
                "labels": one.get("Labels") or {},
            }
            for one in await self.docker(context, work)
        ]
        return Listed(images=images, count=len(images))


class Prune(DockerTask):
    """Remove what nothing uses."""

    examples: ClassVar[tuple[str, ...]] = (
        "id: tidy\ntype: io.kestra.plugin.docker.Prune\npruneType: IMAGES\ndangling: true\nuntil: 24h\n",
    )
    type: Literal["io.kestra.plugin.docker.Prune"]
    prune_type: Property[Literal["BUILD", "CONTAINERS", "IMAGES", "NETWORKS", "VOLUMES"]]
    dangling: Property[bool] = Field(default=False, description="True: only images without a name.")
    until: Property[OptionalText] = Field(default=None, description="Only what was made before: a time, or `10m`.")
    label_filters: Property[TextList | None] = None

    async def run(self, context: RunContext) -> None:
        filters: dict[str, Any] = {"label": self.label_filters} if self.label_filters else {}
        if self.until and self.prune_type != "VOLUMES":  # the engine refuses it there
            filters["until"] = self.until
        if self.prune_type == "IMAGES":
            filters["dangling"] = self.dangling

        def work(client: "DockerClient") -> dict[str, Any]:
            kind, api = self.prune_type.lower(), cast("Any", client.api)
            found = api.prune_builds(filters) if kind == "build" else getattr(client, kind).prune(filters)
            return dict(found)

        done = await self.docker(context, work)
        context.log(f"{int(done.get('SpaceReclaimed') or 0)} bytes are free again.")


class Compose(ScriptTask):
    """Run `docker compose`: start the services of a compose file, end them, or what `composeArgs` asks for."""

    peers: ClassVar[tuple[str, ...]] = PEERS
    examples: ClassVar[tuple[str, ...]] = (
        """
id: up
type: io.kestra.plugin.docker.Compose
projectName: shop
composeFile: |
  services:
    web:
      image: nginx:alpine
""",
        """
id: down
type: io.kestra.plugin.docker.Compose
projectName: shop
composeFile: compose.yaml
command: DOWN
""",
        """
id: test
type: io.kestra.plugin.docker.Compose
composeFiles: [compose.yaml, compose.test.yaml]
composeArgs: [run, --rm, tests]
""",
    )
    default_image: ClassVar[str] = "docker:27.5.1-cli"
    type: Literal["io.kestra.plugin.docker.Compose"]
    compose_file: Property[OptionalText] = Field(
        default=None, description="The text, the name of a file, or the URI of one."
    )
    compose_files: Property[TextList | None] = Field(
        default=None, description="Several, instead of one; the later ones add to the earlier."
    )
    compose_args: Property[TextList | None] = Field(
        default=None, description="What follows `docker compose -f …`; `command` and what belongs to it is unused then."
    )
    command: Property[Literal["UP", "DOWN"]] = "UP"
    detach: Property[bool] = Field(default=True, description="False: wait until the services end.")
    services: Property[TextList | None] = None
    project_name: Property[OptionalText] = Field(
        default=None, description="What `DOWN` finds the services by; without it the name of the working directory."
    )

    def chosen_runner(self, context: RunContext) -> Runner:
        return super().chosen_runner(context) if self.task_runner or self.runner else Process(type=PROCESS)

    async def run(self, context: RunContext) -> ScriptResult:
        await self._place_files(context)
        words = ["docker", "compose"]
        for file in await self._files(context):
            words += ["-f", str(file)]
        words += ["--project-directory", str(context.working_dir)]
        words += ["-p", self.project_name] if self.project_name else []
        if self.compose_args:
            words += self.compose_args
        elif self.command == "UP":
            words += ["up", *(["-d"] if self.detach else []), *(self.services or [])]
        else:
            words += ["down"]
        host = context.settings.docker.host if self.chosen_runner(context).is_local else None
        return await self.run_commands(context, [quoted(words)], env={"DOCKER_HOST": host} if host else {})

    async def _files(self, context: RunContext) -> list[Path]:
        given = self.compose_files or ([self.compose_file] if self.compose_file else [])
        if not given:
            raise TaskFailed("The task names no compose file.", fix="Set `composeFile` or `composeFiles`.")
        files: list[Path] = []
        for number, text in enumerate(given, 1):
            name = f"compose-{number}"
            if text.strip().startswith(STORAGE):
                files += await place(context, {f"{WORK}/{name}-{context.task_run_id}": text})
            else:
                files.append(await asyncio.to_thread(written, context, text, name))
        return files
