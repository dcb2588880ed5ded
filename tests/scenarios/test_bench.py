"""The benchmark itself: its rows have the promised shape, and Parley can stand beside its peers."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.peers import filled
from tests.shared import ROOT, shared

FIELDS = ["figure", "series", "value", "unit", "n", "limit", "ratio", "must", "aim", "ok"]


def bench(*arguments):
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)


def test_rows_say_what_was_measured_and_what_was_promised():
    done = bench("--quick", "--json", "--only", "render")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [list(one) for one in rows] == [FIELDS] * len(rows)
    assert {one["figure"] for one in rows} == {"limit", "render"}
    assert all(one["ok"] is (one["value"] >= one["must"]) for one in rows if one["figure"] == "render")


def test_what_there_is_no_time_for_is_named():
    done = bench("--quick", "--only", "burst", "--only", "render", "--skip", "burst", "--minutes", "0")
    assert done.returncode == 0, done.stderr
    shown = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert shown == ["figure", "limit", "render"]
    assert done.stdout.count("not measured: the time was over") == 2


def test_a_wrong_call_is_told():
    done = bench("--only", "speed")
    assert done.returncode == 2
    assert "speed" in done.stderr


def test_peers_get_the_paths_of_this_machine():
    peers = shared("bench")
    found = filled(peers)
    assert {"parley", "parley-pure", "limits"} <= set(found)
    ours = found["parley"]
    assert Path(ours["python"]).exists()
    assert Path(ours["driver"]).is_file()
    assert ours["env"]["PARLEY_PEERS"] == str(peers)
    assert not [path for path in ours["env"].values() if "{" in path]


def test_our_driver_speaks_the_peers_format(tmp_path):
    ours = filled(shared("bench"))["parley-pure"]
    command = [
        ours["python"],
        ours["driver"],
        "W2",
        "--workdir",
        str(tmp_path),
        "--scale",
        "0.04",
        "--variant",
        "return",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, env=ours["env"])
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"steps", "steps_cpu", "run_p50", "run_p99", "wall"} <= {one["metric"] for one in rows}, done.stderr
    assert all(one["value"] is not None for one in rows), rows
