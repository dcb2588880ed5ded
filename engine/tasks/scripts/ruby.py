"""`io.kestra.plugin.scripts.ruby`: Ruby."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


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


class ScriptTrigger(ScriptWatch):
    """Run a script in Ruby again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.ruby.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  exit(File.exist?("/data/inbox/ready") ? 3 : 0)
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.ruby.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Ruby again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.ruby.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - |
    ruby -e 'exit(File.exist?("/data/inbox/ready") ? 3 : 0)'
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.ruby.CommandsTrigger"]
