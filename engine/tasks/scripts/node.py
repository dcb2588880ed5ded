"""`io.kestra.plugin.scripts.node`: JavaScript by Node.js."""

from typing import ClassVar, Literal

from engine.plugin import LateProperty, RunContext
from engine.tasks.runners import WORK
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult, ScriptTask, quoted


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


class Script(ScriptTask):
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
    type: Literal["io.kestra.plugin.scripts.node.Script"]
    script: LateProperty[str]

    async def run(self, context: RunContext) -> ScriptResult:
        file = context.working_dir / WORK / f"script-{context.task_run_id}.js"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(await self.rendered_text(context, self.script, "none"))
        return await self.run_commands(context, [quoted(["node", str(file)])])
