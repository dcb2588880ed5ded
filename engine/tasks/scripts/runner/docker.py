"""`io.kestra.plugin.scripts.runner.docker`: scripts in containers."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError

from engine.core.sentences import sentence
from engine.plugin import Instead, Part, Property, RunContext, TaskFailed
from engine.tasks import aliases
from engine.tasks.property_types import OptionalInteger, OptionalNumber, OptionalText, Text, TextList
from engine.tasks.runners import Ended, Job, Runner, pass_on
from engine.tasks.scripts.runner import containers
from engine.tasks.sizes import parse_bytes
from engine.tasks.threads import in_own_thread

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container


class Cpu(Part):
    """How many processors."""

    cpus: Property[OptionalNumber] = None


class Memory(Part):
    """How much memory, such as `512MB`."""

    memory: Property[OptionalText] = None
    memory_swap: Property[OptionalText] = None
    memory_swappiness: Property[OptionalInteger] = None
    memory_reservation: Property[OptionalText] = None
    kernel_memory: Property[OptionalText] = None
    oom_kill_disable: Property[bool | None] = None


class Credentials(Part):
    """Who we are to a registry."""

    registry: Property[OptionalText] = None
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    registry_token: Property[OptionalText] = None
    identity_token: Property[OptionalText] = None
    auth: Property[OptionalText] = None

    def config(self) -> dict[str, str]:
        """The credentials as the engine's API wants them."""
        found = {
            "username": self.username,
            "password": self.password,
            "registrytoken": self.registry_token,
            "identitytoken": self.identity_token,
            "auth": self.auth,
            "serveraddress": self.registry,
        }
        return {key: value for key, value in found.items() if value}


class DeviceRequest(Part):
    """Devices for a container, such as graphics cards."""

    driver: Property[OptionalText] = None
    count: Property[OptionalInteger] = None
    device_ids: Property[TextList | None] = None
    capabilities: Property[list[list[Text]] | None] = None
    options: Property[dict[str, Text] | None] = None


