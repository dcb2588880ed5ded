"""`io.kestra.plugin.scripts.groovy`: Groovy."""

from typing import ClassVar, Literal

from engine.plugin import RunContext
from engine.tasks.runners import Runner
from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.runner.docker import Docker
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


class GroovyTask(ScriptTask):
    """What both tasks have: the image has a user of its own, who could write nothing into the working directory."""

    def chosen_runner(self, context: RunContext) -> Runner:
        runner = super().chosen_runner(context)
        is_ours = isinstance(runner, Docker) and not runner.user
        return runner.model_copy(update={"user": "root"}) if is_ours else runner


class Commands(GroovyTask, CommandsTask):
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


class Script(GroovyTask, LanguageScript):
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


class ScriptTrigger(ScriptWatch):
    """Run a script in Groovy again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.groovy.ScriptTrigger
interval: PT1M
exitCondition: "waiting=[1-9]"
script: |
  def waiting = new URL("https://example.com/waiting").text
  println '::{"outputs":{"waiting":' + waiting.trim() + '}}::'
""",
    )
    tells_when_failed: ClassVar[bool] = True
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.groovy.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Groovy again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.groovy.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - |
    groovy -e 'System.exit(new File("/data/inbox").list() ? 3 : 0)'
""",
    )
    tells_when_failed: ClassVar[bool] = True
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.groovy.CommandsTrigger"]
