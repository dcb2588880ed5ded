"""Shell, Python and Node scripts as child processes of the test."""

import asyncio
import importlib
import os
import re
import shutil
import signal
import sysconfig
import time
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.errors import NameMissing, NotFound, TaskFailed
from engine.tasks import catalogue
from engine.tasks.core import runner
from engine.tasks.script_output import ScriptOutput
from tests.shared import part
from tests.tasks.context import TestContext, task

SHELL = "io.kestra.plugin.scripts.shell"
PYTHON = "io.kestra.plugin.scripts.python"
NODE = "io.kestra.plugin.scripts.node"
PROCESS = {"type": "io.kestra.plugin.core.runner.Process"}


async def shell(context: TestContext, *commands: str, **given):
    return await context.run(
        **{"type": f"{SHELL}.Commands", "taskRunner": PROCESS, "commands": list(commands), **given}
    )


async def test_commands_run_in_order_and_hand_on(make_context):
    context = make_context(inputs={"name": "Ann"})
    found = await shell(
        context,
        "echo 'Hello, {{ inputs.name }}' > hello.txt",
        'echo \'::{"outputs":{"a":1,"b":"x"}}::\'',
        'echo \'::{"metrics":[{"name":"rows","type":"counter","value":3,"tags":{"t":"u"}}]}::\'',
        'echo \'::{"outputs":{"a":2},"logs":[{"level":"WARN","message":"careful"}]}::\' >&2',
        "echo out; echo err >&2; cat given.txt",
        inputFiles={"given.txt": "given by {{ flow.id }}\n"},
        outputFiles=["*.txt"],
        env={"X": 5},
    )
    assert found.vars == {"a": 2, "b": "x"}
    assert found.exitCode == 0
    assert {name: context.files.text(uri) for name, uri in found.outputFiles.items()} == {
        "hello.txt": "Hello, Ann\n",
        "given.txt": "given by a_flow\n",
    }
    assert {("INFO", "out"), ("ERROR", "err"), ("WARN", "careful"), ("INFO", "given by a_flow")} <= set(context.lines)
    assert context.metrics == {"rows": 3}
    assert not any("::" in line for _, line in context.lines)


async def test_values_stay_in_their_quotes(make_context):
    hostile = "$(touch pwned) `touch pwned` \"; touch pwned; \" ' ; touch pwned ; ' \\"
    context = make_context(inputs={"x": hostile})
    await shell(context, 'printf %s "{{ inputs.x }}" > double.txt', "printf %s '{{ inputs.x }}' > single.txt")
    assert (context.working_dir / "double.txt").read_text() == hostile
    assert (context.working_dir / "single.txt").read_text() == hostile
    assert not (context.working_dir / "pwned").exists()


async def test_a_value_is_not_evaluated_again(make_context):
    context = make_context(inputs={"x": "{{ secret('TOKEN') }}"})
    context.secrets["TOKEN"] = "hidden"
    await shell(context, 'echo "{{ inputs.x }}"')
    assert ("INFO", "{{ secret('TOKEN') }}") in context.lines


async def test_the_first_failure_ends_it(context):
    with pytest.raises(TaskFailed, match="Command failed with exit code 3") as caught:
        await shell(context, "echo done > a.txt", "(exit 3)", "echo never > b.txt", outputFiles=["*.txt"])
    assert (caught.value.outputs or {})["exitCode"] == 3
    assert list((caught.value.outputs or {})["outputFiles"]) == ["a.txt"]
    found = await shell(context, "false", "echo on", failFast=False)
    assert found.exitCode == 0


async def test_before_commands_and_interpreter(context):
    found = await shell(
        context,
        'echo ::{\'"outputs"\':{\'"x"\':\\"$X\\"}}::',
        beforeCommands=["X=5"],
        interpreter=["/bin/sh", "-e", "-c"],
    )
    assert found.vars == {"x": "5"}


