"""Where vectors are kept: pgvector for real, the others at the wire; and questions put to a database."""

import json
import re
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.ai.embeddings import Segment
from tests.wire.loopback import Answered, serving
from tests.wire.vectors import Vectors

AI = "io.kestra.plugin.ai"
SEGMENTS = [Segment("north", [0.0, 1.0], {"n": 1}), Segment("east", [1.0, 0.0]), Segment("south", [0.0, -1.0])]


@pytest.fixture
def place(new_postgres):
    """Where the database is, for a store."""
    parts = urlsplit(new_postgres)
    host = parse_qs(parts.query).get("host", [parts.hostname])[0]
    who = {"user": parts.username, "password": parts.password or "unused", "database": parts.path.strip("/")}
    return {"host": host, "port": parts.port or 5432, **who}


def store(**declared):
    return catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})


async def kept_and_found(context, one):
    """What every store does."""
    await one.add(context, SEGMENTS[:1], drop=False)
    await one.add(context, SEGMENTS, drop=True)
    found = await one.nearest(context, [0.1, 1.0], 2, 0.0)
    assert [segment.text for segment in found] == ["north", "east"]
    assert (found[0].metadata, list(found[0].vector)) == ({"n": 1}, [0.0, 1.0])
    assert [segment.text for segment in await one.nearest(context, [0.1, 1.0], 9, 0.9)] == ["north"]
    await one.add(context, [Segment("up", [0.1, 1.0])], drop=False)
    assert [segment.text for segment in await one.nearest(context, [0.1, 1.0], 1, 0.0)] == ["up"]


@pytest.mark.parametrize("index", [False, True])
async def test_pgvector(context, place, index):
    one = store(type=f"{AI}.embeddings.PGVector", **place, table="what_is_known", useIndex=index)
    await kept_and_found(context, one)
    with pytest.raises(TaskFailed, match="is no name of a table"):
        await one.model_copy(update={"table": "x; DROP TABLE y"}).add(context, SEGMENTS, drop=False)


async def test_qdrant(context):
    kept = Vectors()

    def handle(request):
        assert request.headers["api-key"] == "s3cret"
        path = request.path.removeprefix("/collections/handbook")
        if request.method == "DELETE":
            kept.points = None
        elif path == "/exists":
            return Answered({"result": {"exists": kept.points is not None}})
        elif path == "/points":
            kept.points += [(one["vector"], one["payload"]) for one in request.json["points"]]
        elif path == "/points/query":
            asked = request.json
            found = kept.nearest(asked["query"], asked["limit"])
            points = [
                {"score": score, "payload": payload, "vector": vector}
                for score, (vector, payload) in found
                if score >= asked["score_threshold"]
            ]
            return Answered({"result": {"points": points}})
        else:
            assert request.json == {"vectors": {"size": 2, "distance": "Cosine"}}
            kept.points = []
        return Answered({"result": True})

    with serving(handle) as server:
        parts = urlsplit(server.url)
        where = {"host": parts.hostname, "port": parts.port, "apiKey": "s3cret", "collectionName": "handbook"}
        await kept_and_found(context, store(type=f"{AI}.embeddings.Qdrant", **where))
    assert "s3cret" in context.masked


async def test_chroma(context):
    kept = Vectors()
    base = "/api/v2/tenants/default_tenant/databases/default_database/collections"

    def handle(request):
        path = request.path.removeprefix(base)
        if request.method == "DELETE":
            kept.points = None
        elif path == "":
            assert request.json["get_or_create"]
            kept.points = kept.points or []
            return Answered({"id": "c1"})
        elif path == "/c1/add":
            body = request.json
            kept.points += zip(body["embeddings"], zip(body["documents"], body["metadatas"], strict=True), strict=True)
        else:
            found = kept.nearest(request.json["query_embeddings"][0], request.json["n_results"])
            columns = {
                "distances": [1 - score for score, _ in found],
                "embeddings": [point[0] for _, point in found],
                "documents": [point[1][0] for _, point in found],
                "metadatas": [point[1][1] for _, point in found],
            }
            return Answered({name: [values] for name, values in columns.items()})
        return Answered({})

    with serving(handle) as server:
        one = store(type=f"{AI}.embeddings.Chroma", baseUrl=server.url, collectionName="handbook")
        await kept_and_found(context, one)


