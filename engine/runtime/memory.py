"""What a process remembers of executions between two events, and when it may not be believed."""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from engine.core.execution import Execution
from engine.errors import NotFound
from engine.secrets import AtRest
from engine.store import executions
from engine.store.database import Database, Query

R = TypeVar("R")
CACHED = 2000  # executions


class Memory:
    """Executions as they were last written, by us or as far as we heard."""

    def __init__(self, database: Database, sealer: AtRest) -> None:
        self._database = database
        self._sealer = sealer
        self._cache: OrderedDict[str, Execution] = OrderedDict()
        self._reads = 0  # executions that are being read …
        self._moved: set[str] = set()  # … and those written meanwhile, of which the reader may see an older version
        self._gaps = 0  # how often others may have written something that we did not hear of
        self.hears: Callable[[], bool] = lambda: True  # what others write; what is remembered counts only then
        self.owns: Callable[[str], bool] = lambda execution_id: True  # what falls to others, they remember

    def get(self, execution_id: str) -> Execution | None:
        """The execution as it was last written, if that is known without looking."""
        found = self._cache.get(execution_id) if self.hears() else None
        if found is not None:
            self._cache.move_to_end(execution_id)
        return found

    async def current(self, execution_id: str, version: int = 0) -> Execution:
        """The execution as it was last written, at least in a version; NotFound."""
        known = self.get(execution_id)
        if known is not None and known.version >= version:
            return known
        return (await self._read(execution_id, lambda connection: None))[0]

    async def current_with(self, execution_id: str, query: Query[R]) -> tuple[Execution, R]:
        """The same, with something else that is read; NotFound."""
        known = self.get(execution_id)
        if known is not None:
            return known, await self._database.read(query)
        return await self._read(execution_id, query)

    async def _read(self, execution_id: str, query: Query[R]) -> tuple[Execution, R]:
        gaps = self._gaps
        self._reads += 1
        try:
            found, more = await self._database.read(
                lambda c: (executions.load(c, execution_id, self._sealer), query(c))
            )
        finally:
            self._reads -= 1
            moved = execution_id in self._moved or gaps != self._gaps
            if not self._reads:
                self._moved.clear()
        if found is None:
            raise NotFound(f"There is no execution {execution_id}.", fix="It may have been purged.")
        if not moved and not found.state.is_terminal:
            self.keep(found)  # whoever reads what is under way will soon ask again
        return found, more

    def keep(self, execution: Execution) -> None:
        """Remember an execution as it was just written or read, if it falls to us."""
        if not self.owns(execution.id):
            return
        self._cache[execution.id] = execution
        self._cache.move_to_end(execution.id)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)

    def drop(self, execution_id: str) -> None:
        """An execution was written, by another hand or so that a row is enough: do not remember what is known of it, or
        is being read."""
        self._cache.pop(execution_id, None)
        self.moved(execution_id)

    def moved(self, execution_id: str) -> None:
        """An execution was written: who reads it now may see an older version."""
        if self._reads:
            self._moved.add(execution_id)

    def heard(self, execution_id: str, version: int) -> None:
        """Another process wrote an execution."""
        cached = self._cache.get(execution_id)
        if cached is None or cached.version < version:
            self.drop(execution_id)

    def forget(self) -> None:
        """Other executions fall to us than before, or others wrote what we did not hear of: remember none of them."""
        self._cache.clear()
        self._gaps += 1
