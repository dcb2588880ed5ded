"""Places files arrive in: which of those that lie there are meant, and where they stay, which of them are news."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import Field

from engine.plugin import Look, Outputs, Part, PollContext, PollingTrigger, Property, RunContext, TaskFailed
from engine.tasks.trigger_fields import fields_of

T = TypeVar("T")
F = TypeVar("F", bound=Outputs)
File = dict[str, Any]
Taking = Mapping[str, Any]
TAKING = ""  # where in a memory stands what is being taken: no file is called so
MOST_KNOWN = 10_000  # files that are remembered from one look to the next
Change = Literal["CREATE", "UPDATE"]


class WatchFields(Part):
    """What counts as news of files that stay where they are."""

    on: Property[Literal["CREATE", "UPDATE", "CREATE_OR_UPDATE"]] = "CREATE_OR_UPDATE"
    state_key: Any = Field(default=None, description="Of no effect: each trigger remembers by itself.")
    state_ttl: Any = Field(default=None, description="Of no effect: what is gone is forgotten.")


class Arrivals:
    """What a trigger knew at its last look, and as `memory` what to know at the next: the same until `news` has looked.
    `takes`: it moves or deletes its files, so that all that lie there are news.

    What it is about to take stands in its memory before the first goes, and leaves that with the transaction that holds
    the execution: what is gone when the process dies in between is `unheard`.
    """

    def __init__(self, context: PollContext, on: str, *, takes: bool = False) -> None:
        self.takes = takes
        self._context, self._on = context, on
        self._known = {name: seen for name, seen in context.memory.items() if name != TAKING}
        self._taking: Sequence[Taking] = context.memory.get(TAKING, ())
        self.memory: dict[str, str] = dict(self._known)

    def news(
        self, there: Sequence[T], most: int, *, name: Callable[[T], str], version: Callable[[T], str | None]
    ) -> list[tuple[T, Change]]:
        """The first `most` that are new or have changed; what was not reached is news the next time. One without a
        version is gone by now."""
        found: list[tuple[T, Change]] = []
        self.memory = {}
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

    async def take(self, files: Sequence[File], places: Sequence[tuple[str, str]]) -> None:
        """Write down what is going to be taken, and by which name and version it is known where it lies; TaskFailed
        when nothing may be taken."""
        taking = [{"file": file, "place": place} for file, place in zip(files, places, strict=True)]
        await self._context.remember({**self._known, TAKING: taking} if taking else self._known)

    def unheard(self, is_there: Callable[[str, str], bool]) -> list[File]:
        """Files that a look had begun to take when it came to no end, and that don't lie there any more."""
        return [one["file"] for one in self._taking if not is_there(*one["place"])]


def unheard(
    arrivals: Arrivals | None, there: Sequence[File], *, name: str, version: Callable[[File], str]
) -> list[File]:
    """The files to hand on at once instead of those that lie there: an earlier look took them and told nobody."""
    if arrivals is None:
        return []
    places = set(placed(there, name, version))
    return arrivals.unheard(lambda *place: place in places)


def placed(files: Sequence[File], name: str, version: Callable[[File], str]) -> list[tuple[str, str]]:
    """Name and version of each file where it lies."""
    return [(str(one[name]), version(one)) for one in files]


async def arrived(
    trigger: PollingTrigger,
    context: PollContext,
    action: str | None,
    take: Callable[[Arrivals], Awaitable[F]],
    files: Callable[[F], Sequence[File]],
) -> Look:
    """What a look finds: all of it where `action` takes it away, or the news of what stays; TaskFailed as `take`."""
    fields = await fields_of(trigger, WatchFields, context)
    arrivals = Arrivals(context, fields.on, takes=action in ("MOVE", "DELETE"))
    found = await take(arrivals)
    return Look(found if files(found) else None, {} if arrivals.takes else arrivals.memory)


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
    places: Sequence[tuple[str, str]],
) -> list[File]:
    """The files that are moved or deleted now. `act` does it in their order, and puts each into its list once it is
    gone. A task fails with what `act` raises; a trigger has those that are gone by then, for nobody sees them again.
    `places`: name and version of each where it lies."""
    gone: list[File] = []
    if arrivals is not None:
        await arrivals.take(files, places)
    try:
        await act(gone)
    except Exception as error:  # whatever the client of a protocol raises
        if arrivals is None:
            raise
        if not gone:
            await arrivals.take((), ())
            raise
        for name, _ in places[len(gone) : len(gone) + 1]:
            context.log(f"{name} and what comes after it are left where they are: {error}", "WARN")
    return gone


def cut(context: RunContext, found: Sequence[T], most: int, kind: str = "files") -> Sequence[T]:
    """The first `most`; that there are more is logged."""
    if len(found) > most:
        context.log(f"There are {len(found)} {kind}; the first {most} are taken (`maxFiles`).", "WARN")
    return found[:most]