async def test_pinecone(make_context):
    kept, made = Vectors(), []

    def handle(request):
        assert (request.headers["api-key"], request.headers["x-pinecone-api-version"]) == ("s3cret", "2025-01")
        if request.path == "/indexes":
            made.append(request.json)
            kept.points = []
            return Answered({"name": "handbook"}, 201)
        if request.path == "/indexes/handbook":
            about = {"host": server.url.removeprefix("http://"), "status": {"ready": True}}
            return Answered(about) if made else Answered({"error": {"code": "NOT_FOUND", "message": "none"}}, 404)
        asked = request.json
        assert asked["namespace"] == "default"
        if request.path == "/vectors/delete":
            assert asked["deleteAll"] is True
            there, kept.points = bool(kept.points), []
            return Answered({}) if there else Answered({"code": 5, "message": "Namespace not found"}, 404)
        if request.path == "/vectors/upsert":
            kept.points += [(one["values"], one["metadata"]) for one in asked["vectors"]]
            return Answered({"upsertedCount": len(asked["vectors"])})
        assert (request.path, asked["includeMetadata"], asked["includeValues"]) == ("/query", True, True)
        found = kept.nearest(asked["vector"], asked["topK"])
        matches = [{"id": "x", "score": score, "values": at, "metadata": about} for score, (at, about) in found]
        return Answered({"matches": matches})

    with serving(handle) as server:
        context = make_context({"providers": {"pinecone": {"base_url": server.url}}})
        where = {"apiKey": "s3cret", "cloud": "AWS", "region": "us-east-1", "index": "handbook"}
        one = store(type=f"{AI}.embeddings.Pinecone", **where)
        with pytest.raises(TaskFailed, match="has no index handbook"):
            await one.nearest(context, [1.0, 0.0], 1, 0.0)
        await one.add(context, [], drop=True)
        assert made == []
        await one.add(context, SEGMENTS[:1], drop=True)
        serverless = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        assert made == [{"name": "handbook", "dimension": 2, "metric": "cosine", "spec": serverless}]
        await kept_and_found(context, one)
    assert "s3cret" in context.masked


async def test_weaviate(context):
    kept, there = Vectors(), []

    def handle(request):
        assert request.headers["authorization"] == "Bearer s3cret"
        if request.path == "/v1/schema/Handbook":
            return Answered({"class": "Handbook"}) if there else Answered(None, 404)
        if request.method == "DELETE":
            match = request.json["match"]
            assert match == {"class": "Handbook", "where": {"path": ["_id"], "operator": "NotEqual", "valueText": ""}}
            gone, kept.points = kept.points[:2], kept.points[2:]  # so many at once
            return Answered({"results": {"matches": len(gone), "successful": len(gone), "failed": 0}})
        if request.path == "/v1/batch/objects":
            there.append(request.query)
            objects = request.json["objects"]
            if any("bad" in one["properties"]["text"] for one in objects):
                return Answered([{"result": {"errors": {"error": [{"message": "vector lengths don't match"}]}}}])
            known = dict.fromkeys(one["id"] for one in objects)
            kept.points = [point for point in kept.points or [] if point[2] not in known]
            kept.points += [(one["vector"], one["properties"], one["id"]) for one in objects]
            return Answered([{"result": {"status": "SUCCESS"}} for _ in objects])
        query = request.json["query"]
        asked = re.search(r"Get { (\w+)\(nearVector: {vector: (\[.*?\]), certainty: ([\d.]+)}, limit: (\d+)\)", query)
        if asked[1] != "Handbook":
            return Answered({"errors": [{"message": f'Cannot query field "{asked[1]}"'}]})
        assert "{ text _metadata { n source } _additional { vector } }" in query
        found = [
            point
            for score, point in kept.nearest(json.loads(asked[2]), int(asked[4]))
            if (1 + score) / 2 >= float(asked[3])
        ]
        rows = [
            {
                "text": about["text"],
                "_metadata": {"source": None, **about.get("_metadata", {})},
                "_additional": {"vector": at},
            }
            for at, about, _ in found
        ]
        return Answered({"data": {"Get": {"Handbook": rows}}})

    with serving(handle) as server:
        parts = urlsplit(server.url)
        where = {"scheme": "http", "host": parts.hostname, "port": parts.port, "apiKey": "s3cret"}
        one = store(
            type=f"{AI}.embeddings.Weaviate",
            **where,
            objectClass="Handbook",
            metadataKeys=["n", "source"],
            consistencyLevel="ALL",
        )
        await one.add(context, [Segment("north", [1.0, 1.0])], drop=True)
        await one.add(context, [Segment("north", [0.0, 1.0])], drop=False)
        assert len(kept.points) == 1  # the same text is kept once
        await kept_and_found(context, one)
        assert there[0] == {"consistency_level": "ALL"}
        with pytest.raises(TaskFailed, match="kept not all texts: vector lengths don't match"):
            await one.add(context, [Segment("bad", [1.0])], drop=False)
        with pytest.raises(TaskFailed, match='refused: Cannot query field "Other"'):
            await one.model_copy(update={"object_class": "Other"}).nearest(context, [1.0], 1, 0.0)
        with pytest.raises(TaskFailed, match=r"`objectClass` .* is no name"):
            await one.model_copy(update={"object_class": "X){a}"}).nearest(context, [1.0], 1, 0.0)


