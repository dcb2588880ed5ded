"""Documents of MongoDB: pymongo against a server on loopback that speaks its protocol."""

import json
from datetime import UTC, datetime

import bson
import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.mongodb_connection import document, plain
from tests.wire.mongo import mongo

MONGODB = "io.kestra.plugin.mongodb"
ID = "60930c39a982931c20ef6cd6"


@pytest.fixture
def shop(context):
    """Runs tasks on a collection; what the server keeps is `kept`."""
    with mongo() as (at, server):
        where = {"uri": f"mongodb://flows:s3cret@{at}/?authMechanism=PLAIN&authSource=%24external"}
        said = {"connection": where, "database": "shop", "collection": "orders"}

        async def run(name, **given):
            return await context.run(type=f"{MONGODB}.{name}", **{**said, **given})

        run.said, run.server, run.at, run.context = said, server, at, context
        run.kept = server.kept.setdefault("shop.orders", [])
        yield run


async def test_documents_are_kept_found_changed_and_deleted(shop):
    due = {"$date": "2026-01-04T00:00:00Z"}
    made = await shop("InsertOne", document={"_id": {"$oid": ID}, "n": 1, "due": due, "tags": ["a", "ä"]})
    assert (made.insertedId, made.wasAcknowledged) == (ID, True)
    assert shop.kept == [
        {"_id": bson.ObjectId(ID), "n": 1, "due": datetime(2026, 1, 4, tzinfo=UTC), "tags": ["a", "ä"]}
    ]
    for n in (2, 3, 4, 5):
        await shop("InsertOne", document=json.dumps({"n": n, "state": "OPEN"}))
    found = await shop("Find", filter={"_id": {"$oid": ID}})
    assert found.rows == [{"_id": ID, "n": 1, "due": "2026-01-04T00:00:00Z", "tags": ["a", "ä"]}]
    wanted = {"filter": '{"n": {"$gt": 1}}', "sort": {"n": -1}, "projection": {"n": 1, "_id": 0}}
    assert (await shop("Find", **wanted)).rows == [{"n": 5}, {"n": 4}, {"n": 3}, {"n": 2}]
    assert (await shop("Find", **wanted, skip=1, limit="2")).rows == [{"n": 4}, {"n": 3}]
    stored = await shop("Find", **wanted, store=True)
    assert (stored.size, shop.context.files.text(stored.uri).splitlines()[0]) == (4, '{"n": 5}')
    assert (await shop("Find", filter={"due": {"$lt": {"$date": "2026-01-05T00:00:00Z"}}})).size == 1
    changed = await shop("Update", filter={"state": "OPEN"}, document={"$set": {"seen": True}}, operation="UPDATE_MANY")
    assert (changed.matchedCount, changed.modifiedCount, changed.upsertedId) == (4, 4, None)
    changed = await shop("Update", filter={"n": 2}, document='{"$set": {"n": 20}}')
    assert (changed.matchedCount, changed.modifiedCount) == (1, 1)
    await shop("Update", filter={"n": 3}, document={"n": 30}, operation="REPLACE_ONE")
    assert [one for one in shop.kept if one["n"] == 30] == [{"_id": shop.kept[2]["_id"], "n": 30}]
    with pytest.raises(TaskFailed, match=r"can't do that: .*\$.*REPLACE_ONE"):
        await shop("Update", filter={}, document={"n": 1})
    assert (await shop("Delete", filter={"seen": True})).deletedCount == 1
    assert (await shop("Delete", filter={"seen": True}, operation="DELETE_MANY")).deletedCount == 2
    assert [one["n"] for one in shop.kept] == [1, 30]
    with pytest.raises(TaskFailed, match="refused: E11000 duplicate key"):
        await shop("InsertOne", document={"_id": {"$oid": ID}})
    with pytest.raises(TaskFailed, match=r"refused: unknown operator: \$near"):
        await shop("Find", filter={"n": {"$near": 1}})


async def test_what_no_filter_picks_out_is_deleted_and_an_empty_one_refused(shop):
    shop.kept += [{"_id": n} for n in range(3)]
    with pytest.raises(TaskFailed, match="`filter` is no document"):
        await shop("Delete", filter="{{ null }}", operation="DELETE_MANY")
    assert (await shop("Delete")).deletedCount == 1
    assert (await shop("Delete", operation="DELETE_MANY")).deletedCount == 2
    assert shop.kept == []


