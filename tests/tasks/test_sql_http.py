"""Databases that answer over HTTP: ClickHouse, Trino, Druid, Dremio and Pinot; each in its own JSON."""

import asyncio
import base64
import json
from datetime import timedelta

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.jdbc.trino import is_kept_secret
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


def dremio(request):
    if request.path == "/apiv2/login":
        known = request.json == {"userName": "flows", "password": "s3cret"}
        return (
            Answered({"token": "t0ken"}) if known else Answered({"errorMessage": "Invalid username or password"}, 401)
        )
    if request.headers.get("authorization") not in ("_dremiot0ken", "Bearer p4t"):
        return Answered({"errorMessage": "Unauthorized"}, 401)
    match request.method, *request.path.strip("/").split("/")[2:]:
        case "POST", "sql":
            dremio.text, dremio.looks = request.json["sql"], 0
            return Answered({"id": "j1"})
        case "GET", "job", "j1":
            dremio.looks += 1
            if dremio.looks == 1:
                return Answered({"jobState": "RUNNING"})
            if "nonsense" in dremio.text:
                return Answered({"jobState": "FAILED", "errorMessage": 'PARSE ERROR: Encountered "nonsense"'})
            return Answered({"jobState": "COMPLETED", "rowCount": 0 if "nobody" in dremio.text else len(ROWS)})
        case "GET", "job", "j1", "results":
            start = int(request.query["offset"])
            rows = ROWS[start : start + min(int(request.query["limit"]), 500)]
            columns = [{"name": "id", "type": {"name": "INTEGER"}}, {"name": "name", "type": {"name": "VARCHAR"}}]
            return Answered({"rowCount": len(ROWS), "schema": columns, "rows": rows})
    return Answered({"errorMessage": "Not Found"}, 404)


SERVICES = {
    "clickhouse": (clickhouse, "jdbc:clickhouse://{at}/shop", "Syntax error", "Authentication failed"),
    "trino": (trino, "jdbc:trino://{at}/hive/shop", "mismatched input", "Invalid credentials"),
    "druid": (druid, "jdbc:avatica:remote:url=http://{at}/druid/v2/sql/avatica/", "druidException", "Unauthorized"),
    "dremio": (dremio, "http://{at}", "PARSE ERROR", "Invalid username or password"),
    "pinot": (pinot, "jdbc:pinot://{at}", "SQLParsingError", "Permission denied"),
}


@pytest.fixture(params=SERVICES)
def service(request, monkeypatch):
    monkeypatch.setattr("engine.tasks.jdbc.dremio.EVERY", timedelta(seconds=0.01))
    monkeypatch.setattr("engine.tasks.jdbc.dremio.PAGE", 1)
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
    assert any(b"WHERE city = 'L''Aquila'" in request.body for request in service.requests)
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


async def test_a_statement_may_follow(context, service):
    ask = {"type": f"{JDBC}.{service.name}.Query", "url": service.jdbc, **WHO, "fetchType": "FETCH"}
    ask |= {"sql": "SELECT id, name FROM people", "afterSQL": "DELETE FROM people WHERE id < :least"}
    assert (await context.run(**ask, parameters={"least": 9})).rows == ROWS
    asked = [
        part for one in service.requests for part in (b"FROM people WHERE id < 9", b"FROM people") if part in one.body
    ]
    assert asked == [b"FROM people", b"FROM people WHERE id < 9", b"FROM people"]
    with pytest.raises(TaskFailed, match=service.syntax):
        await context.run(**{**ask, "afterSQL": "nonsense"})


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
        after = await context.run(
            type=f"{JDBC}.{name}.Queries", **where, sql=sql, afterSQL="SELECT id, name FROM people"
        )
    assert [one.rows for one in found.outputs] == [ROWS, []]
    assert [one.rows for one in after.outputs] == [ROWS, [], ROWS]


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