@pytest.mark.parametrize("more", [{}, {"textFieldName": "said", "retrieveEmbeddingsOnSearch": True}])
async def test_milvus(context, more):
    kept, made = Vectors(), []
    name = more.get("textFieldName", "text")

    def handle(request):
        if request.headers["authorization"] != "Bearer flows:s3cret":
            return Answered({"code": 1800, "message": "user hasn't authenticated"})
        what, asked, data = request.path.removeprefix("/v2/vectordb/"), request.json, {}
        assert (asked["collectionName"], asked["dbName"]) == ("default", "company")
        if what == "collections/has":
            data = {"has": kept.points is not None}
        elif what == "collections/drop":
            kept.points = None
        elif what == "collections/create":
            made.append(asked)
            kept.points = []
        elif what == "entities/insert":
            kept.points += [(row["vector"], row) for row in asked["data"]]
        else:
            assert (what, asked["annsField"], asked["consistencyLevel"]) == ("entities/search", "vector", "Eventually")
            found = kept.nearest(asked["data"][0], asked["limit"])
            data = [
                {
                    "id": row["id"],
                    "distance": score,
                    **{field: row[field] for field in asked["outputFields"]},
                    "metadata": json.dumps(row["metadata"]),
                }
                for score, (_, row) in found
            ]
        return Answered({"code": 0, "data": data})

    with serving(handle) as server:
        where = {"uri": server.url.replace("http://", "milvus://"), "databaseName": "company", **more}
        one = store(type=f"{AI}.embeddings.Milvus", **where, username="flows", password="s3cret")
        await one.add(context, SEGMENTS[:1], drop=False)
        await one.add(context, SEGMENTS, drop=True)
        found = await one.nearest(context, [0.1, 1.0], 2, 0.0)
        assert [(each.text, each.metadata) for each in found] == [("north", {"n": 1}), ("east", {})]
        assert found[0].vector == ([0.0, 1.0] if more else [])
        assert [each.text for each in await one.nearest(context, [0.1, 1.0], 9, 0.9)] == ["north"]
        fields = {field["fieldName"]: field for field in made[0]["schema"]["fields"]}
        assert list(fields) == ["id", name, "metadata", "vector"]
        assert fields["vector"]["elementTypeParams"] == {"dim": "2"}
        assert made[0]["indexParams"][0]["metricType"] == "COSINE"
        with pytest.raises(TaskFailed, match="refused collections/has: user hasn't authenticated"):
            await one.model_copy(update={"token": "other"}).add(context, SEGMENTS, drop=False)
    assert "s3cret" in context.masked
    far = store(type=f"{AI}.embeddings.Milvus", metricType="L2")
    assert far._score(0.0) == 1.0


