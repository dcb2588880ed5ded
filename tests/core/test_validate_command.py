import json

import jsonschema
import pytest
import typer

from bot.cli.validate import validate

GOOD = "id: {id}\nnamespace: company.team\ntasks:\n  - {{id: a, type: io.kestra.plugin.core.log.Log, message: x}}\n"
BAD = (
    "id: bad\nnamespace: company.team\ntasks:\n"
    + "  - {id: a, type: io.kestra.plugin.core.log.Log, message: x, levl: WARN}\n"
)
ODD = (
    GOOD.format(id="odd") + "triggers:\n  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '* 8 * * *'}\n"
)
CALLS = """id: calls
namespace: company.team
tasks:
  - {id: near, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: good}
  - {id: far, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: nowhere}
"""

# The rules of SARIF 2.1.0 for what is written here.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "pattern": "^https://.*sarif.*2.1.0.*json$"},
        "runs": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/run"}},
    },
    "additionalProperties": False,
    "$defs": {
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "properties": {
                "tool": {
                    "type": "object",
                    "required": ["driver"],
                    "properties": {"driver": {"$ref": "#/$defs/driver"}},
                    "additionalProperties": False,
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
            "additionalProperties": False,
        },
        "driver": {
            "type": "object",
            "required": ["name", "rules"],
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "rules": {
                    "type": "array",
                    "uniqueItems": True,
                    "items": {
                        "type": "object",
                        "required": ["id"],
                        "properties": {"id": {"type": "string"}},
                        "additionalProperties": False,
                    },
                },
            },
            "additionalProperties": False,
        },
        "result": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "ruleId": {"type": "string"},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {
                    "type": "object",
                    "required": ["text"],
                    "properties": {"text": {"type": "string", "minLength": 1}},
                    "additionalProperties": False,
                },
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
            },
            "additionalProperties": False,
        },
        "location": {
            "type": "object",
            "properties": {
                "physicalLocation": {
                    "type": "object",
                    "required": ["artifactLocation"],
                    "properties": {
                        "artifactLocation": {
                            "type": "object",
                            "properties": {"uri": {"type": "string", "pattern": "^[!#$&-;=?-Z_a-z~%]+$"}},
                            "additionalProperties": False,
                        },
                        "region": {
                            "type": "object",
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            },
                            "additionalProperties": False,
                        },
                    },
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "good.yaml").write_text(GOOD.format(id="good"))
    (tmp_path / ".hidden" / "bad.yaml").write_text("a: 'x")
    (tmp_path / "unit_test.yaml").write_text("id: t\ntestCases: []\n")
    (tmp_path / "notes.txt").write_text("no flow")
    return tmp_path


def run(capsys, *paths, expected=0, **options):
    code = 0
    try:
        validate(list(paths), **options)
    except typer.Exit as stop:
        code = stop.exit_code
    assert code == expected
    return capsys.readouterr()


def test_good_files_are_counted(folder, capsys):
    assert run(capsys, folder).out == "1 file: all good\n"


def test_an_error_has_its_place_and_advice_and_fails(folder, capsys):
    (folder / "more" / "bad.yml").write_text(BAD)
    out = run(capsys, folder, expected=1).out
    assert (
        f"{folder}/more/bad.yml:4:62: error: tasks[0].levl: Unknown property `levl`.\n    Did you mean `level`?\n"
        in out
    )
    assert out.endswith("2 files: 1 error\n")


def test_warnings_fail_only_when_strict(folder, capsys):
    (folder / "odd.yaml").write_text(ODD)
    assert "60 runs between 8:00 and 8:59" in run(capsys, folder / "odd.yaml").out
    run(capsys, folder / "odd.yaml", expected=1, strict=True)


def test_json_is_a_list_with_all_fields(folder, capsys):
    (folder / "bad.yaml").write_text(BAD)
    found = json.loads(run(capsys, folder / "bad.yaml", expected=1, format="json").out)
    assert found == [
        {
            "file": str(folder / "bad.yaml"),
            "line": 4,
            "column": 62,
            "path": "tasks[0].levl",
            "severity": "error",
            "code": "unknown-property",
            "message": "Unknown property `levl`.",
            "suggestion": "Did you mean `level`?",
        }
    ]
    assert json.loads(run(capsys, folder / "good.yaml", format="json").out) == []


def test_github_annotations_are_escaped(folder, capsys):
    (folder / "a,b.yaml").write_text(BAD)
    out = run(capsys, folder / "a,b.yaml", expected=1, format="github").out
    assert out.startswith("::error file=")
    assert "a%2Cb.yaml,line=4,col=62,title=unknown-property::tasks[0].levl: Unknown property" in out


def test_sarif_has_a_result_with_its_region(folder, capsys):
    (folder / "odd.yaml").write_text(ODD)
    written = json.loads(run(capsys, folder / "odd.yaml", format="sarif").out)
    jsonschema.validate(written, SARIF)
    (sarif,) = written["runs"]
    (result,) = sarif["results"]
    assert (result["ruleId"], result["level"]) == ("cron-burst", "warning")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 6, "startColumn": 59}
    assert {"id": "cron-burst"} in sarif["tool"]["driver"]["rules"]


