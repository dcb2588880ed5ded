"""From a file to a server: what waits goes on there, and its cards with it."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from bot.audit import records
from bot.cli.move import migrate_store
from engine.core.state import State
from engine.errors import SettingInvalid, StoreFailed
from engine.runtime import Engine
from engine.store import chat_audit, chat_messages, chat_receipts
from engine.store.chat_audit import Deed
from engine.store.database import SqliteDatabase
from engine.store.postgres import PostgresDatabase
from engine.store.tables import logs, metadata
from tests.runtime.conftest import START
from tests.runtime.marks import marks, registry

ASK = """
id: ask
namespace: company.team
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: ok, type: BOOLEAN}
      - {id: token, type: SECRET, required: false}
  - {id: after, type: tests.Mark, text: "said {{ outputs.gate.onResume.ok }}"}
"""
NAP = """
id: nap
namespace: company.team
tasks:
  - {id: sleep, type: io.kestra.plugin.core.flow.Sleep, duration: PT1H}
  - {id: after, type: tests.Mark, text: rested}
"""
WORK = "id: work\nnamespace: company.team\ntasks:\n  - {id: hang, type: tests.Mark, text: works, hang: true}\n"


async def filled(settings, clock):
    """A file with a pause that is shown in Slack, a timer, and a task that was at work when the process ended."""
    engine = await Engine.open(settings, registry=registry(), clock=clock)
    await engine.start(watch=False)
    for text in (ASK, NAP, WORK):
        await engine.deploy(text)
    names = ("ask", "nap", "work")
    made = {name: await engine.create("company.team", name, {}, started_by="slack:U1") for name in names}
    await engine.wait(made["ask"].id, until="ended_or_paused", timeout=20)
    await engine.kv.set("company.team", "password", "s3cr3t", kind="SECRET")
    (pause,) = await engine.pauses(execution_id=made["ask"].id)
    room = {"platform": "slack", "channel": "C1"}

    def chat(unit):
        c, now = unit.connection, clock.now()
        chat_receipts.instance_key(c, "the key of all buttons")
        chat_messages.want(c, "M1", "pause", pause.id, pause.execution_id, "slack C1", room, now)
        chat_messages.shown(c, "M1", version=1, digest="d", reference={"message": "170.1"}, is_final=False)

    await engine.database.transact(chat)
    deed = Deed(clock.now(), "slack:U1", "Ann", "slack", "run", made["ask"].id)
    await engine.database.transact(lambda unit: chat_audit.record(unit.connection, deed))
    while not marks(settings.data):
        await asyncio.sleep(0.01)
    await engine.stop(grace=0)
    return {name: one.id for name, one in made.items()}, pause


@pytest.fixture
def moved(settings, clock, postgres, capsys):
    """Both databases after the move, and what was said."""

    async def move():
        made, pause = await filled(settings, clock)
        await asyncio.to_thread(migrate_store, None, postgres, settings.data)
        return made, pause, capsys.readouterr().out

    return move


async def test_what_waits_goes_on_and_its_cards_with_it(settings, clock, postgres, moved):
    made, pause, said = await moved()
    assert "1 pauses wait for an answer" in said
    assert str(settings.data / "encryption.key") in said
    assert str(settings.data / "audit.key") in said
    for key in ("encryption.key", "audit.key"):
        assert (settings.data / key).read_text().strip() not in said
    engine = await Engine.open(settings.model_copy(update={"database": postgres}), registry=registry(), clock=clock)
    await engine.start(watch=False)
    try:
        found = await records.verified(engine)
        assert (found["ok"], found["sealed"]) == (True, 2), "the record came along, signed as it was"
        assert await engine.pauses() == [pause]
        (card,) = await engine.database.read(lambda c: chat_messages.showing(c, entity=pause.id))
        assert (card.id, card.message, card.state) == ("M1", {"message": "170.1"}, "LIVE")
        key = await engine.database.transact(lambda unit: chat_receipts.instance_key(unit.connection, "another"))
        assert key == "the key of all buttons"
        assert await engine.kv.get("company.team", "password") == "s3cr3t"
        await engine.resume(made["ask"], {"ok": True}, by="slack:U2")
        assert (await engine.wait(made["ask"], timeout=20)).state is State.SUCCESS
        assert (await engine.wait(made["work"], timeout=20)).state is State.SUCCESS  # its task runs again
        clock.jump(timedelta(hours=1))
        assert (await engine.wait(made["nap"], timeout=20)).state is State.SUCCESS
        await engine.database.transact(lambda unit: unit.connection.execute(insert(logs), LINE))  # numbers go on
    finally:
        await engine.stop(grace=0)


LINE = {"execution_id": "e", "at": START, "level": 20, "message": "new"}


async def test_every_row_is_there(settings, postgres, moved):
    await moved()
    file = await SqliteDatabase.open(settings.data / "parley.db")
    server = await PostgresDatabase.open(postgres)

    def rows(connection):
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
            if not name.startswith("schema_")
        }

    assert await file.read(rows) == await server.read(rows)
    await file.close()
    await server.close()


async def test_a_database_with_something_in_it_and_a_file_in_use_are_refused(settings, clock, postgres, moved):
    await moved()
    with pytest.raises(StoreFailed, match="not empty"):
        await asyncio.to_thread(migrate_store, None, postgres, settings.data)
    engine = await Engine.open(settings, registry=registry(), clock=clock)
    with pytest.raises(StoreFailed, match="in use by another Parley"):
        await asyncio.to_thread(migrate_store, None, postgres, settings.data)
    await engine.database.close()
    with pytest.raises(SettingInvalid, match="no PostgreSQL server"):
        await asyncio.to_thread(migrate_store, None, "mysql://x", settings.data)
    with pytest.raises(SettingInvalid, match="There is no database"):
        await asyncio.to_thread(migrate_store, settings.data / "none.db", postgres, settings.data)