@pytest.mark.parametrize("code", [502, 503, 504])
async def test_trino_is_asked_again_when_it_can_not_be_reached_for_a_moment(context, code):
    """`trino.io/docs`, client protocol: after these three the client tries again in 50 to 100 milliseconds."""
    turned_away = set()

    def gateway(request):
        if (request.method, request.path) in turned_away:
            return trino(request)
        turned_away.add((request.method, request.path))
        return Answered("no healthy upstream", code)

    asked = {"type": f"{JDBC}.trino.Query", **WHO, "sql": "SELECT 1", "fetchType": "FETCH"}
    with serving(gateway) as running:
        found = await context.run(**asked, url=running.url.replace("http:", "jdbc:trino:"))
    assert found.rows == ROWS
    assert len(turned_away) == 3


async def test_trino_goes_on_elsewhere(context):
    def gateway(request):
        if request.method == "POST":
            return Answered({"id": "q", "nextUri": f"{coordinator.url}/v1/statement/q/1"})
        return Answered(status=404)

    asked = {"type": f"{JDBC}.trino.Query", **WHO, "sql": "SELECT 1", "fetchType": "FETCH"}
    with serving(trino) as coordinator, serving(gateway) as running:
        trino.text = "SELECT 1"
        found = await context.run(**asked, url=running.url.replace("http:", "jdbc:trino:"))
    assert found.rows == ROWS
    assert coordinator.last.headers["authorization"] == BASIC
    with (
        serving(lambda request: Answered({"id": "q"})) as coordinator,
        serving(lambda request: Answered(status=307, headers={"Location": coordinator.url})) as running,
    ):
        await context.run(**asked, url=running.url.replace("http:", "jdbc:trino:"))
    assert coordinator.last.headers["x-trino-user"] == "flows"
    assert "authorization" not in coordinator.last.headers


@pytest.mark.parametrize(
    ("at", "more", "kept"),
    [
        ("https://t.test:443", "https://c1.test:8443/v1/statement/q/1", True),
        ("https://t.test:443", "HTTPS://t.test/v1/statement/q/1", True),
        ("https://t.test:443", "http://t.test:8080/v1/statement/q/1", False),
        ("http://t.test:8080", "http://t.test:8080/v1/statement/q/1", True),
    ],
)
def test_where_a_password_for_trino_may_go(at, more, kept):
    assert is_kept_secret(at, more) is kept


@pytest.mark.parametrize(
    ("name", "told"),
    [("trino", ["x"]), ("trino", 7), ("druid", ["x"]), ("druid", {"rows": 1}), ("druid", 7), ("druid", None)],
)
async def test_odd_answers_to_a_statement_end_in_a_sentence(context, name, told):
    with serving(lambda request: Answered(json.dumps(told), headers={"Content-Type": "application/json"})) as running:
        at = running.url.removeprefix("http://")
        ask = {"type": f"{JDBC}.{name}.Query", "sql": "SELECT 1", "url": SERVICES[name][1].format(at=at)}
        with pytest.raises(TaskFailed, match="answered with no"):
            await context.run(**ask)


@pytest.mark.parametrize(
    ("kind", "written", "told"),
    [
        ("decimal(10,4)", "0.0625", 0.0625),
        ("decimal(20,0)", "12345678901234567890", 12345678901234567890),
        ("double", 1.5, 1.5),
        ("double", "NaN", None),
        ("bigint", 7, 7),
        ("varchar(3)", "1.5", "1.5"),
        ("json", '{"a":["b",1]}', {"a": ["b", 1]}),
        ("json", "{", "{"),
        ("date", "2001-08-22", "2001-08-22"),
        ("timestamp(6)", "2020-06-10 15:55:23.383345", "2020-06-10T15:55:23.383345"),
        ("timestamp(3)", "+12020-06-10 15:55:23.383", "+12020-06-10 15:55:23.383"),
        ("timestamp(0) with time zone", "2001-08-22 03:04:05 America/Los_Angeles", "2001-08-22T12:04:05+02:00"),
        ("timestamp(0) with time zone", "2001-08-22 03:04:05 -08:00", "2001-08-22T13:04:05+02:00"),
        ("interval year to month", "1-3", "P15M"),
        ("interval day to second", "2 00:00:01.500", "PT48H1.5S"),
        ("array(decimal(3,1))", ["1.5"], ["1.5"]),
        ("decimal(3,1)", None, None),
    ],
)
async def test_what_trino_writes_as_text(context, kind, written, told):
    """`trino.io/docs`, client protocol: what JSON has no type for comes as text."""
    answer = {"id": "q", "columns": [{"name": "v", "type": kind}], "data": [[written]]}
    with serving(lambda request: Answered(answer)) as running:
        url = running.url.replace("http://", "jdbc:trino://")
        ask = {"type": f"{JDBC}.trino.Query", "url": url, "timeZoneId": "Europe/Paris", "fetchType": "FETCH_ONE"}
        assert (await context.run(**ask, sql="SELECT v")).row == {"v": told}


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("jdbc:trino://t.test:443/hive", "https://t.test:443"),
        ("jdbc:trino://t.test:443/hive?SSL=false", "http://t.test:443"),
        ("jdbc:trino://t.test:8080/hive", "http://t.test:8080"),
        ("jdbc:trino://t.test/hive?SSL=true", "https://t.test:443"),
        ("http://t.test:443", "http://t.test:443"),
        ("https://t.test", "https://t.test:443"),
    ],
)
def test_port_443_is_an_encrypted_one(url, reached):
    declared = {"id": "t", "type": f"{JDBC}.trino.Query", "url": url, "sql": "SELECT 1"}
    task = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert task.place[0] == reached


