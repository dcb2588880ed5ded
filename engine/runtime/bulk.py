"""The same operation on many executions: every one is looked at first, and one that does not fit refuses them all."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.core.state import State
from engine.errors import BulkRefused, NotFound, Refused
from engine.runtime.corrections import EVERYTHING, Corrections
from engine.runtime.operations import Operations
from engine.store import executions
from engine.store.database import Database

Rule = Callable[[State], str | None]


def only(wanted: State) -> Rule:
    """Executions in one state."""
    return lambda state: None if state is wanted else f"execution not in state {wanted}"


def ended(state: State) -> str | None:
    """Executions that have ended."""
    return None if state.is_terminal else "execution not in a terminated state"


def open_(state: State) -> str | None:
    """Executions that have not ended."""
    return "execution already finished" if state.is_terminal else None


def any_(state: State) -> str | None:
    """All there are."""
    return None


@dataclass(frozen=True, slots=True)
class Bulk:
    """Operations on many executions by their ids; each gives how many it was done to, or BulkRefused and nothing."""

    database: Database
    operations: Operations
    corrections: Corrections

    async def select(
        self,
        *,
        namespace: str | None = None,
        flow_id: str | None = None,
        states: Collection[State] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[str]:
        """Ids of the executions that fit, oldest first."""
        return await self.database.read(
            lambda c: executions.ids(c, namespace=namespace, flow_id=flow_id, states=states, since=since, until=until)
        )

    async def kill(self, ids: Sequence[str], *, by: str, reason: str = "") -> int:
        """Stop executions."""
        return await self._each(ids, open_, lambda one: self.operations.kill(one, by=by, reason=reason))

    async def pause(self, ids: Sequence[str], *, by: str) -> int:
        """Let nothing new start in executions that run."""
        return await self._each(ids, only(State.RUNNING), lambda one: self.operations.pause(one, by=by))

    async def resume(self, ids: Sequence[str], *, by: str) -> int:
        """Let paused executions go on; those that ask for something without a default are left as they are."""
        return await self._each(ids, only(State.PAUSED), lambda one: self.operations.resume(one, {}, by=by))

    async def restart(self, ids: Sequence[str], *, by: str) -> int:
        """Run again what failed."""
        return await self._each(ids, only(State.FAILED), lambda one: self.operations.restart(one, by=by))

    async def replay(self, ids: Sequence[str], *, by: str, latest_revision: bool = False) -> int:
        """A new execution for each, of the revision it ran or of the newest there is."""
        return await self._each(
            ids, any_, lambda one: self.operations.replay(one, by=by, revision="newest" if latest_revision else None)
        )

    async def force_run(self, ids: Sequence[str], *, by: str) -> int:
        """Let executions begin or go on at once."""
        return await self._each(ids, open_, lambda one: self.operations.force_run(one, by=by))

    async def change_status(self, ids: Sequence[str], to: State, *, by: str) -> int:
        """Give ended executions another final state."""
        return await self._each(ids, ended, lambda one: self.corrections.change_status(one, to, by=by))

    async def set_labels(self, ids: Sequence[str], labels: Sequence[tuple[str, str]], *, by: str) -> int:
        """Add labels to ended executions."""
        return await self._each(ids, ended, lambda one: self.corrections.set_labels(one, labels, by=by))

    async def delete(self, ids: Sequence[str], *, parts: frozenset[str] = EVERYTHING) -> int:
        """Delete ended executions, or parts of them."""
        return await self._each(ids, ended, lambda one: self.corrections.delete(one, parts=parts))

    async def _each(self, ids: Sequence[str], rule: Rule, act: Callable[[str], Awaitable[Any]]) -> int:
        wanted = list(dict.fromkeys(ids))
        states = await self.database.read(lambda c: executions.states_of(c, wanted))
        said = {one: rule(states[one]) if one in states else "execution not found" for one in wanted}
        wrong = [(one, why) for one, why in said.items() if why is not None]
        if wrong:
            raise BulkRefused(wrong, len(wanted))
        done, refusals = 0, list[Refused | NotFound]()
        for one in wanted:
            try:
                await act(one)
            except (Refused, NotFound) as error:  # it moved meanwhile
                refusals.append(error)
            else:
                done += 1
        if refusals and not done:
            raise refusals[0]
        return done
