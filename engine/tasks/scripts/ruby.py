"""`io.kestra.plugin.scripts.ruby`: Ruby."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with Ruby."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.ruby.Commands
namespaceFiles:
  enabled: true
commands:
  - ruby report.rb
""",
    )
    default_image: ClassVar[str] = "ruby"
    type: Literal["io.kestra.plugin.scripts.ruby.Commands"]


class Script(LanguageScript):
    """Run a script in Ruby."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.ruby.Script
script: |
  puts [1, 2, 3].sum
""",
    )
    default_image: ClassVar[str] = "ruby"
    program: ClassVar[tuple[str, ...]] = ("ruby",)
    suffix: ClassVar[str] = ".rb"
    type: Literal["io.kestra.plugin.scripts.ruby.Script"]
