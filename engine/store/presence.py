"""This process among those on a PostgreSQL database: who else lives, who leads, what the others say.

One connection holds everything: it listens, and its session owns advisory locks. A session that ends, by a kill or
because the server hears nothing for a while, lets go of them at once, so that a dead process is a member no longer and
somebody else takes its leases.
"""

import asyncio
import hashlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.errors import StoreFailed
from engine.store.members import Member, listed
from engine.store.postgres import PostgresDatabase, plain_address
from engine.store.signals import CHANNEL, Signal, parse
from engine.store.tables import instant

log = logging.getLogger(__name__)

TICK = 0.5  # seconds between two looks at who lives
ANSWER_SECONDS = 8  # how long the server may take to answer a look …
SILENCE_SECONDS = 20  # … and how long it keeps the locks of who looks no more
MEMBERS, LEASES = 0x504D, 0x504C  # first halves of the advisory locks' keys

LIVING = """
SELECT m.id, m.role, m.queues, m.host, m.pid, m.started, clock_timestamp() FROM member m JOIN pg_locks l
ON l.locktype = 'advisory' AND l.classid = %s AND l.objid = m.id AND l.objsubid = 2 AND l.granted
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY m.id
"""


@dataclass(slots=True)
class Lease:
    """What only one process may do at a time."""

    name: str
    changed: Callable[[bool], None]  # told whether we hold it now
    wanted: Callable[[], bool] = lambda: True
    given_up: Callable[[], Awaitable[None]] = field(default=lambda: asyncio.sleep(0))  # before others may have it
    held: bool = False

    @property
    def key(self) -> int:
        """Second half of the lock's key."""
        return int.from_bytes(hashlib.blake2b(self.name.encode(), digest_size=4).digest(), "big", signed=True)


@dataclass(slots=True)
class Presence:
    """One member. Everything it is told happens on the event loop."""

    database: PostgresDatabase
    role: str
    queues: tuple[str, ...] = ()
    said: Callable[[Signal], None] = lambda signal: None
    clock_shows: Callable[[datetime, timedelta], None] = lambda theirs, took: None  # the server's, within so long
    changed: Callable[[], None] = lambda: None  # somebody came or went, or we were away and may have missed something
    id: int = 0  # another with each connection: the old one may still be believed to live
    hears: bool = False  # whether we are told what the others write
    members: tuple[Member, ...] = ()
    leases: list[Lease] = field(default_factory=list)
    _deciders: tuple[int, ...] = ()
    _connection: Any = None
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Be a member from now on; StoreFailed."""
        try:
            await self._connect()
            await self._look()
            self.hears = True
        except Exception as error:
            await self._leave()
            raise StoreFailed(
                f"{self.database.name} can't be reached: {error}", fix="Is PostgreSQL up, and `database` its address?"
            ) from error
        self._task = asyncio.create_task(self._work(), name="presence")

    async def stop(self) -> None:
        """Be a member no longer: the others see it at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            try:
                async with asyncio.timeout(2):
                    await self._connection.execute("DELETE FROM member WHERE id = %s", (self.id,))
            except Exception as error:  # noqa: BLE001 - the lock goes with the connection, and that is what counts
                log.debug("The member's row stays: %s", error)
        await self._leave()

    def hold(self, lease: Lease) -> None:
        """Take a lease when it is free, and keep it; `changed` is told each time we get or lose it."""
        self.leases.append(lease)

    def owns(self, execution_id: str) -> bool:
        """Whether it falls to this process to decide about an execution: one of those that live is chosen by its id."""
        deciders = self._deciders
        if len(deciders) < 2:
            return not deciders or deciders[0] == self.id
        return max(deciders, key=lambda member: _weight(member, execution_id)) == self.id

    def serves(self, queue: str) -> bool:
        """Whether somebody who lives runs the tasks of a queue."""
        return any(queue in member.queues for member in self.members)

    async def _work(self) -> None:
        wait = TICK
        while True:
            try:
                if self._connection is None:
                    await self._connect()
                    log.info("Connected to %s again.", self.database.name)
                    self.hears = True
                    self.changed()
                await self._listen()
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._look()
                wait = TICK
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, we are away until we are back
                said = str(error).strip() or "silence"
                log.warning("Not connected to %s (%s); trying again.", self.database.name, said)
                await self._leave()
                await asyncio.sleep(wait)
                wait = min(wait * 2, 5.0)

    async def _listen(self) -> None:
        async for line in self._connection.notifies(timeout=TICK):
            if line.pid != self.database.backend:
                self.said(parse(line.payload))

    async def _connect(self) -> None:
        import psycopg  # noqa: PLC0415 - the driver is loaded by who uses it

        async with asyncio.timeout(2 * ANSWER_SECONDS):
            connection = await psycopg.AsyncConnection.connect(
                plain_address(self.database.address),
                autocommit=True,
                connect_timeout=ANSWER_SECONDS,
                application_name="parley presence",
                keepalives_idle=5,
                keepalives_interval=3,
                keepalives_count=3,
                options=f"-c idle_session_timeout={SILENCE_SECONDS}s -c tcp_keepalives_idle=5",
            )
            self._connection, self.id = connection, secrets.randbelow(2**31 - 1) + 1
            await connection.execute(f"LISTEN {CHANNEL}")
            await connection.execute("SELECT pg_advisory_lock(%s, %s)", (MEMBERS, self.id))
            row = (self.id, self.role, listed(self.queues), socket.gethostname(), os.getpid())
            await connection.execute(
                "INSERT INTO member (id, role, queues, host, pid, started) VALUES (%s, %s, %s, %s, %s, %s)",
                (*row, instant(datetime.now(UTC))),
            )

    async def _leave(self) -> None:
        connection, self._connection = self._connection, None
        self.hears = False
        for lease in self.leases:
            if lease.held:
                lease.held = False
                lease.changed(False)
        if connection is not None:
            try:
                async with asyncio.timeout(2):
                    await connection.close()
            except Exception as error:  # noqa: BLE001 - it is given up either way
                log.debug("A connection could not be closed: %s", error)

    async def _look(self) -> None:
        asked = time.monotonic()
        found = await (await self._connection.execute(LIVING, (MEMBERS,))).fetchall()
        if found:
            self.clock_shows(found[0][-1], timedelta(seconds=time.monotonic() - asked))
        members = tuple(map(Member.of, found))
        if members != self.members:
            self.members = members
            self._deciders = tuple(member.id for member in members if member.decides)
            self.changed()
        for lease in self.leases:
            if lease.held and not lease.wanted():  # told first: whoever gets it next must find nobody at it
                lease.held = False
                await lease.given_up()
                await self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", (LEASES, lease.key))
            elif not lease.held and lease.wanted():
                taken = await self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LEASES, lease.key))
                if (await taken.fetchone())[0]:
                    lease.held = True
                    lease.changed(True)


def _weight(member: int, execution_id: str) -> bytes:
    return hashlib.blake2b(f"{member}:{execution_id}".encode(), digest_size=8).digest()
