"""A task that leaves a mark in a file each time its body runs, so that tests can count."""

import asyncio
from pathlib import Path
from typing import Literal

from engine.core.property import Property
from engine.core.registry import Registry
from engine.plugin import Outputs, RunContext, RunnableTask
from engine.tasks import _third_party, places, renamed


class Marked(Outputs):
    """What the mark said."""

    text: str


class Mark(RunnableTask):
    """Append a line to `marks.txt` in the data folder; with `hang` the first run never ends."""

    type: Literal["tests.Mark"]
    text: Property[str] = "mark"
    hang: bool = False

    async def run(self, context: RunContext) -> Marked:
        path = Path(context.settings.data) / "marks.txt"
        again = path.exists() and f"{context.task_run_id} " in path.read_text()
        with path.open("a") as file:
            file.write(f"{context.task_run_id} {self.text}\n")
        if self.hang and not again:
            await asyncio.Event().wait()
        return Marked(text=self.text)


def registry() -> Registry:
    """Everything installed, and Mark."""
    return Registry([Mark], places=places(), rename=renamed, plugins=_third_party)


def marks(data: Path) -> list[str]:
    """What was marked, in order: `<task run> <text>`."""
    path = data / "marks.txt"
    return path.read_text().splitlines() if path.exists() else []
