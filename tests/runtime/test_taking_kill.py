"""kill -9 while a trigger moves files: each is in one execution, wherever the file and the process had come to."""

import subprocess
import sys
from collections import Counter

import pytest

from engine.file_settings import open_files
from engine.runtime import Engine
from engine.settings import Settings
from tests.shared import ROOT

NAMES = ("a.csv", "b.csv", "c.csv")


@pytest.mark.parametrize("moment", ["before:3", "moved:1", "moved:3", "before:4", "after:4"])
async def test_a_kill_loses_and_doubles_no_file(tmp_path, moment):
    folder = tmp_path / "files"
    (folder / "in").mkdir(parents=True)
    for name in NAMES:
        (folder / "in" / name).write_text(f"text of {name}")

    def live(day, at):
        command = [sys.executable, "-m", "tests.runtime.dying_taker", str(tmp_path / "data"), str(folder), at, str(day)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    died = live(0, moment)
    assert died.returncode == -9, died.stderr
    if not (folder / "in/a.csv").exists():
        (folder / "in/a.csv").write_text("another by this name")
    again = live(1, "never")
    assert again.returncode == 0, again.stderr
    settings = Settings(data=tmp_path / "data", flows=())
    engine, storage = await Engine.open(settings), open_files(settings)
    try:
        found = await engine.executions(limit=100)
        files = [one for execution in found for one in execution.origin.variables["files"]]
        texts = Counter(storage.path(one["uri"]).read_text() for one in files)
    finally:
        await engine.database.close()
    assert {one["localPath"] for one in files} == {str(folder / "done" / name) for name in NAMES}
    texts.pop("another by this name", None)
    assert texts == Counter(f"text of {name}" for name in NAMES)
    assert not list((folder / "in").iterdir())
