"""Scripts in containers of a real engine."""

import asyncio
import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from engine.errors import TaskFailed
from engine.tasks.script_output import ScriptOutput
from engine.tasks.scripts.runner import containers
from engine.tasks.scripts.runner.docker import Docker, labels, registry_auth
from tests.wire.docker_engine import GIT_IMAGE, PYTHON_IMAGE, docker_engine
from tests.wire.git_http import git

__all__ = ["docker_engine"]

pytestmark = pytest.mark.docker
SHELL = "io.kestra.plugin.scripts.shell.Commands"
DOCKER = "io.kestra.plugin.scripts.runner.docker.Docker"


@pytest.fixture
def contained(make_context, docker_engine):
    def make(**settings: Any):
        return make_context({"docker": {"host": docker_engine.host, "network": "none", **settings}})

    return make


async def shell(context, *commands: str, **given):
    runner = {"type": DOCKER, **given.pop("runner", {})}
    declaration = {"type": SHELL, "taskRunner": runner, "containerImage": GIT_IMAGE, "commands": list(commands)}
    return await context.run(**{**declaration, **given})


def left_over(host: str) -> list[str]:
    client = containers.connect(host)
    assert client is not None
    try:
        return [container.name or "" for container in client.containers.list(all=True)]
    finally:
        client.close()


async def test_files_go_in_and_come_back(contained, docker_engine):
    context = contained()
    found = await shell(
        context,
        "cat given.txt > out.txt; echo err >&2; echo said",
        'echo \'::{"outputs":{"x":1}}::\'',
        "mkdir -p sub; echo deep > sub/deep.txt; pwd > pwd.txt",
        inputFiles={"given.txt": "given"},
        outputFiles=["**.txt"],
    )
    assert found.vars == {"x": 1}
    assert sorted(found.outputFiles) == ["given.txt", "out.txt", "pwd.txt", "sub/deep.txt"]
    assert context.files.text(found.outputFiles["out.txt"]) == "given"
    assert (context.working_dir / "pwd.txt").read_text().strip() == str(context.working_dir)
    assert {("INFO", "said"), ("ERROR", "err")} <= set(context.lines)
    assert len(found.taskRunner["containerId"]) == 64
    assert left_over(docker_engine.host) == []


async def test_what_did_not_change_is_left_alone(contained):
    context = contained()
    same = context.working_dir / "same.txt"
    same.write_text("same")
    before = same.stat().st_mtime_ns
    await shell(context, "echo new > new.txt")
    assert same.stat().st_mtime_ns == before
    assert (context.working_dir / "new.txt").exists()


async def test_a_failure_still_brings_files_back(contained, docker_engine):
    context = contained()
    with pytest.raises(TaskFailed, match="Command failed with exit code 7") as caught:
        await shell(context, "echo half > half.txt", "exit 7", outputFiles=["*.txt"])
    assert list((caught.value.outputs or {})["outputFiles"]) == ["half.txt"]
    assert left_over(docker_engine.host) == []


async def test_the_seed_s_git_commands_work(contained, git_host):
    context = contained(network="host")
    git_host.create("repo", titles=("Newest", 'With "quotes" and `ticks`', "First"))
    await context.run(type="io.kestra.plugin.git.Clone", url=f"{git_host.url}/repo.git", branch="main")
    found = await shell(
        context,
        'git config --global --add safe.directory "$(pwd)"',
        "git fetch --unshallow origin main || true",
        "git fetch origin main",
        'git log origin/main --since="7 days ago" --pretty=format:"%h %ad %s" --date=short > commits.txt',
        'echo "Fetched $(wc -l < commits.txt) commits from the last 7 days"',
        outputFiles=["commits.txt"],
    )
    lines = context.files.text(found.outputFiles["commits.txt"]).split("\n")
    assert [line.split(" ", 2)[2] for line in lines] == ["Newest", 'With "quotes" and `ticks`', "First"]
    assert context.said("Fetched 2 commits")
    assert git(context.working_dir, "log", "--oneline", "origin/main").count("\n") == 3


async def test_python_finds_our_module(contained):
    context = contained()
    script = "from kestra import Kestra\nimport sys\nKestra.outputs({'ok': true, 'path': sys.path[0]})"
    found = await context.run(type="io.kestra.plugin.scripts.python.Script", containerImage=PYTHON_IMAGE, script=script)
    assert found.vars["ok"] is True


async def test_links_that_lead_out_stay_out(contained, tmp_path):
    context = contained()
    await shell(context, "ln -s /etc/passwd leak", f"ln -s {tmp_path} out", "echo fine > fine.txt")
    assert (context.working_dir / "fine.txt").exists()
    assert not (context.working_dir / "leak").is_symlink()
    assert not (context.working_dir / "out").is_symlink()
    assert context.said("leak was not brought back", "WARN")


