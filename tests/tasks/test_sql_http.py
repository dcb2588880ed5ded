"""Databases that answer over HTTP: ClickHouse, Trino, Druid and Pinot; each in its own JSON."""

import base64
import json

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.sql_http import literal
from tests.wire.loopback import Answered, serving

JDBC = "io.kestra.plugin.jdbc"
ROWS = [{"id": 1, "name": "Ann"}, {"id": 2, "name": None}]
WHO = {"username": "flows", "password": "s3cret"}
BASIC = "Basic " + base64.b64encode(b"flows:s3cret").decode()


def clickhouse(request):
    if request.headers.get("x-clickhouse-key") != "s3cret":
        return Answered("Code: 516. DB::Exception: flows: Authentication failed", 403)
    text = request.body.decode()
    if "nonsense" in text:
        return Answered("Code: 62. DB::Exception: Syntax error: failed at position 1", 400)
    if text.startswith("INSERT"):
        return Answered(b"")
    if "FORMAT CSV" in text:
        return Answered("1,Ann\n")
    rows = [] if "nobody" in text else [list(row.values()) for row in ROWS]
    return Answered("".join(json.dumps(one, separators=(",", ":")) + "\n" for one in [["id", "name"], *rows]))


def trino(request):
    if request.headers.get("authorization") != BASIC:
        return Answered("Invalid credentials", 401)
    if request.method == "POST":
        text = request.body.decode()
        trino.text = text
        if "nonsense" in text:
            return Answered({"id": "q", "error": {"message": "line 1:1: mismatched input"}})
        return Answered({"id": "q", "nextUri": f"http://{request.headers['host']}/v1/statement/q/1"})
    if "nobody" in trino.text or trino.text.startswith("INSERT"):
        return Answered({"id": "q", "columns": [{"name": "id", "type": "bigint"}]})
    columns = [{"name": "id", "type": "bigint"}, {"name": "name", "type": "varchar"}]
    page = int(request.path[-1])
    more = {"nextUri": f"http://{request.headers['host']}/v1/statement/q/2"} if page == 1 else {}
    return Answered({"id": "q", "columns": columns, "data": [list(ROWS[page - 1].values())], **more})


def druid(request):
    if request.headers.get("authorization") != BASIC:
        return Answered({"error": "Unauthorized"}, 401)
    assert request.path == "/druid/v2/sql"
    if "nonsense" in request.json["query"]:
        return Answered({"error": "druidException", "errorMessage": "Incorrect syntax"}, 400)
    return Answered([] if "nobody" in request.json["query"] else ROWS)


def pinot(request):
    if request.headers.get("authorization") != BASIC:
        return Answered("Permission denied", 403)
    text = request.json["sql"]
    if "nonsense" in text:
        return Answered({"exceptions": [{"errorCode": 150, "message": "SQLParsingError"}]})
    rows = [] if "nobody" in text or text.startswith("INSERT") else [list(row.values()) for row in ROWS]
    return Answered({"resultTable": {"dataSchema": {"columnNames": ["id", "name"]}, "rows": rows}, "exceptions": []})


SERVICES = {
    "clickhouse": (clickhouse, "jdbc:clickhouse://{at}/shop", "Syntax error", "Authentication failed"),
    "trino": (trino, "jdbc:trino://{at}/hive/shop", "mismatched input", "Invalid credentials"),
    "druid": (druid, "jdbc:avatica:remote:url=http://{at}/druid/v2/sql/avatica/", "druidException", "Unauthorized"),
    "pinot": (pinot, "jdbc:pinot://{at}", "SQLParsingError", "Permission denied"),
}


@pytest.fixture(params=SERVICES)
def service(request):
    handler, url, syntax, denied = SERVICES[request.param]
    with serving(handler) as running:
        running.name, running.syntax, running.denied = request.param, syntax, denied
        running.jdbc = url.format(at=running.url.removeprefix("http://"))
        yield running


