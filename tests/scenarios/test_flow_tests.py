"""`parley test`: the tests of our own flows hold, and a test that should fail does."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from bot.cli.test import test as run_tests
from engine.core.yaml_text import plain, read
from engine.errors import EngineError
from tests.shared import ROOT


def parley_test(*words, cwd=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "bot", "test", *words],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_our_own_flows_do_what_they_should():
    done = parley_test("tests/flows", "--flows", "flows")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("23 passed, 0 failed, 1 skipped\n")
    assert done.stderr == ""


def test_every_shipped_flow_has_a_test():
    tested = {plain(read(file.read_text()))["flowId"] for file in (ROOT / "tests/flows").glob("*.yaml")}
    assert tested == {plain(read(file.read_text()))["id"] for file in (ROOT / "flows").rglob("*.yaml")}


BROKEN = """
id: wrong
namespace: tour
flowId: ship_release
testCases:
  - id: wrong-outcome
    answers: {approval: {approve: false}}
    assertions:
      - value: "{{ execution.outputs.result }}"
        endsWith: shipped
  - id: no-answer-for-it
    fixtures: {inputs: {version: nope}}
  - id: wrong-state
    answers: {approval: {approve: true}}
    expect: {state: FAILED, messages: [never said]}
  - id: no-such-names
    fixtures: {tasks: [{id: bild}]}
    answers: {notes: {}}
    assertions: [{value: x, taskId: nobody}]
  - id: control-characters
    answers: {approval: {approve: true}}
    assertions: [{value: "{{ execution.outputs.result }}", equalTo: "\\u0001"}]
  - id: an-answer-too-many
    fixtures: {tasks: [{id: approval, outputs: {onResume: {approve: true}}}]}
    answers: {approval: {approve: true}}
"""


@pytest.mark.parametrize("format", ["text", "json", "junit"])
def test_a_case_that_does_not_hold_is_told(tmp_path, format):
    (tmp_path / "wrong.yaml").write_text(BROKEN)
    done = parley_test(str(tmp_path / "wrong.yaml"), "--flows", "flows", "--format", format)
    assert done.returncode == 1, done.stderr
    assert "must end with" in done.stdout
    assert "version" in done.stdout
    assert "never said" in done.stdout
    if format == "json":
        assert [row["ok"] for row in json.loads(done.stdout)] == [False] * 6
    if format == "junit":
        (suite,) = ElementTree.fromstring(done.stdout)
        assert (suite.attrib["tests"], suite.attrib["failures"]) == ("6", "6")
        assert all(case.find("failure").attrib["message"] for case in suite)
    for said in ("no task", "'bild'", "'notes', which is no pause", "'nobody'", "which never asked"):
        assert said.replace("no task", "name a task") in done.stdout.replace("&apos;", "'")


HEAD = "id: odd\nnamespace: x\nflowId: y\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "testCases: []\n", "odd.yaml:4: testCases: `testCases` is empty"),
        ("id: odd\nnamespace: x\ntestCases:\n  - {id: a}\n", "odd.yaml:1: `flowId` is missing"),
        (
            HEAD + "testCases:\n  - id: a\n    assertions:\n      - {value: x, equalsto: 1}\n",
            "odd.yaml:7: testCases[0].assertions[0].equalsto: Unknown property `equalsto`. Did you mean `equalsTo`?",
        ),
        (
            HEAD + "testCases:\n  - id: a\n    fixtures: {tasks: [{id: b, state: DONE}]}\n",
            "odd.yaml:6: testCases[0].fixtures.tasks[0].state: `state` should be one of `SUCCESS`, `WARNING`, ",
        ),
        (HEAD + "testCases:\n  - {id: a, expect: {state: SUCESS}}\n", "Did you mean `SUCCESS`?"),
        (HEAD + "testCases:\n  - {id: a}\n  - {id: a}\n", "two cases have the id `a`"),
        ("id: odd\nnamespace: tour\nflowId: nowhere\ntestCases:\n  - {id: a}\n", "tour/nowhere, which is in none"),
        ("id: odd\n  namespace: x\n", "odd.yaml:2:"),
        ("id: odd\nnamespace: x\ntasks: []\n", "is no test"),
    ],
)
def test_a_file_that_is_no_test_is_a_sentence(tmp_path, text, said):
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(EngineError) as caught:
        run_tests([tmp_path / "odd.yaml"], "text", None)
    assert said in str(caught.value)


def test_a_test_may_stand_in_the_file_of_its_flow(tmp_path, capsys):
    flow = "id: y\nnamespace: x\ntasks: [{id: a, type: io.kestra.plugin.core.log.Log, message: x}]\n"
    one, two = (f"{HEAD.replace('odd', name)}testCases: [{{id: a}}]\n" for name in ("one", "two"))
    (tmp_path / "all.yaml").write_text(f"{flow}---\n{one}---\n{two}")
    run_tests([tmp_path], "text", None)
    assert capsys.readouterr().out == "ok   one / a\nok   two / a\n2 passed, 0 failed, 0 skipped\n"
    (tmp_path / "all.yaml").write_text(f"{flow}---\n{one}---\n{two.replace('{id: a}', '{id: a, nw: 1}')}")
    with pytest.raises(EngineError, match=r"all\.yaml:13: testCases\[0\]\.nw"):
        run_tests([tmp_path], "text", None)


def test_every_mistake_in_every_file_is_told(tmp_path):
    (tmp_path / "one.yaml").write_text(HEAD + "testCases:\n  - {id: a, nw: 1, expct: {}}\n")
    (tmp_path / "two.yaml").write_text(HEAD + "testCases: 'x\n")
    with pytest.raises(EngineError) as caught:
        run_tests([tmp_path], "text", None)
    assert [line.partition(": ")[0].rpartition("/")[2] for line in str(caught.value).split("\n")] == [
        "one.yaml:5",
        "one.yaml:5",
        "two.yaml:4",
    ]


ROUNDS = """
id: rounds
namespace: x
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [one, two]
    tasks:
      - {id: ask, type: io.kestra.plugin.core.flow.Pause, onResume: [{id: n, type: INT}]}
      - {id: got, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.ask[taskrun.value].onResume.n }}"}
