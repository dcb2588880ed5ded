"""Databases: PostgreSQL, DuckDB and SQLite, each the real one."""

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.jdbc.postgresql import address
from engine.tasks.sql_text import bound, sqlite_statements, statements
from tests.postgres import Server, server
from tests.wire.mysql import mysql

PLUGIN = "io.kestra.plugin.jdbc"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server() as found:
        yield found


@pytest.fixture
def pg(running, make_context):
    """A context, and what every task for a database of its own says."""
    address = running.create()
    parts = urlsplit(address)
    host = parse_qs(parts.query).get("host", [parts.hostname])[0]
    place = quote(host, safe="") + (f":{parts.port}" if parts.port else "")
    who = {"username": parts.username, "password": parts.password or "unused"}
    yield make_context(), {"url": f"jdbc:postgresql://{place}{parts.path}", **who}
    running.drop(address)


async def polled(context, name, **declared):
    """What a trigger sees when it looks once."""
    declared = {"id": "watch", "type": f"{PLUGIN}.{name}.Trigger", **declared}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    return await trigger.poll(context)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1; select 2;", ["select 1", "select 2"]),
        ("select ';' ; -- no; end\n /* nor; here */ ;", ["select ';'"]),
        ("select 'it''s;'; select \"a;b\"", ["select 'it''s;'", 'select "a;b"']),
        (r"select E'it\';s'; select 2", [r"select E'it\';s'", "select 2"]),
        (
            "create function f() as $body$ begin; end; $body$; select 2",
            ["create function f() as $body$ begin; end; $body$", "select 2"],
        ),
        ("do $$ begin; end $$;", ["do $$ begin; end $$"]),
        ("  \n", []),
    ],
)
def test_statements(text, expected):
    assert statements(text) == expected


def test_statements_of_mysql_and_sqlite():
    assert statements(r"select 'a\'; b'; select 2", backslashes=True) == [r"select 'a\'; b'", "select 2"]
    trigger = "create trigger t after insert on a begin update a set x = 1; update a set x = 2; end"
    assert len(sqlite_statements(f"create table a(x); {trigger}; select 1")) == 3


@given(st.text(alphabet="ab;'\" \n"))
def test_a_quoted_text_is_one_statement(text):
    quoted = "select '" + text.replace("'", "''") + "'"
    assert statements(quoted + "; select 2") == [quoted, "select 2"]


def test_parameters():
    text = "select :a::text, ':a', \"x:a\", :b -- :c\n, '%' where x like :a"
    found, values = bound(text, {"a": 1, "b": "x"}, lambda n: "%s", percent="%%")
    assert found == "select %s::text, ':a', \"x:a\", %s -- :c\n, '%%' where x like %s"
    assert values == [1, "x", 1]
    with pytest.raises(TaskFailed, match=":c"):
        bound("select :c", {"a": 1}, lambda n: "?")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("jdbc:postgresql://h:5433/shop", {"host": "h", "port": "5433", "dbname": "shop"}),
        ("jdbc:postgresql://h/", {"host": "h"}),
        ("jdbc:postgresql:shop", {"dbname": "shop"}),
        (
            "jdbc:postgresql://a:1,b:2/x?targetServerType=primary",
            {"host": "a,b", "port": "1,2", "dbname": "x", "target_session_attrs": "read-write"},
        ),
        (
            "jdbc:postgresql://h/x?ssl=true&user=u&currentSchema=s&tcpKeepAlive=true",
            {"host": "h", "dbname": "x", "sslmode": "require", "user": "u", "options": "-c search_path=s"},
        ),
    ],
)
def test_addresses(url, expected):
    assert address(url) == expected