def test_sarif_without_results_and_with_odd_names_keeps_the_rules(folder, capsys):
    (folder / "a b#ü.yaml").write_text(BAD)
    written = json.loads(run(capsys, folder / "a b#ü.yaml", folder / "good.yaml", expected=1, format="sarif").out)
    jsonschema.validate(written, SARIF, format_checker=jsonschema.FormatChecker())
    (location,) = written["runs"][0]["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"].endswith("/a%20b%23%C3%BC.yaml")
    jsonschema.validate(json.loads(run(capsys, folder / "good.yaml", format="sarif").out), SARIF)


def test_a_subflow_is_looked_for_beside_the_file(folder, capsys):
    (folder / "calls.yaml").write_text(CALLS)
    found = json.loads(run(capsys, folder / "calls.yaml", format="json").out)
    assert [(one["path"], one["code"]) for one in found] == [("tasks[1].flowId", "missing-flow")]


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"a: 'x", b"", b"- 1", b"id: [1]\nnamespace: {a: 1}\ntasks: []\n"]
)
def test_any_file_gets_an_answer(folder, capsys, content):
    (folder / "any.yaml").write_bytes(content)
    out = run(capsys, folder / "any.yaml", expected=1).out
    assert "any.yaml:1:" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD.format(id="café").encode("latin-1"), "any.yaml:1:8: error: The file is not UTF-8 text: byte 0xE9."),
        ("\ufeffid: ää".encode() + b"b\xff", "any.yaml:1:8: error: The file is not UTF-8 text: byte 0xFF."),
        (GOOD.format(id="a").encode("utf-16"), "any.yaml:1:1: error: The file is not UTF-8 text: byte 0xFF."),
        (b"\x89PNG\r\n\x1a\n\0\0", "any.yaml:1:1: error: The file holds no text."),
    ],
)
def test_a_file_that_is_no_utf_8_says_where_and_what_to_do(folder, capsys, content, said):
    (folder / "any.yaml").write_bytes(content)
    out = run(capsys, folder / "any.yaml", expected=1).out
    assert said in out
    assert "Save it as UTF-8." in out or "another ending" in out


def test_lines_that_end_as_on_windows_are_lines(folder, capsys):
    (folder / "any.yaml").write_bytes(BAD.replace("\n", "\r\n").encode())
    assert "any.yaml:4:62: error" in run(capsys, folder / "any.yaml", expected=1).out


def test_nothing_to_check_is_not_called_good(tmp_path, capsys):
    assert run(capsys, tmp_path).out == "0 files: there is nothing to check here\n"


@pytest.mark.parametrize(("paths", "options"), [(["nowhere.yaml"], {}), (["good.yaml"], {"format": "xml"})])
def test_a_wrong_call_is_2(folder, capsys, paths, options):
    said = run(capsys, *[folder / path for path in paths], expected=2, **options)
    assert said.out == ""
    assert said.err


