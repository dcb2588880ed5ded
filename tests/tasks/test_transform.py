"""Records picked, changed, joined and added up (`io.kestra.plugin.transform`)."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TaskFailed
from engine.tasks.record_expressions import Unfit, compiled
from engine.tasks.sql_rows import json_value

TYPE = "io.kestra.plugin.transform"
ORDERS = [
    {"id": "a", "user": {"id": 7}, "created": "2026-01-01T02:00:00+02:00", "items": [{"price": 10.5}, {"price": 2}]},
    {"id": "b", "user": {"id": 8}, "created": "soon", "items": []},
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 - -4", 11),
        ("(1 + 2) * 3 / 2", 4.5),
        ("1 / 0", None),
        ("0.1 + 0.2", 0.3),
        ("n = 5 && !(n != 5.0)", True),
        ('name >= "a\\"b" || missing', True),
        ("missing && true", None),
        ("n > 4 == true", True),
        ("n in (1, 5)", True),
        ('name in ("x", "y")', False),
        ("sum(items[].price)", 12.5),
        ("avg(items[].price) < max(items[].price)", True),
        ("count(items[])", 2),
        ("min(none)", None),
        ("items[1].price", 2),
        ("items[9].price", None),
        ('deep["a b"].c', "x"),
        ('coalesce(missing, null, "z")', "z"),
        ('concat(name, "-", n, missing, true)', "name-5true"),
        ('toInt("12") + toDecimal("0.5")', 12.5),
        ('toBoolean("TRUE")', True),
        ('parseTimestamp("2026-01-01T02:00:00+02:00")', "2026-01-01T00:00:00Z"),
        ("toString(n)", "5"),
    ],
)
def test_expressions(text, value):
    record = {"n": 5, "name": "name", "items": ORDERS[0]["items"], "deep": {"a b": {"c": "x"}}}
    assert json_value(compiled(text)(record)) == value


@pytest.mark.parametrize(
    "text", ["", "1 +", "f(1)", "sum()", "a b", "(a", "a[1.5]", '"\\x"', "a &", "1.2.3", "(" * 5000]
)
def test_what_is_no_expression(text):
    with pytest.raises(TaskFailed, match="expression"):
        compiled(text)


@pytest.mark.parametrize("text", ["n.a", "toInt(1.5)", "sum(n)", "name + 1", "!name", "name > 1", "9e999 * 9e999", "d"])
def test_what_does_not_fit_a_record(text):
    with pytest.raises(Unfit):
        compiled(f"-{text}" if text == "d" else text)({"n": 5, "name": "name", "d": "1e999999999"})


@given(st.text(alphabet='ab1.("),[]&|=!<>+-*/ $\\n', max_size=30))
def test_any_text_gives_a_value_or_says_why_not(text):
    with contextlib.suppress(TaskFailed, Unfit):
        json.dumps(json_value(compiled(text)({"a": 1, "b": [{"a": "1"}]})))


async def test_map_makes_records_anew(context):
    fields = {"who": "user.id", "at": {"expr": "created", "type": "timestamp"}, "none": {"expr": "x", "optional": True}}
    task = {"type": f"{TYPE}.Map", "from_": json.dumps(ORDERS), "fields": fields}
    with pytest.raises(TaskFailed, match="Record 2: `at`: 'soon'"):
        await context.run(**task)
    found = await context.run(**task, onError="SKIP")
    assert found.records == [{"who": 7, "at": "2026-01-01T00:00:00Z"}]
    assert (context.metrics["processed"], context.metrics["failed"], context.metrics["dropped"]) == (2, 1, 1)
    found = await context.run(**task, onError="NULL", dropNulls=False, keepOriginalFields=True)
    assert found.records[1] == {**ORDERS[1], "who": 8, "at": None, "none": None}
    with pytest.raises(TaskFailed, match="nothing for `a`"):
        await context.run(**{**task, "fields": {"a": "x"}})
    uri = await context.files.put(json.dumps({"first": ORDERS}, indent=1).encode(), "down.json")
    task = {"type": f"{TYPE}.Map", "from_": uri, "fields": {"id": "first[0].id"}}
    stored = await context.run(**task)
    assert stored.records is None
    assert context.files.text(stored.uri) == '{"id": "a"}\n'
    assert (await context.run(**task, outputType="RECORDS")).records == [{"id": "a"}]
    with pytest.raises(TaskFailed, match="Record 1 of `from` is no map"):
        await context.run(**{**task, "from_": [1]})


async def test_filter_keeps_what_meets_a_condition(context):
    rows = [{"n": 1, "on": True}, {"n": 5, "on": True}, {"n": 9, "on": False}, {"n": "x", "on": True}]
    task = {"type": f"{TYPE}.Filter", "from_": rows, "where": "on && n > 2"}
    with pytest.raises(TaskFailed, match="Record 4: x is no number"):
        await context.run(**task)
    assert (await context.run(**task, onError="SKIP")).records == [rows[1]]
    assert [context.metrics[name] for name in ("processed", "passed", "dropped", "failed")] == [4, 1, 3, 1]
    assert (await context.run(**task, onError="keep")).records == [rows[1], rows[3]]
    with pytest.raises(TaskFailed, match="the condition is null"):
        await context.run(**{**task, "where": "missing"})


async def test_unnest_makes_a_record_of_each_entry(context):
    rows = [{"id": 1, "a": {"b": [1, 2], "c": 3}}, {"id": 2}, {"id": 3, "a": {"b": "x"}}]
    task = {"type": f"{TYPE}.Unnest", "from_": rows, "path": "a.b[]", "as": "one"}
    with pytest.raises(TaskFailed, match="Record 3: x is no list"):
        await context.run(**task)
    found = await context.run(**task, onError="NULL")
    assert found.records == [
        {"id": 1, "a": {"c": 3}, "one": 1},
        {"id": 1, "a": {"c": 3}, "one": 2},
        {"id": 3, "a": {}, "one": None},
    ]
    found = await context.run(**task, onError="SKIP", keepOriginalFields=False)
    assert found.records == [{"one": 1}, {"one": 2}]


async def test_aggregate_adds_up_group_by_group(context):
    rows = [{"c": "x", "n": 10, "t": "b"}, {"c": "y", "n": 1}, {"c": "x", "n": 5, "t": "a"}, {"c": "y", "n": "?"}]
    works = {name: f"{name}(n)" for name in ("sum", "avg", "first", "last")} | {"count": "count()", "min": "min(t)"}
    task = {"type": f"{TYPE}.Aggregate", "from_": rows[:3], "groupBy": ["c"], "aggregates": works}
    x, y = (await context.run(**task)).records
    assert x == {"c": "x", "sum": 15, "avg": 7.5, "first": 10, "last": 5, "count": 2, "min": "a"}
    assert y == {"c": "y", "sum": 1, "avg": 1, "first": 1, "last": 1, "count": 1, "min": None}
    assert context.metrics["groups"] == 2
    task |= {"from_": rows, "aggregates": {"sum": {"expr": "sum(n)", "type": "INT"}, "count": "count()"}}
    with pytest.raises(TaskFailed, match=r"Record 4: \? is no number"):
        await context.run(**task)
    assert (await context.run(**task, onError="NULL")).records[1] == {"c": "y", "sum": None, "count": 2}
    assert (await context.run(**task, onError="SKIP")).records[1] == {"c": "y", "sum": 1, "count": 1}
    with pytest.raises(TaskFailed, match="adds nothing up"):
        await context.run(**{**task, "aggregates": {"a": "n"}})


async def test_select_and_zip_join_by_place(context):
    orders = [{"id": 1, "amount": 120, "none": None}, {"id": 2, "amount": 70}]
    people = await context.files.put(b'{"id": 8, "name": "Ann"}\n{"id": 9, "name": "Bob"}\n', "people.jsonl")
    task = {"type": f"{TYPE}.Select", "inputs": [orders, people], "outputType": "RECORDS"}
    found = await context.run(**task, where="amount > 100 && $1.id = 1", fields={"who": "$2.name"}, keepInputFields=[1])
    assert found.records == [{"id": 1, "amount": 120, "who": "Ann"}]
    assert (await context.run(**task, where="name > 1", onError="KEEP")).records[1] == {
        "id": 9,
        "amount": 70,
        "name": "Bob",
    }
    with pytest.raises(TaskFailed, match="differ in length: 1, 2"):
        await context.run(**{**task, "inputs": [orders[:1], people]})
    assert len((await context.run(**{**task, "inputs": [orders[:1], people]}, onLengthMismatch="SKIP")).records) == 1
    task = {"type": f"{TYPE}.Zip", "inputs": [people, orders]}
    with pytest.raises(TaskFailed, match="`id` is in several inputs"):
        await context.run(**task)
    stored = await context.run(**task, onConflict="LEFT")
    assert json.loads(context.files.text(stored.uri).splitlines()[0])["id"] == 8
    assert (await context.run(**task, onConflict="RIGHT", outputType="RECORDS")).records[0]["id"] == 1
    assert (await context.run(**task, onError="SKIP", outputType="RECORDS")).records == []
