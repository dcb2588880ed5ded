"""`io.kestra.plugin.beam`: pipelines of Apache Beam."""

import shlex
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.namespace_files import place_namespace_files
from engine.tasks.property_types import JsonMap, OptionalText, TextList
from engine.tasks.runners import Runner
from engine.tasks.scripts.runner.docker import older_docker
from engine.tasks.scripts.script_task import ScriptResult, ScriptTask
from engine.tasks.working_files import inside

RUNNERS = {"DIRECT": "DirectRunner", "FLINK": "FlinkRunner", "SPARK": "SparkRunner", "DATAFLOW": "DataflowRunner"}
BEAM = "apache-beam[yaml]"
OPTIONS = {
    "flinkRestUrl": "flink_master",
    "sparkMaster": "spark_master_url",
    "region": "region",
    "projectId": "project",
    "project": "project",
    "stagingLocation": "staging_location",
    "tempLocation": "temp_location",
    "workerMachineType": "worker_machine_type",
    "serviceAccount": "service_account_email",
}


class Ran(ScriptResult):
    """How the pipeline ended, also in `vars.state`; Beam's own program for YAML tells no metrics."""

    state: str
    jobId: str | None = None  # noqa: N815 - appears as written
    runner: str
    sdk: str
    counters: dict[str, Any]
    distributions: dict[str, Any]
    gauges: dict[str, Any]


class RunPipeline(ScriptTask):
    """Run a pipeline written in Beam's YAML, with the Python SDK.

    A Beam that is in the image is taken; what is missing is installed for the run. With a `job_endpoint` the job goes
    there, as a portable one, whatever the runner behind it.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pipeline
type: io.kestra.plugin.beam.RunPipeline
sdk: PYTHON
beamRunner: DIRECT
definition: |
  pipeline:
    type: chain
    transforms:
      - type: Create
        config:
          elements: [1, 2, 3]
      - type: LogForTesting
""",
    )
    default_image: ClassVar[str] = "apache/beam_python3.11_sdk:latest"
    type: Literal["io.kestra.plugin.beam.RunPipeline"]
    file: Property[OptionalText] = Field(default=None, description="A file's URI, or a path in the working directory.")
    definition: Property[OptionalText] = None
    runner: Property[Literal["DIRECT", "FLINK", "SPARK", "DATAFLOW"]] = Field(  # type: ignore[assignment]
        default="DIRECT", validation_alias=AliasChoices("beamRunner", "runner")
    )
    sdk: Property[Literal["JAVA", "PYTHON"]] = "PYTHON"
    options: Property[JsonMap | None] = None
    runner_config: Property[JsonMap | None] = None
    requirements: Property[TextList | None] = None
    pipeline_timeout_seconds: Property[int | None] = Field(
        default=None, ge=1, description="It ends with exit code 124 when the pipeline takes longer."
    )

    def chosen_runner(self, context: RunContext) -> Runner:
        """Where it runs; `runner` is Beam's here."""
        return self.task_runner if isinstance(self.task_runner, Runner) else older_docker(self.docker or {})

    async def run(self, context: RunContext) -> Ran:
        text = await self._pipeline(context)
        (context.working_dir / "pipeline.yaml").write_text(text, encoding="utf-8")
        if self.sdk == "JAVA":
            context.log("The pipeline runs with Beam's Python SDK: there is no Java here.", "WARN")
        wanted = [BEAM, *(self.requirements or [])]
        given = {**self._of_runner(context), **(self.options or {})}
        runner = "PortableRunner" if "job_endpoint" in given else RUNNERS[self.runner]
        words = ["--yaml_pipeline_file=pipeline.yaml", f"--runner={runner}"]
        words += [f"--{name}={value}" for name, value in given.items() if value is not None]
        bound = f"timeout {self.pipeline_timeout_seconds} " if self.pipeline_timeout_seconds else ""
        ended = await self.run_commands(
            context,
            [
                "python3 -m venv --system-site-packages .beam",
                f".beam/bin/python -m pip install --quiet {shlex.join(wanted)}",
                f"{bound}.beam/bin/python -m apache_beam.yaml.main {shlex.join(words)}",
            ],
            fail_fast=True,
        )
        result = {**ended.model_dump(), "vars": {"state": "FINISHED", **ended.vars}}
        about: dict[str, Any] = {
            "runner": self.runner,
            "sdk": self.sdk,
            "counters": {},
            "distributions": {},
            "gauges": {},
        }
        return Ran(state="FINISHED", **result, **about)

    async def _pipeline(self, context: RunContext) -> str:
        if (self.file is None) == (self.definition is None):
            raise TaskFailed("Either `definition` or `file` says what to run.", fix="Give one of the two.")
        if self.definition is not None:
            return self.definition
        name = str(self.file)
        if "://" in name:
            return (await context.files.read(name)).decode("utf-8")
        await place_namespace_files(context, self.namespace_files)
        path = inside(context.working_dir, name)
        if not path.is_file():
            raise TaskFailed(f"There is no file {name!r} in the working directory.", fix="Check `namespaceFiles`.")
        return path.read_text("utf-8")

    def _of_runner(self, context: RunContext) -> dict[str, Any]:
        """The runner's own settings in the words of Beam's options."""
        found = {}
        for name, value in (self.runner_config or {}).items():
            if name in OPTIONS:
                found[OPTIONS[name]] = value
            else:
                context.log(f"`runnerConfig.{name}` has no effect here.", "WARN")
        return found
