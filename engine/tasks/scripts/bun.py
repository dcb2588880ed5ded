"""`io.kestra.plugin.scripts.bun`: Bun."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


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
