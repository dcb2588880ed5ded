"""The set-up of `bot/docs/scaling.md` on PostgreSQL: processes killed, the server restarted, a worker cut off."""

import asyncio
import re
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.postgres import Server
from tests.scenarios.process import Parley
from tests.shared import ROOT
from tests.torture import books
from tests.torture.cut import Cable
from tests.torture.kills import held, report, settled
from tests.torture.world import World, until

PAGE = ROOT / "bot" / "docs" / "scaling.md"
LINE = re.compile(r"^parley (up --role (\w+).*?)\s*# machines? ([A-Z])(?: and ([A-Z]))?", re.MULTILINE)
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
HEARTBEAT = 1.0  # seconds; the default of 5 would only make everything wait longer
CUT_SECONDS = 3 * HEARTBEAT + 3  # long enough that what the worker had runs elsewhere
PACE = 0.5  # seconds between two orders of a client: seven processes and a server share this machine
WORKING = 3  # orders that must come through after something broke before the next thing does


class Post:
    """One process of the set-up, started again whenever it ends."""

    def __init__(self, name: str, role: str, arguments: Sequence[str], env: dict[str, str]) -> None:
        self.name = name
        self.role = role
        self.arguments = list(arguments)
        self.env = env
        self.life: Parley | None = None
        self.kills = 0

    @property
    def is_up(self) -> bool:
        """Whether it has said that it is ready, and lives."""
        return self.life is not None and bool(self.life.url) and self.life.process.poll() is None


def posts(page: str) -> list[tuple[str, str, list[str]]]:
    """(machine and role, role, arguments) of each process in the example on the page."""
    return [
        (f"{machine}-{found[2]}", found[2], found[1].split())
        for found in LINE.finditer(page)
        for machine in (found[3], found[4])
        if machine
    ]


