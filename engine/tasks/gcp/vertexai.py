"""`io.kestra.plugin.gcp.vertexai`: training on Google's machines, and Gemini models in a project of one's own."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.gcp_service import GcpConnected, Region
from engine.tasks.gemini_answers import ratings_of, reason_of, text_of
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList, document_from_text
from engine.tasks.rest_service import present
from engine.tasks.vertex_models import Predictions, VertexTask, predicted, turn
from engine.tasks.working_files import STORAGE

EVERY, MOST = timedelta(seconds=5), timedelta(days=7)


class ContainerSpec(Part):
    """What runs on each machine."""

    image_uri: Property[Text]
    commands: Property[TextList | None] = None
    args: Property[TextList | None] = None
    env: Property[JsonMap | None] = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        return present(imageUri=self.image_uri, command=self.commands, args=self.args, env=_variables(self.env))


class MachineSpec(Part):
    """The kind of machine."""

    machine_type: Property[Text]
    accelerator_count: Property[OptionalInteger] = None
    accelerator_type: Property[OptionalText] = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        kind, count = self.accelerator_type, self.accelerator_count
        return present(machineType=self.machine_type, acceleratorCount=count, acceleratorType=kind)


class DiscSpec(Part):
    """The disk it starts from."""

    boot_disk_type: Property[Literal["PD_SSD", "PD_STANDARD"]] = "PD_SSD"
    boot_disk_size_gb: Property[int] = 100

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        kind = self.boot_disk_type.lower().replace("_", "-")
        return {"bootDiskType": kind, "bootDiskSizeGb": self.boot_disk_size_gb}


class PythonPackageSpec(Part):
    """A program in Python."""

    package_uris: Property[TextList]
    args: Property[TextList | None] = None
    envs: Property[JsonMap | None] = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        return present(packageUris=self.package_uris, args=self.args, env=_variables(self.envs))


class WorkerPoolSpec(Part):
    """Machines that do the same."""

    container_spec: ContainerSpec
    machine_spec: MachineSpec
    disc_spec: DiscSpec | None = None
    replica_count: Property[OptionalInteger] = None
    python_package_spec: PythonPackageSpec | None = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        return present(
            containerSpec=self.container_spec.told(),
            machineSpec=self.machine_spec.told(),
            diskSpec=self.disc_spec.told() if self.disc_spec else None,
            replicaCount=self.replica_count,
            pythonPackageSpec=self.python_package_spec.told() if self.python_package_spec else None,
        )


class Scheduling(Part):
    """How long it may take, and whether it begins anew when a machine does."""

    time_out: Property[timedelta | None] = None
    restart_job_on_worker_restart: Property[bool | None] = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        timeout = f"{self.time_out.total_seconds():g}s" if self.time_out else None
        return present(timeout=timeout, restartJobOnWorkerRestart=self.restart_job_on_worker_restart)


class GcsDestination(Part):
    """A place in Cloud Storage."""

    output_uri_prefix: Property[Text]


class JobSpec(Part):
    """What is to be done, and on which machines."""

    worker_pool_specs: list[WorkerPoolSpec]
    service_account: Property[OptionalText] = None
    network: Property[OptionalText] = None
    tensorboard: Property[OptionalText] = None
    enable_web_access: Property[bool | None] = None
    scheduling: Scheduling | None = None
    base_output_directory: GcsDestination | None = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        place = self.base_output_directory
        return present(
            workerPoolSpecs=[one.told() for one in self.worker_pool_specs],
            serviceAccount=self.service_account,
            network=self.network,
            tensorboard=self.tensorboard,
            enableWebAccess=self.enable_web_access,
            scheduling=self.scheduling.told() if self.scheduling else None,
            baseOutputDirectory={"outputUriPrefix": place.output_uri_prefix} if place else None,
        )


class Ran(Outputs):
    """The job, and how it ended if the task waited."""

    name: str
    state: str
    createDate: str | None = None  # noqa: N815 - appears as written
    updateDate: str | None = None  # noqa: N815
    endDate: str | None = None  # noqa: N815


class CustomJob(GcpConnected, RunnableTask):
    """Run a job of one's own, and wait for its end; one that is waited for is cancelled with the task."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: train
type: io.kestra.plugin.gcp.vertexai.CustomJob
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west1
displayName: Nightly training
spec:
  workerPoolSpecs:
    - containerSpec:
        imageUri: europe-docker.pkg.dev/shop/models/train:latest
      machineSpec:
        machineType: n1-standard-4
      replicaCount: 1
