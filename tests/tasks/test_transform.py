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
        ("deep['a b'].c == 'x' && name != 'it\\'s \"so\"'", True),
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


@given(st.text(alphabet="ab1.(\"'),[]&|=!<>+-*/ $\\n", max_size=30))
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


async def test_rows_of_ion_are_all_read(context):
    uri = await context.files.put(b"{n: 1}\n{n: 2}\n[{n: 3}]\n", "rows.ion")
    task = {"type": f"{TYPE}.Filter", "from_": uri, "where": "n > 1", "outputType": "RECORDS"}
    assert (await context.run(**task)).records == [{"n": 2}, {"n": 3}]
    uri = await context.files.put(b"[{n: 3}]\n{n: 4}\n", "rows.ion")
    assert (await context.run(**{**task, "from_": uri})).records == [{"n": 3}, {"n": 4}]


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


GROK = f"{TYPE}.grok"
ACCESS = '10.0.0.7 - ann@x.test [28/Nov/2026:12:00:01 +0100] "GET /a?b=1 HTTP/1.1" 200 51 "-" "Mozilla/5.0 (X11)"'


@pytest.mark.parametrize(
    ("pattern", "text", "fields"),
    [
        (
            "%{TIMESTAMP_ISO8601:at} %{LOGLEVEL:level} %{GREEDYDATA:text}",
            "2026-11-28T12:00:01.5Z ERROR it broke",
            {"at": "2026-11-28T12:00:01.5Z", "level": "ERROR", "text": "it broke"},
        ),
        (
            "%{COMBINEDAPACHELOG}",
            ACCESS,
            {
                "clientip": "10.0.0.7", "ident": "-", "auth": "ann@x.test", "timestamp": "28/Nov/2026:12:00:01 +0100",
                "verb": "GET", "request": "/a?b=1", "httpversion": "1.1", "response": "200", "bytes": "51",
                "referrer": '"-"', "agent": '"Mozilla/5.0 (X11)"',
            },
        ),
        (
            "%{SYSLOGLINE}",
            "Nov  8 01:02:03 host-1 sshd[42]: Yes",
            {"timestamp": "Nov  8 01:02:03", "logsource": "host-1", "program": "sshd", "pid": "42", "message": "Yes"},
        ),
        ("%{IP:a} %{URI:b} %{UUID:c}", "::1 https://u:p@x.test:80/p?q=1 0b0e3f9e-0000-4000-8000-000000000000",
         {"a": "::1", "b": "https://u:p@x.test:80/p?q=1", "c": "0b0e3f9e-0000-4000-8000-000000000000"}),
        ("%{NUMBER:n:int} %{NUMBER:x:float} %{WORD:on:boolean}", "-7 1.5 TRUE", {"n": -7, "x": 1.5, "on": True}),
        (r"(?<who>\w+)@%{HOSTNAME:[host][name]}", "ann@x.test", {"who": "ann", "[host][name]": "x.test"}),
        ("%{EMAILADDRESS:e}", "none", {}),
    ],
)  # fmt: skip
async def test_grok_takes_fields_out_of_a_text(context, pattern, text, fields):
    found = await context.run(type=f"{GROK}.TransformValue", pattern=pattern, from_=text)
    assert found.value == fields


async def test_grok_over_rows_with_patterns_of_ones_own(context):
    folder = context.working_dir / "mine"
    folder.mkdir()
    (folder / "own").write_text("# ours\nORDER O-[0-9]+\nCODE [A-Z]\n")
    uri = await context.files.put(b'O-1 A\nnothing\n"O-2 BB"\n', "lines.log")
    task = {"type": f"{GROK}.TransformItems", "from_": uri, "patternsDir": ["mine"]}
    task |= {"patternDefinitions": {"CODE": "[A-Z]{2}"}, "patterns": ["%{ORDER:order} (?:%{CODE:code})?", "%{ORDER}"]}
    found = await context.run(**task)
    assert found.processedItemsTotal == 2
    assert [json.loads(line) for line in context.files.text(found.uri).splitlines()] == [
        {"order": "O-1"},
        {"order": "O-2", "code": "BB"},
    ]
    found = await context.run(**task, namedCapturesOnly=False, breakOnFirstMatch=False, keepEmptyCaptures=True)
    assert json.loads(context.files.text(found.uri).splitlines()[0]) == {"order": "O-1", "code": "", "ORDER": "O-1"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "`pattern` or `patterns` is missing"),
        ({"pattern": "%{NONE:a}"}, "no pattern `NONE`"),
        ({"pattern": "%{WORD:a:thing}"}, "no type `thing`"),
        ({"pattern": "%{A}", "patternDefinitions": {"A": "%{B}%{B}", "B": "%{A}"}}, "without end"),
        ({"pattern": "("}, "can't be used"),
        ({"pattern": "%{WORD:a:int}"}, "not of the type"),
        ({"pattern": "x", "patternsDir": ["../.."]}, "working directory"),
    ],
)
async def test_grok_says_what_is_wrong(context, given, why):
    with pytest.raises(TaskFailed, match=why):
        await context.run(type=f"{GROK}.TransformValue", from_="word", **given)


async def test_a_pattern_without_end_is_stopped(context, monkeypatch):
    monkeypatch.setattr("engine.tasks.grok_patterns.SECONDS", 0.1)
    with pytest.raises(TaskFailed, match="takes longer than"):
        await context.run(type=f"{GROK}.TransformValue", pattern="(a|a|aa)+$", from_="a" * 60 + "b")
