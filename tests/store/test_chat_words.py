"""Aliases, parts of deliveries and cards that are left: on SQLite and on PostgreSQL."""

from datetime import UTC, datetime

from engine.store import chat_aliases, chat_messages, chat_receipts
from engine.store.chat_aliases import Alias

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOM = {"platform": "slack", "channel": "C1"}


async def test_an_alias_is_kept_replaced_and_forgotten(database):
    one = Alias("slack:T1", "go", "run ship", "slack:U1", NOW)
    other = Alias("slack:T2", "go", "run else", "slack:U2", NOW)
    for alias in (one, other, Alias("slack:T1", "go", "run more", "slack:U1", NOW)):
        await database.transact(lambda unit, alias=alias: chat_aliases.put(unit.connection, alias))
    assert (await database.read(lambda c: chat_aliases.find(c, "slack:T1", "go"))).command == "run more"
    assert await database.read(lambda c: chat_aliases.every(c, "slack:T2")) == [other]
    gone = [await database.transact(lambda u: chat_aliases.remove(u.connection, "slack:T1", "go")) for _ in range(2)]
    assert gone == [True, False]
    assert await database.read(lambda c: chat_aliases.find(c, "slack:T1", "go")) is None


async def test_what_was_everybodys_becomes_its_makers_once(database):
    mine = chat_aliases.own("discord:2")
    kept = Alias(mine, "two", "run mine", "discord:2", NOW)
    every = (
        Alias("discord:", "one", "run a", "discord:1", NOW),
        Alias("discord:", "two", "run b", "discord:2", NOW),  # they have made one since
        Alias("discord:", "six", "run c", "removed", NOW),
        Alias("discord:G1", "one", "run d", "discord:1", NOW),
        kept,
    )
    for alias in every:
        await database.transact(lambda unit, alias=alias: chat_aliases.put(unit.connection, alias))
    for _ in range(2):
        await database.transact(lambda unit: chat_aliases.make_own(unit.connection))
    found = {
        place: [(one.name, one.command) for one in await database.read(lambda c, p=place: chat_aliases.every(c, p))]
        for place in ("discord:", "discord:G1", mine, chat_aliases.own("discord:1"), chat_aliases.own("removed"))
    }
    assert found == {
        "discord:": [], "discord:G1": [("one", "run d")], mine: [("two", "run mine")],
        "@discord:1": [("one", "run a")], "@removed": [],
    }  # fmt: skip


async def test_a_part_of_a_delivery_is_finished_once_and_carried_on_by_nobody(database):
    part = chat_receipts.part("slack:1", "RUN")

    def work(unit):
        chat_receipts.open_receipt(unit.connection, "slack:1", "click", {}, NOW)
        return [chat_receipts.finish(unit.connection, part, {"n": number}) for number in (1, 2)]

    assert await database.transact(work) == [True, False]
    known = await database.read(lambda c: chat_receipts.find(c, part))
    assert (known.is_done, known.answer) == (True, {"n": 1})
    open_ = await database.read(lambda c: chat_receipts.unanswered(c, NOW))
    assert [one.key for one in open_] == ["slack:1"]
    assert not await database.transact(lambda u: chat_receipts.finish(u.connection, "slack:nobody#RUN", {}))


async def test_a_card_is_left_in_one_place(database):
    def want(unit):
        for number, place in enumerate(("here", "there")):
            chat_messages.want(unit.connection, f"m{number}", "run", "RUN", "RUN", place, ROOM, NOW)
        return [chat_messages.leave(unit.connection, "RUN", "here") for _ in range(2)]

    assert await database.transact(want) == [True, False]
    assert [one.place for one in await database.read(lambda c: chat_messages.showing(c, entity="RUN"))] == ["there"]
