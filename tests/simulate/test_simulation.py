"""The simulation itself: it finds what is planted, shrinks it, plays it again; the laws hold for the first seeds."""

import json
import subprocess
import sys
from random import Random

import pytest

from tests.shared import ROOT
from tests.simulate.__main__ import main
from tests.simulate.histories import History, drawn, played
from tests.simulate.plants import PLANTS
from tests.simulate.scenes import WIDE, Scene
from tests.simulate.seeds import play, world_of
from tests.simulate.shrinking import shrunk
from tests.simulate.work import flow_of

ONCE_BROKEN = sorted((ROOT / "tests" / "simulate" / "once_broken").glob("*.json"))
NEAR = 300  # seeds looked at when the generator has changed and a plant's own seed catches it no more


def caught(name: str) -> History:
    """The first history that a planted bug breaks: that of its own seed, or of one near the start."""
    for seed in (PLANTS[name].seed, *range(NEAR)):
        if found := play(range(seed, seed + 1), name):
            return found[0]
    raise AssertionError(f"{name} was not caught")


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_caught(name):
    assert drawn(caught(name).seed).law == ""


@pytest.mark.parametrize("first", [0, WIDE])
def test_the_first_seeds_break_no_law(first):
    seeds = range(first, first + 60)
    assert [(history.seed, history.law, history.detail) for history in play(seeds, "")] == []


@pytest.mark.parametrize("file", ONCE_BROKEN, ids=lambda file: file.stem)
def test_what_broke_a_law_once_breaks_it_no_more(file):
    assert played(History.from_json(file.read_text(encoding="utf-8"))).law == ""


def test_where_order_is_not_to_count_a_random_retry_waits_as_long_whatever_its_id():
    found = [one for seed in range(200) for one in retries(Scene.drawn(Random(seed), ordered=True).as_json())]
    assert len(found) > 5
    assert all(one["minInterval"] == one["maxInterval"] for one in found)


def retries(part):
    """The random retries below a part of a scene."""
    if isinstance(part, dict):
        here = [part] if part.get("type") == "random" else []
        return here + [one for value in part.values() for one in retries(value)]
    return [one for value in part for one in retries(value)] if isinstance(part, list | tuple) else []


def test_a_seed_is_the_same_history_each_time():
    assert drawn(7) == drawn(7)
    assert drawn(8).steps == drawn(8).steps


def test_a_history_read_back_is_the_same_and_plays_the_same():
    found = caught("wrong-pause")
    again = History.from_json(found.as_json())
    assert again.as_json() == found.as_json()
    assert played(again, world_of("wrong-pause")).law == found.law


def test_what_broke_is_shrunk_to_a_smaller_history_that_breaks_the_same():
    found = caught("child-twice")
    small = shrunk(found, lambda history: played(history, world_of("child-twice")), plays=250)
    assert small.law == found.law
    assert len(small.steps) < len(found.steps) / 2
    assert len(json.dumps(small.scene.as_json())) < len(json.dumps(found.scene.as_json())) / 2
    for flow in small.scene.flows:
        flow_of(flow)


def test_a_failing_seed_is_told_and_can_be_replayed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert main(["--plant", "stale-cards", "--seeds", "2", "--jobs", "1"]) == 1
    said = capsys.readouterr()
    assert "as small as it gets" in said.out
    [file] = tmp_path.glob("simulate-*.json")
    assert str(file) in said.err
    assert main(["--replay", str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["law"] == json.loads(file.read_text())["law"]


def test_json_is_all_there_is_on_stdout(capsys):
    assert main(["--seeds", "4", "--jobs", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["seeds"], report["broken"], report["history"]) == (4, [], None)


@pytest.mark.parametrize("wrong", [["--seeds", "0"], ["--plant", "nobody"], ["--store", "paper"]])
def test_a_wrong_call_is_2(wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(wrong)
    assert stopped.value.code == 2
    capsys.readouterr()


def test_what_is_no_history_is_2(tmp_path, capsys):
    file = tmp_path / "nothing.json"
    file.write_text("{}")
    assert main(["--replay", str(file)]) == 2
    assert "holds no history" in capsys.readouterr().err


def test_several_processes_play_the_same_seeds():
    command = [sys.executable, "-m", "tests.simulate", "--seeds", "26", "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("26 seeds over memory in ")


def test_flows_of_many_seeds_hold_everything_a_flow_may_be_made_of():
    text = json.dumps([Scene.drawn(Random(seed), wide=seed % 2 == 1).as_json() for seed in range(300)])
    kinds = ("Sequential", "Parallel", "ForEach", "If", "Switch", "Dag", "Loop", "LoopUntil", "Subflow", "ForEachItem")
    for kind in (*kinds, "WorkingDirectory", "Pause", "Approval", "AllowFailure", "Sleep"):
        assert f'flow.{kind}"' in text, kind
    for name in ("errors", "finally", "afterExecution", "retry", "timeout", "allowFailure", "runIf", "disabled",
                 "concurrency", "sla", "onResume", "pauseDuration", "CREATE_NEW_EXECUTION", "breakWhen"):  # fmt: skip
        assert f'"{name}"' in text, name
