"""dbt on the command line: what it is given, what it says, and what comes of what it leaves behind."""

import json
import zipfile

import pytest
import yaml

from engine.core.state import State
from engine.errors import TaskFailed
from tests.wire.command_line import json_file, tools
from tests.wire.loopback import Answered, serving

__all__ = ["tools"]

PLUGIN = "io.kestra.plugin"
PROCESS = {"type": "io.kestra.plugin.core.runner.Process"}
MANIFEST = {"metadata": {"dbt_version": "1.9.0"}, "nodes": {}}
GOOD = {"unique_id": "model.shop.orders", "status": "success", "message": "OK", "execution_time": 1.5}
BAD = {"unique_id": "test.shop.unique", "status": "fail", "message": "Got 2 results", "execution_time": 0.5}


async def test_dbt_gets_its_profiles_and_hands_on_its_results(context, tools):
    body = json_file("target/run_results.json", {"results": [GOOD]}) + json_file("target/manifest.json", MANIFEST)
    tools.install("dbt", body=body)
    found = await context.run(
        type=f"{PLUGIN}.dbt.cli.DbtCLI",
        taskRunner=PROCESS,
        commands=["dbt build"],
        profiles="shop:\n  target: dev\n",
        storeManifest={"key": "manifest"},
    )
    assert (context.working_dir / "profiles.yml").read_text() == "shop:\n  target: dev\n"
    assert tools.env["DBT_PROFILES_DIR"] == str(context.working_dir)
    assert json.loads(context.files.text(found.outputFiles["run_results.json"])) == {"results": [GOOD]}
    assert json.loads(context.files.text(found.outputFiles["manifest.json"])) == MANIFEST
    assert context.metrics["dbt.success"] == 1
    assert await context.kv.get("company.ai", "manifest") == MANIFEST


async def test_dbt_tells_what_failed(context, tools):
    tools.install("dbt", body=json_file("shop/target/run_results.json", {"results": [GOOD, BAD]}) + "exit 1")
    await context.kv.set("other", "state", MANIFEST)
    with pytest.raises(TaskFailed, match="exit code 1") as caught:
        await context.run(
            type=f"{PLUGIN}.dbt.cli.DbtCLI",
            taskRunner=PROCESS,
            projectDir="shop",
            commands=["dbt test --state ."],
            loadManifest={"key": "state", "namespace": "other"},
        )
    assert list((caught.value.outputs or {})["outputFiles"]) == ["run_results.json", "manifest.json"]
    assert json.loads((context.working_dir / "shop/target/manifest.json").read_text()) == MANIFEST
    assert context.said("test.shop.unique: fail: Got 2 results", "ERROR")
    assert json.loads((context.working_dir / "shop/manifest.json").read_text()) == MANIFEST
    assert tools.env["DBT_PROJECT_DIR"] == str(context.working_dir / "shop")


def said(level, text, node=None, **data):
    about = {"node_info": {"unique_id": node}} if node else {}
    return json.dumps({"info": {"level": level, "msg": text, "name": "LogTestResult", "ts": "t"}, "data": about | data})


async def test_what_dbt_says_is_told_by_its_level_and_sent_on(context, tools):
    lines = [
        said("info", "Running with dbt=1.9.0"),
        said("debug", "Acquiring connection"),
        said("warn", "Got 1 result, configured to warn", "test.shop.unique"),
        said("warn", "Got 1 result, again", "test.shop.unique"),
        said("error", "Database Error of s3cret", "model.shop.orders"),
        said("info", "Done.", stats={"error": 1, "warn": 2}),
        "{ no line of dbt",
    ]
    tools.install("dbt", body="cat <<'END'\n" + "\n".join(lines) + "\nEND\n")
    context.mask("s3cret")
    dbt = {"type": f"{PLUGIN}.dbt.cli.DbtCLI", "taskRunner": PROCESS, "commands": ["dbt build"]}
    with serving(lambda request: Answered("ok")) as chat:
        found = await context.run(**dbt, alertWebhook={"url": f"{chat.url}/hook"})
        assert found.state is State.WARNING
        alerts = [request.json for request in chat.requests]
    assert [alert["text"] for alert in alerts] == [
        "warn test.shop.unique: Got 1 result, configured to warn",
        "error model.shop.orders: Database Error of ******",
    ]
    assert (alerts[0]["level"], alerts[0]["flowId"], alerts[0]["taskId"]) == ("warn", context.flow_id, context.task_id)
    assert tools.env["DBT_LOG_FORMAT"] == "json"
    assert context.said("^Database Error of", "ERROR")
    assert context.said("Got 1 result, configured to warn", "WARN")
    assert context.said("Running with dbt", "INFO")
    assert context.said("{ no line of dbt", "INFO")
    assert context.metrics["log.stats.warn"] == 2
    tools.install("dbt", body="cat <<'END'\n" + "\n".join(said("error", f"no {n}") for n in range(25)) + "\nEND\n")
    with serving(lambda request: Answered("down", 500)) as chat:
        failing = {"url": f"{chat.url}/hook", "level": "ERROR"}
        assert (await context.run(**dbt, alertWebhook=failing)).exitCode == 0
        assert len(chat.requests) == 21
        assert chat.last.json == {"text": "5 more dbt warnings/errors suppressed", "level": "error"}


