"""`parley test`: the tests of our own flows hold, and a test that should fail does."""

import json
import subprocess
import sys

import pytest

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
    assert done.stdout.endswith("5 passed, 0 failed, 1 skipped\n")
    assert done.stderr == ""


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
        assert [row["ok"] for row in json.loads(done.stdout)] == [False, False, False]


def test_a_file_that_is_no_test_is_a_sentence(tmp_path):
    (tmp_path / "odd.yaml").write_text("id: odd\nnamespace: x\nflowId: y\ntestCases: []\n")
    done = parley_test(str(tmp_path / "odd.yaml"))
    assert done.returncode == 2
    assert "odd.yaml" in done.stderr
    assert "Traceback" not in done.stderr