def test_global_defaults_of_the_settings_count(folder, capsys, monkeypatch):
    (folder / "parley.yaml").write_text(
        "plugin_defaults:\n  - type: io.kestra.plugin.core.log\n    values: {message: hello}\n"
    )
    (folder / "short.yaml").write_text(BAD.replace(", message: x, levl: WARN", "").replace("id: bad", "id: short"))
    assert run(capsys, folder / "short.yaml").out == "1 file: all good\n"


def told(capsys, *paths, **options):
    found = json.loads(run(capsys, *paths, format="json", **options).out)
    return [(one["file"].rpartition("/")[2], one["severity"], one["code"], one["line"]) for one in found]


ASIDE = {
    "board.yaml": ("title: x\ncharts: []\n", "hint"),
    "app.yaml": ("id: a\nnamespace: b\ntype: io.kestra.plugin.ee.apps.Execution\nflowId: c\nlayout: []\n", "hint"),
    "deploy.yaml": ("apiVersion: v1\nkind: Service\n---\napiVersion: v1\nkind: Secret\n", "hint"),
    "service.yaml": ("apiVersion: v1\nkind: Service\n", "hint"),
    "namespace.yaml": ("id: company\nvariables: {a: 1}\n", "warning"),
    "list.yml": ("- 1\n- 2\n", "warning"),
    "chart.yaml": ("replicas: {{ .Values.replicas }}\n", "warning"),
    "profile.yml": ("outputs:\n  dev: &x {type: duckdb}\n  prod: *x\n", "warning"),
}


def test_what_stands_beside_flows_is_left_out_and_said(folder, capsys):
    for name, (text, _) in ASIDE.items():
        (folder / name).write_text(text)
    (folder / "empty.yaml").write_text("")
    (folder / "nearly.yaml").write_text("id: nearly\nnamespace: a.b\n")
    expected = [(name, severity, "not-a-flow", 1) for name, (_, severity) in ASIDE.items()]
    found = told(capsys, folder, expected=1)
    assert sorted(one for one in found if one[0] not in ("nearly.yaml", "empty.yaml")) == sorted(expected)
    assert [one for one in found if one[0] == "nearly.yaml"] == [("nearly.yaml", "error", "missing", 1)]
    assert [one[1] for one in found if one[0] == "empty.yaml"] == ["warning"]


def test_a_broken_flow_in_a_folder_is_an_error(folder, capsys):
    (folder / "broken.yaml").write_text("id: broken\nnamespace: a.b\ntasks:\n  - id: x\n    message: {{ a }}\n")
    assert told(capsys, folder, expected=1) == [("broken.yaml", "error", "yaml-template", 5)]


@pytest.mark.parametrize("frame", ["---\n{}", "{}---\n", "{}...\n", "%YAML 1.1\n---\n{}", "\ufeff{}", "{}---\n# end\n"])
def test_marks_of_documents_around_one_flow_are_nothing(folder, capsys, frame):
    (folder / "framed.yaml").write_text(frame.format(GOOD.format(id="framed")))
    assert told(capsys, folder / "framed.yaml") == []


def test_each_flow_of_a_file_is_looked_at(folder, capsys):
    one, two = (GOOD.format(id=name) for name in ("one", "two"))
    (folder / "two.yaml").write_text(f"{one}---\n{two}---\n")
    (folder / "calls.yaml").write_text(CALLS.replace("good", "two").replace("nowhere", "one"))
    assert told(capsys, folder) == []
    assert "3 files: all good" in run(capsys, folder).out
    (folder / "two.yaml").write_text(f"{one}---\n{BAD}---\nid: broken\nnamespace: a\ntasks: [\n---\n{ODD}")
    assert told(capsys, folder / "two.yaml", expected=1) == [
        ("two.yaml", "error", "unknown-property", 9),
        ("two.yaml", "error", "yaml", 13),
        ("two.yaml", "warning", "cron-burst", 20),
    ]


