"""`io.kestra.plugin.azure.batch.job`: programs that run on the machines of a pool."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import uuid4

from pydantic import Field

from engine.core import durations
from engine.errors import EngineError
from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, ShellText, TaskFailed
from engine.tasks import rest_service
from engine.tasks.azure_batch import BatchConnected, below
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList
from engine.tasks.rest_service import present
from engine.tasks.runners import Stream, own_file
from engine.tasks.script_output import ScriptOutput

AT_ONCE = 100  # tasks that are added by one call
BLOCK = 1 << 20
SHOWN = {"$select": "id,state,executionInfo"}
WORK = "wd/"  # where a task's own folder lies among its files
PLACEHOLDER = "/.kestradirectory"  # which keeps a folder that would be empty
STREAMS: tuple[tuple[str, Stream], ...] = (("stdout.txt", "stdout"), ("stderr.txt", "stderr"))


class Identity(Part):
    """A managed identity of the pool."""

    resource_id: Property[OptionalText] = None


def _identity(given: Identity | None) -> dict[str, Any] | None:
    return {"resourceId": given.resource_id} if given else None


class Registry(Part):
    """Where images are, and who asks for them."""

    registry_server: Property[OptionalText] = None
    user_name: Property[OptionalText] = None
    password: Property[OptionalText] = None
    identity_reference: Identity | None = None


class ContainerSettings(Part):
    """The container that a task runs in."""

    container_run_options: Property[OptionalText] = None
    image_name: Property[Text]
    registry: Registry | None = None
    working_directory: Property[Literal["TASK_WORKING_DIRECTORY", "CONTAINER_IMAGE_DEFAULT"] | None] = None

    def written(self, context: RunContext) -> dict[str, Any]:
        """The settings in Azure's words."""
        registry = None
        if self.registry:
            if self.registry.password:
                context.mask(self.registry.password)
            registry = present(
                registryServer=self.registry.registry_server,
                username=self.registry.user_name,
                password=self.registry.password,
                identityReference=_identity(self.registry.identity_reference),
            )
        places = {
            "TASK_WORKING_DIRECTORY": "taskWorkingDirectory",
            "CONTAINER_IMAGE_DEFAULT": "containerImageDefault",
        }
        return present(
            containerRunOptions=self.container_run_options,
            imageName=self.image_name,
            registry=registry,
            workingDirectory=places[self.working_directory] if self.working_directory else None,
        )


class ResourceFile(Part):
    """Files that a task finds when it begins."""

    auto_storage_container_name: Property[OptionalText] = None
    storage_container_url: Property[OptionalText] = None
    http_url: Property[OptionalText] = None
    blob_prefix: Property[OptionalText] = None
    file_path: Property[OptionalText] = None
    file_mode: Property[OptionalText] = None
    identity_reference: Identity | None = None

    def written(self) -> dict[str, Any]:
        """The files in Azure's words."""
        return present(
            autoStorageContainerName=self.auto_storage_container_name,
            storageContainerUrl=self.storage_container_url,
            httpUrl=self.http_url,
            blobPrefix=self.blob_prefix,
            filePath=self.file_path,
            fileMode=self.file_mode,
            identityReference=_identity(self.identity_reference),
        )


class Container(Part):
    """Where files are put."""

    path: Property[OptionalText] = None
    container_url: Property[Text]
    identity_reference: Identity | None = None


class Destination(Part):
    """Where files are put."""

    container: Container


class UploadOptions(Part):
    """When files are put there."""

    upload_condition: Property[Literal["TASK_COMPLETION", "TASK_SUCCESS", "TASK_FAILURE"]] = "TASK_COMPLETION"


class UploadFile(Part):
    """Files that Azure itself puts into a container when a task has ended."""

    file_pattern: Property[Text]
    destination: Destination
    upload_options: UploadOptions = UploadOptions()

    def written(self) -> dict[str, Any]:
        """The files in Azure's words."""
        place = self.destination.container
        container = present(
            path=place.path,
            containerUrl=place.container_url,
            identityReference=_identity(place.identity_reference),
        )
        return {
            "filePattern": self.file_pattern,
            "destination": {"container": container},
            "uploadOptions": {"uploadCondition": self.upload_options.upload_condition.replace("_", "").lower()},
        }


