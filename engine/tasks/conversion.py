"""Tasks that make one file out of another: what all of them have."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.runners import own_file

Warn = Callable[[str], None]
OnBadLines = Literal["ERROR", "WARN", "SKIP"]


class Converted(Outputs):
    """The file that was made."""

    uri: StoredUri


class ConversionTask(RunnableTask):
    """One file out of another, row by row."""

    suffix: ClassVar[str] = ".jsonl"
    from_: Property[Text] = Field(alias="from")
    charset: Property[Text] = "UTF-8"

    async def run(self, context: RunContext) -> Converted:
        known(self.charset)
        source = context.files.path(self.from_)
        target = own_file(context, "converted", self.suffix)
        try:
            count = await asyncio.to_thread(self.convert, source, target, lambda text: context.log(text, "WARN"))
        except UnicodeError as error:
            raise TaskFailed(f"{source.name} is not in {self.charset}: {error}.", fix="Give its `charset`.") from error
        except RecursionError as error:
            raise TaskFailed(f"{source.name} nests too deep.", fix="Take it apart in a script first.") from error
        context.metric("records", count)
        return Converted(uri=await context.files.put(target, source.stem + self.suffix))

    @abstractmethod
    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        """Write the new file, in a thread; how many rows it holds. TaskFailed."""


def known(charset: str) -> None:
    """TaskFailed unless there is such a character set."""
    try:
        "".encode(charset)
    except (LookupError, ValueError) as error:
        raise TaskFailed(f"There is no character set {charset[:40]!r}.", fix="Write it as UTF-8.") from error


class TextWriterTask(ConversionTask):
    """Writes rows as text. Dates in rows are text already, so their formats change nothing."""

    date_format: Property[OptionalText] = None
    time_format: Property[OptionalText] = None
    date_time_format: Property[OptionalText] = None
    time_zone_id: Any = None
