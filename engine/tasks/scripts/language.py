"""Scripts in a language that an image brings along: written to a file, which its program runs."""

from typing import ClassVar

from engine.plugin import LateProperty, RunContext
from engine.tasks.runners import WORK
from engine.tasks.scripts.script_task import ScriptResult, ScriptTask, quoted


class LanguageScript(ScriptTask):
    """A script for one program."""

    program: ClassVar[tuple[str, ...]] = ()
    suffix: ClassVar[str] = ""
    prepared: ClassVar[tuple[str, ...]] = ()  # commands that run before the task's own `beforeCommands`
    script: LateProperty[str]

    async def run(self, context: RunContext) -> ScriptResult:
        file = context.working_dir / WORK / f"script-{context.task_run_id.replace('.', '_')}{self.ending()}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(await self.rendered_text(context, self.script, "none"))
        return await self.run_commands(context, self.command(str(file)), prepared=self.prepared, env=self.variables())

    def ending(self) -> str:
        """What the name of the script's file ends with; TaskFailed when the task asks for none that can be."""
        return self.suffix

    def command(self, file: str) -> list[str]:
        """The commands that run the script's file."""
        return [quoted([*self.program, file])]

    def variables(self) -> dict[str, str]:
        """What the language wants in its environment."""
        return {}
