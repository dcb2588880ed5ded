"""`io.kestra.plugin.scripts.perl`: Perl."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


class Commands(CommandsTask):
    """Run shell commands in an image with Perl."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.perl.Commands
namespaceFiles:
  enabled: true
commands:
  - perl report.pl
""",
    )
    default_image: ClassVar[str] = "perl"
    type: Literal["io.kestra.plugin.scripts.perl.Commands"]


class Script(LanguageScript):
    """Run a script in Perl."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.perl.Script
script: |
  print 1 + 2, "\n";
""",
    )
    default_image: ClassVar[str] = "perl"
    program: ClassVar[tuple[str, ...]] = ("perl",)
    suffix: ClassVar[str] = ".pl"
    type: Literal["io.kestra.plugin.scripts.perl.Script"]


class ScriptTrigger(ScriptWatch):
    """Run a script in Perl again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.perl.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  exit(-e "/data/inbox/ready" ? 3 : 0);
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.perl.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Perl again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.perl.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - |
    perl -e 'exit(-e "/data/inbox/ready" ? 3 : 0)'
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.perl.CommandsTrigger"]
