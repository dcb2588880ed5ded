"""`parley run`: one flow and what it calls; of the other files in its folder nothing is heard."""

import json
import os
import re
import subprocess
import sys

import pytest

from bot.cli.arguments import given_resumes
from engine.errors import SettingInvalid
from tests.shared import ROOT

CALL = """
id: {id}
namespace: x.y
tasks:
  - {{id: call, type: io.kestra.plugin.core.flow.Subflow, flowId: {of}, namespace: x.y}}
"""
SAY = "id: say\nnamespace: x.y\ntasks: [{id: say, type: io.kestra.plugin.core.log.Log, message: hello}]\n"


@pytest.fixture
def folder(tmp_path):
    files = {
        "fine.yaml": CALL.format(id="fine", of="middle"),
        "deep/middle.yaml": CALL.format(id="middle", of="say"),
        "deep/say.yaml": SAY,
        "unrelated.yaml": SAY.replace("id: say\nn", "id: other\nn").replace("log.Log", "log.Lag"),
        "unread.yaml": "id: unread\nnamespace: x.y\ntasks:\n\t- x\n",
        "calls_unread.yaml": CALL.format(id="calls_unread", of="unread"),
        "calls_unrelated.yaml": CALL.format(id="calls_unrelated", of="other"),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "bot", "run", *words],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("words", [("fine.yaml",), ("x.y/fine", "--flows", ".")])
def test_only_what_is_needed_is_read(folder, words):
    done = run(folder, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "x.y/fine ended SUCCESS."
    assert done.stderr.splitlines()[0].endswith(" s")
    assert "unre" not in done.stderr
    assert "Lag" not in done.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("calls_unread", "unread.yaml:4:1 "),
        (
            "calls_unrelated",
            "unrelated.yaml:3:19 No task type 'io.kestra.plugin.core.log.Lag'",
        ),
    ],
)
def test_a_called_flow_that_cannot_be_read_is_told(folder, name, said):
    done = run(folder, f"{name}.yaml")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Unable to find flow" in done.stderr


def test_of_several_flows_in_a_file_one_is_named(folder):
    several = SAY.replace("id: say\nn", "id: one\nn") + "---\n" + CALL.format(id="two", of="one").lstrip()
    (folder / "several.yaml").write_text(several)
    done = run(folder, "several.yaml")
    assert done.returncode == 2
    told = "several.yaml holds several flows: x.y/one, x.y/two. Name one of them, and its folder: x.y/one --flows ."
    assert done.stderr == f"parley: {told}\n"
    done = run(folder, "x.y/two", "--flows", ".")
    assert done.returncode == 0, done.stderr
    (folder / "several.yaml").write_text(several.replace("flow.Subflow", "flow.Subflew"))
    assert "several.yaml:8:16" in run(folder, "x.y/two", "--flows", ".").stderr


def test_a_flow_may_stand_in_a_file_with_its_test(folder):
    (folder / "tested.yaml").write_text(f"id: t\nnamespace: x.y\nflowId: say\ntestCases: [{{id: a}}]\n---\n{SAY}")
    done = run(folder, "tested.yaml")
    assert done.returncode == 0, done.stderr


def test_a_name_that_no_file_holds(folder):
    done = run(folder, "x.y/fin", "--flows", ".")
    assert done.returncode == 2
    assert "There is no flow x.y/fin. Did you mean x.y/fine" in done.stderr


def test_a_flow_that_comes_along_is_found_by_its_name(tmp_path):
    done = run(tmp_path, "tour/ship_release", "--resume", "approval.approve=true")
    assert done.returncode == 0, done.stderr
    assert "result: 1.4.0 shipped" in done.stdout


ASKS = """
id: ask
namespace: x.y
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - {id: after, type: io.kestra.plugin.core.log.Log, message: went on}
"""
FORM = ASKS.replace("Pause}", "Pause, onResume: [{id: size, type: INT}, {id: note, type: STRING, required: false}]}")


@pytest.mark.parametrize(("flow", "hint"), [(ASKS, "--resume wait."), (FORM, "--resume wait.size=….")])
def test_a_pause_without_a_terminal_says_what_to_write(tmp_path, flow, hint):
    (tmp_path / "ask.yaml").write_text(flow)
    done = run(tmp_path, "ask.yaml")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2].endswith(f"Answer it with {hint}")
    answer = hint.removesuffix(".").removeprefix("--resume ").replace("…", "3")
    done = run(tmp_path, "ask.yaml", "--resume", answer)
    assert done.returncode == 0, done.stderr
    assert "went on" in done.stderr


