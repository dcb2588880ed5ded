"""Argo CD by its own tool, and Airflow at the wire."""

import json

import pytest

from engine.errors import TaskFailed
from tests.wire.command_line import tools
from tests.wire.loopback import Answered, serving

__all__ = ["tools"]

PLUGIN = "io.kestra.plugin"
STATUS = {
    "sync": {"status": "Synced", "revision": "723b86e"},
    "health": {"status": "Healthy"},
    "conditions": [{"type": "SyncError", "message": "of old"}],
    "resources": [{"kind": "Service", "name": "shop"}],
}
WHO = {
    "taskRunner": {"type": f"{PLUGIN}.core.runner.Process"},
    "server": "https://argocd.test/",
    "token": "t0ken",
    "application": "shop",
}
SAID = f"echo 'syncing…'; cat <<'END'\n{json.dumps({'status': STATUS}, indent=2)}\nEND\n"


@pytest.mark.parametrize("package", ["apps", "app"])
async def test_an_application(context, tools, package):
    tools.install("argocd", body=SAID)
    found = await context.run(type=f"{PLUGIN}.argocd.{package}.Status", **WHO, refresh=True, grpcWeb=True)
    assert (found.syncStatus, found.healthStatus, found.exitCode) == ("Synced", "Healthy", 0)
    assert (found.resources, found.conditions) == (STATUS["resources"], STATUS["conditions"])
    assert found.rawOutput.startswith("syncing")
    assert tools.env["ARGOCD_AUTH_TOKEN"] == "t0ken"
    flags = {"revision": "a b", "prune": True, "dryRun": True, "force": True, "insecure": True, "plaintext": True}
    done = await context.run(type=f"{PLUGIN}.argocd.{package}.Sync", **WHO, **flags, serverCert="PEM")
    assert (done.syncStatus, done.revision) == ("Synced", "723b86e")
    called = ["argocd", "app", "{}", "--server", "argocd.test"]
    assert [call[:5] for call in tools.calls] == [[word.format(verb) for word in called] for verb in ("get", "sync")]
    assert tools.calls[0][5:] == ["--refresh", "--output", "json", "--grpc-web", "--", "shop"]
    told = ["--revision", "a b", "--prune", "--dry-run", "--force", "--output", "json", "--insecure", "--plaintext"]
    assert tools.calls[1][5:] == [*told, "--server-crt", ".parley/argocd.crt", "--", "shop"]
    assert (context.working_dir / ".parley/argocd.crt").read_text() == "PEM"
    assert "t0ken" in context.masked


async def test_the_tool_is_fetched(context, tools):
    program = '[ "$2" = -o ] && to="$3"; printf "#!/bin/sh\\necho plain" > "$to"'
    tools.install("curl", body=program)
    given = {**WHO, "argoCDVersion": "2.10.0"}
    found = await context.run(type=f"{PLUGIN}.argocd.apps.Status", **given)
    (call,) = tools.calls
    assert call[4].startswith("https://github.com/argoproj/argo-cd/releases/download/v2.10.0/argocd-linux-")
    assert (found.rawOutput, found.syncStatus) == ("plain", None)
    assert context.said("not JSON", "WARN")
    tools.install("curl", body="exit 22")
    with pytest.raises(TaskFailed, match="exit code 22"):
        await context.run(type=f"{PLUGIN}.argocd.apps.Sync", **given)


async def test_a_sync_that_fails(context, tools):
    tools.install("argocd", body="echo 'permission denied' >&2; exit 20")
    with pytest.raises(TaskFailed, match="exit code 20"):
        await context.run(type=f"{PLUGIN}.argocd.apps.Sync", **WHO)
    assert context.said("permission denied", "ERROR")


def airflow(request):
    if request.headers.get("authorization") != "Basic dXM6cHc=":
        return Answered({"title": "Unauthorized", "detail": "who?"}, 401)
    if request.path == "/air/api/v1/dags/no dag/dagRuns":
        return Answered({"title": "DAG not found"}, 404)
    run = {"dag_run_id": "manual__1+0", "state": "queued"}
    if request.method == "POST":
        return Answered(run)
    assert request.path == "/air/api/v1/dags/nightly/dagRuns/manual__1+0"
    airflow.looks += 1
    state = "running" if airflow.looks == 1 else airflow.ends
    dates = {"start_date": "2026-11-28T08:00:00Z", "end_date": "2026-11-28T08:01:00Z"}
    return Answered({**run, **dates, "state": state})


async def test_airflow(context):
    airflow.looks, airflow.ends = 0, "success"
    with serving(airflow) as wire:
        given = {
            "type": f"{PLUGIN}.airflow.dags.TriggerDagRun",
            "baseUrl": f"{wire.url}/air/",
            "dagId": "nightly",
            "options": {"basicAuthUser": "us", "basicAuthPassword": "pw"},
            "pollFrequency": "PT0.01S",
        }
        begun = await context.run(**given)
        assert (begun.dagId, begun.dagRunId, begun.state, begun.ended) == ("nightly", "manual__1+0", "queued", None)
        assert wire.last.json["conf"].items() >= {"source": "kestra", "execution": context.execution_id}.items()
        asked = await context.run(**given, body={"conf": {"day": "today"}})
        assert wire.last.json == {"conf": {"day": "today"}}
        assert asked.state == "queued"
        done = await context.run(**given, wait=True)
        assert (done.state, done.started, airflow.looks) == ("success", "2026-11-28T08:00:00Z", 2)
        airflow.ends = "failed"
        assert (await context.run(**given, wait=True)).state == "failed"
        assert context.said("the task did not", "WARN")
        airflow.ends = "running"
        with pytest.raises(TaskFailed, match="did not end within"):
            await context.run(**given, wait=True, maxDuration="PT0.05S")
        with pytest.raises(TaskFailed, match="404"):
            await context.run(**{**given, "dagId": "no dag"})
        with pytest.raises(TaskFailed, match="401"):
            await context.run(**{**given, "options": None, "headers": {"authorization": "Bearer no"}})
    assert "Bearer no" in context.masked