async def test_the_environment_is_clean(context, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_TOKEN", "hidden")
    monkeypatch.setenv("SECRET_X", "hidden")
    await shell(context, "env", "git config --global --add safe.directory x", 'cat "$HOME/.gitconfig"')
    assert not context.said("hidden")
    assert context.said(f"^HOME={context.working_dir}/")
    assert context.said(f"^WORKING_DIR={context.working_dir}$")
    assert context.said(r"directory = x")


async def test_a_long_command_goes_through_a_file(make_context):
    context = make_context(inputs={"x": "y" * 200_000})
    await shell(context, "printf %s '{{ inputs.x }}' | wc -c")
    assert context.said("^200000$")


async def test_stored_files_become_paths(context):
    uri = await context.files.put(b"stored", "s.txt")
    context.variables = {**context.variables, "outputs": {"f": uri}}
    await shell(context, "cat {{ outputs.f }}", 'test -d "{{ workingDir }}"')
    assert ("INFO", "stored") in context.lines


async def test_output_files_and_output_dir_are_named(context):
    found = await shell(
        context,
        "echo a > {{ outputFiles['a.txt'] }}",
        "mkdir {{ outputDir }}/sub; echo b > {{ outputDir }}/sub/b.txt",
        outputFiles=["a.txt"],
        outputDirectory=True,
    )
    assert sorted(found.outputFiles) == ["a.txt", "sub/b.txt"]


async def test_input_files_know_the_folders_too(make_context):
    context = make_context(inputs={"x": "{{ secret('TOKEN') }}", "all": {"b": "1"}})
    main = "echo {{ outputFiles['a.txt'] }} > {{ outputDir }}/{{ workingDir | length }}.txt"
    found = await shell(context, "sh main.sh", inputFiles={"main.sh": main}, outputFiles=["a.txt"])
    (name,) = found.outputFiles
    assert name == f"{len(str(context.working_dir))}.txt"
    assert context.files.text(found.outputFiles[name]) == f"{context.working_dir}/a.txt\n"
    await shell(context, "cat a", inputFiles={"a": "{{ inputs.x }}"})
    assert ("INFO", "{{ secret('TOKEN') }}") in context.lines
    await shell(context, "cat b", inputFiles="{{ inputs.all }}")
    assert ("INFO", "1") in context.lines
    with pytest.raises(TaskFailed, match="`inputFiles` is no map"):
        await shell(context, "true", inputFiles="{{ [1] }}")


async def test_an_older_script_that_names_the_output_dir_has_one(context):
    found = await shell(context, 'echo a > {{outputDir}}/a.txt; cp "$OUTPUT_DIR/a.txt" "$OUTPUT_DIR/b.txt"')
    assert sorted(found.outputFiles) == ["a.txt", "b.txt"]
    found = await shell(context, 'echo a > "$OUTPUT_DIR/c.txt"')
    assert "c.txt" in found.outputFiles
    with pytest.raises(NameMissing, match="outputDir"):
        await shell(context, "ls {{ outputDir }}", outputDirectory=False)


async def test_input_files_are_those_of_namespaces_and_of_the_machine(make_context, tmp_path):
    """As in Kestra: `nsfile:///…`, of another namespace `nsfile://its.name/…`, and `file:///…` where flows may read."""
    (tmp_path / "a b.txt").write_text("there")
    context = make_context({"local_files": {"allowed_paths": [str(tmp_path)]}})
    context.files.shared = {"lib/x.sh": tmp_path / "a b.txt"}
    context.files.others = {"company.other": {"y.sh": tmp_path / "a b.txt"}}
    given = {
        "own": "nsfile:///lib/x.sh",
        "its": "nsfile://company.other/y.sh",
        "local": (tmp_path / "a b.txt").as_uri(),
        "text": "see nsfile:///lib/x.sh",
    }
    await shell(context, "cat own its local text > all.txt", inputFiles=given)
    assert (context.working_dir / "all.txt").read_text() == "theretheretheresee nsfile:///lib/x.sh"
    for missing in ("nsfile:///y.sh", "nsfile://company.none/lib/x.sh", "nsfile:///"):
        with pytest.raises(NotFound, match=re.escape(f"There is no file {missing}")):
            await shell(context, "true", inputFiles={"x": missing})
    with pytest.raises(TaskFailed, match=r"There is no .*/nothing"):
        await shell(context, "true", inputFiles={"x": (tmp_path / "nothing").as_uri()})
    with pytest.raises(TaskFailed, match="may not use files of this machine"):
        await shell(make_context(), "true", inputFiles={"x": "file:///etc/hostname"})


async def test_namespace_files(context, tmp_path):
    (tmp_path / "lib.sh").write_text("echo from the namespace\n")
    context.files.shared = {"lib/lib.sh": tmp_path / "lib.sh", "lib/other.txt": tmp_path / "lib.sh"}
    await shell(context, "sh lib/lib.sh", "ls lib", namespaceFiles={"enabled": True, "include": ["**.sh"]})
    assert context.said("from the namespace")
    assert not context.said("other.txt")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"namespaces": ["company.a", "company.ai"]}, {"x.txt": "own", "y.txt": "a"}),
        ({"namespaces": ["company.ai", "company.a"]}, {"x.txt": "a", "y.txt": "a"}),
        ({"namespaces": '["company.a"]', "exclude": "y.*"}, {"x.txt": "a"}),
        ({"namespaces": ["company.a"], "folderPerNamespace": True}, {"company.a/x.txt": "a", "company.a/y.txt": "a"}),
        ({"enabled": "{{ 1 == 2 }}"}, {}),
        (True, {"x.txt": "own"}),
        ({"ifExists": "IGNORE"}, {"x.txt": "there"}),
        ({"ifExists": "WARN"}, {"x.txt": "there"}),
        ({"ifExists": "OVERWRITE"}, {"x.txt": "own"}),
    ],
)
async def test_namespace_files_of_several_namespaces(context, tmp_path, asked, found):
    sources = {name: tmp_path / name for name in ("own", "a")}
    for name, source in sources.items():
        source.write_text(name)
    context.files.shared = {"x.txt": sources["own"]}
    context.files.others = {"company.a": {"x.txt": sources["a"], "y.txt": sources["a"]}}
    if isinstance(asked, dict) and "ifExists" in asked:
        (context.working_dir / "x.txt").write_text("there")
    await shell(context, "true", namespaceFiles=asked)
    files = [path for path in context.working_dir.rglob("*.txt") if ".parley" not in path.parts]
    assert {path.relative_to(context.working_dir).as_posix(): path.read_text() for path in files} == found
    assert context.said("left out", "WARN") is (isinstance(asked, dict) and asked.get("ifExists") == "WARN")


