"""Statements for Cassandra, through its own driver; the node is faked at the native protocol."""

import json

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.cassandra import NUMBER, TEXT, cassandra_node

CASSANDRA = "io.kestra.plugin.cassandra.standard"


@pytest.fixture(scope="module")
def node():
    with cassandra_node("s3cret") as running:
        running.answers["SELECT id, name FROM shop.people"] = (
            [("id", NUMBER), ("name", TEXT)],
            [[1, "Ann"], [2, None]],
        )
        running.answers["SELECT id FROM shop.nobody"] = ([("id", NUMBER)], [])
        yield running


def session(node, password="s3cret"):
    where = {"endpoints": [{"hostname": "127.0.0.1", "port": node.port}], "localDatacenter": "dc1"}
    return {"session": {**where, "username": "flows", "password": password}}


async def test_rows_are_fetched(context, node):
    ask = {"type": f"{CASSANDRA}.Query", **session(node), "cql": "SELECT id, name FROM shop.people"}
    rows = [{"id": 1, "name": "Ann"}, {"id": 2, "name": None}]
    assert (await context.run(**ask, fetchType="FETCH")).rows == rows
    assert (await context.run(**ask, fetchType="FETCH_ONE")).row == rows[0]
    stored = await context.run(**{**ask, "type": "io.kestra.plugin.cassandra.Query"}, fetchType="STORE")
    assert [json.loads(line) for line in context.files.text(stored.uri).splitlines()] == rows
    assert "s3cret" in context.masked
    insert = "INSERT INTO shop.people (id) VALUES (3)"
    assert (await context.run(**{**ask, "cql": insert})).size == 0
    assert insert in node.statements


async def test_a_trigger_looks_for_rows(context, node):
    for table, expected in (("people", 2), ("nobody", None)):
        columns = "id, name" if table == "people" else "id"
        cql = f"SELECT {columns} FROM {{{{ 'shop' }}}}.{table}"
        declared = {"id": "t", "type": f"{CASSANDRA}.Trigger", **session(node), "cql": cql, "fetchType": "FETCH"}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
        found = await trigger.poll(context)
        assert (found and found.size) == expected


async def test_what_goes_wrong_is_told(context, node):
    ask = {"type": f"{CASSANDRA}.Query", "cql": "nonsense"}
    with pytest.raises(TaskFailed, match=r"Cassandra refused: .*no viable alternative"):
        await context.run(**ask, **session(node))
    with pytest.raises(TaskFailed, match=r"could not be reached: .*incorrect.*Check `endpoints`"):
        await context.run(**ask, **session(node, "wrong"))
