"""`io.kestra.plugin.scripts.deno`: Deno."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


class Commands(CommandsTask):
    """Run shell commands in an image with Deno."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.deno.Commands
namespaceFiles:
  enabled: true
commands:
  - deno run report.ts
""",
    )
    default_image: ClassVar[str] = "denoland/deno"
    type: Literal["io.kestra.plugin.scripts.deno.Commands"]


class Script(LanguageScript):
    """Run a script in Deno."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.deno.Script
script: |
  console.log(1 + 2);
""",
    )
    default_image: ClassVar[str] = "denoland/deno"
    program: ClassVar[tuple[str, ...]] = ("deno", "run", "-A")
    suffix: ClassVar[str] = ".ts"
    type: Literal["io.kestra.plugin.scripts.deno.Script"]


class ScriptTrigger(ScriptWatch):
    """Run a script in Deno again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.deno.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  const answer = await fetch("https://example.com/health");
  Deno.exit(answer.ok ? 0 : 3);
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.deno.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Deno again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.deno.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - deno run --allow-net https://example.com/check.ts
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.deno.CommandsTrigger"]
