"""A bot without chats loads nothing that it may never need."""

import json
import subprocess
import sys

import pytest

from bot.cli.serve import up_settings
from engine.errors import SettingInvalid

HEAVY = {
    "rich", "httpx", "cryptography", "markdown_it", "websockets", "psycopg",
    "procrastinate", "slack_bolt", "slack_sdk", "discord", "aiohttp", "openai", "docker", "git", "fsspec",
}  # fmt: skip
# What `parley up` does, looked at from beside once it has settled.
START = """
import gc, json, os, signal, sys, threading, time
from bot.__main__ import main

def look():
    while not gc.get_freeze_count():
        time.sleep(0.01)
    while not gc.isenabled():
        time.sleep(0.01)
    told = {"frozen": gc.get_freeze_count(), "thresholds": gc.get_threshold(), "modules": sorted(sys.modules)}
    sys.stderr.write("\\n" + json.dumps(told) + "\\n")
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=look, daemon=True).start()
sys.argv[1:] = ["up", "--port", "0", "--data", sys.argv[1] + "/data", "--flows", sys.argv[1] + "/flows"]
main()
"""


def test_a_start_without_chats_loads_nothing_heavy_and_leaves_little_to_the_collector(tmp_path):
    (tmp_path / "flows").mkdir()
    ran = subprocess.run([sys.executable, "-c", START, str(tmp_path)], capture_output=True, text=True, check=True)
    said = next(json.loads(line) for line in ran.stderr.splitlines() if line.startswith('{"frozen"'))
    assert HEAVY.isdisjoint(said["modules"]), HEAVY & set(said["modules"])
    assert said["frozen"] > 50_000
    assert said["thresholds"] == [700, 10, 10]  # what `starting.settle` was measured with


SERVER = "postgresql://parley@127.0.0.1/parley"


@pytest.mark.parametrize(
    ("database", "role", "why"),
    [
        (SERVER, "scheduler", "the role 'scheduler' runs none"),
        (SERVER, "bot", "the role 'bot' runs none"),
        ("", "all", "alone on a file this one runs every task"),
    ],
)
def test_a_group_of_tasks_for_who_runs_none_is_refused(monkeypatch, database, role, why):
    if database:
        monkeypatch.setenv("PARLEY_DATABASE", database)
    with pytest.raises(SettingInvalid, match=rf"--worker-group.*{why}"):
        up_settings(None, None, None, None, role, ("gpu",))


@pytest.mark.parametrize("role", ["worker", "all"])
def test_a_group_of_tasks_is_for_who_runs_some(monkeypatch, role):
    monkeypatch.setenv("PARLEY_DATABASE", SERVER)
    assert up_settings(None, None, None, None, role, ("gpu",)).worker_groups == ("gpu",)
    monkeypatch.setenv("PARLEY_WORKER_GROUPS", '["gpu"]')  # one file of settings may serve all machines
    assert up_settings(None, None, None, None, "scheduler").worker_groups == ("gpu",)
