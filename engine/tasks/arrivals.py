"""Places files arrive in: which of those that lie there are meant, and where they stay, which of them are news."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import Field

from engine.plugin import Look, Outputs, Part, PollContext, PollingTrigger, Property, RunContext, TaskFailed
from engine.tasks.trigger_fields import fields_of

T = TypeVar("T")
F = TypeVar("F", bound=Outputs)
File = dict[str, Any]
MOST_KNOWN = 10_000  # files that are remembered from one look to the next
Change = Literal["CREATE", "UPDATE"]


class WatchFields(Part):
    """What counts as news of files that stay where they are."""

    on: Property[Literal["CREATE", "UPDATE", "CREATE_OR_UPDATE"]] = "CREATE_OR_UPDATE"
    state_key: Any = Field(default=None, description="Of no effect: each trigger remembers by itself.")
    state_ttl: Any = Field(default=None, description="Of no effect: what is gone is forgotten.")


class Arrivals:
    """What a trigger knew at its last look, and after `news` as `memory` what to know at the next. `takes`: it moves or
    deletes its files, so that all that lie there are news."""

    def __init__(self, on: str, known: Mapping[str, str], *, takes: bool = False) -> None:
        self.takes = takes
        self._on, self._known = on, known
        self.memory: dict[str, str] = {}

    def news(
        self, there: Sequence[T], most: int, *, name: Callable[[T], str], version: Callable[[T], str | None]
    ) -> list[tuple[T, Change]]:
        """The first `most` that are new or have changed; what was not reached is news the next time. One without a
        version is gone by now."""
        found: list[tuple[T, Change]] = []
        for one in there:
            called, seen = name(one), version(one)
            if seen is None:
                continue
            before = self._known.get(called)
            change: Change = "CREATE" if before is None else "UPDATE"
            is_news = seen != before and change in self._on
            if is_news and len(found) == most:
                self.memory.update({} if before is None else {called: before})
                continue
            if is_news:
                found.append((one, change))
            self.memory[called] = seen
        if len(self.memory) > MOST_KNOWN:
            raise TaskFailed(
                f"More than {MOST_KNOWN} files lie there, more than can be watched.",
                fix="Let `action` take them away, or say more narrowly which are meant.",
            )
        return found


async def arrived(
    trigger: PollingTrigger,
    context: PollContext,
    action: str | None,
    take: Callable[[Arrivals], Awaitable[F]],
    files: Callable[[F], Sequence[File]],
) -> Look:
    """What a look finds: all of it where `action` takes it away, or the news of what stays; TaskFailed as `take`."""
    fields = await fields_of(trigger, WatchFields, context)
    arrivals = Arrivals(fields.on, context.memory, takes=action in ("MOVE", "DELETE"))
    found = await take(arrivals)
    return Look(found if files(found) else None, arrivals.memory)


def chosen(
    context: RunContext,
    there: Sequence[File],
    most: int,
    arrivals: Arrivals | None,
    *,
    kind: str,
    name: str,
    version: Callable[[File], str],
) -> Sequence[File]:
    """What to take of the files that lie there: the first `most`, or for a trigger whose files stay of those that are
    news, each with its `changeType`. `name` is what a file is known by, `kind` what to call files in the log."""
    if arrivals is None or arrivals.takes:
        return cut(context, there, most, kind)
    news = arrivals.news(there, most, name=lambda one: str(one[name]), version=version)
    return [{**one, "changeType": change} for one, change in news]


async def away(
    context: RunContext,
    files: Sequence[File],
    act: Callable[[list[File]], Awaitable[object]],
    arrivals: Arrivals | None,
    *,
    name: str,
) -> list[File]:
    """The files that are moved or deleted now. `act` does it in their order, and puts each into its list once it is
    gone. A task fails with what `act` raises; a trigger has those that are gone by then, for nobody sees them again."""
    gone: list[File] = []
    try:
        await act(gone)
    except Exception as error:  # whatever the client of a protocol raises
        if arrivals is None or not gone:
            raise
        for left in files[len(gone) : len(gone) + 1]:
            context.log(f"{left[name]} and what comes after it are left where they are: {error}", "WARN")
    return gone


def cut(context: RunContext, found: Sequence[T], most: int, kind: str = "files") -> Sequence[T]:
    """The first `most`; that there are more is logged."""
    if len(found) > most:
        context.log(f"There are {len(found)} {kind}; the first {most} are taken (`maxFiles`).", "WARN")
    return found[:most]
