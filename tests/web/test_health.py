"""A process without a page still says how it is."""

import asyncio

import httpx
import pytest

from bot.application import Application
from bot.settings import BotSettings, WebSection
from bot.worker_process import WorkerProcess
from engine.errors import SettingInvalid
from tests.runtime.test_handing_over import cut_off, nobody_joins

__all__ = ["nobody_joins"]


def settings_of(folder, postgres, **web):
    return BotSettings(data=folder, database=postgres, role="worker", flows=(), web=WebSection(**web))


async def test_a_worker_is_watched_where_its_port_says(tmp_path, postgres):
    process = await WorkerProcess.open(settings_of(tmp_path, postgres, worker_port=0, token="a-long-random-text"))
    try:
        await process.start()
        async with httpx.AsyncClient(base_url=process.url) as client:
            assert (await client.get("/healthz")).text == "ok\n"
            assert (await client.get("/readyz")).status_code == 200
            process.is_ready = False
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/metrics")).status_code == 401
            numbers = await client.get("/metrics", headers={"Authorization": "Bearer a-long-random-text"})
            assert "parley_task_attempts_running 0.0" in numbers.text
            assert (await client.get("/")).status_code == 404  # there is no page
    finally:
        await process.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{process.url}/healthz")


async def test_a_process_that_is_cut_off_is_not_ready_until_it_is_back(tmp_path, postgres, request):
    process = await WorkerProcess.open(settings_of(tmp_path, postgres, worker_port=0))
    await process.start()
    try:
        async with httpx.AsyncClient(base_url=process.url) as client:

            async def says(status):
                async with asyncio.timeout(30):
                    while (await client.get("/readyz")).status_code != status:
                        await asyncio.sleep(0.05)

            await says(200)
            others = request.getfixturevalue("nobody_joins")
            cut_off(others, process.engine)
            await says(503)
            assert (await client.get("/healthz")).status_code == 200
            others.execute("SELECT pg_advisory_unlock_all()")
            await says(200)
    finally:
        await process.stop()


async def test_a_bot_is_ready_when_it_takes_work_and_not_before(tmp_path):
    app = await Application.open(BotSettings(data=tmp_path / "data", flows=(), web=WebSection(port=0)))
    begin, may = app.engine.start, asyncio.Event()

    async def later():
        await may.wait()
        await begin()

    app.engine.start = later
    starting = asyncio.create_task(app.start())
    try:
        async with httpx.AsyncClient(base_url=app.url) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 503
            may.set()
            await starting
            assert (await client.get("/readyz")).status_code == 200
    finally:
        await app.stop()


async def test_a_worker_that_nobody_watches_listens_nowhere(tmp_path, postgres):
    process = await WorkerProcess.open(settings_of(tmp_path, postgres))
    await process.start()
    await process.stop()
    assert process.url == "-"


async def test_numbers_for_other_machines_need_a_token(tmp_path, postgres):
    with pytest.raises(SettingInvalid, match="without asking who comes in"):
        await WorkerProcess.open(settings_of(tmp_path, postgres, worker_port=0, host="0.0.0.0"))
