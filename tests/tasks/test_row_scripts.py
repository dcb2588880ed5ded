"""Scripts over rows and variables, run for real; and expressions in JSONata."""

import json

import pytest

from engine.errors import TaskFailed

PLUGIN = "io.kestra.plugin"
PEOPLE = [{"name": "richard", "n": 1}, {"name": "ann", "n": 2}]
PYTHON = """
from datetime import date
logger.info('row: {} of {}', row['name'], 2)
if row['name'] == 'richard':
    row = None
else:
    row['mail'] = row['name'] + '@x.test'
    row['day'] = date(2026, 1, 2)
"""
JAVASCRIPT = """
logger.info('row: {} of {}', row.name, 2)
if (row['name'] === 'richard') {
  row = null
} else {
  row.mail = row.name + '@x.test'
  row.day = '2026-01-02'
}
"""
LANGUAGES = {
    "scripts.jython": (PYTHON, "rows = [row, row]", "total = inputs['n'] + 1\nwhere = flow['id']", "1 / 0"),
    "graalvm.python": (PYTHON, "rows = [row, row]", "total = inputs['n'] + 1\nwhere = flow['id']", "1 / 0"),
    "scripts.nashorn": (JAVASCRIPT, "rows = [row, row]", "var total = inputs.n + 1; var where = flow.id", "nothing()"),
    "graalvm.js": (JAVASCRIPT, "rows = [row, row]", "var total = inputs.n + 1; var where = flow.id", "nothing()"),
}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_file_is_changed_row_by_row(context, language):
    change, twice, _, wrong = LANGUAGES[language]
    uri = await context.files.put("".join(json.dumps(row) + "\n" for row in PEOPLE).encode(), "people.jsonl")
    task = {"type": f"{PLUGIN}.{language}.FileTransform", "from_": uri}
    found = await context.run(**task, script=change)
    kept = [json.loads(line) for line in context.files.text(found.uri).splitlines()]
    assert kept == [{"name": "ann", "n": 2, "mail": "ann@x.test", "day": "2026-01-02"}]
    assert context.said("^row: ann of 2$", "INFO")
    assert context.metrics["records"] == 1
    found = await context.run(**{**task, "from_": json.dumps(PEOPLE)}, script=twice)
    assert len(context.files.text(found.uri).splitlines()) == 4
    with pytest.raises(TaskFailed, match="exit code 1"):
        await context.run(**task, script=wrong)
    with pytest.raises(TaskFailed, match="neither a file nor JSON"):
        await context.run(**{**task, "from_": "[1,"}, script=change)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_variables_go_in_and_come_out(make_context, monkeypatch, language):
    monkeypatch.setenv("PARLEY_ENCRYPTION_KEY", "never shown")
    _, _, script, _ = LANGUAGES[language]
    context = make_context(inputs={"n": 41})
    found = await context.run(type=f"{PLUGIN}.{language}.Eval", script=script, outputs=["total", "where"])
    assert found.outputs == {"total": 42, "where": "a_flow"}


@pytest.mark.parametrize("language", ["graalvm.js", "scripts.nashorn"])
async def test_javascript_gives_its_last_value(context, language):
    found = await context.run(type=f"{PLUGIN}.{language}.Eval", script="[1, 2].map(n => n * 2)")
    assert found.result == [2, 4]


JSONATA = f"{PLUGIN}.transform.jsonata"


async def test_jsonata_changes_a_value(context):
    order = json.dumps({"first": "John", "last": "Doe", "items": [{"n": 5, "price": 0.5}, {"n": 2, "price": 0.25}]})
    task = {"type": f"{JSONATA}.TransformValue", "from_": order}
    found = await context.run(**task, expression='{"who": first & " " & last, "total": $sum(items.(n * price))}')
    assert found.value == {"who": "John Doe", "total": 3}
    assert (await context.run(**task, expression="nothing")).value is None
    with pytest.raises(TaskFailed, match="`expression` failed"):
        await context.run(**task, expression="a b (")
    with pytest.raises(TaskFailed, match="is no JSON"):
        await context.run(**{**task, "from_": "{"}, expression="a")
    endless = "($f := function($x) { $f($x + 1) }; $f(1))"
    with pytest.raises(TaskFailed, match="`expression` failed"):
        await context.run(**task, expression=endless, timeout="PT0.2S")


async def test_jsonata_changes_a_file(context):
    uri = await context.files.put(json.dumps({"products": PEOPLE}, indent=1).encode(), "products.json")
    task = {"type": f"{JSONATA}.TransformItems", "from_": uri, "expression": "products.(name & '!')"}
    found = await context.run(**task)
    assert (found.processedItemsTotal, context.files.text(found.uri)) == (2, '"richard!"\n"ann!"\n')
    whole = await context.run(**task, explodeArray=False)
    assert context.files.text(whole.uri) == '["richard!", "ann!"]\n'
    rows = await context.files.put(b'{"n": 1}\n{"n": 2}\n', "rows.jsonl")
    found = await context.run(**{**task, "from_": rows, "expression": "n * 2"})
    assert context.files.text(found.uri) == "2\n4\n"