async def test_a_namespace_file_may_be_refused(context, tmp_path):
    (tmp_path / "own").write_text("own")
    context.files.shared = {"x.txt": tmp_path / "own"}
    (context.working_dir / "x.txt").write_text("there")
    with pytest.raises(TaskFailed, match=r"x\.txt is in the working directory already"):
        await shell(context, "true", namespaceFiles={"ifExists": "FAIL"})


async def test_what_prepares_is_told_at_a_lower_level(context):
    await shell(context, "echo work; echo bad >&2", beforeCommands=["echo prepare"])
    assert context.lines == [("DEBUG", "prepare"), ("INFO", "work"), ("ERROR", "bad")] or set(context.lines) == {
        ("DEBUG", "prepare"),
        ("INFO", "work"),
        ("ERROR", "bad"),
    }


async def test_older_ways_to_say_where_a_script_runs(make_context):
    context = make_context()
    older = {"type": "io.kestra.core.tasks.scripts.Bash", "runner": "PROCESS", "exitOnFailed": False}
    await context.run(**older, commands=["false", "echo old"], dockerOptions={"image": "unused"})
    assert context.said("^old$", "INFO")
    with pytest.raises(TaskFailed, match=r"`docker`: `cpu\.cpus` .*taskRunner"):
        await context.run(type=f"{SHELL}.Commands", commands=["x"], docker={"image": "i", "cpu": {"cpus": "many"}})
    found = task(context, type=f"{SHELL}.Commands", commands=["x"], docker={"dockerHost": "tcp://h:1", "image": "i"})
    runner = found.chosen_runner(context)
    assert (runner.host, runner.image) == ("tcp://h:1", "i")


