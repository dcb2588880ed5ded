"""`io.kestra.plugin.scripts.shell`: shell commands."""

from typing import ClassVar, Literal

from engine.plugin import LateShellText, RunContext
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult, ScriptTask


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