async def test_documents_go_through_a_pipeline(shop):
    shop.kept += [{"_id": n, "city": city, "amount": n} for n, city in enumerate(("Lyon", "Bern", "Lyon", "Graz"))]
    pipeline = [
        {"$match": {"amount": {"$gte": 0}}},
        {"$group": {"_id": "$city", "total": {"$sum": "$amount"}, "count": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]
    rows = [
        {"_id": city, "total": total, "count": n} for city, total, n in (("Bern", 1, 1), ("Graz", 3, 1), ("Lyon", 2, 2))
    ]
    assert (await shop("Aggregate", pipeline=pipeline)).rows == rows
    asked = shop.server.heard[-1]
    assert (asked["allowDiskUse"], asked["maxTimeMS"], asked["cursor"]) == (True, 60_000, {"batchSize": 1000})
    found = await shop("Aggregate", pipeline=json.dumps(pipeline), batchSize=1, maxTimeMs=0, store="STORE")
    assert [json.loads(line) for line in shop.context.files.text(found.uri).splitlines()] == rows
    assert (await shop("Aggregate", pipeline=pipeline, store="FETCH_ONE")).row == rows[0]
    with pytest.raises(TaskFailed, match="Unrecognized pipeline stage"):
        await shop("Aggregate", pipeline=[{"$nonsense": 1}])


async def test_many_are_loaded(shop):
    uri = await shop.context.files.put(
        b'{"key": "%s", "n": 1}\n{"key": "%s", "n": 2}\n' % (ID.encode(), b"a" * 24), "r.jsonl"
    )
    loaded = await shop("Load", from_=uri, idKey="key")
    assert (loaded.size, loaded.insertedCount) == (2, 2)
    assert shop.kept[0] == {"_id": bson.ObjectId(ID), "n": 1}
    loaded = await shop("Load", from_=[{"n": n} for n in range(5)], chunk=2)
    assert (loaded.insertedCount, shop.context.metrics["requests.count"]) == (5, 1 + 3)
    with pytest.raises(TaskFailed, match="E11000 duplicate key"):
        await shop("Load", from_=uri, idKey="key", removeIdKey=False)
    with pytest.raises(TaskFailed, match=r"`key` of a row is no id of MongoDB: 'x'"):
        await shop("Load", from_=[{"key": "x"}], idKey="key")
    with pytest.raises(TaskFailed, match="no document"):
        await shop("Load", from_=[[1]])


async def test_writes_stand_in_a_file(shop):
    lines = [
        {"insertOne": {"document": {"n": 1}}},
        {"insertOne": {"n": 2}},
        {"insertOne": {"document": {"n": 3}}},
        {"updateOne": {"filter": {"n": 1}, "update": {"$set": {"a": 1}}}},
        {"updateMany": {"filter": {}, "update": {"$set": {"b": 1}}}},
        {"replaceOne": {"filter": {"n": 9}, "replacement": {"n": 9}, "upsert": True}},
        {"deleteOne": {"filter": {"n": 2}}},
        {"deleteMany": {"filter": {"n": {"$gt": 8}}}},
    ]
    uri = await shop.context.files.put("".join(json.dumps(line) + "\n" for line in lines).encode(), "writes.jsonl")
    done = await shop("Bulk", from_=uri)
    assert (done.size, done.insertedCount, done.matchedCount, done.modifiedCount, done.deletedCount) == (8, 3, 4, 4, 2)
    assert [{key: one[key] for key in one if key != "_id"} for one in shop.kept] == [
        {"n": 1, "a": 1, "b": 1},
        {"n": 3, "b": 1},
    ]
    for wrong, said in (
        ({"dropAll": {}}, "is no write.*One of|is no write.*insertOne"),
        ({"updateOne": {"filter": {}}}, "updateOne has no `update`"),
        ({"deleteOne": 1}, "is no write"),
        ({}, "is no write"),
    ):
        with pytest.raises(TaskFailed, match=said):
            await shop("Bulk", from_=[wrong])


async def test_a_trigger_looks_for_documents(shop):
    declared = {"id": "t", "type": f"{MONGODB}.Trigger", **shop.said, "filter": {"seen": "{{ false }}"}}
    cls = catalogue().resolve(declared)
    trigger = cls.model_validate(declared, context={"registry": catalogue()})
    assert await trigger.poll(shop.context) is None
    shop.kept.append({"_id": 1, "seen": False})
    shop.kept.append({"_id": 2, "seen": "false"})
    assert (await trigger.poll(shop.context)).size == 1


async def test_who_asks_and_where(shop):
    assert (await shop("Find")).rows == []
    assert "s3cret" in shop.context.masked
    plain_uri = f"mongodb://{shop.at}/"
    with pytest.raises(TaskFailed, match="Command find requires authentication"):
        await shop("Find", connection={"uri": plain_uri})
    with pytest.raises(TaskFailed, match=r"Authentication failed"):
        await shop("Find", connection={"uri": shop.said["connection"]["uri"].replace("s3cret", "wrong")})
    with pytest.raises(TaskFailed, match=r"could not be reached at 127\.0\.0\.1:9"):
        await shop("Find", connection={"uri": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=50"})
    with pytest.raises(TaskFailed, match=r"`connection\.uri` can't be read"):
        await shop("Find", connection={"uri": "postgresql://x"})
    with pytest.raises(TaskFailed, match="link-local"):
        await shop("Find", connection={"uri": "mongodb://169.254.169.254"})


def test_what_mongodb_keeps_as_json():
    kept = {
        "id": bson.ObjectId(ID),
        "price": bson.Decimal128("1.50"),
        "big": bson.Int64(2**40),
        "at": datetime(2026, 1, 4, 12, tzinfo=UTC),
        "stamp": bson.Timestamp(0, 1),
        "raw": b"\x00\x01",
        "list": [{"x": None, "y": True}],
        "pattern": bson.Regex("^a"),
    }
    assert plain(kept) == {
        "id": ID,
        "price": 1.5,
        "big": 2**40,
        "at": "2026-01-04T12:00:00Z",
        "stamp": "1970-01-01T00:00:00Z",
        "raw": "AAE=",
        "list": [{"x": None, "y": True}],
        "pattern": plain(bson.Regex("^a")),
    }
    assert document('{"a": {"$numberDecimal": "1.5"}}', "filter") == {"a": bson.Decimal128("1.5")}
    with pytest.raises(TaskFailed, match="`filter` is no document"):
        document("{a", "filter")
    with pytest.raises(TaskFailed, match="no document but list"):
        document("[1]", "filter")