def test_the_older_ways_come_before_the_task_runner(make_context):
    """As in Kestra: `runner` before all, and `docker` before the options of a runner of Docker."""
    context, commands = make_context(), {"type": f"{SHELL}.Commands", "commands": ["x"]}
    docker = {"type": "io.kestra.plugin.scripts.runner.docker.Docker", "user": "1"}

    def chosen(**given):
        found = task(context, **commands, **given)
        runner = found.chosen_runner(context)
        assert runner.type == found.runner_type
        return getattr(runner, "user", "a process")

    assert chosen(taskRunner=docker, runner="PROCESS") == "a process"
    assert chosen(taskRunner=PROCESS, runner="DOCKER", docker={"image": "i", "user": "2"}) == "2"
    assert chosen(taskRunner=docker, docker={"image": "i", "user": "2"}) == "2"
    assert chosen(taskRunner=docker) == "1"
    assert chosen(taskRunner=PROCESS, docker={"image": "i"}) == "a process"
    assert chosen(docker={"image": "i", "configPath": "~/.docker/config.json"}) is None


OLDEST = "io.kestra.core.tasks.scripts"


async def test_the_script_tasks_of_the_first_releases_run_as_they_were_written(make_context):
    context = make_context(inputs={"name": 'Ann "the" Fox'})
    bash = {"type": f"{OLDEST}.Bash", "runner": "PROCESS", "interpreter": "/bin/bash", "interpreterArgs": ["-e", "-c"]}
    found = await context.run(
        **bash, commands=["[[ 1 == 1 ]] && echo yes > first.txt", "echo no > {{ outputFiles.second }}"],
        outputsFiles=["first.txt"], files=["second"],
    )  # fmt: skip
    assert {name: context.files.text(uri) for name, uri in found.outputFiles.items()} == {
        "first.txt": "yes\n",
        "second": "no\n",
    }
    main = "import sys, json\nprint('::' + json.dumps({'outputs': {'given': sys.argv[1:]}}) + '::')"
    python = {"type": f"{OLDEST}.Python", "runner": "PROCESS", "inputFiles": {"main.py": main}}
    found = await context.run(**python, args=["{{ inputs.name }}", "a b"])
    assert found.vars == {"given": ['Ann "the" Fox', "a b"]}
    main = "open('{{ outputFiles.rows }}', 'w').write('1'); open('{{outputFiles['b.csv']}}', 'w').write('2')"
    python |= {"inputFiles": {"main.py": main}, "outputFiles": ["rows", "b.csv"]}
    found = await context.run(**python)
    assert {name: context.files.text(uri) for name, uri in found.outputFiles.items()} == {"rows": "1", "b.csv": "2"}


@pytest.mark.parametrize("name", ["Bash", "Python", "Node"])
def test_a_script_of_the_first_releases_runs_here_unless_it_asks_for_a_container(make_context, name):
    def runner(**given):
        return task(make_context(), type=f"{OLDEST}.{name}", commands=["x"], **given).runner_type

    docker = "io.kestra.plugin.scripts.runner.docker.Docker"
    assert runner() == PROCESS["type"]
    asked = ({"runner": "DOCKER"}, {"dockerOptions": {"image": "i"}}, {"containerImage": "i"})
    assert [runner(**one) for one in asked] == [docker] * 3
    assert runner(taskRunner={"type": docker}) == docker