async def test_a_question_is_answered_from_a_database(context, new_postgres, place, openai_service):
    with psycopg.connect(new_postgres, autocommit=True) as connection:
        connection.execute("CREATE TABLE sale (customer text, total int)")
        connection.execute("INSERT INTO sale VALUES ('Ann', 7), ('Bob', 9)")
    host = quote(place["host"], safe="")
    model = {"type": f"{AI}.provider.OpenAI", "baseUrl": openai_service.url, "apiKey": "k", "modelName": "m"}
    retriever = {"type": f"{AI}.retriever.SqlDatabaseRetriever", "databaseType": "POSTGRESQL", "provider": model}
    retriever |= {"username": place["user"], "password": place["password"]}
    retriever |= {"jdbcUrl": f"jdbc:postgresql://{host}:{place['port']}/{place['database']}"}
    openai_service.replies.clear()
    openai_service.replies.extend(["```sql\nSELECT customer FROM sale ORDER BY total DESC LIMIT 1;\n```", "Bob."])
    ask = {"type": f"{AI}.rag.ChatCompletion", "chatProvider": model, "prompt": "Who bought most?"}
    found = await context.run(**ask, contentRetrievers=[retriever])
    assert found.textOutput == "Bob."
    asked = [request.json["messages"] for request in openai_service.wire.requests]
    assert "public.sale (customer text, total integer)" in asked[0][0]["content"]
    assert '{"customer": "Bob"}' in asked[1][-1]["content"]
    one = store(**retriever)
    for wrong, said in (
        ("DELETE FROM sale", "wrote no single SELECT"),
        ("SELECT 1; DELETE FROM sale", "wrote no single SELECT"),
        ("WITH gone AS (DELETE FROM sale RETURNING *) SELECT * FROM gone", "read-only transaction"),
    ):
        openai_service.replies.clear()
        openai_service.replies.append(wrong)
        with pytest.raises(TaskFailed, match=said):
            await one.retrieve(context, "Who?")
    with pytest.raises(TaskFailed, match="inside of Java"):
        await one.model_copy(update={"database_type": "H2"}).retrieve(context, "Who?")


async def test_pinecone_is_sent_no_more_at_once_than_it_takes(make_context):
    sizes, count = [], 0

    def handle(request):
        nonlocal count
        if request.path == "/indexes/handbook":
            return Answered({"host": server.url, "status": {"ready": True}})
        sizes.append(len(request.body))
        count += len(request.json["vectors"])
        return Answered({})

    with serving(handle) as server:
        context = make_context({"providers": {"pinecone": {"base_url": server.url}}})
        where = {"apiKey": "s3cret", "cloud": "AWS", "region": "us-east-1", "index": "handbook"}
        segments = [Segment("é" * 2000, [0.012345678901234567] * 1536) for _ in range(100)]
        await store(type=f"{AI}.embeddings.Pinecone", **where).add(context, segments, drop=False)
    assert (count, max(sizes) <= 2_000_000, len(sizes)) == (100, True, 3)


@pytest.mark.parametrize("odd", [[1], {}, {"code": 0}, {"code": 0, "data": []}])
async def test_what_vector_stores_answer_may_be_odd(make_context, odd):
    with serving(lambda request: Answered(odd)) as server:
        context = make_context({"providers": {"pinecone": {"base_url": server.url}}})
        pinecone = {"apiKey": "s3cret", "cloud": "AWS", "region": "us-east-1", "index": "handbook"}
        elastic = {"connection": {"hosts": [server.url]}, "indexName": "handbook"}
        where = {"host": "127.0.0.1", "port": urlsplit(server.url).port, "apiKey": "s3cret"}
        weaviate = store(type=f"{AI}.embeddings.Weaviate", scheme="http", **where, objectClass="Handbook")
        with pytest.raises(TaskFailed, match="Weaviate does not say what it kept"):
            await weaviate.add(context, SEGMENTS, drop=False)
        if odd == [1]:
            with pytest.raises(TaskFailed, match="Weaviate does not say what it found"):
                await weaviate.nearest(context, [1.0], 1, 0.0)
        with pytest.raises(TaskFailed, match="Pinecone answered with"):
            await store(type=f"{AI}.embeddings.Pinecone", **pinecone).add(context, SEGMENTS, drop=False)
        with pytest.raises(TaskFailed, match="Milvus answered with"):
            await store(type=f"{AI}.embeddings.Milvus", uri=server.url).add(context, SEGMENTS, drop=False)
        why = "with no object" if odd == [1] else r"without `hits\.hits`"
        with pytest.raises(TaskFailed, match=f"Elasticsearch answered {why}"):
            await store(type=f"{AI}.embeddings.Elasticsearch", **elastic).nearest(context, [1.0], 1, 0.0)
        qdrant = store(type=f"{AI}.embeddings.Qdrant", **where, collectionName="handbook")
        chroma = store(type=f"{AI}.embeddings.Chroma", baseUrl=server.url, collectionName="handbook")
        with pytest.raises(TaskFailed, match=r"Qdrant answered without `result\.exists`"):
            await qdrant.add(context, SEGMENTS, drop=False)
        with pytest.raises(TaskFailed, match=r"Qdrant answered without `result\.points`"):
            await qdrant.nearest(context, [1.0], 1, 0.0)
        for asked in (chroma.add(context, SEGMENTS, drop=True), chroma.nearest(context, [1.0], 1, 0.0)):
            with pytest.raises(TaskFailed, match="Chroma answered without `id`"):
                await asked