async def test_one_statement(pg):
    context, at = pg
    query = {"type": f"{PLUGIN}.postgresql.Query", **at}
    columns = "'x%' as t, 1.50::numeric as d, date '2026-01-02' as day, null as nothing, jsonb '{\"a\": [1]}' as j"
    sql = f"select n, {columns} from generate_series(1, 3) n"
    found = await context.run(**query, sql=sql, fetchType="FETCH")
    assert found.size == 3
    assert found.rows[0] == {"n": 1, "t": "x%", "d": 1.5, "day": "2026-01-02", "nothing": None, "j": {"a": [1]}}
    found = await context.run(**query, sql=sql + ";", store=True)
    assert [json.loads(line)["n"] for line in context.files.text(found.uri).splitlines()] == [1, 2, 3]
    found = await context.run(
        **query,
        sql="select :name as a, :n + 1 as b, '100%' as c",
        parameters={"name": "O'Hara; drop", "n": 41},
        fetchOne=True,
    )
    assert (found.row, found.size) == ({"a": "O'Hara; drop", "b": 42, "c": "100%"}, 1)
    found = await context.run(**query, sql="select 1 where false", fetchType="FETCH_ONE")
    assert (found.row, found.size) == (None, 0)
    found = await context.run(
        **query, sql="select timestamptz '2026-01-01 00:00+00' as t", timeZoneId="Asia/Tokyo", fetchOne=True
    )
    assert found.row == {"t": "2026-01-01T09:00:00+09:00"}
    assert context.metrics["fetch.size"] == 8
    with pytest.raises(TaskFailed, match=r"2 statements.*Queries"):
        await context.run(**query, sql="select 1; select 2")
    with pytest.raises(TaskFailed, match='refused: relation "nope" does not exist'):
        await context.run(**query, sql="select * from nope")


async def test_several_statements_are_all_or_none(pg):
    context, at = pg
    queries = {"type": f"{PLUGIN}.postgresql.Queries", **at}
    await context.run(**queries, sql="drop table if exists things; create table things (id int primary key, name text)")
    found = await context.run(
        **queries,
        sql="insert into things values (1, 'a'), (2, 'b'); select * from things; select count(*) as n from things",
        fetchType="FETCH",
    )
    assert [len(one.rows) for one in found.outputs] == [2, 1]
    with pytest.raises(TaskFailed, match="duplicate key"):
        await context.run(**queries, sql="insert into things values (3, 'c'); insert into things values (1, 'x')")
    with pytest.raises(TaskFailed, match="duplicate key"):
        await context.run(
            **queries, sql="insert into things values (4, 'd'); insert into things values (1, 'x')", transaction=False
        )
    found = await context.run(**queries, sql="select id from things order by id", fetchType="STORE")
    assert [json.loads(line)["id"] for line in context.files.text(found.outputs[0].uri).splitlines()] == [1, 2, 4]


async def test_rows_and_files_go_in_and_out(pg):
    context, at = pg
    await context.run(
        type=f"{PLUGIN}.postgresql.Queries",
        **at,
        sql="drop table if exists goods; create table goods (id int, name text)",
    )
    rows = await context.files.put(b'{"id": 1, "name": "a"}\n{id: 2, name: "ion"}\n', "rows.jsonl")
    batch = {"type": f"{PLUGIN}.postgresql.Batch", **at, "from_": rows}
    done = await context.run(**batch, sql="insert into goods values (?, ?)", chunk=1)
    assert (done.rowCount, done.updatedCount) == (2, 2)
    await context.run(**batch, table="goods", columns=["id"])
    csv = await context.files.put(b"id,name\n3,c\n", "in.csv")
    copy = {**at, "table": "goods", "format": "CSV", "header": True}
    assert (await context.run(type=f"{PLUGIN}.postgresql.CopyIn", **copy, from_=csv)).rowCount == 1
    sql = "select id, name from goods order by id, name"
    out = await context.run(
        type=f"{PLUGIN}.postgresql.CopyOut", **at, sql=sql, format="CSV", header=True, delimiter=";"
    )
    assert context.files.text(out.uri) == "id;name\n1;a\n1;\n2;ion\n2;\n3;c\n"
    assert out.rowCount == 5
    bad = await context.files.put(b"{{{\n", "bad.txt")
    with pytest.raises(TaskFailed, match=r"Line 1 of bad\.txt is no row"):
        await context.run(**{**batch, "from_": bad}, table="goods")


