"""Command-line tools that write down how they were called: programs on PATH, found before any real one."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """#!/bin/sh
printf '%s\\n' "$(basename "$0")" "$@" | od -An -v -tx1 | tr -d ' \\n' >> '{calls}'
echo >> '{calls}'
env > '{folder}/env.txt'
{body}
"""


@dataclass
class Tools:
    """`install` puts a program on PATH; `calls` are the command lines it got."""

    folder: Path

    def install(self, *names: str, body: str = "") -> None:
        for name in names:
            path = self.folder / name
            path.write_text(PROGRAM.format(calls=self.folder / "calls", folder=self.folder, body=body))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self) -> list[list[str]]:
        written = self.folder / "calls"
        lines = written.read_text().split() if written.exists() else []
        return [bytes.fromhex(line).decode().split("\n")[:-1] for line in lines]

    @property
    def env(self) -> dict[str, str]:
        """The environment of the last call."""
        lines = (self.folder / "env.txt").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def json_file(path: str, value: Any) -> str:
    """Shell text that writes a JSON file."""
    return f"mkdir -p \"$(dirname '{path}')\"; cat > '{path}' <<'END'\n{json.dumps(value)}\nEND\n"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """A folder of programs at the front of PATH."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Tools(folder)
