"""Files in and out of pods: a cluster on loopback whose containers are processes, with real archives."""

import asyncio
import contextlib
import io
import tarfile

import pytest

from engine.errors import TaskFailed
from engine.tasks.kubernetes.core import pod_name
from tests.wire.certificates import self_signed
from tests.wire.pods import Pods

OURS = "{{ workingDir }}"


@pytest.fixture
async def pods(make_context, monkeypatch, tmp_path):
    monkeypatch.setattr("engine.tasks.kubernetes.core.POLL", 0.02)
    context = make_context(inputs={"word": "shirt"})
    async with Pods(tmp_path / "volumes").serving() as cluster:

        async def create(script, **given):
            spec = {"containers": [{"name": "main", "image": "i", "command": ["sh", "-c", script]}]}
            where = {"connection": {"masterUrl": cluster.url, "oauthToken": "token"}, "namespace": "shop"}
            kind = "io.kestra.plugin.kubernetes.core.PodCreate"
            return await context.run(type=kind, **{**where, "spec": spec, **given})

        create.context, create.cluster = context, cluster
        yield create


def archive(*members):
    """An archive of (name, content) or members made by hand."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for one in members:
            if isinstance(one, tarfile.TarInfo):
                tar.addfile(one)
                continue
            name, content = one
            found = tarfile.TarInfo(name)
            found.size = len(content)
            tar.addfile(found, io.BytesIO(content))
    return out.getvalue()


def link(name, to, kind=tarfile.SYMTYPE):
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, to
    return found


async def test_files_go_in_and_out(pods):
    stored = await pods.context.files.put(b"\x00\xff" * 200_000, "big.bin")
    done = await pods(
        f"cd {OURS}; cat in/a.txt >> out.txt; wc -c < big.bin > sub.csv; mkdir d; cp in/a.txt 'd/é 1.csv';"
        " ln -s ../out.txt d/link.csv; echo no > other; echo said",
        inputFiles={"in/a.txt": "a {{ inputs.word }} in {{ workingDir }}", "big.bin": stored},
        outputFiles=["out.txt", "**.csv"],
    )
    text = pods.context.files.text
    assert {name: text(uri) for name, uri in done.outputFiles.items()} == {
        "out.txt": "a shirt in /kestra/working-dir",
        "sub.csv": "400000\n",
        "d/é 1.csv": "a shirt in /kestra/working-dir",
        "d/link.csv": "a shirt in /kestra/working-dir",
    }
    assert pods.context.said("said")
    assert [one for one, _ in pods.cluster.commands] == ["init-files", "out-files", "out-files"]
    name = pod_name("a_flow", "the_task", "01EXECUTION.1")
    assert pods.cluster.deleted == [(name, None)]
    assert (pods.cluster.folder / f"{name}.1" / "ended").exists()


async def test_a_pod_s_specification_has_what_files_go_through(pods):
    container = {"name": "main", "image": "i", "command": ["true"], "env": [{"name": "A", "value": "own"}]}
    await pods(
        "",
        spec={"containers": [container, {"name": "out-files", "image": "theirs"}], "initContainers": []},
        outputFiles=["none.txt"],
        metadata={"annotations": {"at": "{{ outputFiles['none.txt'] }}"}},
        fileSidecar={"image": "tools:1", "resources": {"limits": {"memory": "64Mi"}}},
        containerDefaultSpec={
            "securityContext": {"runAsNonRoot": True},
            "env": [{"name": "A", "value": "shared"}, {"name": "B", "value": "b"}],
        },
    )
    made = pods.cluster.created[0]
    assert made["metadata"]["annotations"] == {"at": "/kestra/working-dir/none.txt"}
    main, sidecar = made["spec"]["containers"]
    assert main["env"] == [{"name": "A", "value": "own"}, {"name": "B", "value": "b"}]
    assert (sidecar["name"], sidecar["image"]) == ("out-files", "tools:1")
    assert sidecar["resources"] == {"limits": {"memory": "64Mi"}}
    (before,) = made["spec"]["initContainers"]
    mount = {"name": "kestra-files", "mountPath": "/kestra"}
    for one in (main, sidecar, before):
        assert one["securityContext"] == {"runAsNonRoot": True}
        assert one["volumeMounts"] == [mount]
    assert made["spec"]["volumes"] == [{"name": "kestra-files", "emptyDir": {}}]
    await pods(f"echo {OURS}")
    assert set(pods.cluster.created[1]["spec"]) == {"restartPolicy", "containers"}
    assert pods.context.said("/kestra/working-dir")


async def test_output_that_is_missing_is_absent(pods):
    done = await pods("true", outputFiles=["/output/model.bin"])
    assert done.outputFiles == {}
    assert ("WARN", "The pod left no file '/output/model.bin' below /kestra/working-dir.") in pods.context.lines


async def test_a_container_that_fails(pods):
    with pytest.raises(TaskFailed, match=r"The pod failed\. .*main: Error \(exit code 3\)") as caught:
        await pods(f"""echo x > {OURS}/a; echo '::{{"outputs": {{"n": 3}}}}::'; exit 3""", outputFiles=["a"])
    assert (caught.value.outputs["vars"], caught.value.outputs["outputFiles"]) == ({"n": 3}, None)
    assert len(pods.cluster.deleted) == 1


async def test_input_that_is_none_is_told_before_there_is_a_pod(pods):
    with pytest.raises(TaskFailed, match="The input file 'a' is empty"):
        await pods("true", inputFiles={"a": ""})
    with pytest.raises(TaskFailed, match="leaves the working directory"):
        await pods("true", inputFiles={"../a": "x"})
    assert pods.cluster.created == []


async def test_an_archive_that_means_ill(pods, tmp_path):
    (tmp_path / "secret").write_text("secret")
    device = tarfile.TarInfo("null")
    device.type = tarfile.CHRTYPE
    pods.cluster.instead = archive(
        ("../up", b"x"),
        ("/abs", b"x"),
        ("a/../../b", b"x"),
        device,
        link("out", str(tmp_path / "secret")),
        link("hard", "/etc/passwd", tarfile.LNKTYPE),
        link("round", "round"),
        link("sub", str(tmp_path)),
        ("sub/planted", b"x"),
        ("./good", b"good"),
        link("same", "good"),
    )
    done = await pods("true", outputFiles=["**"])
    text = pods.context.files.text
    assert {name: text(uri) for name, uri in done.outputFiles.items()} == {
        "good": "good",
        "same": "good",
        "sub/planted": "x",
    }
    assert not (tmp_path / "planted").exists()
    for name in ("'../up'", "'/abs'", "'a/../../b'", "'null'", "'out'", "'hard'", "'round'", "'sub'"):
        assert pods.context.said(f"{name} was not brought back from the pod")


async def test_an_archive_that_is_none_or_too_large(pods, monkeypatch):
    whole = archive(("a", b"a" * 5000))
    long = tarfile.TarInfo("a")
    long.pax_headers = {"comment": "x" * (2 << 20)}
    for bad, words in (
        (archive(long), "a header is too long"),
        (whole[:3000], "came back in part only"),
        (b"\x07" * 5000 + bytes(1024), "can't be read"),
        (b"", "came back in part only"),
    ):
        pods.cluster.instead = bad
        with pytest.raises(TaskFailed, match=words):
            await pods("true", outputFiles=["a"])
    pods.cluster.instead = whole
    monkeypatch.setattr("engine.tasks.kubernetes.pod_files.MAX_BYTES", 4000)
    with pytest.raises(TaskFailed, match="files of the pod are larger"):
        await pods("true", outputFiles=["a"])
    monkeypatch.setattr("engine.tasks.kubernetes.pod_files.MAX_FILES", 1)
    monkeypatch.setattr("engine.tasks.kubernetes.pod_files.MAX_BYTES", 1 << 30)
    pods.cluster.instead = archive(("a", b""), ("b", b""))
    with pytest.raises(TaskFailed, match="more than 1 files"):
        await pods("true", outputFiles=["a"])


async def test_commands_that_the_cluster_refuses(pods):
    pods.cluster.refuses = 403
    with pytest.raises(TaskFailed, match=r"answered 403 to a command in init-files\. .*`pods/exec`"):
        await pods("true", inputFiles={"a": "x"})
    pods.cluster.refuses, pods.cluster.breaks = None, True
    with pytest.raises(TaskFailed, match="connection to out-files broke off"):
        await pods("true", outputFiles=["a"])
    assert len(pods.cluster.deleted) == 2


async def test_commands_go_where_the_rest_goes(pods, tmp_path, monkeypatch):
    """Under the same certificate, as the same account, and nowhere else."""
    async with Pods(tmp_path / "more").serving(self_signed(tmp_path)) as cluster:
        account = {"masterUrl": cluster.url, "oauthToken": "token"}
        given = {"inputFiles": {"a": "x"}, "outputFiles": ["a"]}
        done = await pods("true", **given, connection={**account, "trustCerts": True})
        assert set(done.outputFiles) == {"a"}
        assert {one.headers["authorization"] for one in cluster.requests} == {"Bearer token"}
        with pytest.raises(TaskFailed, match="certificate"):
            await pods("true", **given, connection=account)
    pods.cluster.moved = f"{pods.cluster.url}/elsewhere"
    with pytest.raises(TaskFailed, match="sends commands to another address"):
        await pods("true", **given)
    assert not any(one.path == "/elsewhere" for one in pods.cluster.requests)
    pods.cluster.moved = None
    peers = []
    monkeypatch.setattr(
        "engine.tasks.kubernetes.pod_command.check_reached", lambda peer, host, settings: peers.append((peer[0], host))
    )
    await pods("true", **given)
    assert set(peers) == {("127.0.0.1", "127.0.0.1")}


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_bot_that_died_goes_on_with_the_pod(pods):
    """At whatever point it died: while input was awaited, while the pod ran, and when it had ended."""
    given = {"inputFiles": {"a": "shirt"}, "outputFiles": ["b"], "metadata": {"name": "mine"}}
    script = f"while [ ! -f {OURS}/go ]; do sleep 0.05; done; cp {OURS}/a {OURS}/b"
    work = asyncio.create_task(pods(script, **given, delete=False))
    await until(lambda: pods.cluster.created)
    spec = pods.cluster.created[0]
    volume = pods.cluster.volume("mine")
    await until(lambda: (volume / "working-dir" / "a").exists())
    await until(lambda: pods.cluster.pods["mine"]["status"]["phase"] == "Running")
    (volume / "working-dir" / "go").touch()
    assert set((await work).outputFiles) == {"b"}
    await until(lambda: pods.cluster.pods["mine"]["status"]["phase"] == "Succeeded")

    for at in ("awaits", "runs", "ended"):
        name = f"pod-{at}"
        pods.cluster.commands.clear()
        pods.cluster.start({**spec, "metadata": {"name": name}})
        inner = pods.cluster.volume(name) / "working-dir"
        if at != "awaits":
            inner.mkdir()
            (inner / "a").write_text("sent before")
            (inner.parent / "ready").touch()
            await until(lambda name=name: pods.cluster.pods[name]["status"]["phase"] == "Running")
        if at == "ended":
            (inner / "go").touch()
            states = pods.cluster.pods[name]["status"]["containerStatuses"]
            await until(lambda states=states: "terminated" in states[0]["state"])
        work = asyncio.create_task(pods(script, **{**given, "metadata": {"name": name}}))
        await until(lambda inner=inner: (inner / "a").exists())
        (inner / "go").touch()
        done = await work
        sent = "shirt" if at == "awaits" else "sent before"
        assert pods.context.files.text(done.outputFiles["b"]) == sent
        assert [one for one, _ in pods.cluster.commands].count("init-files") == (at == "awaits")


async def test_a_pod_that_is_being_deleted_is_not_gone_on_with(pods):
    pods.cluster.pods["mine"] = {"metadata": {"name": "mine", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    with pytest.raises(TaskFailed, match="mine of an earlier attempt was not gone"):
        await pods("true", metadata={"name": "mine"}, waitUntilRunning="PT0.1S")
    looked = len(pods.cluster.requests)
    work = asyncio.create_task(pods("echo anew", metadata={"name": "mine"}))
    await until(lambda: len(pods.cluster.requests) >= looked + 3)
    del pods.cluster.pods["mine"]
    assert (await work).status["phase"] == "Succeeded"
    assert len(pods.cluster.created) == 1


async def test_a_task_that_is_killed_deletes_its_pod_at_once(pods):
    work = asyncio.create_task(pods("sleep 60", outputFiles=["a"], delete=False))
    await until(lambda: any(one["status"]["phase"] == "Running" for one in pods.cluster.pods.values()))
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    assert pods.cluster.deleted == [(pod_name("a_flow", "the_task", "01EXECUTION.1"), "0")]
    assert pods.cluster.pods == {}