@pytest.mark.parametrize("answer", ["wait.", "wait=3", "wait.size"])
def test_what_is_no_answer_says_how_one_is_written(answer):
    with pytest.raises(SettingInvalid, match=rf"--resume {re.escape(answer)} is no answer. Write --resume TASK.INPUT="):
        given_resumes([answer])


def test_what_it_takes_and_costs_is_told_before_it_asks(tmp_path):
    (tmp_path / "ask.yaml").write_text(ASKS)
    policy = (
        "prices: {currency: EUR, tasks: [{type: '*.Log', run: 0.5}]}\napprovals: [{approvers: [anyone], cost: 3 EUR}]\n"
    )
    (tmp_path / "parley.yaml").write_text(policy)
    first = run(tmp_path, "ask.yaml", "--resume", "wait", "--data", "data")
    assert first.returncode == 0, first.stderr
    done = run(tmp_path, "ask.yaml", "--data", "data")
    assert "Takes: less than 2 s to the end of the run (as the one time before)" in done.stderr
    assert "Costs: 3 EUR \u00b7 about 0.50 EUR" in done.stderr


def test_who_started_a_run_does_not_approve_it_here_either(tmp_path):
    (tmp_path / "ask.yaml").write_text(ASKS)
    (tmp_path / "parley.yaml").write_text("approvals: [{approvers: [anyone], four_eyes: requester}]\n")
    done = run(tmp_path, "ask.yaml", "--resume", "wait", "--data", "data")
    assert done.returncode == 1
    assert "You started this run, so someone else must approve it (four eyes)." in done.stderr
    assert "went on" not in done.stderr


TO_ITS_END = """
id: whole
namespace: x.y
retry: {type: constant, interval: PT0.1S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT0.1S}
  - {id: fail, type: io.kestra.plugin.core.execution.Fail, runIf: "{{ execution.id == execution.originalId }}"}
afterExecution:
  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.2S}
  - {id: tell, type: io.kestra.plugin.core.log.Log, message: "it ended {{ execution.state }}"}
"""


def test_it_goes_on_until_nothing_is_to_come_any_more(tmp_path):
    """A pause that only takes its time, the execution in the place of one that failed, and what runs after the end."""
    (tmp_path / "whole.yaml").write_text(TO_ITS_END)
    done = run(tmp_path, "whole.yaml", "--output", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["state"]["current"]) == (0, "SUCCESS"), done.stderr
    ended = {run["taskId"]: run["state"]["current"] for run in told["taskRunList"]}
    assert ended == {"wait": "SUCCESS", "fail": "SKIPPED", "nap": "SUCCESS", "tell": "SUCCESS"}


def test_what_was_started_on_the_way_is_not_cut_off(tmp_path):
    slow = "id: slow\nnamespace: x.y\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.5S}\n"
    slow += "  - {id: mark, type: io.kestra.plugin.scripts.shell.Commands, taskRunner: {type: io.kestra.plugin.core.runner.Process},"  # noqa: E501
    slow += f" commands: ['touch {tmp_path}/done']}}\n"
    (tmp_path / "slow.yaml").write_text(slow)
    (tmp_path / "starts.yaml").write_text(CALL.format(id="starts", of="slow").replace("x.y}", "x.y, wait: false}"))
    done = run(tmp_path, "starts.yaml")
    assert done.returncode == 0, done.stderr
    assert "x.y/slow goes on" in done.stderr
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("more", ["behavior: FAIL", "onResume: [{id: note, type: STRING, required: false}]"])
def test_a_pause_that_asks_is_not_waited_out(tmp_path, more):
    (tmp_path / "ask.yaml").write_text(ASKS.replace("Pause}", f"Pause, pauseDuration: PT1H, {more}}}"))
    done = run(tmp_path, "ask.yaml")
    assert done.returncode == 1
    assert "wait waits for an answer" in done.stderr


def test_what_is_missing_is_shown_as_it_is_given(tmp_path):
    (tmp_path / "ask.yaml").write_text(
        "id: ask\nnamespace: x.y\ninputs:\n  - {id: who, type: MULTISELECT, values: [the team, ops, dev]}\n"
        "  - {id: wait, type: DURATION}\ntasks:\n  - id: p\n    type: io.kestra.plugin.core.flow.Pause\n"
        "    onResume: [{id: n, type: INT, min: 4}]\n"
    )
    done = run(tmp_path, "ask.yaml")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == 'Give them with -i who=\'["the team", "ops"]\' -i wait=PT1H30M'
    done = run(tmp_path, "ask.yaml", "-i", 'who=["the team", "ops"]', "-i", "wait=PT1H30M", "--resume", "p.n=3")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "Answer it with --resume p.n=4"
