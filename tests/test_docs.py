"""What the documentation shows is true: its flows load, its settings are settings, its commands exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from bot.cli import app
from bot.settings import BotSettings
from engine.core.flow_source import check
from engine.errors import SettingInvalid
from engine.tasks import catalogue
from tests.shared import ROOT

PAGES = [ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md", *sorted((ROOT / "bot" / "docs").glob("*.md"))]
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
REGISTRY = catalogue()


def blocks(language):
    """(page and number, text) of every block in a language."""
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
        if kind == language
    ]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_yaml_block_is_what_it_says(text, tmp_path, monkeypatch):
    read = yaml.safe_load(text)
    if isinstance(read, dict) and "tasks" in read:
        assert [problem for problem in check(text, REGISTRY) if problem.severity == "error"] == []
    elif isinstance(read, dict) and set(read) <= set(BotSettings.model_fields) | {"webhooks"}:
        (tmp_path / "parley.yaml").write_text(text)
        monkeypatch.chdir(tmp_path)
        settings = BotSettings()
        for name in read:
            assert getattr(settings, name) != BotSettings.model_fields[name].get_default(call_default_factory=True), (
                name
            )


def commands():
    lines = [
        (page.name, line)
        for page in PAGES
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if kind in ("", "sh", "shell", "bash", "console")
        for line in text.splitlines()
        if "docker" not in line
    ]
    found = [(name, re.search(r"(?:^|[\s/])parley (\w.*)$", line)) for name, line in lines]
    return [pytest.param(place[1], id=f"{name}-{place[1][:40]}") for name, place in found if place]


@pytest.mark.parametrize("line", commands())
def test_a_command_line_exists(line):
    command = get_command(app)
    words = shlex.split(line, comments=True)
    while hasattr(command, "commands") and words:
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in known, f"{word} in {line}"


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if target.startswith(("http", "mailto:")):
                continue
            file = (
                ROOT / "bot" / "docs" / f"{target.removeprefix('/docs/')}.md"
                if target.startswith("/docs/")
                else page.parent / target
            )
            if not file.exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_the_first_flow_of_the_guide_runs(tmp_path):
    text = next(text for kind, text in BLOCK.findall((ROOT / "bot/docs/start.md").read_text()) if "id: hello" in text)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "hello.yaml").write_text(text)

    def parley(*words):
        return subprocess.run(
            [sys.executable, "-m", "bot", *words],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert parley("validate", "flows").returncode == 0
    ran = parley("run", "flows/hello.yaml", "-i", "who=Ada")
    assert ran.returncode == 0, ran.stderr
    assert "Hello Ada!" in ran.stderr
    missing = parley("run", "flows/hello.yaml")
    assert missing.returncode == 2
    assert "missing required input" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_a_wrong_setting_is_a_sentence(tmp_path, monkeypatch):
    from bot.settings import read_settings

    monkeypatch.chdir(tmp_path)
    Path("parley.yaml").write_text("web: {port: many}\n")
    with pytest.raises(SettingInvalid, match=r"web\.port"):
        read_settings()
