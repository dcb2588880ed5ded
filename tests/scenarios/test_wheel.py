"""What people install: the wheel, in an empty environment, away from the checkout."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from tests.scenarios.process import Parley
from tests.shared import ROOT, part


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    part(find_spec("build") is not None, "The wheel builder", "`pip install build`.")
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)], check=True, capture_output=True
    )
    return next(out.glob("*.whl"))


@pytest.mark.timeout(600)
def test_the_wheel_carries_flows_templates_and_static_files(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "bot/web/templates/room.html",
        "bot/web/static/parley.js",
        "bot/docs/start.md",
        "bot/preview/slack.css",
        "bot/flows/demo/generate_image.yaml",
        "bot/flows/tour/ship_release.yaml",
    ):
        assert name in names
    assert not any(name.startswith("tests/") for name in names)


@pytest.mark.timeout(900)
def test_the_demo_runs_from_an_empty_environment(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", str(wheel)], check=True, capture_output=True)
    away = tmp_path / "away"
    away.mkdir()
    running = Parley(["demo", "--port", "0"], away, program=[str(python.parent / "parley")])
    try:
        url = running.ready(60)
        assert "Room" in httpx.get(url).text
        assert "tour/ship_release" in httpx.get(f"{url}/ui/flows").text
    finally:
        assert running.stop() == 0
    done = subprocess.run(
        [str(python.parent / "parley"), "run", "tour/draw_poster", "--flows", str(_flows(python)), "--output", "json"],
        cwd=away,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert '"SUCCESS"' in done.stdout


def _flows(python: Path) -> Path:
    found = subprocess.run(
        [str(python), "-c", "import bot, pathlib; print(pathlib.Path(bot.__file__).parent / 'flows' / 'tour')"],
        capture_output=True,
        text=True,
        check=True,
        cwd=python.parent,
    )
    return Path(found.stdout.strip())