def test_the_first_releases_had_other_names(make_context):
    context = make_context()
    node = task(context, type=f"{OLDEST}.Node", args=["x"])
    assert node.commands == ["node main.js x"]
    python = task(context, type=f"{OLDEST}.Python", commands=["./bin/python a.py"], requirements=["requests"])
    assert (python.commands[1], python.dependencies) == ("./bin/python a.py", ["requests"])
    assert task(context, **python.model_dump(by_alias=True, exclude_unset=True)).commands == python.commands
    assert task(context, type=f"{OLDEST}.Bash", commands=["x"], interpreter="/bin/bash").interpreter == [
        "/bin/bash",
        "-c",
    ]
    with pytest.raises(ValidationError, match="interpreterArgs"):
        task(context, type=f"{SHELL}.Commands", commands=["x"], interpreterArgs=["-c"])
    with pytest.raises(ValidationError, match="requirements"):  # only Python had them
        task(context, type=f"{OLDEST}.Bash", commands=["x"], requirements=["requests"])


async def test_a_script_for_windows_does_not_set_what_its_shell_lacks(context):
    found = await shell(context, "false", "echo on", targetOS="WINDOWS")
    assert found.exitCode == 0


async def test_output_is_bounded(make_context):
    context = make_context({"scripts": {"max_output": 1000}})
    found = await shell(context, "yes | head -n 5000", 'echo \'::{"outputs":{"x":1}}::\'')
    assert found.vars == {"x": 1}
    assert sum(len(line) for _, line in context.lines) < 1200
    assert context.said(r"more than 1,000 characters \(`scripts\.max_output`\)", "WARN")


async def test_broken_lines_are_told(context):
    await shell(context, "echo '::{broken}::'", "printf '\\377\\n'", "printf no-newline")
    assert context.said("Invalid outputs", "WARN")
    assert ("INFO", "no-newline") in context.lines


@pytest.mark.parametrize(
    "value",
    ["[" * 50_000 + "]" * 50_000, "9" * 5000, "NaN", "[-Infinity]"],
    ids=["too deep a list", "too long a number", "not a number", "a number without end"],
)
async def test_what_cannot_be_read_stops_no_other_line(context, value):
    line = f'::{{"outputs":{{"x":{value}}}}}::'
    found = await shell(context, "cat lines.txt", inputFiles={"lines.txt": f'{line}\n::{{"outputs":{{"y":1}}}}::\n'})
    assert found.vars == {"y": 1}
    assert context.said("Invalid outputs", "WARN")


async def test_a_metric_too_large_for_a_number_is_told(context):
    value = "9" * 400
    found = await shell(
        context,
        f'echo \'::{{"metrics":[{{"name":"n","type":"counter","value":{value}}}],"outputs":{{}}}}::\'',
        'echo \'::{"outputs":{"y":1}}::\'',
    )
    assert found.vars == {"y": 1}
    assert context.said("Invalid metric", "WARN")


def test_a_version_of_python_is_that_of_the_container(context):
    def image(**given):
        return task(context, type=f"{PYTHON}.Script", script="", **given).usual_image()

    assert (image(), image(pythonVersion="3.11")) == ("python:3.13-slim", "python:3.11-slim")


async def test_a_version_of_python_here(context, monkeypatch):
    folder = context.working_dir / "bin"
    folder.mkdir()
    (folder / "python9.8").write_text("#!/bin/sh\necho this is 9.8\n")
    (folder / "python9.8").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    given = {"type": f"{PYTHON}.Script", "taskRunner": PROCESS, "script": "print('the usual')"}
    await context.run(**given, pythonVersion="9.8.7")
    assert ("INFO", "this is 9.8") in context.lines
    await context.run(**given, pythonVersion="9.7")
    assert context.said("There is no Python 9.7 here", "WARN")
    assert ("INFO", "the usual") in context.lines
    with pytest.raises(TaskFailed, match=r"'\.\./x' is not a version"):
        await context.run(**given, pythonVersion="../x")


async def test_a_cancelled_script_is_gone_with_its_children(context):
    pids = context.working_dir / "pids"
    running = asyncio.create_task(
        shell(context, "sleep 300 & echo $! > pids.tmp; echo $$ >> pids.tmp; mv pids.tmp pids; wait")
    )
    while not pids.exists():
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for pid in pids.read_text().split():
        await ended(int(pid))


