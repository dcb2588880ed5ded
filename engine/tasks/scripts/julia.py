"""`io.kestra.plugin.scripts.julia`: Julia."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with Julia."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.julia.Commands
namespaceFiles:
  enabled: true
commands:
  - julia report.jl
""",
    )
    default_image: ClassVar[str] = "julia"
    type: Literal["io.kestra.plugin.scripts.julia.Commands"]


class Script(LanguageScript):
    """Run a script in Julia."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.julia.Script
script: |
  println(sum(1:3))
""",
    )
    default_image: ClassVar[str] = "julia"
    program: ClassVar[tuple[str, ...]] = ("julia",)
    suffix: ClassVar[str] = ".jl"
    type: Literal["io.kestra.plugin.scripts.julia.Script"]