async def test_the_trigger_sees_each_row_once(pg):
    context, at = pg
    create = "drop table if exists orders; create table orders (id int, seen bool default false);"
    await context.run(type=f"{PLUGIN}.postgresql.Queries", **at, sql=f"{create} insert into orders values (7)")
    watch = {
        **at,
        "sql": "select id from orders where not seen",
        "afterSQL": "update orders set seen = true",
        "fetchType": "FETCH",
        "interval": "PT5M",
    }
    assert (await polled(context, "postgresql", **watch)).rows == [{"id": 7}]
    assert await polled(context, "postgresql", **watch) is None


async def test_nobody_there_and_cancelling(pg):
    context, at = pg
    query = {"type": f"{PLUGIN}.postgresql.Query", "username": "u", "password": "s3cret"}
    with pytest.raises(TaskFailed, match=r"could not be reached at 127\.0\.0\.1:1"):
        await context.run(**query, url="jdbc:postgresql://127.0.0.1:1/x", sql="select 1")
    assert "s3cret" in context.masked
    with pytest.raises(TaskFailed, match="does not begin with"):
        await context.run(**query, url="jdbc:mysql://h/x", sql="select 1")
    with pytest.raises(TaskFailed, match="link-local"):
        await context.run(**query, url="jdbc:postgresql://169.254.169.254/x", sql="select 1")
    sleeping = asyncio.create_task(
        context.run(type=f"{PLUGIN}.postgresql.Query", **at, sql="select pg_sleep(60), 'mine' as mine")
    )
    busy = "select count(*) as n from pg_stat_activity where query like 'select pg_sleep(60)%' and state = 'active'"

    async def count() -> int:
        return (await context.run(type=f"{PLUGIN}.postgresql.Query", **at, sql=busy, fetchOne=True)).row["n"]

    while await count() == 0:
        await asyncio.sleep(0.01)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    while await count() > 0:
        await asyncio.sleep(0.01)


async def test_duckdb_over_files(context):
    csv = await context.files.put(b"id,name\n1,a\n2,b\n", "data.csv")
    files = {"inputFiles": {"in.csv": csv}}
    query = {"type": f"{PLUGIN}.duckdb.Query", **files}
    found = await context.run(**query, sql="select * from read_csv_auto('{{ workingDir }}/in.csv')", store=True)
    assert context.files.text(found.uri) == '{"id": 1, "name": "a"}\n{"id": 2, "name": "b"}\n'
    found = await context.run(
        **query, sql="select sum(id) as s from 'in.csv' where id < :most", parameters={"most": 9}, fetchType="FETCH_ONE"
    )
    assert found.row == {"s": 3}
    found = await context.run(
        type=f"{PLUGIN}.duckdb.Queries",
        **files,
        sql="create table t as select * from 'in.csv';"
        "copy (select name from t) to '{{ outputFiles.out }}' (header); select count(*) as n from t;",
        outputFiles=["out"],
        fetchType="FETCH",
        outputDbFile=True,
    )
    assert [one.rows for one in found.outputs] == [[{"n": 2}]]
    assert context.files.text(found.outputFiles["out"]) == "name\na\nb\n"
    again = await context.run(
        type=f"{PLUGIN}.duckdb.Query", databaseUri=found.databaseUri, sql="select max(name) as m from t", fetchOne=True
    )
    assert again.row == {"m": "b"}
    prepared = "create table t as select 1 as x; insert into t values (2); select count(*) as n from t;"
    assert (await context.run(**query, sql=prepared, fetchOne=True)).row == {"n": 2}
    with pytest.raises(TaskFailed, match="wrote no file 'nope'"):
        await context.run(**query, sql="select 1", outputFiles=["nope"])
    with pytest.raises(TaskFailed, match="refused: Catalog Error"):
        await context.run(**query, sql="select * from nope")


