"""Scripts in many languages: perl runs for real; the others' programs are stand-ins that tell how they were called."""

import re
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.tasks.context import task

PROGRAMS = {
    "r": ("Rscript", [], ".R"),
    "ruby": ("ruby", [], ".rb"),
    "perl": ("perl", [], ".pl"),
    "php": ("php", [], ".php"),
    "lua": ("lua", [], ".lua"),
    "julia": ("julia", [], ".jl"),
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


async def look(context, language, kind, condition, **given):
    """What a trigger of a language hands on when it looks once."""
    declared = {"id": "t", "type": f"io.kestra.plugin.scripts.{language}.{kind}", "exitCondition": condition}
    declared |= given
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    seen = await trigger.poll(context)
    return seen.found and seen.found.model_dump(exclude={"timestamp"})


HERE = {"docker": {"host": "unix:///nowhere/docker.sock", "fallback": "process"}}


STRICT = "$ErrorActionPreference = 'Stop'"


@pytest.fixture
def pwsh(stand_in, tmp_path):
    """A stand-in for PowerShell that tells its arguments one by one, and ends with 1."""
    stand_in("pwsh")
    (tmp_path / "bin" / "pwsh").write_text('#!/bin/sh\nfor one; do echo "<$one>"; done\nexit 1\n')


async def test_powershell_reads_the_commands_itself(make_context, pwsh):
    context = make_context(inputs={"x": 'a"; $(Get-Date) `n', "y": "it's"})
    given = {"type": "io.kestra.plugin.scripts.powershell.Commands", "taskRunner": LOCAL}
    commands = ['echo "{{ inputs.x }}"', "echo '{{ inputs.y }}'"]
    with pytest.raises(TaskFailed, match="exit code 1"):
        await context.run(**given, beforeCommands=["Import-Module X"], commands=commands)
    assert [line for _, line in context.lines if not line.startswith("A value held")] == [
        "<-NoProfile>",
        "<-NonInteractive>",
        "<-Command>",
        f"<{STRICT}",
        "echo '##kestra:log:debug##'",
        "Import-Module X",
        "echo '##kestra:log:info##'",
        'echo "a`"; `$(Get-Date) ``n"',
        "echo 'it''s'>",
    ]


async def test_powershell_runs_a_script_so_that_its_errors_end_it(context, pwsh):
    script = {"type": "io.kestra.plugin.scripts.powershell.Script", "taskRunner": LOCAL, "script": "Get-Item x"}
    with pytest.raises(TaskFailed):
        await context.run(**script)
    assert context.said(f"^<{re.escape(STRICT)}$")
    assert context.said(r"^& '/.*/script-.*\.ps1'>$")
    with pytest.raises(TaskFailed):
        await context.run(**script, failFast=False)
    assert context.said(r"^<& '/.*\.ps1'>$")
    with pytest.raises(TaskFailed):  # what reads the commands may be another shell
        await context.run(**script, interpreter=["/bin/sh", "-c"])
    assert context.said("^<-File>$")


async def test_long_commands_for_powershell_go_through_a_file(context, pwsh):
    given = {"type": "io.kestra.plugin.scripts.powershell.Commands", "taskRunner": LOCAL}
    with pytest.raises(TaskFailed):
        await context.run(**given, commands=[f"echo '{'y' * 200_000}'"])
    assert context.said(r"^</.*/run-.*\.ps1>$")


async def test_triggers_of_powershell(make_context, pwsh):
    context = make_context(HERE)
    found = {"condition": "exit 1", "exitCode": 1, "vars": None}
    assert await look(context, "powershell", "CommandsTrigger", "exit 1", commands=["exit 1"]) == found
    assert await look(context, "powershell", "ScriptTrigger", "exit 1", script="exit 1") == found


@pytest.mark.parametrize("kind", ["Script", "Commands"])
def test_groovy_runs_as_root_where_nobody_else_is_named(context, kind):
    given = {"type": f"io.kestra.plugin.scripts.groovy.{kind}", "script" if kind == "Script" else "commands": "x"}
    docker = {"type": "io.kestra.plugin.scripts.runner.docker.Docker"}

    def user(**more):
        return getattr(task(context, **given, **more).chosen_runner(context), "user", "nobody's")

    assert (user(), user(taskRunner=docker), user(runner="DOCKER")) == ("root",) * 3
    assert user(taskRunner={**docker, "user": "1000"}) == "1000"
    assert user(taskRunner=LOCAL) == "nobody's"


@pytest.mark.parametrize("language", PROGRAMS)
async def test_triggers_see_how_a_script_of_the_language_ends(make_context, stand_in, language):
    program, _, suffix = PROGRAMS[language]
    stand_in(program)
    context = make_context(HERE, inputs={"x": 3})
    found = await look(
        context, language, "ScriptTrigger", "file=.*[.]", script="say {{ inputs.x }}", containerImage="any"
    )
    assert found["vars"]["file"].endswith(suffix)
    assert (found["exitCode"], set(found)) == (0, {"condition", "exitCode", "vars"})
    assert context.said("say 3")
    assert await look(context, language, "CommandsTrigger", "exit 3", commands=["exit {{ inputs.x }}"]) == {
        "condition": "exit 3",
        "exitCode": 3,
        "vars": {} if language == "groovy" else None,
    }


async def test_what_a_failed_script_says_is_not_looked_at(make_context):
    """As in Kestra, since its triggers run in containers; only that of Groovy sees what it handed on before."""
    failing = ["""echo '::{"outputs":{"left":5}}::'""", "echo no space left >&2", "exit 3"]
    context = make_context(HERE)
    assert await look(context, "perl", "CommandsTrigger", "left", commands=failing) is None
    assert await look(context, "groovy", "CommandsTrigger", "space", commands=failing) is None
    told = await look(context, "groovy", "CommandsTrigger", "left=5", commands=failing)
    assert (told["exitCode"], told["vars"]) == (3, {"left": 5})


async def test_a_trigger_without_a_condition_says_so(make_context):
    context = make_context(HERE, inputs={"x": " "})
    with pytest.raises(TaskFailed, match="`exitCondition` is empty"):
        await look(context, "lua", "CommandsTrigger", "{{ inputs.x }}", commands=["exit 0"])


async def test_triggers_of_dotnet_know_the_system(make_context):
    context = make_context(HERE)
    both = {"commands": ["false", "exit 3"], "condition": "exit 3"}
    assert await look(context, "fsharp", "CommandsTrigger", **both) is None
    assert await look(context, "fsharp", "CommandsTrigger", targetOS="WINDOWS", **both)
    with pytest.raises(ValidationError, match="targetOS"):
        await look(context, "lua", "CommandsTrigger", targetOS="WINDOWS", **both)


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
    assert task(context, type="io.kestra.plugin.scripts.dotnet.FSharp", script="").suffix == ".fsx"


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