"""
ASKED = """
id: asked
namespace: x
flowId: rounds
testCases:
  - id: each-time-another
    answers: {ask: [{n: 1}, {n: 2}]}
    assertions: [{value: "{{ outputs.got.one.value }}{{ outputs.got.two.value }}", equalTo: 12}]
  - id: too-few
    answers: {ask: {n: 1}}
  - id: too-many
    answers: {ask: [{n: 1}, {n: 2}, {n: 3}]}
"""


def test_a_pause_that_asks_again_gets_the_next_answer(tmp_path, capsys):
    (tmp_path / "flow.yaml").write_text(ROUNDS)
    (tmp_path / "test.yaml").write_text(ASKED)
    with pytest.raises(SystemExit):
        run_tests([tmp_path / "test.yaml"], "json", [tmp_path])
    assert [row["problems"] for row in json.loads(capsys.readouterr().out)] == [
        [],
        ["ask waits, and the case has no answer for it"],
        ["the case has an answer for ask, which never asked"],
    ]


ENDLESS = """
id: endless
namespace: x
tasks:
  - id: until
    type: io.kestra.plugin.core.flow.LoopUntil
    condition: "{{ outputs.call.code == 200 }}"
    checkFrequency: {interval: PT1H}
    tasks: [{id: call, type: io.kestra.plugin.core.http.Request, uri: "http://service.test"}]
"""
CALLED = """
id: calls
namespace: x
flowId: endless
testCases:
  - id: never
    now: "2026-03-02T08:00:00Z"
    fixtures: {tasks: [{id: call, outputs: {code: 500}}]}
"""


def test_a_flow_that_never_ends_is_given_up(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bot.testing.runner.JUMPS", 5)
    (tmp_path / "flow.yaml").write_text(ENDLESS)
    (tmp_path / "test.yaml").write_text(CALLED)
    with pytest.raises(SystemExit):
        run_tests([tmp_path / "test.yaml"], "text", [tmp_path])
    assert "it still waits after 5 timers, when its clock says 2026-03-02 13:00 UTC;" in capsys.readouterr().out


def test_a_flow_that_is_no_yaml_and_a_folder_that_is_not_there_are_named(tmp_path):
    (tmp_path / "flow.yaml").write_text(ENDLESS.replace("    type:", "   type:"))
    (tmp_path / "test.yaml").write_text(CALLED)
    with pytest.raises(EngineError, match=r"flow\.yaml:6: .*Test calls is about this flow\."):
        run_tests([tmp_path / "test.yaml"], "text", [tmp_path])
    with pytest.raises(EngineError, match=r"There is no folder .*nowhere"):
        run_tests([tmp_path / "test.yaml"], "text", [tmp_path / "nowhere"])


@pytest.mark.parametrize("assertion", ["description: it works", "equalTo: "])
def test_an_assertion_that_asserts_nothing_does_not_hold(tmp_path, capsys, assertion):
    (tmp_path / "helper.yaml").write_text(HELPER)
    case = f"  - {{id: a, fixtures: {{inputs: {{word: x}}}}, assertions: [{{value: x, {assertion}}}]}}\n"
    (tmp_path / "test.yaml").write_text(WRONG + case)
    with pytest.raises(SystemExit):
        run_tests([tmp_path / "test.yaml"], "text", [tmp_path])
    assert "x is compared with nothing: give the assertion `equalTo`" in capsys.readouterr().out


def test_a_wrong_call_ends_with_2_and_without_a_traceback(tmp_path):
    (tmp_path / "flow.yaml").write_text("id: a\nnamespace: b\ntasks: []\n")
    done = parley_test(str(tmp_path))
    assert done.returncode == 2
    assert "There are no tests" in done.stderr
    assert "Traceback" not in done.stderr


FLOW = """
id: whole
namespace: company.team
inputs:
  - {id: ask, type: STRING, defaults: none}
  - {id: data, type: FILE, required: false}
triggers:
  - {id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: k}