async def test_a_script_cancelled_while_it_starts_is_gone_with_its_children(context, monkeypatch):
    pids, start = context.working_dir / "pids", asyncio.create_subprocess_exec

    async def slow(*command, **given):
        process = await start(*command, **given)
        await asyncio.sleep(0.5)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    running = asyncio.create_task(shell(context, "sleep 300 & echo $! $$ > pids.tmp; mv pids.tmp pids; wait"))
    while not pids.exists():
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
    for pid in pids.read_text().split():
        await ended(int(pid))


async def test_what_stays_in_the_background_is_ended(context):
    await shell(context, "sleep 300 & echo $! > pid")
    await ended(int((context.working_dir / "pid").read_text()))


async def test_the_last_that_a_script_wrote_is_read_however_long_that_takes(context, monkeypatch):
    monkeypatch.setattr(runner, "HELD", 0.01)
    monkeypatch.setattr(runner, "DRAIN", 0.01)
    hear = ScriptOutput.hear

    def slowly(self, block, stream):
        time.sleep(0.1)  # the machine is busy
        hear(self, block, stream)

    monkeypatch.setattr(ScriptOutput, "hear", slowly)
    await shell(context, "seq 20000; seq 20001 20003 >&2")
    said = [line for level, line in context.lines if level == "INFO"]
    assert said == [str(number) for number in range(1, 20_001)]
    assert [line for level, line in context.lines if level == "ERROR"] == ["20001", "20002", "20003"]


@pytest.mark.parametrize("writes", ["yes", "while :; do echo y; sleep 0.01; done", "sleep 300"])
async def test_who_holds_the_output_and_cannot_be_ended_is_not_waited_for(context, monkeypatch, writes):
    monkeypatch.setattr(runner, "DRAIN", 0.3)
    monkeypatch.setattr(runner.descendants, "end_marked", lambda marks: False)  # as with another user's process
    await shell(context, f"setsid sh -c 'echo $$ > pid.new; mv pid.new pid; {writes}' & until [ -e pid ]; do :; done")
    os.killpg(int((context.working_dir / "pid").read_text()), signal.SIGKILL)


async def ended(pid: int) -> None:
    """Returns when a process that was killed is gone: the signal takes effect a moment after it was sent."""
    while alive(pid):
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_what_cannot_start(context):
    with pytest.raises(TaskFailed, match="'/no/such/shell' could not be started"):
        await shell(context, "echo", interpreter=["/no/such/shell", "-c"])


async def test_python_scripts(make_context):
    context = make_context(inputs={"rows": [1, 2, 3], "ok": True})
    script = """
from __future__ import annotations
from kestra import Kestra
Kestra.outputs({"sum": sum({{ inputs.rows }}), "ok": {{ inputs.ok }}, "nothing": null is None})
Kestra.counter("rows", 3)
Kestra.logger().warning("careful")
"""
    found = await context.run(type=f"{PYTHON}.Script", taskRunner=PROCESS, script=script)
    assert found.vars == {"sum": 6, "ok": True, "nothing": True}
    assert context.metrics == {"rows": 3}
    assert ("WARN", "careful") in context.lines
    with pytest.raises(TaskFailed, match="exit code 1"):
        await context.run(type=f"{PYTHON}.Script", taskRunner=PROCESS, script="raise SystemExit(1)")


