"""`parley backup` beside a running process that is writing, and a new life on what it copied."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime

import httpx
import pytest

from bot.cli.purge import cut
from engine.errors import SettingInvalid
from engine.store.copying import copy_database
from tests.scenarios.process import Parley
from tests.shared import ROOT

KEY = "a-long-webhook-key"
FLOW = f"""
id: ask
namespace: ops
inputs:
  - {{id: token, type: SECRET, defaults: hush-hush-123}}
tasks:
  - id: note
    type: io.kestra.plugin.core.storage.Write
    content: "a note"
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {{id: word, type: STRING}}
  - {{id: read, type: io.kestra.plugin.core.debug.Return, format: "{{{{ read(outputs.note.uri) }}}}"}}
triggers:
  - {{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: {KEY}}}
outputs:
  - {{id: said, type: STRING, value: "{{{{ outputs.gate.onResume.word }}}} {{{{ outputs.read.value }}}}"}}
"""


def parley(*arguments, cwd):
    """A command to its end."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    command = [sys.executable, "-m", "bot", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env={**env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


@pytest.fixture
async def lives(tmp_path):
    """Starts `parley up` on a data folder."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "ask.yaml").write_text(FLOW)
    started = []

    async def start(data):
        started.append(Parley(["up", "--port", "0", "--data", str(data)], tmp_path))
        await asyncio.to_thread(started[-1].ready, 60)
        return started[-1]

    yield start
    for life in started:
        await asyncio.to_thread(life.stop, signal.SIGKILL)


async def ordered(client, life):
    answer = await client.post(f"{life.url}/api/v1/executions/webhook/ops/ask/{KEY}", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def rows(file, statement, *given):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(statement, given).fetchall()


async def test_a_copy_of_a_writing_process_is_whole_and_goes_on_elsewhere(tmp_path, lives):
    data, copy = tmp_path / "data", tmp_path / "copies" / "monday"
    life = await lives(data)
    async with httpx.AsyncClient(timeout=30) as client:
        before = [await ordered(client, life) for _ in range(5)]
        waiting = "SELECT count(*) FROM pause WHERE state = 'WAITING'"
        async with asyncio.timeout(30):
            while (await asyncio.to_thread(rows, data / "parley.db", waiting)) != [(5,)]:
                await asyncio.sleep(0.05)

        async def writing():
            while True:
                await ordered(client, life)

        busy = asyncio.create_task(writing())
        done = await asyncio.to_thread(parley, "backup", copy, "--with-key", "--data", data, cwd=tmp_path)
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
    assert done.returncode == 0, done.stderr
    assert "whoever has this copy can read every secret" in done.stdout
    assert rows(copy / "parley.db", "PRAGMA integrity_check") == [("ok",)]
    assert {key for (key,) in rows(copy / "parley.db", "SELECT id FROM execution")} >= set(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in copy.iterdir()}
    assert modes["parley.db"] == modes["encryption.key"] == modes["audit.key"] == 0o600
    assert "can sign what they like" in done.stdout
    assert not {"api.token", "web.key", "page.url", "parley.db-wal", "work"} & set(modes)

    await asyncio.to_thread(life.stop, signal.SIGKILL)
    again = await lives(copy)
    header = {"Authorization": f"Bearer {(copy / 'api.token').read_text().strip()}"}
    async with httpx.AsyncClient(timeout=30) as client:
        address = f"{again.url}/api/v1/executions/{before[0]}/resume"
        assert (await client.post(address, json={"word": "again"}, headers=header)).status_code == 200
        async with asyncio.timeout(30):
            while rows(copy / "parley.db", "SELECT state FROM execution WHERE id = ?", before[0]) != [("SUCCESS",)]:
                await asyncio.sleep(0.05)
    (doc,) = rows(copy / "parley.db", "SELECT doc FROM execution WHERE id = ?", before[0])[0]
    assert json.loads(doc)["out"] == {"said": "again a note"}


async def test_what_is_said_of_the_key_and_what_is_refused(tmp_path, lives):
    data = tmp_path / "data"
    life = await lives(data)
    await asyncio.to_thread(life.stop, signal.SIGTERM)

    def told(*arguments):
        return parley("backup", *arguments, "--data", data, cwd=tmp_path)

    folder = told(tmp_path / "copy")
    assert folder.returncode == 0, folder.stderr
    assert f"without {data / 'encryption.key'}" in folder.stdout
    assert f"without {data / 'audit.key'} nothing is signed" in folder.stdout
    assert not list((tmp_path / "copy").glob("*.key"))
    alone = told(tmp_path / "copy.db")
    assert alone.returncode == 0, alone.stderr
    assert "Files of executions are not in it" in alone.stdout
    before = (tmp_path / "copy.db").read_bytes()
    for target, said in (
        (tmp_path / "copy", "already"),
        (tmp_path / "copy.db", "already"),
        (data / "inside", "in the data folder itself"),
    ):
        refused = told(target)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
    assert (tmp_path / "copy.db").read_bytes() == before
    missing = parley("backup", tmp_path / "x", "--data", tmp_path / "nowhere", cwd=tmp_path)
    assert missing.returncode == 2
    assert "There is no database" in missing.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_copy_that_can_not_be_made_leaves_nothing(tmp_path):
    (tmp_path / "parley.db").write_text("this is no database, although it is long enough to look like one" * 50)
    with pytest.raises(Exception, match="could not be copied"):
        copy_database(tmp_path / "parley.db", tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["parley.db"]


async def test_a_purge_goes_through_the_running_bot_and_without_one(tmp_path, lives):
    data = tmp_path / "data"
    life = await lives(data)
    async with httpx.AsyncClient(timeout=30) as client:
        first, second, waiting = [await ordered(client, life) for _ in range(3)]
        refused = await client.post(f"{life.url}/api/v1/purge", json={"before": "2030-01-01T00:00:00Z"})
        assert refused.status_code in (401, 403)
        header = {"Authorization": f"Bearer {(data / 'api.token').read_text().strip()}"}
        assert (
            await client.post(f"{life.url}/api/v1/purge", json={"before": "2030"}, headers=header)
        ).status_code == 400

        async def answered(key):
            sent = await client.post(f"{life.url}/api/v1/executions/{key}/resume", json={"word": "x"}, headers=header)
            assert sent.status_code == 200, sent.text
            async with asyncio.timeout(30):
                while rows(data / "parley.db", "SELECT state FROM execution WHERE id = ?", key) != [("SUCCESS",)]:
                    await asyncio.sleep(0.05)

        async with asyncio.timeout(30):
            while rows(data / "parley.db", "SELECT count(*) FROM pause") != [(3,)]:
                await asyncio.sleep(0.05)
        await answered(first)

        def purge(*arguments):
            return parley("purge", *arguments, "--data", data, cwd=tmp_path)

        dry = await asyncio.to_thread(purge, "--before", "2100-01-01", "--dry-run")
        assert "1 runs" in dry.stdout, dry.stderr
        assert len(rows(data / "parley.db", "SELECT id FROM execution")) == 3
        done = await asyncio.to_thread(purge, "--namespace", "ops", "--before", "2100-01-01")
        assert "Deleted 1 runs of ops and below" in done.stdout, done.stderr
        assert not list((data / "files").rglob(f"{first}/**/*.*"))
        await answered(second)
        await asyncio.to_thread(life.stop, signal.SIGTERM)
        beside_none = await asyncio.to_thread(purge, "--before", "2100-01-01")
        assert "Deleted 1 runs" in beside_none.stdout, beside_none.stderr
    assert rows(data / "parley.db", "SELECT id FROM execution") == [(waiting,)]
    told = rows(data / "parley.db", "SELECT action, entity FROM audit_entry WHERE action = 'purge' ORDER BY id")
    assert told == [("purge", "ops"), ("purge", "*")]


@pytest.mark.parametrize(
    ("before", "older_than"), [(None, None), ("soon", None), (None, "30"), ("2026-01-01", "P1D"), (None, "P999999999D")]
)
def test_what_is_no_age_is_told(before, older_than):
    with pytest.raises(SettingInvalid, match=r"--older-than P30D|2026-01-31|P30D"):
        cut(before, older_than, datetime(2026, 2, 1, tzinfo=UTC), "Europe/Berlin")


def test_a_date_without_a_zone_is_one_of_ours():
    now = datetime(2026, 2, 1, tzinfo=UTC)
    assert cut("2026-01-31", None, now, "Europe/Berlin").isoformat() == "2026-01-31T00:00:00+01:00"
    assert cut(None, "P1D", now, "Europe/Berlin") == datetime(2026, 1, 31, tzinfo=UTC)
