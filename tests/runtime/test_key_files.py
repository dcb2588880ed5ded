"""Key files: made once, private, whole."""

import subprocess
import sys

from bot.web.gate import private_key
from engine.key_files import kept_key
from engine.secrets import Vault
from engine.settings import Settings
from tests.shared import ROOT


def test_a_key_is_made_once_and_private(tmp_path):
    path = tmp_path / "new" / "key"
    assert kept_key(path, lambda: "one\n") == "one"
    assert kept_key(path, lambda: "two\n") == "one"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["key"]


def test_an_empty_file_of_a_start_that_was_cut_off_is_no_key(tmp_path):
    for name in ("encryption.key", "web.key"):
        (tmp_path / name).touch()
    sealed = Vault.of(Settings(data=tmp_path)).seal("x", "me")
    assert Vault.of(Settings(data=tmp_path)).open(sealed, "me") == "x"
    assert len(private_key(tmp_path / "web.key")) == 32


def test_processes_that_start_together_get_one_key(tmp_path):
    code = "import os, sys; from pathlib import Path; from engine.key_files import kept_key\n"
    code += "print(kept_key(Path(sys.argv[1]), lambda: str(os.getpid())))"
    command = [sys.executable, "-c", code, str(tmp_path / "key")]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({one.communicate()[0] for one in started}) == 1