class FleetWorld(World):
    """The processes on one database, with clients that go to whichever bot is there."""

    group = "gpu"

    def __init__(self, folder: Path, seed: int, address: str, far: str) -> None:
        super().__init__(folder, seed)
        self.ends = Counter[str]()
        self.closing = False
        self.homes: dict[str, str] = {}  # address → the bot that had it last
        self.posts: list[Post] = []
        self._keepers: list[asyncio.Task[None]] = []
        env = {
            "PARLEY_DATABASE": address,
            "PARLEY_ENCRYPTION_KEY": KEY,
            "PARLEY_STORAGE": (folder / "storage").as_uri(),
            "PARLEY_HEARTBEAT": str(HEARTBEAT),
        }
        for name, role, arguments in posts(PAGE.read_text("utf-8")):
            own = ["--port", "0", "--data", str(folder / name), "--flows", str(folder / "flows")]
            self.posts.append(Post(name, role, [*arguments, *own], env))
        self.far = next(post for post in self.posts if post.role == "worker")  # which has another way to the database
        self.far.env = {**env, "PARLEY_DATABASE": far}

    @property
    def url(self) -> str | None:  # type: ignore[override]
        """A bot that is there."""
        there = {post.life.url: post.name for post in self.posts if post.role == "bot" and post.is_up and post.life}
        self.homes |= there
        return self.random.choice(list(there)) if there and not self.closing else None

    def close(self) -> None:
        """Clients find nobody from now on."""
        self.closing = True

    def token(self, url: str) -> str:
        """What the API of a bot wants to see."""
        return (self.folder / self.homes[url] / "api.token").read_text().strip()

    async def __aenter__(self) -> "FleetWorld":
        self.closing = False
        self._keepers = [asyncio.create_task(self._keep(post)) for post in self.posts]
        await self.all_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(signal.SIGKILL)
        self.write_down()

    async def _keep(self, post: Post) -> None:
        """What a service manager does."""
        while True:
            life = post.life = Parley(post.arguments, self.folder, post.env)
            self.lives.append(life)
            while life.process.poll() is None:
                await asyncio.sleep(0.05)
            if life.process.returncode != -signal.SIGKILL:
                self.ends[f"{post.role}: {life.process.returncode}{'' if life.url else ' at its start'}"] += 1
            await asyncio.sleep(self.random.uniform(0.1, 1.5))

    async def all_up(self) -> None:
        """Every process is ready."""
        await until(lambda: all(post.is_up for post in self.posts), "every process is ready", 180)

    def strike(self) -> None:
        """kill -9 to one of them, ready or not; its post is empty from then on until it is started again."""
        there = [post for post in self.posts if post.life and post.life.process.poll() is None]
        if there:
            post = self.random.choice(there)
            post.kills += 1
            assert post.life
            post.life.process.kill()
            post.life = None  # its end takes a moment, in which it would still count as up

    async def stop(self, number: signal.Signals) -> list[str]:
        """End them all; what did not end as it should."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []
        lives = [(post, post.life) for post in self.posts if post.life]
        statuses = await asyncio.gather(*(asyncio.to_thread(life.stop, number, 60) for _, life in lives))
        return [
            f"{post.name} gave status {status}" for (post, _), status in zip(lives, statuses, strict=True) if status
        ]

    async def works(self) -> None:
        """Orders come through again."""
        wanted = len(self.told.acknowledged) + WORKING
        await until(lambda: len(self.told.acknowledged) >= wanted, "orders are taken")


async def fleet(folder: Path, number: int, seed: int, server: Server) -> dict[str, Any]:
    """The report of one run on PostgreSQL."""
    address = server.create()
    ask = books.of_server(address)
    async with Cable(address) as cable, FleetWorld(folder, seed, address, cable.address) as world:
        since = datetime.now(UTC)
        cuts = restarts = 0
        said: list[str] = []  # faults that nobody can have felt
        async with world.clients(lambda: books.waiting(ask), PACE), world.errands.at_work(ask):
            await world.works()
            for count in range(number):
                await asyncio.sleep(world.random.uniform(0.3, 2.5))
                world.strike()
                if count % 10 == 9:
                    sys.stderr.write(f"{count + 1} kills, {len(world.told.acknowledged)} orders taken …\n")
                if count % 10 == 1 and server.restart:
                    await asyncio.to_thread(
                        server.restart, world.random.choice(("immediate", "fast")), world.random.uniform(0, 5)
                    )
                    restarts += 1
                    await world.works()
                if count % 10 == 3:
                    await until(lambda: world.far.is_up, "the worker behind the cable is ready")
                    cuts, before = cuts + 1, (cable.held, cable.kept_out)
                    cable.cut()
                    try:
                        await until(lambda seen=before: (cable.held, cable.kept_out) != seen, "the worker talks")  # type: ignore[misc]
                    except TimeoutError as error:
                        said.append(f"cut {cuts} held nothing back: {error}")
                    await asyncio.sleep(CUT_SECONDS)
                    cable.mend()
            await world.all_up()
            await world.works()
        until_date = datetime.now(UTC)
        broken = await settled(world, ask, until_date)
        if broken:  # whoever is to look at it wants to see it as it stands, before everybody leaves
            write_down(address, folder / "stuck")
        try:
            await until(lambda: ask("SELECT count(*) FROM procrastinate_jobs") == [(0,)], "no job is left")
        except TimeoutError as error:
            broken["no job is left"] = [str(error)]
        world.close()
        broken["each fault was one"] = said
        broken["clean end"] = await world.stop(signal.SIGTERM)
        broken["nobody gives up"] = [end for end in world.ends if not end.endswith("at its start")]
        broken |= held(world, ask, since, until_date)
        broken["database is whole"] = damage(address)
        figures = {
            "kills": sum(post.kills for post in world.posts),
            "of": ", ".join(f"{post.name} {post.kills}" for post in world.posts),
            "ended by itself": dict(world.ends),
            "restarts of the server": restarts,
            "cuts": cuts,
            "bytes held back": cable.held,
        }
        found = report(world, ask, broken, **figures)
    if found["broken"]:
        write_down(address, folder / "tables")
    server.drop(address)
    return found


def write_down(address: str, folder: Path) -> None:
    """Keep every table as a file: the server is gone when somebody looks."""
    folder.mkdir()
    with psycopg.connect(address, autocommit=True) as connection:
        for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            with (folder / f"{name}.csv").open("wb") as file, connection.cursor() as cursor:
                command = sql.SQL("COPY {} TO STDOUT (FORMAT csv, HEADER)").format(sql.Identifier(name))
                with cursor.copy(command) as rows:
                    for block in rows:
                        file.write(block)


def damage(address: str) -> list[str]:
    """What PostgreSQL's own checks find in tables and indexes."""
    found = []
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
        for oid, name, kind in connection.execute(
            "SELECT c.oid, c.relname, c.relkind FROM pg_class c LEFT JOIN pg_am a ON a.oid = c.relam "
            "WHERE c.relnamespace = 'public'::regnamespace AND a.amname IN ('heap', 'btree') AND c.relpersistence = 'p'"
        ).fetchall():
            try:
                if kind == "i":
                    connection.execute("SELECT bt_index_check(%s::oid::regclass, true)", (oid,))
                else:
                    rows = connection.execute("SELECT msg FROM verify_heapam(%s::oid::regclass)", (oid,)).fetchall()
                    found += [f"{name}: {message}" for (message,) in rows]
            except psycopg.Error as error:
                found.append(f"{name}: {error}")
    return found