@pytest.mark.parametrize("name", ["excel; drop table t", "../excel", ""])
async def test_duckdb_refuses_an_extension_whose_name_is_none(context, name):
    with pytest.raises(TaskFailed, match="no name of a DuckDB extension"):
        await context.run(type=f"{PLUGIN}.duckdb.Query", sql="select 1 as x", communityExtensions=[name])


async def test_duckdb_says_which_extension_it_cannot_load(context, monkeypatch):
    import duckdb

    # No traffic in tests: DuckDB itself refuses to reach outside.
    opened = duckdb.connect

    def offline(path):
        connection = opened(path)
        connection.execute("SET enable_external_access = false")
        return connection

    monkeypatch.setattr(duckdb, "connect", offline)
    query = {"type": f"{PLUGIN}.duckdb.Query", "sql": "select 1 as x", "fetchType": "FETCH_ONE"}
    with pytest.raises(TaskFailed, match="can't load the extension quack_none"):
        await context.run(**query, communityExtensions=["quack_none"])
    assert (await context.run(**query, communityExtensions=[])).row == {"x": 1}


async def test_the_trigger_of_duckdb_knows_its_folder(context, tmp_path):
    path = tmp_path / "some" / "shop.db"
    await context.run(type=f"{PLUGIN}.duckdb.Queries", url=f"jdbc:duckdb:{path}", sql="create table t as select 1 as x")
    watch = {"url": f"jdbc:duckdb:{path}", "sql": "select x, '{{ workingDir }}' as folder from t"}
    found = await polled(context, "duckdb", **watch, fetchType="FETCH_ONE")
    assert found.row == {"x": 1, "folder": str(context.working_dir)}


async def test_sqlite(context, tmp_path):
    path = tmp_path / "shop.db"
    queries = {"type": f"{PLUGIN}.sqlite.Queries", "url": f"jdbc:sqlite:{path}"}
    await context.run(
        **queries, sql="create table t (id integer primary key, name text); insert into t values (1, 'a')"
    )
    with pytest.raises(TaskFailed, match="UNIQUE"):
        await context.run(
            **queries, sql="create table u (x); insert into t values (2, 'b'); insert into t values (1, 'x')"
        )
    found = await context.run(
        type=f"{PLUGIN}.sqlite.Query",
        url=f"jdbc:sqlite:{path}",
        sql="select * from t where name = :n",
        parameters={"n": "a"},
        fetch=True,
    )
    assert found.rows == [{"id": 1, "name": "a"}]
    stored = await context.files.put(path, "shop.db")
    changed = await context.run(
        **{**queries, "url": "jdbc:sqlite:shop.db"},
        sqliteFile=stored,
        sql="delete from t; select count(*) as n from t",
        fetchOne=True,
        outputDbFile=True,
    )
    assert (changed.outputs[0].row, changed.databaseUri != stored) == ({"n": 0}, True)
    rows = await context.files.put(b'["5", "five"]\n["6", null]\n', "rows.jsonl")
    done = await context.run(type=f"{PLUGIN}.sqlite.Batch", url=f"jdbc:sqlite:{path}", from_=rows, table="t")
    assert done.rowCount == 2
    tables = await context.run(**queries, sql="select name from sqlite_master", fetchType="FETCH")
    assert tables.outputs[0].rows == [{"name": "t"}]
    watch = {"url": f"jdbc:sqlite:{path}", "fetchType": "FETCH"}
    seen = await polled(
        context, "sqlite", **watch, sql="select max(id) as last from t where id > :n", parameters={"n": 1}
    )
    assert len(seen.rows) == 1
    assert await polled(context, "sqlite", **watch, sql="select 1 from t where name = 'nobody'") is None


