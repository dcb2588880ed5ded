"""Triggers that watch the world outside: those that look again and again, and those that listen."""

from engine.dispatch.inline import Timers
from engine.key_values import KeyValueStore
from engine.runtime.flows import Flows
from engine.runtime.listening import Listening
from engine.runtime.polls import Polls
from engine.runtime.starts import Starts
from engine.runtime.trigger_states import TriggerStates
from engine.store.database import Database


class Watches:
    """Both kinds, moved as one."""

    def __init__(
        self,
        database: Database,
        flows: Flows,
        starts: Starts,
        states: TriggerStates,
        timers: Timers,
        kv: KeyValueStore,
    ) -> None:
        self._polls = Polls(database, flows, starts, states, timers, kv)
        self._listening = Listening(database, flows, starts, states, kv)

    @property
    def busy(self) -> int:
        """How many have something in hand."""
        return self._polls.busy + self._listening.busy

    async def start(self) -> None:
        """Watch from now on."""
        await self._polls.start()
        await self._listening.start()

    async def stop(self) -> None:
        """Watch no more."""
        await self._listening.stop()
        await self._polls.stop()

    async def refresh(self) -> None:
        """The flows changed."""
        await self._polls.refresh()
        await self._listening.refresh()

    def look(self, key: str) -> None:
        """A trigger was switched on or off, or what it started has ended."""
        self._polls.look(key)
        self._listening.look(key)
