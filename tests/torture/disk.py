"""The disk gets full while orders come, and is freed again; once also with a kill while it is full.

A root user gets a small file system of its own (tmpfs) that a ballast file fills; others get a limit on the size of
the process's files (RLIMIT_FSIZE), which SQLite meets in the same place.
"""

import asyncio
import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.torture import books
from tests.torture.kills import closed
from tests.torture.world import World, until

SIZE = 24 * 1024 * 1024
LEFT = 48 * 1024  # bytes that a limited file may still grow


class Disk(Protocol):
    """A disk that can be filled, and freed."""

    name: str

    def fill(self, pid: int) -> None:
        """No more room."""

    def free(self, pid: int) -> None:
        """Room again; `pid` is 0 when the process is gone."""


class Mounted:
    """A file system of its own."""

    name = "tmpfs"

    def __init__(self, folder: Path) -> None:
        self.ballast = folder / "ballast"

    def fill(self, pid: int) -> None:
        """No more room."""
        with self.ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(64 * 1024)):
                pass

    def free(self, pid: int) -> None:
        """Room again."""
        self.ballast.unlink(missing_ok=True)


class Limited:
    """No file of the process may grow beyond what the log of the database is now."""

    name = "RLIMIT_FSIZE"

    def __init__(self, data: Path) -> None:
        self.data = data

    def fill(self, pid: int) -> None:
        """No more room."""
        size = (self.data / "parley.db-wal").stat().st_size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + LEFT, resource.RLIM_INFINITY))

    def free(self, pid: int) -> None:
        """Room again."""
        if pid:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Path, Disk]]:
    """A data folder on a disk that can be filled."""
    place = folder / "disk"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield place / "data", Mounted(place) if mounted else Limited(place / "data")
    finally:
        if mounted:
            # A reader whose client was told to stop may just be closing the database.
            subprocess.run(["umount", "--lazy", str(place)], check=True)


async def disk_full(folder: Path, seed: int) -> dict[str, Any]:
    """The report: what a full disk broke."""
    said: list[str] = []
    with small_disk(folder) as (data, disk):
        async with World(folder / "world", seed, data=data) as world:
            ask = books.of_file(data / "parley.db")
            life = await world.start()
            since = datetime.now(UTC)
            async with world.clients(lambda: books.waiting(ask)):
                for killed in (False, True):
                    await taken(world, 3)
                    disk.fill(life.process.pid)
                    before = len(world.refusals)
                    await until(lambda seen=before: len(world.refusals) >= seen + 3, "an order is refused")  # type: ignore[misc]
                    async with httpx.AsyncClient(timeout=10) as client:
                        if (await client.get(f"{world.url}/healthz")).status_code != 200:
                            said.append("the page does not answer while the disk is full")
                    if killed:
                        await world.kill(life)
                        disk.free(0)
                        life = await world.start()
                    else:
                        disk.free(life.process.pid)
                    await taken(world, 3)
            said += [f"{status}: {text[:200]}" for status, text in world.refusals if "disk" not in text][:5]
            found = await closed(world, ask, since, disk=disk.name, refused=len(world.refusals))
    if said:
        found["broken"]["what is said of it"] = said
    return found


async def taken(world: World, number: int) -> None:
    """So many more orders are acknowledged."""
    wanted = len(world.told.acknowledged) + number
    await asyncio.sleep(0)
    await until(lambda: len(world.told.acknowledged) >= wanted, "orders are taken")
