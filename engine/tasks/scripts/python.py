"""`io.kestra.plugin.scripts.python`: Python."""

import re
import shutil
from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import LateProperty, Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalText, TextList
from engine.tasks.runners import WORK, own_file
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult, ScriptTask, local_python, quoted
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch

VERSION = re.compile(r"(\d+(?:\.\d+)?)(?:\.\d+)?")
ENVIRONMENT = {
    "PYTHONUNBUFFERED": "true",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "UV_LINK_MODE": "copy",  # its cache and the task's folder are often on different disks, which uv complains about
}
NO_UV = '::{"logs":[{"level":"WARN","message":"There is no uv here, so pip installs the dependencies."}]}::'


class PythonTask(ScriptTask):
    """What both Python tasks have."""

    default_image: ClassVar[str] = "python:3.13-slim"
    dependencies: Property[TextList | None] = None
    python_version: Property[OptionalText] = Field(
        default=None, description="Such as `3.12`; in containers when no `containerImage` is named."
    )
    package_manager: Property[Literal["UV", "PIP"]] = Field(
        default="UV", description="What installs `dependencies`; UV: pip when there is no uv."
    )
    dependency_cache_enabled: Property[bool] = Field(default=True, description="Keep what was downloaded.")

    def interpreter_name(self, context: RunContext) -> str:
        """The Python to call: in a container its own, on this machine one that is there for certain."""
        if not self.chosen_runner(context).is_local:
            return "python"
        return self._local_version() or local_python()

    def usual_image(self) -> str:
        return f"python:{self.python_version}-slim" if self.python_version else self.default_image

    def _local_version(self) -> str | None:
        """The Python of `pythonVersion`, if this machine has it."""
        found = VERSION.fullmatch(self.python_version or "")
        return shutil.which(f"python{found[1]}") if found else None

    def install(self, context: RunContext) -> list[str]:
        """The command that installs `dependencies` for this task only, before all others; TaskFailed when
        `pythonVersion` is none."""
        if self.python_version and not VERSION.fullmatch(self.python_version):
            raise TaskFailed(f"`pythonVersion` {self.python_version!r} is not a version.", fix="Write it as 3.12.")
        if self.python_version and self.chosen_runner(context).is_local and not self._local_version():
            context.log(f"There is no Python {self.python_version} here; {local_python()} is used.", "WARN")
        if not self.dependencies:
            return []
        target = str(context.working_dir / WORK / "packages")
        python, given = self.interpreter_name(context), ["--target", target, "--", *self.dependencies]
        fresh = [] if self.dependency_cache_enabled else ["--no-cache"]
        pip = quoted([python, "-m", "pip", "install", "--quiet", *(f"{flag}-dir" for flag in fresh), *given])
        if self.package_manager == "PIP":
            return [f"{pip} || exit $?"]
        uv = quoted(["uv", "pip", "install", "--quiet", "--python", python, *fresh, *given])
        told = f"{quoted(['echo', NO_UV])}; " if "package_manager" in self.model_fields_set else ""
        return [f"if command -v uv >/dev/null 2>&1; then {uv}; else {told}{pip}; fi || exit $?"]

    def environment(self, context: RunContext) -> dict[str, str]:
        """Where Python finds our module and the dependencies."""
        packages = [str(context.working_dir / WORK / "packages")] if self.dependencies else []
        return {**ENVIRONMENT, "PYTHONPATH": ":".join([str(self.library(context)), *packages])}


class Commands(PythonTask, CommandsTask):
    """Run shell commands in an image with Python."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.python.Commands
namespaceFiles:
  enabled: true
dependencies: [requests]
commands:
  - python report.py --month "{{ inputs.month }}"
""",
    )
    type: Literal["io.kestra.plugin.scripts.python.Commands", "io.kestra.core.tasks.scripts.Python"]

    async def run(self, context: RunContext) -> ScriptResult:
        lines = await self.rendered_lines(context, self.commands)
        return await self.run_commands(context, lines, prepared=self.install(context), env=self.environment(context))


class Script(PythonTask):
    """Run a Python script."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sum
type: io.kestra.plugin.scripts.python.Script
taskRunner:
  type: io.kestra.plugin.core.runner.Process
script: |
  from kestra import Kestra
  Kestra.outputs({"sum": sum([1, 2, 3])})
""",
    )
    type: Literal["io.kestra.plugin.scripts.python.Script"]
    script: LateProperty[str]

    async def run(self, context: RunContext) -> ScriptResult:
        file = own_file(context, "script", ".py")
        file.write_text(await self.rendered_text(context, self.script, "none"))
        lines = [quoted([self.interpreter_name(context), str(file)])]
        return await self.run_commands(context, lines, prepared=self.install(context), env=self.environment(context))


class ScriptTrigger(ScriptWatch):
    """Run a Python script again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.python.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  import urllib.request
  try:
      urllib.request.urlopen("https://example.com/health")
  except OSError:
      raise SystemExit(3)
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.python.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run shell commands in an image with Python again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.python.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - python -c "import shutil; raise SystemExit(3 if shutil.disk_usage('/').free < 10**9 else 0)"
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.python.CommandsTrigger"]