class Constraints(Part):
    """How long a task may run, how long its files stay, and how often it is tried again."""

    max_wall_clock_time: Property[timedelta | None] = None
    retention_time: Property[timedelta | None] = None
    max_task_retry_count: Property[OptionalInteger] = None

    def written(self) -> dict[str, Any]:
        """The constraints in Azure's words."""
        return present(
            maxWallClockTime=durations.to_iso(self.max_wall_clock_time) if self.max_wall_clock_time else None,
            retentionTime=durations.to_iso(self.retention_time) if self.retention_time else None,
            maxTaskRetryCount=self.max_task_retry_count,
        )


class BatchTask(Part):
    """A program to run."""

    id: Property[OptionalText] = Field(default=None, description="Made up without it.")
    display_name: Property[OptionalText] = None
    interpreter: Property[Text] = "/bin/sh"
    interpreter_args: Property[TextList] = Field(default_factory=lambda: ["-c"])
    commands: ShellText[TextList]
    container_settings: ContainerSettings | None = None
    output_files: Property[TextList] = Field(default_factory=list)
    output_dirs: Property[TextList] = Field(default_factory=list)
    resource_files: tuple[ResourceFile, ...] = ()
    upload_files: tuple[UploadFile, ...] = ()
    environments: Property[JsonMap] = Field(default_factory=dict)
    constraints: Constraints | None = None
    required_slots: Property[OptionalInteger] = None

    def written(self, context: RunContext, name: str) -> dict[str, Any]:
        """The task in Azure's words."""
        settings = self.container_settings
        return present(
            id=name,
            displayName=self.display_name,
            commandLine=command_line(self.interpreter, self.interpreter_args, self.commands),
            containerSettings=settings.written(context) if settings else None,
            environmentSettings=[{"name": str(key), "value": str(value)} for key, value in self.environments.items()]
            or None,
            resourceFiles=[one.written() for one in self.resource_files] or None,
            outputFiles=[one.written() for one in self.upload_files] or None,
            constraints=self.constraints.written() if self.constraints else None,
            requiredSlots=self.required_slots,
        )


class Job(Part):
    """What the tasks are put into."""

    id: Property[Text] = Field(description="At most 64 letters, digits, hyphens and underscores.")
    display_name: Property[OptionalText] = None
    priority: Property[OptionalInteger] = None
    max_parallel_tasks: Property[OptionalInteger] = None
    labels: Property[JsonMap] = Field(default_factory=dict)

    def written(self, pool: str) -> dict[str, Any]:
        """The job in Azure's words."""
        labels = [{"name": str(name), "value": str(value)} for name, value in self.labels.items()]
        return present(
            id=self.id,
            displayName=self.display_name,
            priority=self.priority,
            maxParallelTasks=self.max_parallel_tasks,
            poolInfo={"poolId": pool},
            metadata=labels or None,
        )


class Ended(Outputs):
    """What the tasks handed on, and their files by their names."""

    vars: dict[str, Any]
    outputFiles: dict[str, str]  # noqa: N815 - appears as written


