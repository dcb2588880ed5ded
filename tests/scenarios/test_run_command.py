"""`parley run`: one flow and what it calls; of the other files in its folder nothing is heard."""

import os
import subprocess
import sys

import pytest

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
    assert "x.y/fine ended SUCCESS" in done.stderr
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


def test_a_name_that_no_file_holds(folder):
    done = run(folder, "x.y/fin", "--flows", ".")
    assert done.returncode == 2
    assert "There is no flow x.y/fin. Did you mean x.y/fine" in done.stderr
