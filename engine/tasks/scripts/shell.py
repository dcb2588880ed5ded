"""`io.kestra.plugin.scripts.shell`: shell commands."""

from typing import ClassVar, Literal

from engine.plugin import LateShellText, RunContext
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


class Commands(CommandsTask):
    """Run shell commands, one after the other."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.scripts.shell.Commands
taskRunner:
  type: io.kestra.plugin.core.runner.Process
commands:
  - sort -u names.txt > unique.txt
  - echo "::{\\"outputs\\":{\\"count\\":$(wc -l < unique.txt)}}::"
inputFiles:
  names.txt: "{{ inputs.names }}"
outputFiles:
  - unique.txt
""",
    )
    type: Literal["io.kestra.plugin.scripts.shell.Commands", "io.kestra.core.tasks.scripts.Bash"]


class Script(ScriptTask):
    """Run a shell script."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: greet
type: io.kestra.plugin.scripts.shell.Script
containerImage: ubuntu
script: |
  echo "Hello, {{ inputs.name }}"
""",
    )
    type: Literal["io.kestra.plugin.scripts.shell.Script"]
    script: LateShellText[str]

    async def run(self, context: RunContext) -> ScriptResult:
        return await self.run_commands(context, [await self.rendered_text(context, self.script)])


class ScriptTrigger(ScriptWatch):
    """Run a shell script again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.shell.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  if [ -n "$(ls /data/inbox)" ]; then exit 3; fi
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.shell.ScriptTrigger"]
    script: LateShellText[str]


class CommandsTrigger(CommandsWatch):
    """Run shell commands again and again; start an execution when they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.shell.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - test -z "$(ls /data/inbox)" || exit 3
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.shell.CommandsTrigger"]
