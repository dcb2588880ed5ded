"""`io.kestra.plugin.scripts.groovy`: Groovy."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with Groovy."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.groovy.Commands
namespaceFiles:
  enabled: true
commands:
  - groovy report.groovy
""",
    )
    default_image: ClassVar[str] = "groovy"
    type: Literal["io.kestra.plugin.scripts.groovy.Commands"]


class Script(LanguageScript):
    """Run a script in Groovy."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.groovy.Script
script: |
  println 1 + 2
""",
    )
    default_image: ClassVar[str] = "groovy"
    program: ClassVar[tuple[str, ...]] = ("groovy",)
    suffix: ClassVar[str] = ".groovy"
    type: Literal["io.kestra.plugin.scripts.groovy.Script"]