async def test_an_alert_that_cannot_be_sent_holds_up_no_other(context, tools):
    lines = [said("error", "half a \ud800 character"), said("error", "Database Error")]
    tools.install("dbt", body="cat <<'END'\n" + "\n".join(lines) + "\nEND\n")
    dbt = {"type": f"{PLUGIN}.dbt.cli.DbtCLI", "taskRunner": PROCESS, "commands": ["dbt build"]}
    with serving(lambda request: Answered("ok")) as chat:
        await context.run(**dbt, alertWebhook={"url": chat.url})
    assert [request.json["text"] for request in chat.requests] == ["error: Database Error"]
    assert context.said("An alert was not sent: TaskFailed", "DEBUG")


async def test_a_manifest_that_is_not_there_yet_harms_nothing(context, tools):
    tools.install("dbt")
    kept = {"key": "manifest"}
    task = {"type": f"{PLUGIN}.dbt.cli.DbtCLI", "taskRunner": PROCESS, "commands": ["dbt build"], "logFormat": "NONE"}
    await context.run(**task, loadManifest=kept, storeManifest=kept)
    assert context.said("no manifest under 'manifest' yet", "WARN")
    assert context.said("so none is stored", "WARN")
    assert "DBT_LOG_FORMAT" not in tools.env
    tools.install("dbt", body=json_file("target/manifest.json", MANIFEST) + "exit 1")
    with pytest.raises(TaskFailed, match="exit code 1"):
        await context.run(**task, storeManifest=kept)
    assert await context.kv.get("company.ai", "manifest") == MANIFEST


async def test_dbt_leaves_no_results_of_others(context, tools):
    tools.install(
        "dbt", body="mkdir -p target; ln -s /etc/hostname target/manifest.json; echo '[' > target/run_results.json"
    )
    found = await context.run(type=f"{PLUGIN}.dbt.cli.DbtCLI", taskRunner=PROCESS, commands=["dbt build"])
    assert list(found.outputFiles) == ["run_results.json"]
    assert context.said("cannot be read", "WARN")
    with pytest.raises(TaskFailed, match="leaves the working directory"):
        await context.run(type=f"{PLUGIN}.dbt.cli.DbtCLI", taskRunner=PROCESS, commands=["dbt"], projectDir="../up")


async def test_commands_of_dbt_as_tasks(context, tools):
    tools.install("dbt")
    for kind, given in (
        ("Build", {"select": ["a+", "b c"], "fullRefresh": True, "projectDir": "shop", "threads": 4}),
        ("Run", {"exclude": ["x"], "debug": True, "target": "prod"}),
        ("Test", {"failFast": True, "warnError": True, "dockerOptions": {"image": "x"}}),
        ("Compile", {"select": ["a"]}),
        ("Deps", {}),
        ("Freshness", {"target": "prod"}),
        ("List", {}),
        ("Seed", {"fullRefresh": True}),
        ("Snapshot", {}),
    ):
        await context.run(type=f"{PLUGIN}.dbt.cli.{kind}", taskRunner=PROCESS, **given)
    assert tools.calls == [
        ["dbt", "build", "--project-dir", "shop", "--threads", "4", "--full-refresh", "--select", "a+", "b c"],
        ["dbt", "--debug", "run", "--target", "prod", "--exclude", "x"],
        ["dbt", "--fail-fast", "--warn-error", "test"],
        ["dbt", "compile", "--select", "a"],
        ["dbt", "deps"],
        ["dbt", "source", "freshness", "--target", "prod"],
        ["dbt", "list"],
        ["dbt", "seed", "--full-refresh"],
        ["dbt", "snapshot"],
    ]


def wheel(folder, said):
    """A package that installs a `dbt`, as pip takes it."""
    path = folder / "dbt_toy-1-py3-none-any.whl"
    about = "dbt_toy-1.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("dbt_toy.py", f"import os, sys\ndef main():\n    print({said!r}, sys.argv[1:])\n")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: dbt-toy\nVersion: 1\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/entry_points.txt", "[console_scripts]\ndbt = dbt_toy:main\n")
        file.writestr(f"{about}/RECORD", "")
    return str(path)


async def test_dbt_is_set_up_for_the_tasks_that_follow(context, tmp_path):
    """As older flows do in a WorkingDirectory: a real environment, a real pip, and no network."""
    profiles = {"shop": {"outputs": {"dev": {"type": "duckdb", "path": ":memory:"}}, "target": "dev"}}
    setup = {"type": f"{PLUGIN}.dbt.cli.Setup", "taskRunner": PROCESS, "profiles": profiles}
    await context.run(**setup, requirements=[wheel(tmp_path, "toy")], env={"PIP_NO_INDEX": "1"})
    kept = context.working_dir / ".profile" / "profiles.yml"
    assert yaml.safe_load(kept.read_text()) == profiles
    show = 'echo \'::{"outputs": {"at": "\'$DBT_PROFILES_DIR\'"}}::\''
    done = await context.run(type=f"{PLUGIN}.dbt.cli.Build", taskRunner=PROCESS, select=["a"], beforeCommands=[show])
    assert done.vars == {"at": str(kept.parent)}
    assert context.said(r"toy \['build', '--select', 'a'\]")
    await context.run(**{**setup, "profiles": "shop: {}\n"}, requirements=[])
    assert kept.read_text() == "shop: {}\n"