def test_what_stands_beside_flows_in_a_file_is_left_out_and_said_at_its_line(folder, capsys):
    beside = "apiVersion: v1\nkind: Service\n"
    test = "id: t\nnamespace: x\nflowId: one\ntestCases: [{id: a}]\n"
    (folder / "two.yaml").write_text(f"{GOOD.format(id='one')}---\n{beside}---\n{beside}---\n{test}")
    assert told(capsys, folder) == [("two.yaml", "hint", "not-a-flow", 6)]


def test_a_flow_that_a_file_defines_twice_is_a_warning_at_the_second(folder, capsys):
    (folder / "two.yaml").write_text(f"{GOOD.format(id='one')}---\n{GOOD.format(id='one')}")
    assert told(capsys, folder) == [("two.yaml", "warning", "duplicate-flow", 6)]
    assert "This file defines the flow `company.team.one` too" in run(capsys, folder).out


def test_a_flow_that_another_file_defines_too_is_a_warning(folder, capsys):
    (folder / "more" / "again.yaml").write_text(GOOD.format(id="good"))
    assert told(capsys, folder) == [("again.yaml", "warning", "duplicate-flow", 1)]


CALLED = """id: called
namespace: company.team
inputs:
  - {id: count, type: INT}
  - {id: note, type: STRING, defaults: x}
  - {id: kind, type: SELECT, values: [a, b], defaults: a}
  - {id: deep.er, type: STRING, required: false}
tasks:
  - {id: a, type: io.kestra.plugin.core.log.Log, message: x}
triggers:
  - {id: no_count, type: io.kestra.plugin.core.trigger.Schedule, cron: "@daily"}
  - {id: fine, type: io.kestra.plugin.core.trigger.Schedule, cron: "@daily", inputs: {count: 3}}
  - {id: off, type: io.kestra.plugin.core.trigger.Schedule, cron: "@daily", disabled: true}
  - {id: slip, type: io.kestra.plugin.core.trigger.Schedule, cron: "@daily", inputs: {count: 3, nte: x}}
  - {id: bare, type: io.kestra.plugin.core.trigger.Webhook, key: k}
  - {id: after, type: io.kestra.plugin.core.trigger.Flow}
  - {id: half, type: io.kestra.plugin.core.trigger.Webhook, key: l, inputs: {note: x}}
"""
CALL = """id: calls
namespace: company.team
tasks:
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: called
    inputs: %s
"""


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("{count: 1}", []),
        ("{count: '{{ 1 }}', note: '{{ flow.id }}', deep: {er: y}}", []),
        ("{'{{ 1 }}': 1}", []),
        ("{count: one}", ["`count` would be refused by the flow `company.team.called`: "]),
        ("{count: 1, kind: c}", ["`kind` would be refused by the flow"]),
        ("{count: 1, knd: a}", ["`knd` is no input of the flow `company.team.called`. Did you mean `kind`?"]),
        ("{note: x}", ["`count` is missing: the flow `company.team.called` needs it"]),
    ],
)
def test_inputs_of_a_called_flow_are_checked(folder, capsys, inputs, said):
    (folder / "more" / "called.yaml").write_text(CALLED)
    (folder / "calls.yaml").write_text(CALL % inputs)
    found = json.loads(run(capsys, folder / "calls.yaml", format="json").out)
    assert len(found) == len(said)
    for one, text in zip(found, said, strict=True):
        assert text in f"{one['message']} {one['suggestion']}"
        assert (one["severity"], one["code"], one["line"]) == ("warning", "call-input", 8)


def test_outputs_of_a_called_flow_are_checked(folder, capsys):
    called = GOOD.format(id="good") + "outputs: [{id: total, type: STRING, value: x}]\n"
    (folder / "good.yaml").write_text(called)
    message = "{{ outputs.near.outputs.total }} {{ outputs.near.outputs.totl }}"
    log = f'  - {{id: say, type: io.kestra.plugin.core.log.Log, message: "{message}"}}\n'
    (folder / "calls.yaml").write_text("\n".join(CALLS.split("\n")[:-2]) + "\n" + log)
    (found,) = json.loads(run(capsys, folder / "calls.yaml", format="json").out)
    assert (found["code"], found["line"]) == ("unknown-output", 5)
    assert found["message"] == "The flow that `near` calls has no output `totl`."
    assert found["suggestion"] == "Did you mean `outputs.near.outputs.total`?"


