"""`io.kestra.plugin.scripts.deno`: Deno."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


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
