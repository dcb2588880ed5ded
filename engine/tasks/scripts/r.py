"""`io.kestra.plugin.scripts.r`: R."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with R."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.r.Commands
namespaceFiles:
  enabled: true
commands:
  - Rscript report.R
""",
    )
    default_image: ClassVar[str] = "r-base"
    type: Literal["io.kestra.plugin.scripts.r.Commands"]


class Script(LanguageScript):
    """Run a script in R."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.r.Script
script: |
  cat("sum:", sum(1:3), "\n")
""",
    )
    default_image: ClassVar[str] = "r-base"
    program: ClassVar[tuple[str, ...]] = ("Rscript",)
    suffix: ClassVar[str] = ".R"
    type: Literal["io.kestra.plugin.scripts.r.Script"]
