"""Where vectors are kept: pgvector for real, Qdrant and Chroma at the wire; and questions put to a database."""

import math
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.ai.embeddings import Segment
from tests.wire.loopback import Answered, serving

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


class Vectors:
    """Collections of points, found by their cosine."""

    def __init__(self):
        self.points = None

    def nearest(self, vector, most):
        def cosine(point):
            return (
                sum(a * b for a, b in zip(vector, point[0], strict=True)) / math.hypot(*vector) / math.hypot(*point[0])
            )

        return sorted(((cosine(point), point) for point in self.points), key=lambda one: -one[0])[:most]


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
