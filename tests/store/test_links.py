"""Linked accounts in the store, on both databases."""

from datetime import UTC, datetime, timedelta

from engine.store import chat_links

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def do(database, function, *given):
    return await database.transact(lambda unit: function(unit.connection, *given))


async def test_a_code_is_taken_once_and_wrong_ones_count(database):
    await do(database, chat_links.offer, "slack:U1", "ABCDEFGH", NOW)
    assert await do(database, chat_links.take, "discord:7", "ABCDEFGX", NOW) is None
    assert await do(database, chat_links.take, "discord:7", "ABCDEFGH", NOW) == "slack:U1"
    assert await do(database, chat_links.take, "discord:7", "ABCDEFGH", NOW) is None
    assert not await do(database, chat_links.is_blocked, "discord:7", NOW)
    for _ in range(3):
        await do(database, chat_links.take, "discord:7", "ABCDEFGX", NOW)
    assert await do(database, chat_links.is_blocked, "discord:7", NOW)
    assert not await do(database, chat_links.is_blocked, "discord:7", NOW + chat_links.TRIES_LAST)


async def test_a_code_lives_ten_minutes(database):
    await do(database, chat_links.offer, "slack:U1", "ABCDEFGH", NOW)
    assert await do(database, chat_links.take, "discord:7", "ABCDEFGH", NOW + timedelta(minutes=10)) is None
    await do(database, chat_links.offer, "slack:U1", "ABCDEFGH", NOW)
    last = NOW + timedelta(minutes=10) - timedelta(microseconds=1)
    assert await do(database, chat_links.take, "discord:7", "ABCDEFGH", last) == "slack:U1"


async def test_two_groups_become_one_and_shrink(database):
    for one, other in (("a", "b"), ("c", "d"), ("b", "d")):
        await do(database, chat_links.link, one, other, NOW)
    for one in "abcd":
        assert await database.read(lambda c, one=one: chat_links.accounts_with(c, one)) == ["a", "b", "c", "d"]
    await do(database, chat_links.link, "e", "f", NOW)
    assert await database.read(chat_links.people) == [["a", "b", "c", "d"], ["e", "f"]]
    assert await do(database, chat_links.unlink, "a")
    assert await database.read(lambda c: chat_links.accounts_with(c, "d")) == ["b", "c", "d"]
    assert await do(database, chat_links.unlink, "c")
    assert await do(database, chat_links.unlink, "b")
    assert await database.read(lambda c: chat_links.accounts_with(c, "d")) == ["d"]
    assert not await do(database, chat_links.unlink, "d")
