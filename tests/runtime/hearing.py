"""A realtime trigger that hears files of a folder, and a process that dies by SIGKILL while it listens.

`python -m tests.runtime.hearing DATA FLOWS MOMENT` lives until the folder is empty and everything has ended, or the
moment comes: `before:N` and `after:N` as for tests.runtime.victim, `unsaid:N` dies before the N-th acknowledgement.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from engine import plugin
from engine.core.registry import Registry
from engine.plugin import Message, RunContext, TaskFailed
from engine.runtime import Engine
from engine.settings import Limits, Settings
from engine.tasks import _third_party, places, renamed
from tests.runtime.marks import Mark
from tests.runtime.victim import OPEN, arm, die


class Hear(plugin.RealtimeTrigger):
    """Each file of a folder is a message; `bad…` can't be read, and `….json` is a value."""

    type: Literal["tests.Hear"]
    folder: str
    at_once: int = 2
    acknowledged: ClassVar[int] = 0
    dies_at: ClassVar[int] = 0

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        folder = Path(await context.render(self.folder))
        if not folder.is_dir():
            raise TaskFailed("The folder is not there.", fix="Make it.")
        while True:
            files = sorted(folder.iterdir())[: self.at_once]
            if not files:
                await asyncio.sleep(0.01)
                continue
            yield [self.message(file) for file in files]
            for file in files:
                type(self).acknowledged += 1
                if self.acknowledged == self.dies_at:
                    die()
                file.unlink()

    def message(self, file: Path) -> Message:
        text = file.read_text()
        seen: dict[str, Any] = {"name": file.name, "text": json.loads(text) if file.suffix == ".json" else text}
        return Message(seen, file.name, TaskFailed("It can't be read.") if file.name.startswith("bad") else None)


def registry() -> Registry:
    """Everything installed, Mark and Hear."""
    return Registry([Mark, Hear], places=places(), rename=renamed, plugins=_third_party)


async def main(data: Path, flows: Path, moment: str) -> None:
    """Live until everything was heard and has ended, or the moment comes."""
    settings = Settings(data=data, flows=(flows,), limits=Limits(workers=4))
    engine = await Engine.open(settings, registry=registry())
    kind, _, number = moment.partition(":")
    if kind == "unsaid":
        Hear.dies_at = int(number)
    else:
        arm(engine, moment)
    await engine.start(watch=False)
    while any((data.parent / "spool").iterdir()) or engine.is_busy or await engine.executions(states=OPEN):
        await asyncio.sleep(0.01)
    await engine.stop()


if __name__ == "__main__":
    from tests.runtime import hearing  # the class that flows get is the one of the module, not of __main__

    asyncio.run(hearing.main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