async def test_a_cancelled_container_is_gone(contained, docker_engine):
    context = contained()
    running = asyncio.create_task(shell(context, "echo started", "sleep 300"))
    while ("INFO", "started") not in context.lines:
        assert not running.done()
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert left_over(docker_engine.host) == []


async def test_a_container_that_writes_as_fast_as_it_can_is_heard_at_the_pace_of_the_bot(contained, monkeypatch):
    """What it wrote does not heap up in memory: a block is read when the one before is dealt with."""
    read, heard, most, gone = 0, 0, 0, threading.Event()
    follow, hear = containers.follow, ScriptOutput.hear

    def counted(container, told):
        def tell(block, stream):
            nonlocal read, most
            read += 1
            most = max(most, read - heard)
            told(block, stream)

        try:
            return follow(container, tell)
        finally:
            gone.set()

    def dealt_with(self, block, stream):
        nonlocal heard
        hear(self, block, stream)
        heard += 1

    monkeypatch.setattr(containers, "follow", counted)
    monkeypatch.setattr(ScriptOutput, "hear", dealt_with)
    running = asyncio.create_task(shell(contained(), "yes"))
    while heard < 50:
        assert not running.done()
        await asyncio.sleep(0.02)
    assert most == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    until_then = heard
    assert await asyncio.to_thread(gone.wait, 60)
    assert heard == until_then, "what it still says when it has been ended is nobody's"


async def test_images_that_are_not_there(contained):
    context = contained()
    with pytest.raises(TaskFailed, match=r"image nobody/nothing.*could not be pulled.*`images`"):
        await shell(context, "true", containerImage="nobody/nothing:1")
    with pytest.raises(TaskFailed, match="could not be made"):
        await shell(context, "true", containerImage="nobody/nothing:1", runner={"pullPolicy": "NEVER"})


async def test_images_can_be_mapped(make_context, docker_engine):
    settings = {"docker": {"host": docker_engine.host, "network": "none"}, "images": {"ubuntu": GIT_IMAGE}}
    context = make_context(settings)
    await shell(context, "git --version", containerImage="ubuntu:24.04")
    assert context.said("git version")