async def test_rows_are_fetched(context, service):
    ask = {"type": f"{JDBC}.{service.name}.Query", "url": service.jdbc, **WHO}
    sql = "SELECT id, name FROM people WHERE city = :city"
    given = {**ask, "sql": sql, "parameters": {"city": "L'Aquila"}}
    assert (await context.run(**given, fetchType="FETCH")).rows == ROWS
    assert b"WHERE city = 'L''Aquila'" in service.requests[0].body
    assert (await context.run(**given, fetchType="FETCH_ONE")).row == ROWS[0]
    stored = await context.run(**given, store=True)
    assert [json.loads(line) for line in context.files.text(stored.uri).splitlines()] == ROWS
    assert "s3cret" in context.masked
    with pytest.raises(TaskFailed, match=service.syntax):
        await context.run(**ask, sql="nonsense")
    with pytest.raises(TaskFailed, match=service.denied):
        await context.run(**{**ask, "password": "wrong"}, sql="SELECT 1")
    with pytest.raises(TaskFailed, match="holds 2 statements"):
        await context.run(**ask, sql="SELECT 1; SELECT 2")


async def test_a_trigger_looks_for_rows(context, service):
    for table, expected in (("people", 2), ("nobody", None)):
        declared = {"id": "t", "type": f"{JDBC}.{service.name}.Trigger", "url": service.jdbc, **WHO}
        declared |= {"sql": f"SELECT * FROM {{{{ '{table}' }}}}", "fetchType": "FETCH"}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
        found = await trigger.poll(context)
        assert (found and found.size) == expected


@pytest.mark.parametrize("name", ["clickhouse", "trino", "pinot"])
async def test_several_statements(context, name):
    handler, url, *_ = SERVICES[name]
    with serving(handler) as running:
        where = {"url": url.format(at=running.url.removeprefix("http://")), **WHO, "fetchType": "FETCH"}
        sql = "INSERT INTO people VALUES (3, ';'); SELECT id, name FROM people; SELECT id FROM nobody"
        found = await context.run(type=f"{JDBC}.{name}.Queries", **where, sql=sql)
    assert [one.rows for one in found.outputs] == [ROWS, []]


async def test_how_each_is_asked(context):
    with serving(clickhouse) as running:
        at = running.url.removeprefix("http://")
        ask = {"type": f"{JDBC}.clickhouse.Query", **WHO, "timeZoneId": "Europe/Paris"}
        await context.run(**ask, url=f"jdbc:clickhouse://{at}/shop", sql="SELECT 1")
        assert running.last.query["database"] == "shop"
        assert running.last.query["session_timezone"] == "Europe/Paris"
        with pytest.raises(TaskFailed, match="Leave `FORMAT` out"):
            await context.run(**ask, url=f"jdbc:clickhouse://{at}/shop", sql="SELECT 1 FORMAT CSV")
        with pytest.raises(TaskFailed, match="no address of ClickHouse"):
            await context.run(**ask, url=f"jdbc:mysql://{at}/shop", sql="SELECT 1")
    with serving(trino) as running:
        at = running.url.removeprefix("http://")
        await context.run(type=f"{JDBC}.trino.Query", **WHO, url=f"jdbc:trino://{at}/hive/shop", sql="SELECT 1")
        asked = running.requests[0].headers
        assert (asked["x-trino-catalog"], asked["x-trino-schema"], asked["x-trino-user"]) == ("hive", "shop", "flows")


@pytest.mark.parametrize(
    ("value", "backslashes", "written"),
    [
        (None, False, "NULL"),
        (True, False, "TRUE"),
        (1.5, False, "1.5"),
        ("a'b\\", False, "'a''b\\'"),
        ("a'b\\", True, "'a''b\\\\'"),
        ([1, "x"], False, "'[1, \"x\"]'"),
    ],
)
def test_values_stand_in_their_quotes(value, backslashes, written):
    assert literal(value, backslashes=backslashes) == written
