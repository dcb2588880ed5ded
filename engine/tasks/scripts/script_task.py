"""What every script task shares: properties, files in and out, the command line, and the result."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, ValidationInfo, model_validator

from engine.expressions import Guard
from engine.plugin import (
    Instead,
    LateProperty,
    LateShellText,
    Outputs,
    Property,
    Result,
    RunContext,
    RunnableTask,
    StoredUri,
    TaskFailed,
)
from engine.tasks.core.runner import Process
from engine.tasks.namespace_files import NamespaceFiles, place_namespace_files
from engine.tasks.property_types import JsonMap, OptionalText, TextList, document_from_text, scalar_to_text
from engine.tasks.runners import WORK, AnyRunner, Ended, Job, Runner
from engine.tasks.script_output import SWITCHED, ScriptOutput
from engine.tasks.scripts import older_shape
from engine.tasks.scripts.runner.docker import Docker, older_docker
from engine.tasks.working_files import collect, fetch_uris, place, rendered_map

OUTPUT_DIR = re.compile(r"\b(outputDir|OUTPUT_DIR)\b")
MAX_ARGUMENT = 100 * 1024  # Linux refuses a single argument of 128 KiB and more
LIBRARY = Path(__file__).parent / "library"  # what scripts can import: `kestra` in Python, `@kestra-io/libs` in Node.js


class ScriptResult(Outputs):
    """What a script handed on."""

    vars: dict[str, Any]
    exitCode: int  # noqa: N815 - appears as written
    outputFiles: dict[str, StoredUri]  # noqa: N815
    taskRunner: dict[str, Any]  # noqa: N815


def concluded(ended: Ended, variables: dict[str, Any], files: dict[str, str]) -> ScriptResult:
    """What a script that ended hands on; TaskFailed, with the same outputs, when its exit code is not 0."""
    result = ScriptResult(vars=variables, exitCode=ended.exit_code, outputFiles=files, taskRunner=dict(ended.details))
    if ended.exit_code != 0:
        raise TaskFailed(f"Command failed with exit code {ended.exit_code}", outputs=result.model_dump())
    return result


POWERSHELL_COMMAND = "-Command"
PROCESS = "io.kestra.plugin.core.runner.Process"
DOCKER = "io.kestra.plugin.scripts.runner.docker.Docker"


class ScriptTask(RunnableTask):
    """Run something in a shell or an interpreter, in a container or on this machine."""

    default_image: ClassVar[str] = "ubuntu"
    sees: ClassVar[frozenset[str] | None] = frozenset({"workingDir", "outputDir", "outputFiles"})

    task_runner: AnyRunner | None = Field(default=None, description="Docker unless another is named.")
    runner: Annotated[
        Property[Literal["PROCESS", "DOCKER"] | None],
        Instead("taskRunner.type", f"with the type of a runner: `{PROCESS}` or `{DOCKER}`"),
    ] = None
    docker: Annotated[
        Property[JsonMap | None], Instead("containerImage", "for its `image`, `taskRunner` for the rest")
    ] = Field(default=None, validation_alias=AliasChoices("docker", "dockerOptions"))
    container_image: Property[OptionalText] = None
    before_commands: LateShellText[list[str] | str | None] = None
    interpreter: Property[TextList] = Field(default_factory=lambda: ["/bin/sh", "-c"])
    env: Property[JsonMap | None] = None
    fail_fast: Property[bool] = Field(
        default=True, validation_alias=AliasChoices("failFast", "exitOnFailed", "fail_fast")
    )
    input_files: LateProperty[JsonMap | None] = None
    output_files: Property[TextList | None] = None
    namespace_files: Property[NamespaceFiles | bool | None] = None
    output_directory: Annotated[Property[bool], Instead("outputFiles")] = False
    warning_on_std_err: Annotated[Any, Instead("")] = None
    target_os: Property[Literal["LINUX", "WINDOWS", "AUTO"]] = Field(default="AUTO", alias="targetOS")

    @model_validator(mode="before")
    @classmethod
    def _with_the_folder_it_names(cls, declaration: Any, info: ValidationInfo) -> Any:
        """Before `outputDirectory` there was an `outputDir` in every script; later Kestra kept it beside `runner`."""
        is_written = isinstance(declaration, Mapping) and not (info.context or {}).get("rendered")
        if not is_written or "outputDirectory" in declaration:
            return declaration
        return {**declaration, "outputDirectory": True} if OUTPUT_DIR.search(str(declaration)) else declaration

    def chosen_runner(self, context: RunContext) -> Runner:
        """In Docker unless the task says otherwise; the older `runner` and `docker` come first, as in Kestra."""
        if self.runner == "PROCESS":
            return Process(type=PROCESS)
        if self.runner == "DOCKER" or self.task_runner is None:
            return older_docker(self.docker or {})
        return older_docker(self.docker) if self.docker and isinstance(self.task_runner, Docker) else self.task_runner

    @property
    def runner_type(self) -> str:
        """The type of the runner it asks for."""
        if self.runner is not None or self.task_runner is None:
            return PROCESS if self.runner == "PROCESS" else DOCKER
        return self.task_runner.type

    def usual_image(self) -> str:
        """The image when the task names none."""
        return self.default_image

    def asked_image(self) -> str:
        """The image of its container: its own, that of the older property, or the usual one."""
        return self.container_image or (self.docker or {}).get("image") or self.usual_image()

    async def rendered_text(self, context: RunContext, template: Any, guard: Literal["none", "shell"] = "shell") -> str:
        """A command or script with its expressions rendered once, and storage URIs replaced by paths."""
        quoting: Guard = guard
        if guard == "shell":
            off = context.settings.scripts.escape == "off"
            quoting = "none" if off else "powershell" if self.is_powershell() else "shell"
        text = await context.render(template, guard=quoting, **self.names(context))
        return await fetch_uris(context, str(scalar_to_text(text)))

    async def rendered_lines(self, context: RunContext, commands: list[str] | str | None) -> list[str]:
        """A list of commands, also when all of it is one expression that gives JSON text of a list."""
        if isinstance(commands, str):
            text = await self.rendered_text(context, commands)
            lines = document_from_text(text) if text.lstrip().startswith("[") else [text]
            return [str(scalar_to_text(line)) for line in lines]
        return [await self.rendered_text(context, command) for command in commands or []]

    def library(self, context: RunContext) -> Path:
        """Where a script finds the `kestra` module: as it is installed, or in a container a copy beside the script."""
        return LIBRARY if self.chosen_runner(context).is_local else context.working_dir / WORK / "library"

    def names(self, context: RunContext) -> dict[str, Any]:
        """What commands see beside the usual: `workingDir`, `outputDir` and `outputFiles`."""
        folder = context.working_dir
        plain = [name for name in self.output_files or [] if not any(c in name for c in "*?[{") and ":" not in name]
        names: dict[str, Any] = {
            "workingDir": str(folder),
            "outputFiles": {name: str(folder / name) for name in plain},
        }
        return names | ({"outputDir": str(self._output_dir(context))} if self.output_directory else {})

    async def run_commands(
        self,
        context: RunContext,
        commands: Sequence[str],
        *,
        prepared: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        volumes: Sequence[str] = (),
        fail_fast: bool | None = None,
        heard: ScriptOutput | None = None,
    ) -> ScriptResult:
        """Run rendered commands as one script; TaskFailed, with its outputs, when it ends badly.

        `prepared` runs before `beforeCommands`. `heard` takes what it says, where that is more than lines for the log.
        """
        runner = self.chosen_runner(context)
        await self._place_files(context)
        before = [*prepared, *await self.rendered_lines(context, self.before_commands)]
        if before and self.interpreter[-1:] in (["-c"], [POWERSHELL_COMMAND]):  # what prepares is told at a lower level
            quiet, loud = SWITCHED
            before = [f"echo '{quiet}'", *before, f"echo '{loud}'"]
        strict = self.fail_fast if fail_fast is None else fail_fast
        text = "\n".join([*(self._stops_at_errors() if strict else []), *before, *commands])
        heard = heard or ScriptOutput(context)
        job = Job(
            command=self._command(context, text),
            folder=context.working_dir,
            env=self._environment(context, env or {}),
            hear=heard.hear,
            image=self.asked_image(),
            volumes=volumes,
        )
        try:
            ended = await runner.execute(job, context)
        finally:
            heard.end()
        files = await collect(context, self.output_files or [])
        if self.output_directory:
            files |= await collect(context, ["**"], self._output_dir(context))
        return concluded(ended, heard.variables, files)

    async def _place_files(self, context: RunContext) -> None:
        (context.working_dir / WORK).mkdir(parents=True, exist_ok=True)
        if not self.chosen_runner(context).is_local:
            hidden = shutil.ignore_patterns("__*")
            shutil.copytree(LIBRARY, context.working_dir / WORK / "library", dirs_exist_ok=True, ignore=hidden)
        if self.output_directory:
            self._output_dir(context).mkdir(parents=True, exist_ok=True)
        await place_namespace_files(context, self.namespace_files)
        await place(context, await rendered_map(context, self.input_files, "inputFiles", self.names(context)))

    def is_powershell(self) -> bool:
        """Whether PowerShell reads the commands."""
        program = re.split(r"[\\/]", self.interpreter[0])[-1] if self.interpreter else ""
        return program.lower().removesuffix(".exe") in ("pwsh", "powershell")

    def _stops_at_errors(self) -> list[str]:
        if self.is_powershell():
            return ["$ErrorActionPreference = 'Stop'"]
        return [] if self.target_os == "WINDOWS" else ["set -e"]

    def _command(self, context: RunContext, text: str) -> list[str]:
        *program, last = self.interpreter or [""]
        if len(text.encode()) <= MAX_ARGUMENT or last not in ("-c", POWERSHELL_COMMAND):
            return [*self.interpreter, text]
        ending, by = ("ps1", ["-File"]) if self.is_powershell() else ("sh", [])
        script = context.working_dir / WORK / f"run-{context.task_run_id}-{context.attempt}.{ending}"
        script.write_text(text)
        return [*program, *by, str(script)]

    def _environment(self, context: RunContext, extra: Mapping[str, str]) -> dict[str, str]:
        folder = context.working_dir
        found = {
            "WORKING_DIR": str(folder),
            "PYTHONPATH": str(self.library(context)),
            "NODE_PATH": str(self.library(context) / "javascript"),
            # The folder's owner differs from the container's user; without this git refuses to work in it.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            **extra,
        }
        if self.output_directory:
            found["OUTPUT_DIR"] = str(self._output_dir(context))
        for name, value in (self.env or {}).items():
            found[str(name)] = "" if value is None else str(scalar_to_text(value))
        return found

    def _output_dir(self, context: RunContext) -> Path:
        return context.working_dir / WORK / f"outputs-{context.task_run_id}"


class CommandsTask(ScriptTask):
    """A list of shell commands."""

    reshaped = (older_shape.FAMILY,)
    commands: LateShellText[list[str] | str]

    @model_validator(mode="before")
    @classmethod
    def _as_it_is_written_today(cls, declaration: Any) -> Any:
        return older_shape.modern(declaration)

    @classmethod
    def older_how(cls, declaration: Mapping[str, Any]) -> str:
        return older_shape.changes(declaration) or super().older_how(declaration)

    async def run(self, context: RunContext) -> ScriptResult | Result:
        return await self.run_commands(context, await self.rendered_lines(context, self.commands), env=self.variables())

    def variables(self) -> dict[str, str]:
        """What a language wants in its environment."""
        return {}


def local_python() -> str:
    """The interpreter for scripts on this machine: of an activated virtual environment, else the one that runs us."""
    active = os.environ.get("VIRTUAL_ENV")
    candidate = Path(active, "bin", "python") if active else None
    return str(candidate) if candidate is not None and candidate.exists() else sys.executable


def quoted(words: Sequence[str]) -> str:
    """Words as one shell command."""
    return " ".join(shlex.quote(word) for word in words)