async def test_volumes_and_privileges_need_the_operator(contained, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("mounted")
    mount = {"volumes": [f"{tmp_path}/data:/data:ro"]}
    context = contained()
    with pytest.raises(TaskFailed, match="exit code"):
        await shell(context, "cat /data/x", runner=mount)
    assert context.said("`volumes` is ignored", "WARN")
    with pytest.raises(TaskFailed, match="may not be mounted"):
        await shell(contained(volumes=True), "cat /data/x", runner=mount)
    context = contained(volumes=True, volume_prefixes=[str(tmp_path)])
    await shell(context, "cat /data/x", runner=mount)
    assert ("INFO", "mounted") in context.lines
    with pytest.raises(TaskFailed, match="Privileged"):
        await shell(contained(), "true", runner={"privileged": True})


async def test_limits_and_mounts(contained):
    context = contained()
    runner = {"fileHandlingStrategy": "MOUNT", "memory": {"memory": "64MB"}, "cpu": {"cpus": 1}, "user": "1000"}
    context.working_dir.chmod(0o777)
    await shell(context, "id -u", "echo direct > direct.txt", runner=runner)
    assert ("INFO", "1000") in context.lines
    assert (context.working_dir / "direct.txt").read_text() == "direct\n"


async def test_ollama_in_a_container_gets_its_cache(contained):
    context = contained()
    context.kv.stored[context.namespace, "PATH"] = ""
    found = await context.run(
        type="io.kestra.plugin.ollama.cli.OllamaCLI",
        taskRunner={"type": DOCKER},
        containerImage=GIT_IMAGE,
        host="http://127.0.0.1:1",
        modelCachePath="{{ kv('PATH') }}",
        commands=["env | grep OLLAMA > env.txt || true", "false", "true"],
        outputFiles=["env.txt"],
    )
    assert context.files.text(found.outputFiles["env.txt"]) == "OLLAMA_HOST=http://127.0.0.1:1\n"


async def test_what_was_deleted_is_deleted_here_too(contained):
    context = contained()
    await shell(
        context, "rm -r old kept/gone.txt", inputFiles={"old/a.txt": "a", "kept/gone.txt": "b", "kept/x.txt": "c"}
    )
    found = {path.relative_to(context.working_dir).as_posix() for path in context.working_dir.rglob("*")}
    assert {name for name in found if not name.startswith(".parley")} == {"kept", "kept/x.txt"}


DYING = """
import asyncio, sys
from pathlib import Path
import httpx
from engine.plugin import Settings
from tests.tasks.context import TestContext
from tests.tasks.test_docker import WAITS, shell

async def main(folder, host):
    settings = Settings(docker={"host": host, "network": "none"})
    async with httpx.AsyncClient() as client:
        await shell(TestContext(Path(folder), client, settings), *WAITS)

asyncio.run(main(*sys.argv[1:]))
"""
WAITS = (
    "echo began; echo bad >&2",
    "until [ -e go ]; do sleep 0.05; done",
    'echo \'::{"outputs":{"x":1}}::\'; echo ended > out.txt; exit 3',
)


@pytest.mark.parametrize("runs_still", [True, False])
async def test_a_container_outlives_the_bot_and_is_followed_again(contained, docker_engine, tmp_path, runs_still):
    """Killed while the container runs; it is followed again, whether it still runs by then or has ended."""
    dying = subprocess.Popen([sys.executable, "-c", DYING, str(tmp_path), docker_engine.host])
    client = containers.connect(docker_engine.host)
    assert client is not None
    try:
        while not any(b"began" in one.logs() for one in client.containers.list()):
            assert dying.poll() is None
            await asyncio.sleep(0.05)
        dying.kill()
        dying.wait()
        (container,) = client.containers.list()
        context = contained()
        if runs_still:
            running = asyncio.create_task(shell(context, *WAITS, outputFiles=["out.txt"]))
            while not context.said("is followed"):
                await asyncio.sleep(0.05)
        container.exec_run(["touch", f"{context.working_dir}/go"])
        if not runs_still:
            await asyncio.to_thread(container.wait)
            running = asyncio.create_task(shell(context, *WAITS, outputFiles=["out.txt"]))
        with pytest.raises(TaskFailed, match="exit code 3") as caught:
            await running
        told = caught.value.outputs or {}
        assert told["vars"] == {"x": 1}
        assert told["taskRunner"] == {"containerId": container.id}
        assert context.files.text(told["outputFiles"]["out.txt"]) == "ended\n"
        assert [line for line in context.lines if line[1] in ("began", "bad")] in (
            [("INFO", "began"), ("ERROR", "bad")],
            [("ERROR", "bad"), ("INFO", "began")],
        )
        assert left_over(docker_engine.host) == []
    finally:
        dying.kill()
        client.close()


async def test_a_container_is_left_alone_when_it_is_not_to_be_followed(contained, docker_engine):
    client = containers.connect(docker_engine.host)
    assert client is not None
    context = contained()
    try:
        made = containers.create(client, GIT_IMAGE, ["true"], {"labels": labels(context), "network_mode": "none"})
        await shell(context, "true", runner={"resume": False})
        assert left_over(docker_engine.host) == [made.name]
        await shell(context, "true")
        assert left_over(docker_engine.host) == [], "one that never started is removed"
    finally:
        client.close()


def test_a_docker_configuration_gives_the_login_of_its_registry_only():
    config = {"auths": {"r.test": {"auth": "YW5uOnB3"}}, "credsStore": "evil", "credHelpers": {"r.test": "evil"}}
    found = registry_auth(config, "r.test/team/image:1")
    assert found is not None
    assert (found["username"], found["password"]) == ("ann", "pw")
    assert registry_auth(json.dumps(config), "other.test/image") is None
    assert registry_auth({}, "image") is None
    for bad in ("~/.docker/config.json", "[]", {"auths": {"r.test": "x"}}):
        with pytest.raises(TaskFailed, match="no Docker configuration"):
            registry_auth(bad, "r.test/image")


async def test_images_are_built_named_and_removed(contained, docker_engine):
    context = contained(pull_timeout=1)
    at = {"host": docker_engine.host}
    dockerfile = f"FROM {GIT_IMAGE}\nARG word\nCOPY said.txt /said.txt\nRUN echo $word >> /said.txt\n"
    build = {"type": "io.kestra.plugin.docker.Build", **at, "pull": False, "inputFiles": {"said.txt": "hello\n"}}
    given = {"tags": ["tools:1", "tools:2"], "buildArgs": {"word": "there"}, "labels": {"team": "ops"}}
    built = await context.run(**build, **given, dockerfile=dockerfile)
    assert built.imageId.startswith("sha256:")
    run = {"type": "io.kestra.plugin.docker.Run", **at, "containerImage": "tools:2", "pullPolicy": "NEVER"}
    done = await context.run(**run, commands=["sh", "-c", "cat /said.txt; echo out > made.txt"], outputFiles=["*.txt"])
    assert {("INFO", "hello"), ("INFO", "there")} <= set(context.lines)
    assert context.files.text(done.outputFiles["made.txt"]) == "out\n"
    with pytest.raises(TaskFailed, match="exit code 3"):
        await context.run(**run, commands=["sh", "-c", "exit 3"])
    tag = {"type": "io.kestra.plugin.docker.Tag", **at, "sourceImage": "tools:1"}
    await context.run(**tag, targetImage="127.0.0.1:1/tools:3")
    with pytest.raises(TaskFailed, match="Docker refused"):
        await context.run(type="io.kestra.plugin.docker.Push", **at, tags=["127.0.0.1:1/tools:3"])
    images = ["tools:1", "tools:2", "127.0.0.1:1/tools:3"]
    await context.run(type="io.kestra.plugin.docker.Rm", **at, imageIds=images)
    with pytest.raises(TaskFailed, match="Docker knows no such thing"):
        await context.run(**tag, targetImage="x:1")
    with pytest.raises(TaskFailed, match="Docker refused"):
        await context.run(**build, tags=["broken:1"], dockerfile=f"FROM {GIT_IMAGE}\nRUN exit 1\n")
    with pytest.raises(TaskFailed):
        await context.run(type="io.kestra.plugin.docker.Pull", **at, image="127.0.0.1:1/nothing:1")
    assert left_over(docker_engine.host) == []


async def test_images_are_listed_and_what_nothing_uses_goes(contained, docker_engine):
    context = contained()
    at = {"host": docker_engine.host}
    labels = {"of": "pruning"}
    build = {"type": "io.kestra.plugin.docker.cli.Build", **at, "pull": False, "labels": labels, "tags": ["idle:1"]}
    built = await context.run(**build, dockerfile=f"FROM {GIT_IMAGE}\nLABEL x=y\n")
    ask = {"type": "io.kestra.plugin.docker.ImageLs", **at}
    found = await context.run(**ask, imageNameFilter="idle:1", labelFilter=labels)
    (image,) = found.images
    assert (found.count, image["id"], image["repoTags"], image["labels"]["of"]) == (
        1,
        built.imageId,
        ["idle:1"],
        "pruning",
    )
    assert image["size"] > 0
    assert (await context.run(**ask, showAll=True)).count > 1
    client = containers.connect(docker_engine.host)
    client.containers.create("idle:1", "true", name="idle", labels=labels)
    client.volumes.create("idle", labels=labels)
    client.networks.create("idle", labels=labels)
    prune = {"type": "io.kestra.plugin.docker.Prune", **at, "labelFilters": ["of=pruning"]}
    await context.run(**prune, pruneType="IMAGES", dangling=True)
    await context.run(**prune, pruneType="CONTAINERS", until="1h")
    assert (await context.run(**ask, labelFilter=labels)).count == 1  # it has a name
    assert client.containers.get("idle").status == "created"
    for kind in ("CONTAINERS", "NETWORKS", "VOLUMES", "IMAGES"):
        await context.run(**prune, pruneType=kind)
    await context.run(type="io.kestra.plugin.docker.Prune", **at, pruneType="BUILD")
    assert (await context.run(**ask, labelFilter=labels)).count == 0
    left = (*client.containers.list(all=True), *client.volumes.list(), *client.networks.list())
    assert "idle" not in {one.name for one in left}
    client.close()
    assert context.said("bytes are free again")


async def test_every_property_reaches_the_engine(contained, docker_engine):
    """What no other test sees at work, as the engine itself tells it of a container that was left there."""
    context = contained()
    asked: dict[str, Any] = {
        "extraHosts": ["db.test:10.0.0.7"],
        "shmSize": "32MB",
        "portBindings": ["8080:80", "0.0.0.0:9090:90/udp", "70"],
        "cpu": {"cpus": "{{ 0.5 }}"},
        "memory": {
            "memory": "{{ '64' }}Mb",
            "memorySwap": "128MB",
            "memorySwappiness": "10",
            "memoryReservation": "32m",
            "kernelMemory": "32m",
            "oomKillDisable": False,
        },
        "entryPoint": ["/bin/sh", "-c", 'exec "$@"', "wrapped"],
        "killGracePeriod": "PT1S",
        "delete": "{{ false }}",
        "resume": False,
    }
    found = await shell(context, "echo said", runner=asked)
    assert context.said("said")
    client = containers.connect(docker_engine.host)
    assert client is not None
    try:
        left = client.containers.get(found.taskRunner["containerId"])
        told, host = left.attrs, left.attrs["HostConfig"]
        left.remove(force=True)
    finally:
        client.close()
    assert host["ExtraHosts"] == ["db.test:10.0.0.7"]
    assert host["ShmSize"] == 32 << 20
    assert host["NanoCpus"] == 500_000_000
    assert (host["Memory"], host["MemorySwap"], host["MemoryReservation"]) == (64 << 20, 128 << 20, 32 << 20)
    assert told["Config"]["Entrypoint"] == asked["entryPoint"]
    bound = {port: [(one["HostIp"], one["HostPort"]) for one in to] for port, to in host["PortBindings"].items()}
    assert bound["80/tcp"] == [("127.0.0.1", "8080")]
    assert bound["90/udp"] == [("0.0.0.0", "9090")]
    assert [ip for ip, _ in bound["70/tcp"]] == ["127.0.0.1"]
    assert left_over(docker_engine.host) == []


async def test_devices_that_are_not_there_are_told(contained):
    runner = {"deviceRequests": [{"driver": "nvidia", "count": -1, "capabilities": [["gpu"]]}]}
    with pytest.raises(TaskFailed, match=r'could not select device driver "nvidia"'):
        await shell(contained(), "true", runner=runner)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"registry": "r.test", "username": "u", "password": "p"}, {"serveraddress", "username", "password"}),
        ({"registryToken": "t"}, {"registrytoken"}),
        ({"identityToken": "t", "auth": ""}, {"identitytoken"}),
    ],
)
def test_credentials_are_what_the_engine_wants(given, sent):
    assert Docker(type=DOCKER, credentials=given).credentials.config().keys() == sent