tasks:
  - {id: extract, type: io.kestra.plugin.core.http.Download, uri: "https://service.test/data"}
  - {id: shout, type: io.kestra.plugin.core.debug.Return, format: "{{ read(outputs.extract.uri) | upper }}"}
  - id: gate
    type: io.kestra.plugin.core.flow.If
    condition: "{{ inputs.ask == 'yes' }}"
    then:
      - id: ask
        type: io.kestra.plugin.core.flow.Subflow
        namespace: "{{ flow.namespace }}"
        flowId: helper
        inputs: {word: "{{ outputs.shout.value }}"}
  - id: numbers
    type: io.kestra.plugin.core.output.OutputValues
    values: {n: 3, list: [1, 2], flag: true, map: {a: 1}}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.ask.outputs.word ?? trigger.body.word ?? 'nothing' }}"}
"""
HELPER = """
id: helper
namespace: company.team
inputs: [{id: word, type: STRING}]
tasks: [{id: a, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.word }}!"}]
outputs: [{id: word, type: STRING, value: "{{ outputs.a.value }}"}]
"""
SUITE = """
id: whole_suite
namespace: company.team
flowId: whole
testCases:
  - id: a-file-and-a-subflow
    type: io.kestra.core.tests.flow.UnitTest
    fixtures:
      files: {data.txt: "tea"}
      inputs: {ask: yes, data: "{{ files['data.txt'] }}"}
      tasks:
        - {id: extract, description: no download, outputs: {uri: "{{ fileURI('data.txt') }}"}}
    assertions:
      - {value: "{{ outputs.shout.value }}", equalsTo: TEA}
      - {value: "{{ execution.outputs.said }}", equalTo: "TEA!"}
      - {value: "{{ read(inputs.data) }}", equalTo: tea}
      - {value: "{{ outputs.numbers.values.n }}", equalTo: 3, notEqualTo: 4, in: [3, 4], notIn: [5], greaterThan: 2.5}
      - {value: "{{ outputs.numbers.values.n }}", equalTo: 3.0, lessThan: "4", contains: 3}
      - {value: "{{ outputs.numbers.values.list }}", equalTo: [1, 2], contains: "2]"}
      - {value: "{{ outputs.numbers.values.map }}", equalTo: {a: 1}, notEqualTo: {a: 2}}
      - {value: "{{ outputs.numbers.values.flag }}", equalTo: true}
      - {value: "{{ outputs.numbers.values.nothing }}", isNull: true}
      - {value: "{{ outputs.numbers.values.n }}", isNotNull: true, isNull: false}
  - id: a-trigger-and-a-file-input
    fixtures:
      files: {data.txt: "tea"}
      inputs: {data: "file:///data.txt"}
      trigger:
        id: hook
        type: io.kestra.plugin.core.trigger.Webhook
        variables: {body: {word: "{{ 'milk' | upper }}"}}
      tasks:
        - {id: extract, outputs: {uri: "{{ files['data.txt'] }}"}}
    assertions:
      - {value: "{{ execution.outputs.said }} {{ trigger.body.word }} {{ read(inputs.data) }}", equalTo: MILK MILK tea}
"""
WRONG = """
id: each_fails
namespace: company.team
flowId: helper
testCases:
"""
FAILING = [
    "equalTo: tee!", "notEqualTo: tea!", "startsWith: x", "endsWith: x", "contains: x", "in: [tee, 1]", "notIn: [tea!]",
    "isNull: true", "isNotNull: false", "greaterThan: 1", "lessThan: 1", "greaterThanOrEqualTo: 1", "in: tea!",
    "equalTo: [tea]", "lessThanOrEqualTo: x",
]  # fmt: skip


def test_the_whole_shape_of_a_test_is_understood(tmp_path, capsys):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "whole.yaml").write_text(FLOW)
    (tmp_path / "flows" / "helper.yml").write_text(HELPER)
    (tmp_path / "flows" / "broken.yaml").write_text("id: [")
    (tmp_path / "flows" / "suite.yaml").write_text(SUITE.replace("ask: yes", 'ask: "yes"'))
    run_tests([tmp_path / "flows"], "text", [tmp_path / "flows"])
    said = capsys.readouterr().out
    assert said.endswith("2 passed, 0 failed, 0 skipped\n"), said


def test_each_operator_can_fail(tmp_path, capsys):
    cases = [
        f"  - id: c{number}\n    fixtures: {{inputs: {{word: tea}}}}\n"
        f'    assertions: [{{value: "{{{{ execution.outputs.word }}}}", {operator}, errorMessage: wanted {number}}}]\n'
        for number, operator in enumerate(FAILING)
    ]
    (tmp_path / "helper.yaml").write_text(HELPER)
    (tmp_path / "wrong.yaml").write_text(WRONG + "".join(cases))
    with pytest.raises(SystemExit) as ended:
        run_tests([tmp_path / "wrong.yaml"], "json", [tmp_path])
    assert ended.value.code == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["problems"] for row in rows] == [[f"wanted {number}"] for number in range(len(FAILING))]