@pytest.fixture
def wheel(tmp_path):
    """A package of one module, as an index would hand it out."""
    file = tmp_path / "tiny_pack-1.0-py3-none-any.whl"
    about = "tiny_pack-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_pack.py", "SIZE = 7\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-pack\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return file


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("manager", ["PIP", "UV", "UV that is not there", "", " with uv"])
async def test_dependencies_are_installed_for_the_task_alone(context, wheel, monkeypatch, tmp_path, manager, cached):
    found = shutil.which("uv", path=sysconfig.get_path("scripts"))
    assert found, "the tests install uv"
    (tmp_path / "bin").mkdir()
    paths = [str(tmp_path / "bin"), "/usr/bin", "/bin"]
    assert not shutil.which("uv", path=os.pathsep.join(paths))
    by_uv = manager in ("UV", " with uv")
    if by_uv:
        (tmp_path / "bin" / "uv").symlink_to(found)
    monkeypatch.setenv("PATH", os.pathsep.join(paths))
    await context.run(
        type=f"{PYTHON}.Script",
        taskRunner=PROCESS,
        dependencies=[str(wheel)],
        **({"packageManager": name} if (name := manager.partition(" ")[0]) else {}),
        dependencyCacheEnabled=cached,
        script="from importlib.metadata import distribution as d; print('by', d('tiny-pack').read_text('INSTALLER'))",
    )
    assert ("INFO", "by uv" if by_uv else "by pip") in context.lines
    assert any("no uv" in line for level, line in context.lines if level == "WARN") is manager.endswith("there")
    assert not [line for level, line in context.lines if level == "ERROR"]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tiny_pack")


@pytest.mark.parametrize("body", [{"script": "pass"}, {"commands": ["true"]}])
async def test_dependencies_are_there_before_all_commands(context, wheel, body):
    """As in Kestra, where they are installed before anything runs, and what cannot be had ends the task in any case."""
    given = {"type": f"{PYTHON}.{'Script' if 'script' in body else 'Commands'}", "taskRunner": PROCESS, **body}
    look = ["python3 -c 'import tiny_pack; print(tiny_pack.SIZE)'"]
    await context.run(**given, dependencies=[str(wheel)], beforeCommands=look)
    assert ("DEBUG", "7") in context.lines
    with pytest.raises(TaskFailed, match="exit code"):
        await context.run(**given, dependencies=["/nowhere/tiny_pack-1.0-py3-none-any.whl"], failFast=False)


async def test_python_commands(context):
    await context.run(
        type=f"{PYTHON}.Commands", taskRunner=PROCESS, commands=["python3 -c 'from kestra import Kestra; print(5)'"]
    )
    assert ("INFO", "5") in context.lines


async def test_node_scripts(context):
    part(shutil.which("node") is not None, "Node.js", "install it.")
    script = "console.log('::' + JSON.stringify({outputs: {sum: 1 + {{ 1 + 1 }}}}) + '::');"
    found = await context.run(type=f"{NODE}.Script", taskRunner=PROCESS, script=script)
    assert found.vars == {"sum": 3}


async def test_node_scripts_hand_on_with_a_library(context):
    part(shutil.which("node") is not None, "Node.js", "install it.")
    script = """
const Kestra = require("@kestra-io/libs");
Kestra.outputs({ deep: [1, { text: "}}:: żółć" }] });
Kestra.counter("rows", 5, { kind: "new" });
Kestra.gauge("heat", -2.5);
Kestra.timer("took", 1.5);
Kestra.timer("waited", (done) => setTimeout(done, 5));
const log = Kestra.logger();
log.info("hello", { a: 1 });
log.warn("careful");
log.error(new Error("broken"));
"""
    found = await context.run(type=f"{NODE}.Script", taskRunner=PROCESS, script=script)
    assert found.vars == {"deep": [1, {"text": "}}:: żółć"}]}
    assert {name: value for name, value in context.metrics.items() if name != "waited"} == {
        "rows": 5,
        "heat": -2.5,
        "took": 1.5,
    }
    assert context.metrics["waited"] > 0
    assert {("INFO", 'hello {"a":1}'), ("WARN", "careful")} <= set(context.lines)
    assert context.said("Error: broken", "ERROR")


async def test_shell_scripts_and_old_runner_names(context):
    found = await context.run(
        type=f"{SHELL}.Script", runner="PROCESS", script='x=3\necho "::{\\"outputs\\":{\\"x\\":$x}}::"'
    )
    assert found.vars == {"x": 3}