async def test_how_dremio_is_reached(context, monkeypatch):
    reached = []

    async def call(context, service, method, url, **given):
        reached.append(url)
        raise TaskFailed("nobody there")

    monkeypatch.setattr("engine.tasks.rest_service.call", call)
    ask = {"type": f"{JDBC}.dremio.Query", "sql": "SELECT 1", "password": "p4t"}
    for url in ("jdbc:dremio:direct=d.test:31010;schema=a.b", "jdbc:dremio:direct=d.test;ssl=true", "https://d.test"):
        with pytest.raises(TaskFailed, match="nobody there"):
            await context.run(**ask, url=url)
    cloud = "jdbc:dremio:direct=sql.eu.dremio.cloud:443;PROJECT_ID=p1;"
    for who, secured in (({}, ""), ({"username": "$token"}, "ssl=true;")):
        with pytest.raises(TaskFailed, match="nobody there"):
            await context.run(**ask, **who, url=cloud + secured)
        assert reached.pop() == "https://api.eu.dremio.cloud:443/v0/projects/p1/sql"
    with pytest.raises(TaskFailed, match="which project"):
        await context.run(**ask, url="jdbc:dremio:direct=sql.dremio.cloud:443;ssl=true")
    assert reached == [f"{at}/api/v3/sql" for at in ("http://d.test:9047", "https://d.test:9047", "https://d.test:443")]
    with pytest.raises(TaskFailed, match="no address of Dremio"):
        await context.run(**ask, url="jdbc:dremio:zk=z.test:2181")


async def test_several_statements_for_druid(context):
    with serving(druid) as running:
        url = f"jdbc:avatica:remote:url={running.url}/druid/v2/sql/avatica/;transparent_reconnection=true"
        ask = {"type": f"{JDBC}.druid.Queries", "url": url, **WHO, "fetchType": "FETCH"}
        found = await context.run(**ask, sql="SELECT id, name FROM people; SELECT id FROM nobody")
    assert [one.rows for one in found.outputs] == [ROWS, []]


@pytest.mark.parametrize(
    ("login", "begun", "said"),
    [({"t": 1}, {}, "without `token`"), ({"token": "t0ken"}, {}, "without `id`"), ([1], {}, "without `token`")],
)
async def test_what_dremio_answers_may_be_odd(context, login, begun, said):
    with serving(lambda request: Answered(login if request.path == "/apiv2/login" else begun)) as running:
        ask = {"type": f"{JDBC}.dremio.Query", "url": running.url, "username": "flows", "password": "s3cret"}
        with pytest.raises(TaskFailed, match=said):
            await context.run(**ask, sql="SELECT 1")
    assert "None" not in context.masked