async def test_redshift_speaks_the_same_protocol(pg):
    context, at = pg
    at = {**at, "url": at["url"].replace("postgresql", "redshift")}
    found = await context.run(type=f"{PLUGIN}.redshift.Query", **at, sql="select 1 as x", fetchType="FETCH_ONE")
    assert found.row == {"x": 1}
    found = await context.run(type=f"{PLUGIN}.redshift.Queries", **at, sql="select 1 as x; select 2", fetchType="FETCH")
    assert len(found.outputs) == 2
    assert (await polled(context, "redshift", **at, sql="select 7 as id", fetchType="FETCH")).rows == [{"id": 7}]
    assert await polled(context, "redshift", **at, sql="select 7 where false", fetchType="FETCH") is None


@pytest.mark.parametrize("family", ["mysql", "mariadb"])
async def test_a_file_is_loaded_into_a_table_of_mysql(context, family, tmp_path):
    source = await context.files.put(b"one\ntwo\n", "in.csv")
    load = "LOAD DATA LOCAL INFILE '{{ inputFile }}' INTO TABLE t"
    other = tmp_path / "other.txt"
    other.write_text("s3cret")
    who = {"username": "ann", "password": "s3cret"}
    with mysql() as (port, _):
        at = {"url": f"jdbc:{family}://127.0.0.1:{port}/shop?allowLoadLocalInfile=true", **who}
        several = {"type": f"{PLUGIN}.{family}.Queries", **at, "fetchType": "FETCH"}
        found = await context.run(
            **several, inputFile=source, sql=f"create table t (line text); {load}; select null as a, line from t"
        )
        assert found.outputs[-1].rows == [{"a": None, "line": "one"}, {"a": None, "line": "two"}]
        query = {"type": f"{PLUGIN}.{family}.Query", **at}
        await context.run(**query, inputFile=source, sql=load)
        found = await context.run(**query, sql="select count(*) as n from t", fetchType="FETCH_ONE")
        assert found.row == {"n": 4}
        with pytest.raises(TaskFailed, match="a file that `inputFile` does not give"):
            await context.run(**query, sql=load)
    with (
        mysql(curious=str(other)) as (port, _),
        pytest.raises(TaskFailed, match="does not give"),
    ):
        await context.run(**query | {"url": f"jdbc:{family}://127.0.0.1:{port}/shop"}, inputFile=source, sql=load)


@pytest.mark.parametrize("family", ["mysql", "mariadb"])
async def test_mysql(context, family):
    with mysql() as (port, heard):
        at = {"url": f"jdbc:{family}://127.0.0.1:{port}/shop?useUnicode=true", "username": "ann", "password": "s3cret"}
        create = "create table t (id int, name text); insert into t values (1, 'it\\'s; 50%'), (2, null)"
        await context.run(type=f"{PLUGIN}.{family}.Queries", **at, sql=create)
        query = {"type": f"{PLUGIN}.{family}.Query", **at}
        found = await context.run(**query, sql="select * from t", fetchType="FETCH")
        assert found.rows == [{"id": 1, "name": "it's; 50%"}, {"id": 2, "name": None}]
        sql = "select name, '5%' as p from t where name like :pattern"
        found = await context.run(**query, sql=sql, parameters={"pattern": "it's%"}, fetchType="FETCH_ONE")
        assert found.row == {"name": "it's; 50%", "p": "5%"}
        with pytest.raises(TaskFailed, match="Access denied"):
            await context.run(**{**query, "password": "no"}, sql="select 1")
        assert any(statement.startswith("insert into t") for statement in heard)
        seen = await polled(context, family, **at, sql="select id from t where name is null", fetchType="FETCH")
        assert seen.rows == [{"id": 2}]
        assert await polled(context, family, **at, sql="select id from t where id = 9", fetchType="FETCH") is None
        if family == "mysql":
            rows = await context.files.put(b'{"id": 3, "name": "c"}\n{"id": 4, "name": "d"}\n', "rows.jsonl")
            batch = await context.run(type=f"{PLUGIN}.mysql.Batch", **at, from_=rows, table="t")
            assert batch.rowCount == 2
            found = await context.run(**query, sql="select count(*) as n from t", fetchOne=True)
            assert found.row == {"n": 4}