class Create(BatchConnected, RunnableTask):
    """Run programs on the machines of a pool, and wait for their end. The job is deleted with all that is in it, also
    when the task is killed; unless `delete` says otherwise, then a killed task terminates it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: nightly
type: io.kestra.plugin.azure.batch.job.Create
endpoint: https://shop.westeurope.batch.azure.com
account: shop
accessKey: "{{ secret('AZURE_BATCH_KEY') }}"
poolId: nightly
job:
  id: "report-{{ execution.id }}"
tasks:
  - id: count
    commands:
      - mkdir -p out
      - wc -l in/orders.csv > out/count.txt
    resourceFiles:
      - httpUrl: https://shop.blob.core.windows.net/in/orders.csv
        filePath: in/orders.csv
    outputFiles:
      - out/count.txt
""",
    )
    type: Literal["io.kestra.plugin.azure.batch.job.Create"]
    pool_id: Property[Text]
    job: Job
    tasks: tuple[BatchTask, ...] = Field(min_length=1)
    max_duration: Property[timedelta | None] = None
    completion_check_interval: Property[timedelta] = Field(default=timedelta(seconds=1), ge=timedelta(milliseconds=10))
    delete: Property[bool] = True
    resume: Property[bool] = Field(default=True, description="Of no effect: a job has the id that the flow gives it.")

    async def run(self, context: RunContext) -> Ended:
        await self.ask(context, "POST", "jobs", self.job.written(self.pool_id))
        job = below("jobs", self.job.id)
        stop = None if self.delete else partial(self.ask, context, "POST", f"{job}/terminate", {})
        try:
            async with rest_service.stopping(context, f"The job {self.job.id}", stop):
                return await self._ran(context, job)
        finally:
            if self.delete:
                await asyncio.shield(self._deleted(context, job))

    async def _deleted(self, context: RunContext, job: str) -> None:
        try:
            await self.ask(context, "DELETE", job)
        except EngineError as error:
            context.log(f"The job {self.job.id} is still there: {error.message}", "WARN")

    async def _ran(self, context: RunContext, job: str) -> Ended:
        tasks = {one.id or uuid4().hex: one for one in self.tasks}
        if len(tasks) < len(self.tasks):
            raise TaskFailed("Two of `tasks` have the same `id`.", fix="Give each one of its own.")
        await self._add(context, job, [one.written(context, name) for name, one in tasks.items()])

        async def look() -> list[dict[str, Any]] | None:
            found = [row async for row in self.rows(context, f"{job}/tasks", SHOWN)]
            are_over = len(found) >= len(tasks) and all(one.get("state") == "completed" for one in found)
            return found if are_over else None

        done = await rest_service.waited(
            context, look, every=self.completion_check_interval, most=self.max_duration, what=f"The job {self.job.id}"
        )
        heard, files, failed = ScriptOutput(context), dict[str, str](), 0
        for one in done:
            name, how = str(one["id"]), one.get("executionInfo") or {}
            place, why = f"{job}/{below('tasks', name)}/files", how.get("failureInfo")
            await self._logs(context, place, name, heard)
            if why:
                failed += 1
                context.log(f"{name} failed with the exit code {how.get('exitCode')}: {why.get('message')}", "WARN")
            elif name in tasks:
                async for path in self._files(context, place, tasks[name]):
                    files[path] = await self._kept(context, place, path)
        ended = Ended(vars=heard.variables, outputFiles=files)
        if failed:
            raise TaskFailed(f"{failed} of {len(tasks)} tasks of the job failed.", outputs=ended.model_dump())
        return ended

    async def _add(self, context: RunContext, job: str, tasks: list[dict[str, Any]]) -> None:
        for start in range(0, len(tasks), AT_ONCE):
            some = {"value": tasks[start : start + AT_ONCE]}
            told = await self.ask(context, "POST", f"{job}/addtaskcollection", some)
            for one in told.get("value") or ():
                if str(one.get("status")).lower() != "success":
                    why = ((one.get("error") or {}).get("message") or {}).get("value") or "it is not said why"
                    raise TaskFailed(f"Azure Batch does not take the task {one.get('taskId')}: {why}")

    async def _logs(self, context: RunContext, place: str, name: str, heard: ScriptOutput) -> None:
        """Tell what a task has written."""
        for file, stream in STREAMS:
            target = own_file(context, f"batch-{stream}")
            try:
                await self.file(context, f"{place}/{file}", target, f"{file} of {name}")
                with target.open("rb") as written:
                    while block := await asyncio.to_thread(written.read, BLOCK):
                        heard.hear(block, stream)
                heard.end()
            except TaskFailed as error:
                context.log(error.message, "WARN")
            finally:
                target.unlink(missing_ok=True)

    async def _files(self, context: RunContext, place: str, task: BatchTask) -> AsyncIterator[str]:
        """The names of the files that a task should hand on."""
        for path in task.output_files:
            yield path
        folders = tuple(f"{WORK}{one.strip('/')}/" for one in task.output_dirs)
        if folders:
            async for one in self.rows(context, place, {"recursive": "true"}):
                name = str(one.get("name")).replace("\\", "/")
                if name.startswith(folders) and not one.get("isDirectory") and not name.endswith(PLACEHOLDER):
                    yield name.removeprefix(WORK)

    async def _kept(self, context: RunContext, place: str, path: str) -> str:
        """The URI of a file of a task's."""
        target = own_file(context, "batch-file")
        try:
            steps = below(*WORK.strip("/").split("/"), *path.split("/"))
            await self.file(context, f"{place}/{steps}", target, path)
            return await context.files.put(target, Path(path).name)
        finally:
            target.unlink(missing_ok=True)


def command_line(interpreter: str, arguments: list[str], commands: list[str]) -> str:
    """Commands as the one line that Azure takes: in double quotes, which stay whole within."""
    text = "\n".join(commands).replace("\\", "\\\\").replace('"', '\\"')
    return " ".join([interpreter, *arguments, f'"{text}"'])
