"""`io.kestra.plugin.scripts.julia`: Julia."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


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


class ScriptTrigger(ScriptWatch):
    """Run a script in Julia again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.julia.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  exit(isfile("/data/inbox/ready") ? 3 : 0)
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.julia.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Julia again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.julia.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - |
    julia -e 'exit(isfile("/data/inbox/ready") ? 3 : 0)'
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.julia.CommandsTrigger"]