@pytest.mark.parametrize("kill", [False, True])
async def test_a_container_is_ended(contained, docker_engine, kill):
    context = contained()
    stop = {"type": "io.kestra.plugin.docker.Stop", "host": docker_engine.host, "kill": kill}
    client = containers.connect(docker_engine.host)
    assert client is not None
    try:
        waits = ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"]
        for delete in (False, True):
            made = containers.create(client, GIT_IMAGE, waits, {"network_mode": "none", "name": f"app-{kill}-{delete}"})
            made.start()
            while made.status != "running":
                made.reload()
            await context.run(**stop, containerId=made.name, delete=delete)
            if not delete:
                assert made.wait()["StatusCode"] == (137 if kill else 7)
                made.remove()
        assert left_over(docker_engine.host) == []
        with pytest.raises(TaskFailed, match="Docker knows no such thing"):
            await context.run(**stop, containerId="nobody")
    finally:
        client.close()


SERVER = """
import json, os, sys
print("toolbox is up", file=sys.stderr, flush=True)
tool = {"name": "city", "description": "Where it is.", "inputSchema": {"type": "object", "properties": {}}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    about = {"protocolVersion": asked.get("params", {}).get("protocolVersion"), "capabilities": {"tools": {}}}
    answers = {
        "initialize": {**about, "serverInfo": {"name": "toolbox", "version": "1"}},
        "tools/list": {"tools": [tool]},
        "tools/call": {"content": [{"type": "text", "text": os.environ.get("CITY", "nowhere")}]},
    }
    known = asked["method"] in answers
    said = {"result": answers[asked["method"]]} if known else {"error": {"code": -32601, "message": "unknown"}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **said}), flush=True)
"""


async def test_an_mcp_server_in_a_container(contained, docker_engine, openai_service):
    context = contained()
    provider = {"type": "io.kestra.plugin.ai.provider.OpenAI", "modelName": "m", "apiKey": "k"}
    tool = {"type": "io.kestra.plugin.ai.tool.DockerMcpClient", "image": PYTHON_IMAGE, "env": {"CITY": "Bern"}}
    agent = {"type": "io.kestra.plugin.ai.agent.AIAgent", "prompt": "Where?"}
    agent["provider"] = {**provider, "baseUrl": openai_service.url}
    openai_service.replies.clear()
    openai_service.replies.extend([[("city", {})], "In Bern."])
    found = await context.run(**agent, tools=[{**tool, "command": ["python", "-c", SERVER], "logEvents": True}])
    assert [one["result"] for one in found.toolExecutions] == ["Bern"]
    assert context.said("toolbox is up")
    assert left_over(docker_engine.host) == []
    broken = {**tool, "command": ["python", "-c", "raise SystemExit('no license found')"]}
    with pytest.raises(TaskFailed, match=r"MCP server python:3\.13-slim could not be reached: .*no license found"):
        await context.run(**agent, tools=[broken])
    assert left_over(docker_engine.host) == []