def test_inputs_that_a_trigger_lacks_or_has_too_much_are_told(folder, capsys):
    (folder / "called.yaml").write_text(CALLED)
    found = json.loads(run(capsys, folder / "called.yaml", format="json").out)
    assert [(one["path"], one["line"]) for one in found] == [
        ("triggers[0].inputs.count", 11),
        ("triggers[3].inputs.nte", 14),
        ("triggers[6].inputs.count", 17),
    ]


def test_an_unknown_type_names_the_nearest_and_nothing_for_another_service(folder, capsys):
    (folder / "near.yaml").write_text(BAD.replace("log.Log", "log.Lg").replace(", levl: WARN", ""))
    (folder / "far.yaml").write_text(BAD.replace("core.log.Log", "unheard.of.Frobnicate"))
    near, far = (
        json.loads(run(capsys, folder / name, format="json", expected=1).out)[0] for name in ("near.yaml", "far.yaml")
    )
    assert "'io.kestra.plugin.core.log.Log'" in near["suggestion"]
    assert (far["code"], far["line"]) == ("unknown-type", 4)
    assert "core.log" not in far["suggestion"]
    assert far["suggestion"].endswith("`parley plugins` lists what there is.")


def test_each_file_is_read_once_however_often_it_is_named(folder, capsys):
    assert run(capsys, folder, folder / "good.yaml", folder).out == "1 file: all good\n"


def test_what_an_agent_can_not_look_things_up_with_is_named_by_its_type(folder, capsys):
    agent = """id: agent
namespace: company.team
tasks:
  - id: a
    type: io.kestra.plugin.ai.agent.AIAgent
    prompt: x
    provider: {type: io.kestra.plugin.ai.provider.OpenAI, apiKey: k, modelName: m}
    configuration: {logRequests: true}
    contentRetrievers:
      - type: %s
"""
    (folder / "agent.yaml").write_text(agent % "io.kestra.plugin.ai.retriever.Unheard")
    assert told(capsys, folder / "agent.yaml", expected=1) == [("agent.yaml", "error", "unknown-type", 10)]
    (folder / "agent.yaml").write_text(agent % "io.kestra.plugin.core.log.Log" + "        message: x\n        id: b\n")
    assert told(capsys, folder / "agent.yaml", expected=1) == [("agent.yaml", "error", "wrong-place", 10)]


def test_types_inside_a_type_that_is_not_there_are_named_too(folder, capsys):
    text = """id: outer
namespace: company.team
tasks:
  - id: box
    type: io.kestra.plugin.unheard.Box
    schema: {type: object}
    tasks:
      - {id: known, type: io.kestra.plugin.core.log.Log, message: x}
      - {id: inner, type: io.kestra.plugin.unheard.Inner}
"""
    (folder / "outer.yaml").write_text(text)
    found = told(capsys, folder / "outer.yaml", expected=1)
    assert found == [("outer.yaml", "error", "unknown-type", 5), ("outer.yaml", "error", "unknown-type", 9)]


REFS = GOOD.format(id="refs").replace("message: x", "message: x, pluginDefaultsRef: {asked}") + (
    "pluginDefaults:\n  - {{type: io.kestra.plugin.core.log.Log, ref: loud, values: {{level: WARN}}}}\n"
)


@pytest.mark.parametrize(("asked", "code"), [("loud", None), ("soft", "plugin-default")])
def test_a_ref_of_plugin_defaults_that_is_not_here_is_a_warning(tmp_path, capsys, asked, code):
    (tmp_path / "refs.yaml").write_text(REFS.replace("{asked}", asked).replace("{{", "{").replace("}}", "}"))
    validate([tmp_path], format="json")
    found = json.loads(capsys.readouterr().out)
    assert [(one["code"], one["severity"]) for one in found] == ([(code, "warning")] if code else [])
