"""`io.kestra.plugin.scripts.jbang`: Java by JBang."""

import re
from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, TaskFailed
from engine.tasks.property_types import Text
from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask, quoted
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch

ENDING = re.compile(r"\.\w+")


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
    type: Literal["io.kestra.plugin.scripts.jbang.Script"]
    extension: Property[Text] = Field(
        default=".java", description="What the script is: `.java`, `.jsh`, `.kt`, `.groovy` or `.md`."
    )
    quiet: Property[bool] = Field(default=True, description="JBang itself says nothing but errors.")

    def ending(self) -> str:
        if not ENDING.fullmatch(self.extension):
            raise TaskFailed(f"`extension` {self.extension!r} is no ending of a file.", fix="Write it as `.kt`.")
        return self.extension

    def command(self, file: str) -> list[str]:
        return [quoted(["jbang", *(["--quiet"] if self.quiet else []), file])]


class ScriptTrigger(ScriptWatch):
    """Run a script in Java by JBang again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.jbang.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  class Look {
      public static void main(String[] given) {
          System.exit(java.time.LocalTime.now().getHour() == 9 ? 3 : 0);
      }
  }
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.jbang.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Java by JBang again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.jbang.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - jbang --quiet check@example
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.jbang.CommandsTrigger"]
