"""`io.kestra.plugin.scripts.perl`: Perl."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


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
