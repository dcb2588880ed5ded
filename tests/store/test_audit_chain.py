"""The chain of the record: whatever is changed shows, people can be taken out, old rows go with a word."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import MetaData, delete, insert, select, text, update

from engine.store import audit_chain, chat_audit, migrations
from engine.store.audit_chain import END
from engine.store.chat_audit import Deed
from engine.store.chat_tables import audit, audit_private, settings
from engine.store.database import SqliteDatabase
from engine.store.postgres import PostgresDatabase
from engine.store.tables import schema_version

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEEDS = [
    Deed(NOW, "slack:U1", "Ann", "slack", "run", "E1", "E1", "team/ship", {"inputs": {"env": "prod"}}),
    Deed(NOW + timedelta(hours=1), "discord:7", "Bob", "discord", "vote", "P1", "E1", "team/ship", {"reason": "fine"}),
    Deed(NOW + timedelta(hours=2), "slack:U1", "Ann", "slack", "approve", "P1", "E1", "team/ship"),
    Deed(NOW + timedelta(hours=3), "discord:7", "Bob", "discord", "delegate", "P2", "E2", "", {"to": "slack:U1"}),
    Deed(NOW + timedelta(hours=4), "slack:U12", "Annabel", "slack", "command", "r9", "", "", {"text": "Annual \ud800"}),
]


async def record(database, deeds=DEEDS):
    for deed in deeds:
        await database.transact(lambda unit, deed=deed: chat_audit.record(unit.connection, deed))


async def verify(database, known=""):
    return await database.read(lambda connection: audit_chain.verify(connection, known))


async def change(database, *statements):
    await database.transact(lambda unit: [unit.connection.execute(statement) for statement in statements])


async def test_what_was_written_is_whole_and_reads_back(database):
    await record(database)
    verdict = await verify(database)
    assert (verdict.is_whole, verdict.rows, verdict.head.number) == (True, 5, 5)
    assert await database.read(lambda c: chat_audit.about(c, "E1")) == DEEDS[:3]
    rows = await database.read(lambda c: list(audit_chain.export(c, NOW + timedelta(hours=3))))
    assert [(row["number"], row["name"]) for row in rows] == [(4, "Bob"), (5, "Annabel")]
    assert rows[-1]["hash"] == verdict.head.hash


def other(value):
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    return value + 100 if isinstance(value, int) else f"{value}x"


@pytest.mark.parametrize("number", [1, 3, 5])
@pytest.mark.parametrize("column", [column.name for column in audit.columns])
async def test_any_column_of_any_row(sqlite, column, number):
    await record(sqlite)
    row = (await sqlite.read(lambda c: c.execute(select(audit).where(audit.c.id == number)).one()))._mapping
    await change(sqlite, update(audit).where(audit.c.id == number).values({column: other(row[column])}))
    verdict = await verify(sqlite)
    last = number == 5 and column == "id"
    assert verdict.broken in ((105,) if last else (number, number + 1))


@pytest.mark.parametrize("column", [column.name for column in audit_private.columns])
async def test_any_column_of_any_name_and_detail(sqlite, column):
    await record(sqlite)
    kept = await sqlite.read(lambda c: [dict(row._mapping) for row in c.execute(select(audit_private))])
    assert len(kept) == 7  # three people, and four who said something
    for row in kept:
        here = audit_private.c.key == row["key"]
        await change(sqlite, update(audit_private).where(here).values({column: other(row[column])}))
        assert not (await verify(sqlite)).is_whole, row
        changed = audit_private.c.key == (other(row["key"]) if column == "key" else row["key"])
        await change(sqlite, update(audit_private).where(changed).values(row))
    assert (await verify(sqlite)).is_whole
    for row in kept:
        await change(sqlite, delete(audit_private).where(audit_private.c.key == row["key"]))
        assert not (await verify(sqlite)).is_whole, row
        await change(sqlite, insert(audit_private).values(row))


@pytest.mark.parametrize("number", [1, 2, 4])
async def test_a_removed_row(sqlite, number):
    await record(sqlite)
    await change(sqlite, delete(audit).where(audit.c.id == number))
    assert (await verify(sqlite)).broken == number + 1


async def test_rows_that_change_places(sqlite):
    await record(sqlite)
    two, three = (audit.c.id == number for number in (2, 3))
    await change(
        sqlite,
        update(audit).where(two).values(id=99),
        update(audit).where(three).values(id=2),
        update(audit).where(audit.c.id == 99).values(id=3),
    )
    assert (await verify(sqlite)).broken == 2


@pytest.mark.parametrize(("left", "why"), [(5, "row 6 was there"), (3, "rows up to 6 were there"), (0, "up to 6")])
async def test_a_cut_end_is_missed_now_and_whatever_is_added(database, left, why):
    await record(database)
    await record(database, DEEDS[:1])
    await change(database, delete(audit).where(audit.c.id > left))
    verdict = await verify(database)
    assert (verdict.broken, verdict.rows) == (left + 1, left)
    assert why in verdict.why
    await record(database, DEEDS[:1])
    verdict = await verify(database)
    assert (verdict.broken, verdict.why) == (7, "the row before it, 6, is missing")


async def test_a_cut_end_whose_note_was_put_right_shows_by_the_hash_that_was_kept_elsewhere(sqlite):
    await record(sqlite)
    noted = (await verify(sqlite)).head.hash
    await record(sqlite, DEEDS[:1])
    assert (await verify(sqlite, noted)).is_whole
    await change(sqlite, delete(audit).where(audit.c.id >= 5), delete(settings).where(settings.c.name == END))
    assert (await verify(sqlite)).is_whole
    verdict = await verify(sqlite, noted)
    assert (verdict.broken, verdict.rows) == (5, 4)


async def test_a_last_row_that_was_written_anew_with_its_hash(sqlite):
    await record(sqlite)
    row = await sqlite.read(lambda c: dict(c.execute(select(audit).where(audit.c.id == 5)).mappings().one()))
    row["action"] = "approve"
    again = update(audit).where(audit.c.id == 5).values(action="approve", hash=audit_chain.row_hash(row))
    await change(sqlite, again)
    verdict = await verify(sqlite)
    assert (verdict.broken, verdict.why) == (5, "it is not the row that was written")


async def test_a_note_nobody_can_read_stops_nothing(sqlite):
    await record(sqlite)
    await change(sqlite, update(settings).where(settings.c.name == END).values(value="{"))
    assert (await verify(sqlite)).is_whole
    await record(sqlite, DEEDS[:1])
    assert (await verify(sqlite)).head.number == 6


@pytest.mark.parametrize("value", ["x'00ff'", "'no JSON'", "7", "'[1]'"])
@pytest.mark.parametrize("column", [column.name for column in audit.columns])
async def test_whatever_stands_in_a_column_it_is_told_which_row(sqlite, column, value):
    await record(sqlite)
    await change(sqlite, text(f"UPDATE audit_entry SET {column} = {value} WHERE hash = (SELECT hash FROM audit_entry "
                              "ORDER BY id LIMIT 1 OFFSET 2)"))  # fmt: skip
    verdict = await verify(sqlite)
    assert not verdict.is_whole
    assert verdict.rows in (2, 3)


@pytest.mark.parametrize("value", ["x'00ff'", "'no JSON'", "'[1]'"])
@pytest.mark.parametrize("column", ["salt", "owner", "content"])
async def test_what_was_made_unreadable_is_told_and_can_still_be_looked_at(sqlite, column, value):
    await record(sqlite)
    key = await sqlite.read(lambda c: c.execute(select(audit.c.details).where(audit.c.id == 2)).scalar_one())
    await change(sqlite, text(f"UPDATE audit_private SET {column} = {value} WHERE key = '{key}'"))
    verdict = await verify(sqlite)
    assert (verdict.broken, verdict.why) == (2, "its details was changed")
    if value != "x'00ff'":
        rows = await sqlite.read(lambda c: list(audit_chain.export(c)))
        told = await sqlite.read(lambda c: chat_audit.about(c, "P1"))
        unreadable = {"unreadable": value.strip("'")}
        assert rows[1]["details"] == (unreadable if column == "content" else {"reason": "fine"})
        assert told[0].details == rows[1]["details"]


async def test_a_person_is_taken_out_and_the_chain_holds(database):
    await record(database)
    assert await database.transact(lambda unit: audit_chain.forget(unit.connection, ["slack:U1"], NOW)) == 3
    assert (await verify(database)).is_whole
    left = await database.read(lambda c: [tuple(row) for row in c.execute(select(audit_private))])
    left += await database.read(lambda c: [tuple(row) for row in c.execute(select(audit))])
    assert not any('"slack:U1"' in str(row) or '"Ann"' in str(row) or "prod" in str(row) for row in left)
    assert any("Annabel" in str(row) for row in left)
    assert any("fine" in str(row) for row in left)
    told = await database.read(lambda c: chat_audit.about(c, "E1"))
    assert [(deed.person, deed.name) for deed in told] == [
        ("", chat_audit.FORGOTTEN),
        ("discord:7", "Bob"),
        ("", chat_audit.FORGOTTEN),
    ]
    assert await database.transact(lambda unit: audit_chain.forget(unit.connection, ["slack:U1"], NOW)) == 0
    await record(database, DEEDS[:1])  # who comes back begins anew
    assert (await verify(database)).is_whole
    assert (await database.read(lambda c: chat_audit.about(c, "E1")))[-1].name == "Ann"


@pytest.mark.parametrize("name", ["slack", "text", "room", "C1", "ship", "E20"])
async def test_a_name_that_stands_in_our_own_words_takes_nobody_elses_deeds_along(sqlite, name):
    """Anybody may call themselves anything; only what others wrote about them goes with them."""
    shown = {
        "room": "slack:T1:C1:",
        "message": {"channel": "C1"},
        "shown": "ship",
        "code": "E20",
        "values": {"text": 1},
    }
    about = {"room": "slack:T1:C1:", "text": f"delegate last {name}"}
    deeds = [
        Deed(NOW, "slack:U9", name, "slack", "command", "r1", "", "", {"text": "list"}),
        Deed(NOW, "slack:U1", "Ann", "slack", "approve", "P1", "E1", "team/ship", shown),
        Deed(NOW, "slack:U1", "Ann", "slack", "command", "r2", "", "", about),
    ]
    await record(sqlite, deeds)
    assert await sqlite.transact(lambda unit: audit_chain.forget(unit.connection, ["slack:U9"], NOW)) == 3
    assert [row["details"] for row in await sqlite.read(lambda c: list(audit_chain.export(c)))][1:3] == [shown, {}]
    assert (await verify(sqlite)).is_whole


async def test_old_rows_go_and_the_chain_says_so(database):
    await record(database)
    noted = (await verify(database)).head.hash
    until = NOW + timedelta(hours=2)
    assert await database.transact(lambda unit: audit_chain.purge(unit.connection, until, NOW)) == 2
    verdict = await verify(database, noted)
    assert (verdict.is_whole, verdict.rows, verdict.head.number) == (True, 4, 6)
    later = NOW + timedelta(days=1)
    assert await database.transact(lambda unit: audit_chain.purge(unit.connection, later, NOW)) == 4
    assert (await verify(database)).rows == 1
    left = await database.read(lambda c: c.execute(select(audit_private)).all())
    assert left == []
    await record(database)
    assert (await verify(database)).is_whole
    await change(database, delete(audit).where(audit.c.id == 7))  # the row that tells of the purge
    assert (await verify(database)).broken == 8


async def test_what_a_clean_up_removed_is_told_by_the_chain(database):
    await record(database)
    stood = await database.read(audit_chain.head)
    await database.transact(lambda unit: audit_chain.checkpoint(unit.connection, {"executions": 12}, NOW))
    row = (await database.read(lambda c: list(audit_chain.export(c))))[-1]
    assert row["action"] == "checkpoint"
    assert row["facts"] == {"executions": 12, "head": [stood.number, stood.hash]}
    assert (await verify(database)).is_whole


async def test_ten_thousand_rows(sqlite):
    await record(sqlite)
    rows = await sqlite.read(lambda c: [dict(row._mapping) for row in c.execute(select(audit).order_by(audit.c.id))])
    while len(rows) < 10_000:
        row = {**rows[-1], "id": len(rows) + 1, "prev": rows[-1]["hash"]}
        rows.append({**row, "hash": audit_chain.row_hash(row)})
    await sqlite.transact(lambda unit: unit.connection.execute(insert(audit), rows[5:]))
    verdict = await verify(sqlite)
    assert (verdict.is_whole, verdict.rows) == (True, 10_000)
    await change(sqlite, update(audit).where(audit.c.id == 9_999).values(action="approve"))
    assert (await verify(sqlite)).broken == 9_999


async def test_a_record_of_the_version_before_is_taken_over(tmp_path):
    opened = await SqliteDatabase.open(tmp_path / "parley.db")
    old = MetaData()
    columns = (
        "at INTEGER, person TEXT, name TEXT, platform TEXT, action TEXT, entity TEXT, execution_id TEXT, flow TEXT"
    )

    def back(unit):
        connection = unit.connection
        connection.execute(text(f"CREATE TABLE chat_audit (id INTEGER PRIMARY KEY, {columns}, details TEXT)"))
        row = "5000000, 'slack:U1', 'Ann', 'slack', 'run', 'E1', 'E1', 'team/ship', '{\"inputs\": {}}'"
        connection.execute(text(f"INSERT INTO chat_audit VALUES (1, {row})"))
        old.reflect(connection, only=["audit_entry", "audit_private"])
        old.drop_all(connection)
        connection.execute(delete(schema_version).where(schema_version.c.version > 1))

    await opened.transact(back)
    await opened.close()
    again = await SqliteDatabase.open(tmp_path / "parley.db")
    told = await again.read(lambda c: chat_audit.about(c, "E1"))
    at = datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert told == [Deed(at, "slack:U1", "Ann", "slack", "run", "E1", "E1", "team/ship", {"inputs": {}})]
    assert (await verify(again)).is_whole
    await again.close()
    assert len(migrations.STEPS) >= 2


async def test_many_writers_on_a_server_make_one_chain(postgres):
    opened = [await PostgresDatabase.open(postgres) for _ in range(3)]
    try:
        await asyncio.gather(*(record(database, DEEDS * 3) for database in opened))
        verdict = await verify(opened[0])
        assert (verdict.is_whole, verdict.rows, verdict.head.number) == (True, 45, 45)
    finally:
        for database in opened:
            await database.close()