async def test_a_project_of_dremio_cloud(context, monkeypatch):
    monkeypatch.setattr("engine.tasks.jdbc.dremio.EVERY", timedelta(seconds=0.01))

    def cloud(request):
        assert request.headers["authorization"] == "Bearer p4t"
        match request.method, *request.path.strip("/").split("/"):
            case "POST", "v0", "projects", "p1", "sql":
                return Answered({"id": "j1"})
            case "GET", "v0", "projects", "p1", "job", "j1":
                return Answered({"jobState": "COMPLETED", "rowCount": 2})
            case "GET", "v0", "projects", "p1", "job", "j1", "results":
                return Answered({"rowCount": 2, "schema": [{"name": "id"}, {"name": "name"}], "rows": ROWS})
        return Answered({"errorMessage": "Not Found"}, 404)

    with serving(cloud) as running:
        url = f"jdbc:dremio:direct={running.url.removeprefix('http://')};PROJECT_ID=p1;"
        ask = {"type": f"{JDBC}.dremio.Query", "url": url, "username": "dremio_token", "password": "p4t"}
        assert (await context.run(**ask, sql="SELECT * FROM people", fetchType="FETCH")).rows == ROWS


async def test_a_killed_task_is_killed_also_when_the_database_cancels_nothing(context):
    def one_that_runs(request):
        if request.path.endswith("/sql"):
            return Answered({"id": "j1"})
        if request.path.endswith("/cancel"):
            return Answered({"errorMessage": "It is over"}, 400)
        return Answered({"jobState": "RUNNING"})

    with serving(one_that_runs) as wire:
        query = {"type": f"{JDBC}.dremio.Query", "url": wire.url, "password": "p4t", "sql": "SELECT 1"}
        running = asyncio.create_task(context.run(**query))
        while not wire.requests or wire.last.path != "/api/v3/job/j1":
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert wire.last.path == "/api/v3/job/j1/cancel"


async def test_a_token_for_dremio_and_several_statements(context, monkeypatch):
    monkeypatch.setattr("engine.tasks.jdbc.dremio.EVERY", timedelta(seconds=0.01))
    with serving(dremio) as running:
        ask = {"type": f"{JDBC}.dremio.Queries", "url": running.url, "password": "p4t", "fetchType": "FETCH"}
        found = await context.run(**ask, sql="SELECT * FROM people; SELECT * FROM nobody")
        assert [one.rows for one in found.outputs] == [ROWS, []]
        assert running.requests[0].path == "/api/v3/sql"  # no login


async def test_rows_of_a_file_go_into_clickhouse(context):
    rows = [
        {"id": 1, "name": "L'A\\", "tags": ["a", "b"], "on": True},
        {"id": 2, "name": None, "tags": [], "on": False},
    ]
    uri = await context.files.put("".join(json.dumps(row) + "\n" for row in rows).encode(), "rows.jsonl")
    with serving(clickhouse) as running:
        at = running.url.removeprefix("http://")
        load = {"type": f"{JDBC}.clickhouse.BulkInsert", "url": f"jdbc:clickhouse://{at}/shop", **WHO, "from_": uri}
        done = await context.run(**load, table="people", columns=["id", "name"])
        assert (done.rowCount, running.last.query["database"]) == (2, "shop")
        head, *sent = running.last.body.decode().splitlines()
        assert head == "INSERT INTO people (id, name) FORMAT JSONEachRow"
        assert [json.loads(line) for line in sent] == [{"id": row["id"], "name": row["name"]} for row in rows]
        sql = "INSERT INTO people (id, name, tags, on) SETTINGS async_insert=1 values( ?, ?, ?, ?)"
        await context.run(**load, sql=sql, chunk=1)
        begin = "INSERT INTO people (id, name, tags, on) SETTINGS async_insert=1 VALUES "
        assert [one.body.decode() for one in running.requests[1:]] == [
            begin + r"( 1, 'L''A\\', ['a', 'b'], TRUE)",
            begin + "( 2, NULL, [], FALSE)",
        ]
        for given, said in [
            ({}, "not said where the rows go"),
            ({"sql": "INSERT INTO people SELECT 1"}, "no insert with marks"),
            ({"sql": "INSERT INTO people VALUES (?)"}, "has 4 values, `sql` has 1 marks"),
            ({"table": "nonsense"}, "Syntax error"),
        ]:
            with pytest.raises(TaskFailed, match=said):
                await context.run(**load, **given)


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
