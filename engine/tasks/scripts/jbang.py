"""`io.kestra.plugin.scripts.jbang`: Java by JBang."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with Java by JBang."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.jbang.Commands
namespaceFiles:
  enabled: true
commands:
  - jbang Report.java
""",
    )
    default_image: ClassVar[str] = "jbangdev/jbang-action"
    type: Literal["io.kestra.plugin.scripts.jbang.Commands"]


class Script(LanguageScript):
    """Run a script in Java by JBang."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.jbang.Script
script: |
  class Sum { public static void main(String[] a) { System.out.println(1 + 2); } }
""",
    )
    default_image: ClassVar[str] = "jbangdev/jbang-action"
    program: ClassVar[tuple[str, ...]] = ("jbang", "--quiet")
    suffix: ClassVar[str] = ".java"
    type: Literal["io.kestra.plugin.scripts.jbang.Script"]
