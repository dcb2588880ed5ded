"""A process without a page still says how it is."""

import httpx
import pytest

from bot.settings import BotSettings, WebSection
from bot.worker_process import WorkerProcess
from engine.errors import SettingInvalid


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


async def test_a_worker_that_nobody_watches_listens_nowhere(tmp_path, postgres):
    process = await WorkerProcess.open(settings_of(tmp_path, postgres))
    await process.start()
    await process.stop()
    assert process.url == "-"


async def test_numbers_for_other_machines_need_a_token(tmp_path, postgres):
    with pytest.raises(SettingInvalid, match="without asking who comes in"):
        await WorkerProcess.open(settings_of(tmp_path, postgres, worker_port=0, host="0.0.0.0"))
