"""Scripts over rows and variables, which Kestra runs inside of itself: here each in a child process of its own."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from engine.core.json_text import any_json
from engine.plugin import Instead, LateProperty, Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.core.runner import Process
from engine.tasks.property_types import OptionalInteger, Text, TextList
from engine.tasks.rows import lines_of, values_of
from engine.tasks.runners import WORK, Job, Runner
from engine.tasks.script_output import ScriptOutput
from engine.tasks.scripts.runner.docker import Docker
from engine.tasks.scripts.script_task import LIBRARY, local_python


class RowScript(RunnableTask):
    """A script in one language."""

    sees: ClassVar[frozenset[str] | None] = frozenset()
    driver: ClassVar[str] = "_rows.py"
    image: ClassVar[str] = "python:3.13-slim"
    script: LateProperty[str]

    def program(self) -> str | None:
        """The interpreter on this machine, if there is one."""
        return local_python()

    async def executed(self, context: RunContext, kind: str, source: str) -> Path:
        """The file that the script left; TaskFailed when it ends badly."""
        folder = context.working_dir / WORK / f"rows-{context.task_run_id}"
        script = str(await context.render(self.script))
        await asyncio.to_thread(_placed, folder, self.driver, script, source)
        program, heard = self.program(), ScriptOutput(context)
        runner: Runner = Process(type="io.kestra.plugin.core.runner.Process")
        if program is None:
            runner = Docker(type="io.kestra.plugin.scripts.runner.docker.Docker")
        words = [program or self.in_image(), *(str(folder / name) for name in (self.driver,))]
        words += [kind, *(str(folder / name) for name in ("script", "source", "target"))]
        job = Job(command=words, folder=context.working_dir, env={}, hear=heard.hear, image=self.image)
        try:
            ended = await runner.execute(job, context)
        finally:
            heard.end()
        if ended.exit_code != 0:
            raise TaskFailed(f"The script failed with exit code {ended.exit_code}; the log says why.")
        return folder / "target"

    def in_image(self) -> str:
        """The interpreter in the image."""
        return "python"


class Transformed(Outputs):
    """The new file."""

    uri: StoredUri


class TransformTask(RowScript):
    """Change a file row by row: the script changes `row`, sets it to null, or sets `rows` to a list."""

    from_: Property[Text] = Field(alias="from")
    concurrent: Annotated[Property[OptionalInteger], Instead("")] = None

    async def run(self, context: RunContext) -> Transformed:
        source = await asyncio.to_thread(self._source, context)
        target = await self.executed(context, "transform", source)
        count = await asyncio.to_thread(_lines, target)
        context.metric("records", count)
        return Transformed(uri=await context.files.put(target, "rows.jsonl"))

    def _source(self, context: RunContext) -> str:
        """The rows, one a line: of a file, or of JSON text."""
        if self.from_.lstrip().startswith(("[", "{")):
            try:
                found = any_json(self.from_)
            except ValueError as error:
                raise TaskFailed(f"`from` is neither a file nor JSON: {error}.") from error
            return "".join(lines_of(found if isinstance(found, list) else [found]))
        return "".join(lines_of(values_of(context.files.path(self.from_))))


class Evaluated(Outputs):
    """What the script left in the variables that were asked for, or what its last line gave."""

    outputs: dict[str, Any]
    result: Any = None


class EvalTask(RowScript):
    """Run a script that sees the variables of expressions; what it leaves in `outputs` is handed on."""

    outputs: Property[TextList] = Field(default_factory=list)

    async def run(self, context: RunContext) -> Evaluated:
        asked = {"variables": _plain(context.variables), "outputs": list(self.outputs)}
        target = await self.executed(context, "eval", json.dumps(asked, default=str))
        found = json.loads(await asyncio.to_thread(target.read_text, "utf-8"))
        result = found.pop("result", None) if not self.outputs else None
        return Evaluated(outputs=found, result=result)


class NodeScript(RowScript):
    """A script in JavaScript."""

    driver: ClassVar[str] = "_rows.js"
    image: ClassVar[str] = "node"

    def program(self) -> str | None:
        return shutil.which("node")

    def in_image(self) -> str:
        return "node"


def _placed(folder: Path, driver: str, script: str, source: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(LIBRARY / driver, folder / driver)
    (folder / "script").write_text(script, "utf-8")
    (folder / "source").write_text(source, "utf-8")


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _plain(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables without what is for our own ends or secret to expressions."""
    return {name: value for name, value in variables.items() if name not in ("secrets", "envs")}
