"""Vectors in databases that keep other things as well, each at the wire."""

import json
import math

import pytest

from engine.errors import TaskFailed
from engine.tasks.ai.embeddings import Segment
from tests.tasks.test_vector_stores import AI, SEGMENTS, kept_and_found, store
from tests.wire.loopback import Answered, serving
from tests.wire.mongo import mongo
from tests.wire.mysql import mysql
from tests.wire.redis_search import searching
from tests.wire.vectors import Vectors


async def test_elasticsearch(context):
    kept, made = Vectors(), []

    def handle(request):
        path = request.path.removeprefix("/es/")
        if request.method == "HEAD":
            return Answered(None, 200 if kept.points is not None else 404)
        if request.method == "DELETE":
            kept.points = None
        elif request.method == "PUT":
            made.append(request.json["mappings"]["properties"]["vector"])
            kept.points = []
        elif path == "_bulk":
            lines = [json.loads(line) for line in request.body.decode().splitlines()]
            assert {line["index"]["_index"] for line in lines[::2]} == {"handbook"}
            kept.points += [(doc["vector"], doc) for doc in lines[1::2]]
            return Answered({"errors": False, "items": []})
        elif path == "handbook/_search":
            near = request.json["knn"]
            found = kept.nearest(near["query_vector"], near["k"])
            hits = [
                {"_score": (1 + score) / 2, "_source": doc}
                for score, (_, doc) in found
                if (1 + score) / 2 >= request.json["min_score"]
            ]
            return Answered({"hits": {"hits": hits}})
        return Answered({"acknowledged": True})

    with serving(handle) as server:
        where = {"hosts": [server.url], "pathPrefix": "/es", "headers": ["X-Team: a"]}
        await kept_and_found(
            context, store(type=f"{AI}.embeddings.Elasticsearch", connection=where, indexName="handbook")
        )
        assert server.last.headers["x-team"] == "a"
    assert made == [{"type": "dense_vector", "dims": 2, "index": True, "similarity": "cosine"}] * 2


async def test_mongodb_atlas(context):
    with mongo() as (at, server):
        where = {"scheme": "mongodb", "host": at, "username": "flows", "password": "s3cret", "database": "company"}
        where["options"] = {"authMechanism": "PLAIN", "authSource": "$external", "retryWrites": True}
        one = store(type=f"{AI}.embeddings.MongoDBAtlas", **where, collectionName="handbook", indexName="vectors")
        with pytest.raises(TaskFailed, match=r"company\.handbook has no search index vectors\. .*`createIndex: true`"):
            await one.add(context, SEGMENTS, drop=False)
        one = one.model_copy(update={"create_index": True, "metadata_field_names": ["n"]})
        await kept_and_found(context, one)
        (index,) = server.indexes["company.handbook"]
        assert (index["name"], index["type"]) == ("vectors", "vectorSearch")
        assert index["definition"]["fields"] == [
            {"type": "vector", "path": "embedding", "numDimensions": 2, "similarity": "cosine"},
            {"type": "filter", "path": "metadata.n"},
        ]
    assert "s3cret" in context.masked


async def test_redis(context):
    async with searching() as (port, server):
        one = store(type=f"{AI}.embeddings.Redis", host="127.0.0.1", port=port, indexName="handbook")
        server.kept[b"embedding:of-another"] = json.dumps({"text": "x", "vector": [-1.0, 0.0]}).encode()
        await kept_and_found(context, one)
        assert server.indexes == {"handbook": b"handbook:"}
        assert b"embedding:of-another" in server.kept  # what another index holds stays
        odd = store(type=f"{AI}.embeddings.Redis", host="127.0.0.1", port=port, indexName="*")
        await kept_and_found(context, odd)
        assert b"embedding:of-another" in server.kept
        assert any(key.startswith(b"handbook:") for key in server.kept)
        server.indexes["all"] = b""  # as one that is made without a prefix
        every = store(type=f"{AI}.embeddings.Redis", host="127.0.0.1", port=port, indexName="all")
        with pytest.raises(TaskFailed, match=r"one of all keys; `drop` would delete them all\. Leave out `drop`"):
            await every.add(context, SEGMENTS, drop=True)


@pytest.mark.parametrize("columns", [{}, {"columnDefinitions": ["n INT"], "indexes": ["INDEX by_n (n)"]}])
async def test_mariadb(context, columns):
    def distance(one, other):
        a, b = json.loads(one), json.loads(other)
        if not (any(a) and any(b)):
            return None
        return 1 - sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    functions = {"VEC_FromText": str, "VEC_ToText": str, "VEC_DISTANCE_COSINE": distance}
    with mysql(functions) as (port, heard):
        where = {"databaseUrl": f"jdbc:mariadb://127.0.0.1:{port}/x", "username": "ann", "password": "s3cret"}
        about = {"tableName": "handbook", "fieldName": "id", "createTable": True, **columns}
        one = store(type=f"{AI}.embeddings.MariaDB", **where, **about)
        await kept_and_found(context, one)
        created = next(sql for sql in heard if sql.startswith("CREATE"))
        assert "embedding VECTOR(2) NOT NULL" in created
        assert created.endswith("VECTOR INDEX (embedding) M=8 DISTANCE=cosine)")
        assert ("n INT, INDEX by_n (n)" in created) == bool(columns)
        await one.model_copy(update={"create_table": False}).add(context, [Segment("only", [1.0, 1.0])], drop=True)
        await one.add(context, [Segment("nothing", [0.0, 0.0])], drop=False)
        assert [each.text for each in await one.nearest(context, [1.0, 1.0], 5, 0.0)] == ["only"]
        with pytest.raises(TaskFailed, match=r"`tableName` .* is no name of a table"):
            await one.model_copy(update={"table_name": "x; DROP TABLE y"}).add(context, SEGMENTS, drop=False)
