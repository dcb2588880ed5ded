"""Scripts in many languages: perl runs for real; the others' programs are stand-ins that tell how they were called."""

import shutil
from pathlib import Path

import pytest

from engine.errors import TaskFailed
from tests.tasks.context import task

PROGRAMS = {
    "r": ("Rscript", [], ".R"),
    "ruby": ("ruby", [], ".rb"),
    "perl": ("perl", [], ".pl"),
    "php": ("php", [], ".php"),
    "lua": ("lua", [], ".lua"),
    "julia": ("julia", [], ".jl"),
    "powershell": ("pwsh", ["-File"], ".ps1"),
    "go": ("go", ["run"], ".go"),
    "deno": ("deno", ["run", "-A"], ".ts"),
    "bun": ("bun", ["run"], ".ts"),
    "groovy": ("groovy", [], ".groovy"),
    "node": ("node", [], ".js"),
    "jbang": ("jbang", ["--quiet"], ".java"),
    "csharp": ("dotnet-script", [], ".csx"),
    "dotnet": ("dotnet-script", [], ".csx"),
    "fsharp": ("dotnet", ["fsi"], ".fsx"),
}
LOCAL = {"type": "io.kestra.plugin.core.runner.Process"}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a program there that tells how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def put(program):
        (folder / program).write_text(
            '#!/bin/sh\necho "called $*"\nfor last; do :; done\n'
            'echo "::{\\"outputs\\":{\\"file\\":\\"$last\\"}}::"\ncat "$last"\n'
        )
        (folder / program).chmod(0o755)

    return put


@pytest.mark.parametrize("language", PROGRAMS)
async def test_the_script_goes_to_its_program(make_context, stand_in, language):
    program, before, suffix = PROGRAMS[language]
    stand_in(program)
    context = make_context(inputs={"x": 'a "b" $c'})
    script = {"type": f"io.kestra.plugin.scripts.{language}.Script", "taskRunner": LOCAL}
    found = await context.run(**script, script="say {{ inputs.x }}")
    file = Path(found.vars["file"])
    assert file.suffix == suffix
    assert context.said(f"called {' '.join([*before, str(file)])}")
    assert context.said(r'say a "b" \$c')
    commands = {"type": f"io.kestra.plugin.scripts.{language}.Commands", "taskRunner": LOCAL}
    assert (await context.run(**commands, commands=["exit 0"])).exitCode == 0


async def test_what_runs_csharp_is_installed_where_it_is_not_there(context, stand_in):
    stand_in("dotnet")
    script = {"type": "io.kestra.plugin.scripts.csharp.Script", "taskRunner": LOCAL, "script": ""}
    with pytest.raises(TaskFailed, match="exit code 127"):
        await context.run(**script, beforeCommands=["echo mine"])
    told = [line for level, line in context.lines if level == "DEBUG" and not line.startswith("::")]
    assert told == ["called tool install -g dotnet-script --ignore-failed-sources", "mine"]


def test_csharp_and_fsharp_run_in_the_image_of_the_sdk(context):
    for language in ("csharp", "dotnet", "fsharp"):
        for kind in ({"script": ""}, {"commands": []}):
            name = "Script" if "script" in kind else "Commands"
            found = task(context, type=f"io.kestra.plugin.scripts.{language}.{name}", **kind)
            assert found.asked_image() == "mcr.microsoft.com/dotnet/sdk:10.0"


async def test_jbang_runs_other_languages_and_may_speak(context, stand_in):
    stand_in("jbang")
    script = {"type": "io.kestra.plugin.scripts.jbang.Script", "taskRunner": LOCAL, "script": "fun main() {}"}
    found = await context.run(**script, extension=".kt", quiet=False)
    assert found.vars["file"].endswith(".kt")
    assert context.said(f"called {found.vars['file']}")
    with pytest.raises(TaskFailed, match=r"`extension` '\.\./x' is no ending of a file"):
        await context.run(**script, extension="../x")


@pytest.mark.skipif(not shutil.which("perl"), reason="There is no perl.")
async def test_perl(context):
    script = "print '::{\"outputs\": {\"sum\": ' . (1 + 2) . '}}::', qq(\\n);"
    found = await context.run(type="io.kestra.plugin.scripts.perl.Script", taskRunner=LOCAL, script=script)
    assert found.vars == {"sum": 3}
