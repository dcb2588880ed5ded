"""The dispatcher of several processes and a database that is not there when it wants to begin."""

import asyncio
import socket
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from engine.dispatch import procrastinate
from engine.runtime import Engine
from tests.runtime.marks import registry
from tests.runtime.test_cluster import given

FLOW = "id: f\nnamespace: company.team\ntasks:\n  - {id: say, type: tests.Mark, text: hello}\n"


async def passing_on(port: int, to: Path) -> asyncio.Server:
    """A TCP door to a server that has only a socket file."""

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def come_in(reader, writer):
        there, back = await asyncio.open_unix_connection(to)
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    return await asyncio.start_server(come_in, "127.0.0.1", port)


async def test_jobs_run_once_the_database_can_be_reached(tmp_path, postgres, monkeypatch):
    if not (folder := parse_qs(urlsplit(postgres).query).get("host")):
        pytest.skip("the server in use has no socket file")
    monkeypatch.setattr(procrastinate, "CONNECT_SECONDS", 0.3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    by_door = f"postgresql://postgres@127.0.0.1:{port}/{urlsplit(postgres).path[1:]}"
    plain = procrastinate.plain_address
    monkeypatch.setattr(procrastinate, "plain_address", lambda address: plain(by_door))
    engine = await Engine.open(given(tmp_path, postgres, "late"), registry=registry())
    await engine.start(watch=False)  # the rest reaches the database, the jobs' pool does not
    try:
        await engine.deploy(FLOW)
        made = await engine.create("company.team", "f", {}, started_by="test")
        with pytest.raises(TimeoutError):
            await engine.wait(made.id, timeout=1)
        door = await passing_on(port, Path(folder[0]) / ".s.PGSQL.5432")
        assert (await engine.wait(made.id, timeout=30)).state.value == "SUCCESS"
    finally:
        await engine.stop(grace=0)
    door.close()


async def test_a_process_may_end_before_it_has_begun(tmp_path, postgres):
    engine = await Engine.open(given(tmp_path, postgres, "brief", role="worker"), registry=registry())
    await engine.start(watch=False)
    await engine.stop(grace=0)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("pool")]
    assert left == []