async def test_without_docker_there_is_advice(make_context):
    given = {"type": f"{SHELL}.Commands", "commands": ["echo hi"]}
    settings = {"docker": {"host": "unix:///nowhere/docker.sock"}}
    with pytest.raises(TaskFailed, match=r"no Docker engine.*docker\.fallback"):
        await make_context(settings).run(**given)
    context = make_context({"docker": {**settings["docker"], "fallback": "process"}})
    await context.run(**given)
    assert ("INFO", "hi") in context.lines
    assert context.said("running on this machine instead", "WARN")


async def test_commands_may_be_one_expression(make_context):
    context = make_context(inputs={"list": ["echo one", "echo two"]})
    await context.run(type=f"{SHELL}.Commands", taskRunner=PROCESS, commands="{{ inputs.list }}")
    assert {("INFO", "one"), ("INFO", "two")} <= set(context.lines)


def test_a_runner_is_rendered_with_its_task(make_context):
    context = make_context(inputs={"memory": "256MB"})
    runner = {"type": "io.kestra.plugin.scripts.runner.docker.Docker", "memory": {"memory": "{{ inputs.memory }}"}}
    found = task(context, type=f"{SHELL}.Commands", taskRunner=runner, commands=["echo {{ inputs.memory }}"])
    assert found.task_runner.memory.memory == "256MB"  # type: ignore[attr-defined]
    assert found.commands == ["echo {{ inputs.memory }}"]  # type: ignore[attr-defined]


async def test_triggers_run_scripts_and_commands_and_see_how_they_end(make_context):
    settings = {"docker": {"host": "unix:///nowhere/docker.sock", "fallback": "process"}}
    context = make_context(settings, inputs={"code": "3", "evil": "'; exit 3; '"})

    async def look(language, kind, condition="exit 3", **given):
        declared = {"id": "t", "type": f"io.kestra.plugin.scripts.{language}.{kind}"}
        declared |= {"exitCondition": condition, **given}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
        seen = await trigger.poll(context)
        context.memory = dict(seen.memory)
        return seen.found and seen.found.model_dump(exclude={"timestamp"})

    failed = {"condition": "exit 3", "exitCode": 3, "vars": None}
    assert await look("shell", "CommandsTrigger", commands=["exit {{ inputs.code }}"]) == failed
    assert await look("shell", "CommandsTrigger", commands=["exit 3"]) is None  # as it was
    assert await look("shell", "CommandsTrigger", commands=["exit 3"], edge=False) == failed
    assert await look("shell", "ScriptTrigger", script="exit 0") is None
    assert await look("shell", "ScriptTrigger", script="exit 3", condition="{{ 'EXIT' }}  3") == {
        **failed,
        "condition": "EXIT  3",
    }
    assert await look("shell", "ScriptTrigger", script="echo '{{ inputs.evil }}'") is None  # stays in its quotes
    told = await look(
        "python",
        "ScriptTrigger",
        r"count=[1-9]\d*, names=\[a, b]",
        script="from kestra import Kestra\nKestra.outputs({'count': 12, 'names': ['a', 'b']})",
    )
    assert (told["exitCode"], told["vars"]) == (0, {"count": 12, "names": ["a", "b"]})
    tell = """echo '::{"outputs":{"left":"(x"}}::'"""
    assert await look("node", "CommandsTrigger", "=(x", commands=[tell], edge=False)  # no pattern: as it stands
    assert await look("python", "CommandsTrigger", "right", commands=[tell]) is None
    slow = """echo '::{"outputs":{"left":"'$(printf 'a%.0s' $(seq 60))'!"}}::'"""
    with pytest.raises(TaskFailed, match="`exitCondition`"):
        await look("python", "CommandsTrigger", "(a+)+$", commands=[slow])
    context = make_context({"docker": {"host": "unix:///nowhere/docker.sock"}})
    with pytest.raises(TaskFailed, match="no Docker engine"):  # it is told that nothing ran
        await look("node", "ScriptTrigger", script="1")
