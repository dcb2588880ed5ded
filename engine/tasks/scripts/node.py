"""`io.kestra.plugin.scripts.node`: JavaScript by Node.js."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


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