""",
    )
    api: ClassVar[str] = "gcp_vertexai"
    type: Literal["io.kestra.plugin.gcp.vertexai.CustomJob"]
    region: Property[Region]
    display_name: Property[Text]
    spec: JobSpec
    wait: Property[bool] = True
    delete: Property[bool] = True

    def at(self, context: RunContext) -> str:
        base = context.settings.provider(self.api).base_url or f"https://{self.region}-aiplatform.googleapis.com/v1"
        return base.rstrip("/")

    async def run(self, context: RunContext) -> Ran:
        parent = f"projects/{self.project(context)}/locations/{self.region}"
        body = {"displayName": self.display_name, "jobSpec": self.spec.told()}
        made = await self.gcp(context, "POST", f"{parent}/customJobs", json=body)
        name = str(rest_service.held(made, "Google Cloud", "name"))
        context.log(f"The job {name} is made.")
        if not self.wait:
            return _ran(made)

        async def look() -> dict[str, Any] | None:
            found = await self.gcp(context, "GET", name)
            return found if found.get("endTime") else None

        done = await rest_service.waited(
            context, look, every=EVERY, most=MOST, what=f"The job {name}",
            stop=lambda: self.gcp(context, "POST", f"{name}:cancel", json={}),
        )  # fmt: skip
        if self.delete:
            await self.gcp(context, "DELETE", name)
        if done.get("state") != "JOB_STATE_SUCCEEDED":
            why = (done.get("error") or {}).get("message") or "nothing more is said"
            raise TaskFailed(f"The job {name} ended as {done.get('state')}: {why}", outputs=_ran(done).model_dump())
        return _ran(done)


class TextCompletion(VertexTask):
    """Ask for text."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: idea
type: io.kestra.plugin.gcp.vertexai.TextCompletion
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west1
modelId: gemini-2.5-flash
prompt: "A name for {{ inputs.product }}?"
""",
    )
    type: Literal["io.kestra.plugin.gcp.vertexai.TextCompletion"]
    prompt: Property[Text]

    async def run(self, context: RunContext) -> Predictions:
        async with self.asking(context) as model:
            return predicted([await model.ask(self.prompt)])


class Message(Part):
    """One turn; who said it is not asked any more."""

    author: OptionalText = None
    content: Text


class Example(Part):
    """A question and its answer, which models are no longer taught by."""

    input: Text
    output: Text


Messages = Annotated[list[Message], BeforeValidator(document_from_text)]


class ChatCompletion(VertexTask):
    """Say one thing after the other; each is answered with what was said before in mind."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: classify
type: io.kestra.plugin.gcp.vertexai.ChatCompletion
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west1
modelId: gemini-2.5-flash
messages:
  - author: user
    content: "In one word, high or low priority: {{ trigger.data }}"
""",
    )
    type: Literal["io.kestra.plugin.gcp.vertexai.ChatCompletion"]
    messages: Property[Messages] = Field(min_length=1)
    history: Property[Messages | None] = None
    context: Property[OptionalText] = None  # said first, and its answer left out
    teaching: Property[Annotated[list[Example], BeforeValidator(document_from_text)] | None] = Field(
        default=None, alias="examples"
    )

    async def run(self, context: RunContext) -> Predictions:
        said = [turn("user", message.content) for message in self.history or ()]
        answers = []
        async with self.asking(context) as model:
            for text in [*([self.context] if self.context else []), *(message.content for message in self.messages)]:
                said.append(turn("user", text))
                answer = await model.ask(said)
                said.append(turn("model", text_of(answer)))
                answers.append(answer)
        return predicted(answers[1:] if self.context else answers)


class Content(Part):
    """A text, or a file in internal storage when `mimeType` is given."""

    content: Property[Text]
    mime_type: Property[OptionalText] = None


class Completed(Outputs):
    """What the model made of it."""

    text: str | None
    safetyRatings: list[dict[str, Any]]  # noqa: N815 - appears as written
    blocked: bool
    finishReason: str | None  # noqa: N815


class MultimodalCompletion(VertexTask):
    """Ask about texts, pictures and other files."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: describe
type: io.kestra.plugin.gcp.vertexai.MultimodalCompletion
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west1
modelId: gemini-2.5-flash
contents:
  - content: What is in this picture?
  - content: "{{ inputs.picture }}"
    mimeType: image/png
""",
    )
    type: Literal["io.kestra.plugin.gcp.vertexai.MultimodalCompletion"]
    contents: list[Content] = Field(min_length=1)

    async def run(self, context: RunContext) -> Completed:
        async with self.asking(context) as model:
            from google.genai import types

            parts = []
            for content in self.contents:
                if content.mime_type is None:
                    parts.append(types.Part.from_text(text=content.content))
                elif content.content.startswith(STORAGE):
                    data = await context.files.read(content.content)
                    parts.append(types.Part.from_bytes(data=data, mime_type=content.mime_type))
                else:
                    fix = "Give a file of internal storage, or leave out `mimeType`."
                    raise TaskFailed(f"There is no {content.mime_type} at {content.content!r}.", fix=fix)
            answer = await model.ask([types.Content(role="user", parts=parts)])
        reason = reason_of(answer)
        blocked = reason in ("SAFETY", "RECITATION")
        if blocked:
            context.log(f"The answer is held back ({reason}).", "WARN")
        return Completed(
            text=None if blocked else text_of(answer),
            safetyRatings=ratings_of(answer.candidates[0]) if answer.candidates else [],
            blocked=blocked,
            finishReason=reason,
        )


def _ran(job: Mapping[str, Any]) -> Ran:
    times = {name: job.get(theirs) for name, theirs in (("createDate", "createTime"), ("updateDate", "updateTime"))}
    name = str(rest_service.held(job, "Google Cloud", "name"))
    return Ran(name=name, state=job.get("state") or "JOB_STATE_PENDING", endDate=job.get("endTime"), **times)


def _variables(given: Mapping[str, Any] | None) -> list[dict[str, str]] | None:
    return [{"name": str(name), "value": str(value)} for name, value in given.items()] if given else None
