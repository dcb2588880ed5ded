"""`io.kestra.plugin.scripts.node`: JavaScript by Node.js."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


class Commands(CommandsTask):
    """Run shell commands in an image with Node.js."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: build
type: io.kestra.plugin.scripts.node.Commands
beforeCommands:
  - npm install
commands:
  - node index.js
""",
    )
    default_image: ClassVar[str] = "node"
    type: Literal["io.kestra.plugin.scripts.node.Commands", "io.kestra.core.tasks.scripts.Node"]


class Script(LanguageScript):
    """Run a JavaScript script."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sum
type: io.kestra.plugin.scripts.node.Script
script: |
  console.log('::' + JSON.stringify({outputs: {sum: 1 + 2}}) + '::');
""",
    )
    default_image: ClassVar[str] = "node"
    program: ClassVar[tuple[str, ...]] = ("node",)
    suffix: ClassVar[str] = ".js"
    type: Literal["io.kestra.plugin.scripts.node.Script"]


class ScriptTrigger(ScriptWatch):
    """Run a JavaScript script again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.node.ScriptTrigger
interval: PT1M
exitCondition: "waiting=[1-9]"
script: |
  const answer = await fetch("https://example.com/queue");
  console.log("::" + JSON.stringify({outputs: {waiting: (await answer.json()).length}}) + "::");
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.node.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run shell commands in an image with Node.js again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.node.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - 'node -e "process.exit(new Date().getHours() === 9 ? 3 : 0)"'
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.node.CommandsTrigger"]
