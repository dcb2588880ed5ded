"""`io.kestra.plugin.scripts.bun`: Bun."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


class Commands(CommandsTask):
    """Run shell commands in an image with Bun."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.bun.Commands
namespaceFiles:
  enabled: true
commands:
  - bun run report.ts
""",
    )
    default_image: ClassVar[str] = "oven/bun"
    type: Literal["io.kestra.plugin.scripts.bun.Commands"]


class Script(LanguageScript):
    """Run a script in Bun."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.bun.Script
script: |
  console.log(1 + 2);
""",
    )
    default_image: ClassVar[str] = "oven/bun"
    program: ClassVar[tuple[str, ...]] = ("bun", "run")
    suffix: ClassVar[str] = ".ts"
    type: Literal["io.kestra.plugin.scripts.bun.Script"]


class ScriptTrigger(ScriptWatch):
    """Run a script in Bun again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.bun.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  const answer = await fetch("https://example.com/health");
  process.exit(answer.ok ? 0 : 3);
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.bun.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Bun again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.bun.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - bun run check.ts
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.bun.CommandsTrigger"]