class Docker(Runner):
    """Run in a container: the working directory goes in, the command runs, what changed comes back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: contained
type: io.kestra.plugin.scripts.python.Script
containerImage: python:3.13-slim
taskRunner:
  type: io.kestra.plugin.scripts.runner.docker.Docker
  memory:
    memory: 512MB
script: print("hello")
""",
    )
    type: Literal[
        "io.kestra.plugin.scripts.runner.docker.Docker",
        "io.kestra.plugin.scripts.runner.docker.DockerTaskRunner",
    ]
    host: Property[OptionalText] = None
    config: Property[Any] = Field(default=None, description="A `config.json` for registries, as JSON text or a map.")
    credentials: Credentials | None = None
    image: Annotated[Property[OptionalText], Instead("containerImage", "on the task, beside `taskRunner`")] = None
    pull_policy: Property[Literal["ALWAYS", "IF_NOT_PRESENT", "NEVER"]] = "IF_NOT_PRESENT"
    user: Property[OptionalText] = None
    network_mode: Property[OptionalText] = None
    extra_hosts: Property[TextList | None] = None
    shm_size: Property[OptionalText] = None
    privileged: Property[bool] = False
    port_bindings: Property[TextList | None] = None
    device_requests: Property[list[DeviceRequest] | None] = None
    entry_point: Property[TextList] = Field(default_factory=lambda: [""])
    volumes: Property[TextList | None] = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    file_handling_strategy: Property[Literal["VOLUME", "MOUNT"]] = "VOLUME"
    delete: Property[bool] = True
    wait: Property[bool] = True
    kill_grace_period: Property[timedelta] = timedelta(0)
    resume: Property[bool] = Field(
        default=True, description="After a restart of the bot follow the container that is still there."
    )

    async def execute(self, job: Job, context: RunContext) -> Ended:
        client = await in_own_thread(lambda: containers.connect(self.host or context.settings.docker.host))
        if client is None:
            if context.settings.docker.fallback == "process":
                from engine.tasks.core.runner import Process

                context.log("There is no Docker here; running on this machine instead (`docker.fallback`).", "WARN")
                return await Process(type="io.kestra.plugin.core.runner.Process").execute(job, context)
            raise TaskFailed(
                "There is no Docker engine to run the container.",
                fix="Start Docker, use `io.kestra.plugin.core.runner.Process`, or set `docker.fallback: process`.",
            )
        try:
            return await self._run(client, job, context)
        finally:
            client.close()

    @contextlib.asynccontextmanager
    async def held(self, job: Job, context: RunContext, **more: Any) -> AsyncIterator["Container"]:
        """A container for whoever starts it, gone afterwards; TaskFailed when there is no engine, or no image."""
        client = await in_own_thread(lambda: containers.connect(self.host or context.settings.docker.host))
        if client is None:
            raise TaskFailed("There is no Docker engine to run the container.", fix="Start Docker.")
        try:
            image = await self._image(client, job, context)
            options = {**self._options(job, context), **more}
            created = asyncio.ensure_future(
                in_own_thread(lambda: containers.create(client, image, job.command, options))
            )
            try:
                yield await asyncio.shield(created)
            finally:
                await asyncio.shield(self._end(created))
        finally:
            client.close()

    async def _run(self, client: "DockerClient", job: Job, context: RunContext) -> Ended:
        image = await self._image(client, job, context)
        options = self._options(job, context)
        mounted = self.file_handling_strategy == "MOUNT"
        left = None
        if self.resume and self.wait and not mounted:  # a mounted folder went with the process that made it
            left = await in_own_thread(lambda: containers.left_behind(client, labels(context)))
        created = asyncio.ensure_future(
            in_own_thread(lambda: left or containers.create(client, image, job.command, options))
        )
        loop, over = asyncio.get_running_loop(), threading.Event()
        try:
            container = await asyncio.shield(created)
            if not mounted and left is None:
                await in_own_thread(lambda: containers.upload(container, job.folder, self.user))
            if not self.wait:
                await in_own_thread(container.start)
                return Ended(0, {"containerId": container.id})

            def hear(block: bytes, stream: Any) -> None:
                if not over.is_set():
                    asyncio.run_coroutine_threadsafe(pass_on(job.hear, block, stream), loop).result()

            if left is not None:
                context.log(f"The container {left.short_id} of this attempt is there already; it is followed.")
            follow = containers.follow if left is None else containers.rejoin
            code = await in_own_thread(lambda: follow(container, hear))
            if not mounted:
                for problem in await in_own_thread(lambda: containers.download(container, job.folder)):
                    context.log(problem, "WARN")
            return Ended(code, {"containerId": container.id})
        finally:
            over.set()  # what a container that is being ended still says is nobody's any more, nor is the loop for long
            if self.wait:
                await asyncio.shield(self._end(created))

    async def _end(self, created: "asyncio.Future[Container]") -> None:
        """Stop and remove the container, also when we were cancelled while it was being made."""
        with contextlib.suppress(TaskFailed):
            container = await created
            grace = self.kill_grace_period.total_seconds()
            await in_own_thread(lambda: containers.end(container, grace, delete=self.delete))

    async def _image(self, client: "DockerClient", job: Job, context: RunContext) -> str:
        """The image to run, there for certain; TaskFailed when it cannot be had."""
        asked = self.image or job.image
        if not asked:
            raise TaskFailed("No image is named.", fix="Give `containerImage`.")
        name = aliases.image(asked, context.settings.images)
        has = await in_own_thread(lambda: containers.has_image(client, name))
        if self.pull_policy == "NEVER" or (has and self.pull_policy == "IF_NOT_PRESENT"):
            return name
        auth = self.credentials.config() if self.credentials else None
        if auth is None and self.config is not None:
            auth = registry_auth(self.config, name)
        limit = context.settings.docker.pull_timeout
        context.log(f"Pulling {name}.")
        try:
            await in_own_thread(lambda: containers.pull(client, name, auth, limit))
        except TaskFailed as error:
            if has:
                context.log(f"{error.message} Using the image that is here.", "WARN")
                return name
            other = aliases.fallback_image(name)
            if other is None:
                raise
            context.log(f"{error.message} Using {other} instead.", "WARN")
            if not await in_own_thread(lambda: containers.has_image(client, other)):
                await in_own_thread(lambda: containers.pull(client, other, auth, limit))
            return other
        return name

    def _options(self, job: Job, context: RunContext) -> dict[str, Any]:
        settings = context.settings.docker
        if self.privileged and not settings.privileged:
            raise TaskFailed(
                "Privileged containers are not allowed here.", fix="The operator sets `docker.privileged`."
            )
        cpu, memory = self.cpu or Cpu(), self.memory or Memory()
        volumes = [*job.volumes, *self._volumes(context)]
        if self.file_handling_strategy == "MOUNT":
            volumes.append(f"{job.folder}:{job.folder}")
        options = {
            "entrypoint": self.entry_point,
            "working_dir": str(job.folder),
            "environment": dict(job.env),
            "labels": labels(context),
            "user": self.user,
            "network_mode": self.network_mode or settings.network,
            "extra_hosts": dict(entry.split(":", 1) for entry in self.extra_hosts) if self.extra_hosts else None,
            "shm_size": parse_bytes(self.shm_size) if self.shm_size else None,
            "privileged": self.privileged or None,
            "ports": _ports(self.port_bindings or []) or None,
            "volumes": volumes or None,
            "nano_cpus": int(cpu.cpus * 1e9) if cpu.cpus else None,
            "mem_limit": parse_bytes(memory.memory) if memory.memory else None,
            "memswap_limit": parse_bytes(memory.memory_swap) if memory.memory_swap else None,
            "mem_swappiness": memory.memory_swappiness,
            "mem_reservation": parse_bytes(memory.memory_reservation) if memory.memory_reservation else None,
            "oom_kill_disable": memory.oom_kill_disable,
            "device_requests": _device_requests(self.device_requests) if self.device_requests else None,
        }
        return {key: value for key, value in options.items() if value is not None}

    def _volumes(self, context: RunContext) -> list[str]:
        """The flow's own volumes, as far as the operator allows them."""
        if not self.volumes:
            return []
        if not context.settings.docker.volumes:
            context.log("`volumes` is ignored: the operator has not set `docker.volumes: true`.", "WARN")
            return []
        for volume in self.volumes:
            check_volume(volume, context)
        return list(self.volumes)


