"""Rules of the tree that linters don't know."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.shared import ROOT

MODULES = sorted(path for folder in ("bot", "engine") for path in (ROOT / folder).rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "shared", "core_utils"}
TOP = {"pyproject.toml", "README.md", "LICENSE", "Dockerfile", "bot", "engine", "flows", "tests"}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    return listed.stdout.split("\n")[:-1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_holds_one_noun(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert path.stem not in VAGUE


def test_the_top_level_is_what_was_asked_for():
    if not (files := tracked()):
        pytest.skip("Not a git checkout.")
    top = {name.split("/")[0] for name in files}
    assert {name for name in top if not name.startswith(".")} <= TOP


def test_no_file_names_a_machine_or_a_registry():
    # In halves, so that this file passes too.
    halves = ("/", "work/"), ("/", r"root/(?!\.ollama)"), ("files", r"\.pythonhosted"), ("registry", r"\.npmjs")
    names = re.compile("|".join("".join(pair) for pair in (*halves, (r"pypi\.org", "/simple"))))
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".html", ".js", ".css", ""}
    files = [path for name in tracked() if (path := ROOT / name).suffix in kinds and path.is_file()]
    assert [str(path) for path in files if names.search(path.read_text(encoding="utf-8", errors="ignore"))] == []


def test_nothing_that_wheels_need_is_missing():
    for folder in ("templates", "static"):
        assert any((ROOT / "bot" / "web" / folder).iterdir())
    assert any(Path(ROOT / "flows" / "tour").glob("*.yaml"))
