"""`io.kestra.plugin.scripts.r`: R."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


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


class ScriptTrigger(ScriptWatch):
    """Run a script in R again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.r.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  quit(status = if (file.exists("/data/inbox/ready")) 3 else 0)
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.r.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with R again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.r.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - Rscript -e 'quit(status = if (file.exists("/data/inbox/ready")) 3 else 0)'
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.r.CommandsTrigger"]