def labels(context: RunContext) -> dict[str, str]:
    """What a container says of the attempt it is for, so that it is found again."""
    return {
        "kestra.io/namespace": context.namespace,
        "kestra.io/flow-id": context.flow_id,
        "kestra.io/task-id": context.task_id,
        "kestra.io/execution-id": context.execution_id,
        "kestra.io/taskrun-id": context.task_run_id,
        "kestra.io/taskrun-attempt": str(context.attempt),
    }


def older_docker(options: Mapping[str, Any]) -> Docker:
    """The runner that the older `docker:` block of a task describes; TaskFailed when it does not fit."""
    names = {"dockerHost": "host", "dockerConfig": "config"}
    # Kestra knows `configPath` still and reads it no more: a flow would name a file of the machine it runs on.
    given = {names.get(name, name): value for name, value in options.items() if name != "configPath"}
    try:
        return Docker.model_validate(
            {"type": "io.kestra.plugin.scripts.runner.docker.Docker", **given}, context={"rendered": True}
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise TaskFailed(
            f"`docker`: `{where}` {sentence(first)}.", fix="Write it as a `taskRunner` of type Docker."
        ) from error


def registry_auth(config: Any, image: str) -> dict[str, str] | None:
    """What a Docker configuration (`config.json`) says about an image's registry; TaskFailed when it is none.

    Only its `auths`: helpers that it may name are programs, and flows do not start programs of this machine.
    """
    import docker.auth

    try:
        document = json.loads(config) if isinstance(config, str) else config
        auths = document.get("auths", {})
        known = docker.auth.AuthConfig({"auths": docker.auth.AuthConfig.parse_auth(auths, raise_on_error=True)})
    except (ValueError, AttributeError, docker.errors.InvalidConfigFile) as error:
        raise TaskFailed(
            "`config` is no Docker configuration.", fix='Give the JSON of a config.json: {"auths": {…}}.'
        ) from error
    registry, _ = docker.auth.resolve_repository_name(image)
    return known.resolve_authconfig(registry) or None


def check_volume(volume: str, context: RunContext) -> None:
    """TaskFailed when a mount's host folder is not below one of the operator's prefixes; named volumes are fine."""
    source = volume.split(":", 1)[0]
    if not source.startswith(("/", ".", "~")):
        return
    prefixes = context.settings.docker.volume_prefixes
    path = PurePosixPath(source)
    if not path.is_absolute() or ".." in path.parts or not any(path.is_relative_to(prefix) for prefix in prefixes):
        raise TaskFailed(
            f"The folder {source!r} may not be mounted.",
            fix="The operator lists allowed folders in `docker.volume_prefixes`.",
        )


def _ports(bindings: list[str]) -> dict[str, Any]:
    """`8080:80` as the client wants it; on the loopback address unless another one is written."""
    found: dict[str, Any] = {}
    for binding in bindings:
        *host, inside = binding.split(":")
        port = int(host[-1]) if host and host[-1] else None
        address = ":".join(host[:-1]) or "127.0.0.1"
        found[inside if "/" in inside else f"{inside}/tcp"] = (address, port)
    return found


def _device_requests(requests: list[DeviceRequest]) -> list[Any]:
    from docker import types

    return [types.DeviceRequest(**request.model_dump(exclude_none=True)) for request in requests]
