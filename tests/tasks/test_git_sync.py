"""Flows and files between a repository over HTTP and a running engine."""

import json

import pytest
import yaml

from engine.core.state import State
from engine.errors import FlowInvalid, NotFound
from engine.runtime import Engine
from engine.settings import Settings
from engine.tasks.git_contents import pushed_path, pushed_source, with_namespace
from engine.tasks.git_repository import commit_url
from tests.wire.git_http import git

GIT = "io.kestra.plugin.git"
LOG = "tasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: {}\n"


def flow(flow_id: str, namespace: str = "dev", message: str = "hello") -> str:
    return f"id: {flow_id}\nnamespace: {namespace}\n{LOG.format(message)}"


class Desk:
    """An engine, a repository, and a way to run one task of a flow."""

    def __init__(self, engine: Engine, host) -> None:
        self.engine, self.host, self.bare = engine, host, host.create("flows")

    async def run(self, kind: str, expected: State = State.SUCCESS, **given):
        """The task's outputs; its list of changes is in `rows`, what it said in `said`."""
        credentials = {"username": "ann", "password": "t0ken"}
        task = {"id": "git", "type": f"{GIT}.{kind}", "url": f"{self.host.url}/flows.git", **credentials, **given}
        tasks = [task]
        if "before" in given:
            tasks = [{"id": "wd", "type": "io.kestra.plugin.core.flow.WorkingDirectory", "tasks": given["before"]}]
            tasks[0]["tasks"] = [
                *given["before"],
                {key: value for key, value in task.items() if key != "before" and value is not None},
            ]
        await self.engine.deploy(yaml.safe_dump({"id": "system_git", "namespace": "system", "tasks": tasks}))
        made = await self.engine.create("system", "system_git", {}, started_by="local:ann")
        ended = await self.engine.wait(made.id, timeout=60)
        lines = await self.engine.logs(made.id)
        self.said = "\n".join(line.message for line in lines)
        assert ended.state is expected, self.said
        found = next((run.outputs for run in ended.task_runs.values() if run.task_id == "git"), {}) or {}
        uri = found.get("flows") or found.get("files")
        self.rows = [json.loads(line) for line in self.stored(uri).splitlines()] if uri else []
        return found

    def stored(self, uri: str) -> str:
        return self.engine.files.path(uri).read_text()

    def commit(self, files: dict[str, str | None]) -> None:
        """Change files of the branch `main`, as a person does."""
        work = self.host.root / "flows-work"
        git(work, "pull", "-q", "origin", "main")
        for name, content in files.items():
            path = work / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git(work, "add", "--all", ".")
        git(work, "commit", "-q", "-m", "By hand")
        git(work, "push", "-q", "origin", "main")

    def show(self, path: str, branch: str = "main") -> str:
        return git(self.bare, "show", f"{branch}:{path}")

    def tree(self, branch: str = "main") -> list[str]:
        return git(self.bare, "ls-tree", "-r", "--name-only", branch).split()

    def states(self) -> dict[str, str]:
        return {f"{row['namespace']}.{row['flowId']}": row["syncState"] for row in self.rows}


@pytest.fixture
async def desk(tmp_path, git_host, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flows").mkdir()
    engine = await Engine.open(Settings(data=tmp_path / "data", flows=(tmp_path / "flows",)))
    await engine.start(watch=False, schedules=False)
    made = Desk(engine, git_host)
    git_host.credentials = "ann:t0ken"
    yield made
    await engine.stop(grace=0)


async def test_flows_are_deployed_changed_and_deleted(desk):
    desk.commit({"_flows/a.yml": flow("a"), "_flows/team/crm/b.yaml": flow("b"), "_flows/notes.txt": "not a flow"})
    await desk.run("SyncFlows", targetNamespace="prod")
    assert desk.rows == [
        {"gitPath": "_flows/a.yml", "syncState": "ADDED", "flowId": "a", "namespace": "prod", "revision": 1}
    ]
    await desk.run("SyncFlows", targetNamespace="prod", includeChildNamespaces=True, dryRun=True)
    assert desk.states() == {"prod.a": "UNCHANGED", "prod.team.crm.b": "ADDED"}
    with pytest.raises(NotFound):
        desk.engine.flows.get("prod.team.crm", "b")
    await desk.run("SyncFlows", targetNamespace="prod", includeChildNamespaces=True)
    desk.commit({"_flows/a.yml": flow("a", message="changed"), "_flows/team/crm/b.yaml": None})
    await desk.run("SyncFlows", targetNamespace="prod", includeChildNamespaces=True)
    assert desk.states() == {"prod.a": "UPDATED"}
    assert desk.engine.flows.get("prod", "a").revision == 2
    await desk.run("SyncFlows", targetNamespace="prod", includeChildNamespaces=True, delete=True)
    assert desk.states() == {"prod.a": "UNCHANGED", "prod.team.crm.b": "DELETED"}
    with pytest.raises(NotFound):
        desk.engine.flows.get("prod.team.crm", "b")


async def test_the_running_flow_and_those_of_folders_stay(desk, tmp_path):
    (tmp_path / "flows" / "kept.yaml").write_text(flow("kept", "system"))
    await desk.engine.flows.look()
    desk.commit({"_flows/a.yml": flow("a")})
    await desk.run("SyncFlows", targetNamespace="system", delete=True)
    assert desk.states() == {"system.a": "ADDED"}
    assert "it is not deleted" in desk.said
    assert desk.engine.flows.exists("system", "system_git")
    desk.commit({"_flows/kept.yml": flow("kept", message="other")})
    await desk.run("SyncFlows", State.FAILED, targetNamespace="system")
    assert "is kept by" in desk.said


async def test_one_invalid_flow_keeps_all_out(desk):
    await desk.engine.deploy(flow("old", "prod"))
    desk.commit({"_flows/good.yml": flow("good"), "_flows/wrong.yml": "id: wrong\nnamespace: dev\n"})
    await desk.run("SyncFlows", State.FAILED, targetNamespace="prod")
    assert "none is deployed. wrong.yml" in desk.said
    assert not desk.engine.flows.exists("prod", "good")
    await desk.run("SyncFlows", targetNamespace="prod", ignoreInvalidFlows=True, delete=True)
    assert desk.states() == {"prod.good": "ADDED"}
    assert desk.engine.flows.exists("prod", "old")


@pytest.mark.parametrize("hidden", ['"namespace": other', "? namespace\n: other", "'namespace': other"])
async def test_a_flow_cannot_choose_another_namespace(desk, hidden):
    desk.commit({"_flows/a.yml": f"id: a\n{hidden}\n{LOG.format('x')}"})
    await desk.run("SyncFlows", State.FAILED, targetNamespace="prod")
    assert "its namespace stays other" in desk.said
    assert not desk.engine.flows.exists("other", "a")


async def test_a_missing_folder_or_branch_deletes_nothing(desk):
    await desk.engine.deploy(flow("old", "prod"))
    await desk.run("SyncFlows", State.FAILED, targetNamespace="prod", delete=True)
    assert "has no folder '_flows'" in desk.said
    await desk.run("SyncFlows", targetNamespace="prod", delete=True, failOnMissingDirectory=False)
    await desk.run("SyncFlows", State.FAILED, targetNamespace="prod", delete=True, branch="nope")
    assert "has no branch 'nope'" in desk.said
    await desk.run("SyncFlows", State.FAILED, targetNamespace="prod", gitDirectory="../..")
    await desk.run("SyncFlows", State.FAILED, targetNamespace="prod", password="wrong")
    assert "Give `username` and `password`" in desk.said
    assert desk.engine.flows.exists("prod", "old")
    assert "t0ken" not in desk.said


async def test_flows_are_pushed(desk):
    desk.commit({"_flows/gone.yml": flow("gone"), "_flows/README.md": "stays", "_flows/other/x.yml": flow("x")})
    await desk.engine.deploy(flow("a", "dev"))
    await desk.engine.deploy(flow("b", "dev.team"))
    await desk.engine.deploy(flow("c", "develop"))
    given = {"sourceNamespace": "dev", "targetNamespace": "prod", "branch": "release", "commitMessage": "-x {{ 1 }}"}
    found = await desk.run("PushFlows", dryRun=True, **given)
    assert found.get("commitId") is None
    assert git(desk.bare, "branch", "--list", "release") == ""
    found = await desk.run("PushFlows", authorName="Bo", authorEmail="bo@example.com", **given)
    assert desk.show("_flows/a.yml", "release") == flow("a", "prod")
    assert desk.tree("release") == ["README.md", "_flows/README.md", "_flows/a.yml", "_flows/other/x.yml"]
    assert {row["file"]: row["additions"] for row in desk.rows} == {"_flows/a.yml": "+6", "_flows/gone.yml": "+0"}
    log = git(desk.bare, "log", "-1", "--format=%H|%an|%ae|%s", "release").strip()
    assert log == f"{found['commitId']}|Bo|bo@example.com|-x 1"
    assert found["commitURL"] == f"{desk.host.url}/flows/commit/{found['commitId']}"
    found = await desk.run("PushFlows", **given)
    assert (found.get("commitId"), desk.rows) == (None, [])
    await desk.run("PushFlows", **given, includeChildNamespaces=True, flows=["b*"])
    assert desk.show("_flows/team/b.yml", "release") == flow("b", "prod.team")


async def test_what_was_pushed_comes_back_as_it_was(desk):
    await desk.engine.deploy(flow("a", "dev"))
    await desk.engine.deploy(flow("b", "dev.team"))
    await desk.run("PushFlows", sourceNamespace="dev", includeChildNamespaces=True)
    await desk.run("SyncFlows", targetNamespace="dev", includeChildNamespaces=True, delete=True)
    assert set(desk.states().values()) == {"UNCHANGED"}


async def test_namespace_files_both_ways(desk):
    files = desk.engine.files
    files.put_namespace_file("dev", "prompts/a.txt", b"one\n")
    files.put_namespace_file("dev", "x.py", b"print()\n")
    await desk.run("PushNamespaceFiles", namespace="dev", files=["prompts/**"])
    assert desk.tree() == ["README.md", "_files/prompts/a.txt"]
    desk.commit({"_files/prompts/a.txt": "two\n", "_files/new.txt": "new\n"})
    await desk.run("SyncNamespaceFiles", namespace="dev")
    states = {row["kestraPath"]: row["syncState"] for row in desk.rows}
    assert states == {"/new.txt": "ADDED", "/prompts/a.txt": "OVERWRITTEN"}
    await desk.run("SyncNamespaceFiles", namespace="dev", delete=True)
    assert {row["kestraPath"]: row["syncState"] for row in desk.rows}["/x.py"] == "DELETED"
    assert {path: file.read_text() for path, file in files.namespace_files("dev")} == {
        "new.txt": "new\n",
        "prompts/a.txt": "two\n",
    }


async def test_one_flow_of_a_repository_is_deployed(desk):
    desk.commit({"flows/a.yml": flow("a", "elsewhere"), "top.yml": flow("top"), "bad.yml": "id: bad\n"})
    found = await desk.run("SyncFlow", flowPath="flows/a.yml", targetNamespace="prod", dryRun=True)
    assert found == {"flowId": "a", "namespace": "prod", "revision": 0}
    assert not desk.engine.flows.exists("prod", "a")
    assert (await desk.run("SyncFlow", flowPath="flows/a.yml", targetNamespace="prod"))["revision"] == 1
    assert (await desk.run("SyncFlow", flowPath="top.yml", targetNamespace="prod"))["flowId"] == "top"
    assert desk.engine.flows.get("prod", "a").revision == 1
    for path, said in (("flows/none.yml", "no file 'flows/none.yml'"), ("bad.yml", "no valid flow")):
        await desk.run("SyncFlow", State.FAILED, flowPath=path, targetNamespace="prod")
        assert said in desk.said


async def test_flows_and_files_become_what_the_repository_holds(desk):
    files, engine = desk.engine.files, desk.engine
    for path in ("kept.txt", "scripts/old.py", "scripts/main.py"):
        files.put_namespace_file("system", path, b"here\n")
    await engine.deploy(flow("gone", "system"))
    await engine.deploy(flow("below", "system.team"))
    repository = {
        "prod/_flows/a.yml": flow("a", "other"),
        "prod/_flows/b.yml": flow("b", "system.team"),
        "prod/main.py": "there\n",
        "prod/lib/x.py": "x\n",
        "prod/secret/y.py": "y\n",
        "prod/.kestraignore": "secret/\n.kestraignore\n*.tmp\n!kept.tmp\n",
        "prod/a.tmp": "",
        "prod/kept.tmp": "k\n",
        "README.txt": "not below\n",
    }
    desk.commit(repository)
    given = {"gitDirectory": "prod", "namespaceFilesDirectory": "/scripts"}
    await desk.run("Sync", **given, dryRun=True)
    lines = ("+ /_flows/a.yml", "+ /_flows/b.yml", "- /_flows/gone.yml", "- /old.py", "~ /main.py", "+ /lib/x.py")
    assert all(line in desk.said for line in lines)
    assert "secret" not in desk.said
    assert engine.flows.exists("system", "gone")
    assert not engine.flows.exists("system", "a")
    await desk.run("Sync", **given, branch="main")
    desk.commit({"prod/.kestraignore": "nothing\n.kestraignore*\nsecret/\n*.tmp\n!kept.tmp\n"})
    await desk.run("Sync", **given)
    assert {path: file.read_text() for path, file in files.namespace_files("system")} == {
        "kept.txt": "here\n",
        "scripts/main.py": "there\n",
        "scripts/lib/x.py": "x\n",
        "scripts/kept.tmp": "k\n",
    }
    assert [engine.flows.exists("system", name) for name in ("a", "gone", "system_git")] == [True, False, True]
    assert [engine.flows.exists("system.team", name) for name in ("b", "below")] == [True, True]


async def test_a_folder_with_a_wrong_flow_changes_nothing(desk):
    wrong = (
        ({"_flows/a.yml": flow("a"), "_flows/b.yml": "id: b\n"}, "b.yml is no valid flow"),
        ({"_flows/b.yml": flow("a")}, "has the same id"),
        ({"_flows/b.yml": None, "_flows/deep/c.yml": flow("c")}, "lies in a folder of its own"),
    )
    for change, said in wrong:
        desk.commit(change)
        await desk.run("Sync", State.FAILED)
        assert said in desk.said
        assert not desk.engine.flows.exists("system", "a")
    await desk.run("Sync", State.FAILED, gitDirectory="nowhere")
    assert "has no folder 'nowhere'" in desk.said


def actions(desk, found):
    """What became of each flow and file, by where it lies."""
    rows = [json.loads(line) for line in desk.stored(found["diff"]).splitlines()]
    return {row["file"].removeprefix("all/company/team/"): row["action"] for row in rows}


async def test_a_namespace_becomes_what_a_repository_holds(desk):
    files, engine = desk.engine.files, desk.engine
    files.put_namespace_file("company.team", "same.txt", b"same\n")
    files.put_namespace_file("company.team", "old.txt", b"old\n")
    for name, message in (("same", "hello"), ("changed", "before"), ("gone", "hello")):
        await engine.deploy(flow(name, "company.team", message))
    await engine.deploy(flow("other", "company.team.below"))
    at = "all/company/team"
    desk.commit(
        {
            f"{at}/flows/same.yml": flow("same", "company.team"),
            f"{at}/flows/changed.yaml": flow("changed", "company.team", "after"),
            f"{at}/flows/fresh.yaml": flow("fresh", "elsewhere"),
            f"{at}/files/same.txt": "same\n",
            f"{at}/files/lib/new.py": "new\n",
            f"{at}/notes.md": "of nobody\n",
        }
    )
    given = {"namespace": "company.team", "sourceOfTruth": "GIT", "gitDirectory": "all"}
    expected = {
        "flows/same.yml": "UNCHANGED",
        "flows/changed.yaml": "UPDATED_KES",
        "flows/fresh.yaml": "ADDED",
        "flows/gone.yaml": "DELETED_KES",
        "files/same.txt": "UNCHANGED",
        "files/lib/new.py": "ADDED",
        "files/old.txt": "DELETED_KES",
    }
    found = await desk.run("NamespaceSync", **given, dryRun=True)
    assert actions(desk, found) == expected
    assert engine.flows.exists("company.team", "gone")
    await desk.run("NamespaceSync", State.FAILED, **given, whenMissingInSource="FAIL")
    assert "lacks 2 of what the other side has: gone, old.txt" in desk.said
    assert not engine.flows.exists("company.team", "fresh")
    safe = await desk.run("NamespaceSync", **given, protectedNamespaces=["company"], dryRun=True)
    assert actions(desk, safe)["flows/gone.yaml"] == "UNCHANGED"
    found = await desk.run("NamespaceSync", **given)
    assert (actions(desk, found), found["commitId"]) == (expected, None)
    held = {path: file.read_text() for path, file in files.namespace_files("company.team")}
    assert held == {"same.txt": "same\n", "lib/new.py": "new\n"}
    there = [engine.flows.exists("company.team", name) for name in ("same", "fresh", "gone")]
    assert (there, engine.flows.exists("company.team.below", "other")) == ([True, True, False], True)
    assert set(actions(desk, await desk.run("NamespaceSync", **given)).values()) == {"UNCHANGED"}
    desk.commit({f"{at}/flows/fresh.yaml": "id: fresh\n"})
    await desk.run("NamespaceSync", State.FAILED, **given)
    assert "flows/fresh.yaml is no valid flow" in desk.said
    await desk.run("NamespaceSync", **given, onInvalidSyntax="WARN")
    assert engine.flows.exists("company.team", "fresh")
    desk.commit({f"{at}/flows/fresh.yaml": None, f"{at}/flows/other-name.yaml": "id: fresh\ntasks: []\n"})
    await desk.run("NamespaceSync", **given, onInvalidSyntax="SKIP")
    assert engine.flows.exists("company.team", "fresh")  # what is broken there is not gone there
    desk.commit({f"{at}/flows/other-name.yaml": "id: [\n"})
    found = await desk.run("NamespaceSync", **given, onInvalidSyntax="SKIP")
    assert engine.flows.exists("company.team", "fresh")
    assert "Nobody can tell which flow it was" in desk.said
    await desk.run("NamespaceSync", State.FAILED, **{**given, "gitDirectory": "wrong"})
    assert "has no folder 'wrong/company/team'" in desk.said


async def test_a_repository_becomes_what_a_namespace_holds(desk):
    files, engine = desk.engine.files, desk.engine
    files.put_namespace_file("company.team", "lib/a.py", b"a\n")
    await engine.deploy(flow("kept", "company.team"))
    await engine.deploy(flow("fresh", "company.team"))
    at = "all/company/team"
    desk.commit(
        {
            f"{at}/flows/kept.yml": flow("kept", "company.team").replace("\n", "\r\n"),
            f"{at}/flows/gone.yaml": flow("gone", "company.team"),
            f"{at}/files/old.py": "old\n",
            f"{at}/notes.md": "of nobody\n",
        }
    )
    given = {"namespace": "company.team", "gitDirectory": "all"}
    expected = {
        "flows/kept.yml": "UNCHANGED",
        "flows/fresh.yaml": "ADDED",
        "files/lib/a.py": "ADDED",
        "flows/gone.yaml": "DELETED_GIT",
        "files/old.py": "DELETED_GIT",
    }
    before = desk.tree()
    found = await desk.run("NamespaceSync", **given, dryRun=True)
    assert (actions(desk, found), found["commitId"], desk.tree()) == (expected, None, before)
    kept = await desk.run("NamespaceSync", **given, whenMissingInSource="KEEP", dryRun=True)
    assert actions(desk, kept)["files/old.py"] == "UNCHANGED"
    await desk.run("NamespaceSync", State.FAILED, **given, whenMissingInSource="FAIL")
    assert "The namespace company.team lacks 2" in desk.said
    found = await desk.run("NamespaceSync", **given, commitMessage="As it is here")
    assert actions(desk, found) == expected
    assert found["commitId"] == git(desk.bare, "rev-parse", "main").strip()
    mine = [path.removeprefix(f"{at}/") for path in desk.tree() if path.startswith(at)]
    assert sorted(mine) == ["files/lib/a.py", "flows/fresh.yaml", "flows/kept.yml", "notes.md"]
    assert desk.show(f"{at}/flows/fresh.yaml").strip() == flow("fresh", "company.team").strip()
    assert (await desk.run("NamespaceSync", **given))["commitId"] is None


def by_place(desk, found):
    """What became of each flow and file of all namespaces, by where it lies."""
    return {row["file"]: row["action"] for row in map(json.loads, desk.stored(found["diff"]).splitlines())}


async def test_all_namespaces_become_what_a_repository_holds(desk):
    files, engine = desk.engine.files, desk.engine
    for space, name in (("company.team", "same"), ("company.team", "gone"), ("company", "lone"), ("shop", "gone")):
        await engine.deploy(flow(name, space))
    files.put_namespace_file("left", "old.txt", b"old\n")
    desk.commit(
        {
            "company.team/flows/same.yml": flow("same", "company.team"),
            "fresh.space/flows/new.yaml": flow("new", "elsewhere"),
            "fresh.space/files/lib/a.py": "a\n",
            "_global/dashboards/sales.yaml": "id: sales\n",
            "docs/notes.md": "of nobody\n",
        }
    )
    expected = {
        "company.team/flows/same.yml": "UNCHANGED",
        "company.team/flows/gone.yaml": "DELETED_KES",
        "company/flows/lone.yaml": "DELETED_KES",
        "shop/flows/gone.yaml": "DELETED_KES",
        "left/files/old.txt": "DELETED_KES",
        "fresh.space/flows/new.yaml": "ADDED",
        "fresh.space/files/lib/a.py": "ADDED",
    }
    given = {"sourceOfTruth": "GIT", "protectedNamespaces": ["system", "shop"]}
    found = await desk.run("TenantSync", **given, dryRun=True)
    kept = expected | {"shop/flows/gone.yaml": "UNCHANGED"}
    mine = {path: action for path, action in by_place(desk, found).items() if not path.startswith("system/")}
    assert mine == kept
    assert "there are no dashboards here" in desk.said
    assert engine.flows.exists("company", "lone")
    await desk.run("TenantSync", State.FAILED, **given, whenMissingInSource="FAIL")
    assert "Nothing is changed" in desk.said
    assert not engine.flows.exists("fresh.space", "new")
    desk.commit({"shop/flows/bad.yaml": "id: bad\n"})
    await desk.run("TenantSync", State.FAILED, **given)
    assert not engine.flows.exists("fresh.space", "new")  # one that is no flow stops all
    found = await desk.run("TenantSync", **given, onInvalidSyntax="SKIP")
    gone = [("company.team", "gone"), ("company", "lone")]
    assert [engine.flows.exists(*key) for key in gone] == [False, False]
    assert all(
        engine.flows.exists(*key) for key in [("fresh.space", "new"), ("shop", "gone"), ("company.team", "same")]
    )
    assert engine.flows.exists("system", "system_git")  # the one that runs
    assert [path for path, _ in files.namespace_files("fresh.space")] == ["lib/a.py"]
    assert list(files.namespace_files("left")) == []
    await desk.run("TenantSync", State.FAILED, **given, gitDirectory="docs")
    assert "holds no namespace below 'docs'" in desk.said
    desk.commit({"No Name/flows/a.yaml": flow("a")})
    await desk.run("TenantSync", State.FAILED, **given)
    assert "'No Name' is named like no namespace" in desk.said


async def test_a_repository_becomes_what_all_namespaces_hold(desk):
    files, engine = desk.engine.files, desk.engine
    await engine.deploy(flow("kept", "company.team"))
    files.put_namespace_file("left", "a/b.txt", b"b\n")
    desk.commit(
        {
            "all/company.team/flows/gone.yaml": flow("gone", "company.team"),
            "all/of.nobody/flows/x.yaml": flow("x", "of.nobody"),
            "company.team/flows/outside.yaml": flow("outside"),
        }
    )
    given = {"gitDirectory": "all", "commitMessage": "As it is here"}
    found = await desk.run("TenantSync", **given)
    expected = {
        "all/company.team/flows/kept.yaml": "ADDED",
        "all/company.team/flows/gone.yaml": "DELETED_GIT",
        "all/left/files/a/b.txt": "ADDED",
        "all/system/flows/system_git.yaml": "ADDED",
    }
    assert by_place(desk, found) == expected
    assert git(desk.bare, "log", "-1", "--format=%H %s", "main").strip() == f"{found['commitId']} As it is here"
    assert [path for path in desk.tree() if "README" not in path] == [
        "all/company.team/flows/kept.yaml",
        "all/left/files/a/b.txt",
        "all/of.nobody/flows/x.yaml",  # a namespace that is not here
        "all/system/flows/system_git.yaml",
        "company.team/flows/outside.yaml",
    ]
    assert set(by_place(desk, await desk.run("TenantSync", **given)).values()) == {"UNCHANGED"}


async def test_files_of_an_execution_are_pushed(desk):
    runner = {"taskRunner": {"type": "io.kestra.plugin.core.runner.Process"}}
    shell = {"type": "io.kestra.plugin.scripts.shell.Commands", **runner}
    made = {"id": "made", **shell, "commands": ["echo 1 > a.csv; echo 2 > b.log"], "outputFiles": ["*.csv", "*.log"]}
    here = {"id": "here", **shell, "commands": ["echo 3 > c.txt"]}
    first = await desk.run("PushExecutionFiles", before=[made, here], files="*.csv")
    assert (first["commitId"], [row["file"] for row in desk.rows]) == (
        git(desk.bare, "rev-parse", "main").strip(),
        ["_outputs/a.csv"],
    )
    await desk.run("PushExecutionFiles", before=[made, here], files=["*.txt"], gitDirectory="out")
    renamed = {"runs/x.log": "{{ outputs.made.outputFiles['b.log'] }}"}
    await desk.run("PushExecutionFiles", before=[made], filesMap=renamed, gitDirectory="out")
    assert desk.tree() == ["README.md", "_outputs/a.csv", "out/c.txt", "out/runs/x.log"]
    assert desk.show("out/runs/x.log") == "2\n"
    await desk.run("PushExecutionFiles", before=[made], gitDirectory="all")
    assert [row["file"] for row in desk.rows] == ["all/a.csv", "all/b.log"]
    assert (await desk.run("PushExecutionFiles", before=[made], files="*.pdf"))["commitId"] is None
    assert desk.rows == []
    assert "No file fits" in desk.said
    await desk.run("PushExecutionFiles", State.FAILED, errorOnMissing=True)
    assert "no files to push" in desk.said


async def test_links_of_a_repository_lead_nowhere(desk, tmp_path):
    work = desk.host.root / "flows-work"
    (work / "_files").mkdir()
    (work / "_files" / "leak").symlink_to("/etc/hostname")
    (work / "out").symlink_to(tmp_path)
    desk.commit({"_files/fine.txt": "fine\n"})
    await desk.run("SyncNamespaceFiles", namespace="dev")
    held = {path: file.read_text() for path, file in desk.engine.files.namespace_files("dev")}
    assert held == {"fine.txt": "fine\n", "leak": "/etc/hostname"}
    await desk.run("PushNamespaceFiles", State.FAILED, namespace="dev", gitDirectory="out")
    assert "out/fine.txt of the repository cannot be written" in desk.said
    assert not (tmp_path / "fine.txt").exists()


async def test_files_of_the_working_directory_are_pushed(desk):
    shell = {"id": "make", "type": "io.kestra.plugin.scripts.shell.Commands", "commands": ["echo made > made.txt"]}
    shell["taskRunner"] = {"type": "io.kestra.plugin.core.runner.Process"}
    clone = {"id": "clone", "type": f"{GIT}.Clone", "url": f"{desk.host.url}/flows.git"}
    clone |= {"username": "ann", "password": "t0ken"}
    evil = "git config core.fsmonitor 'touch $HOME/pwned; true'; git config core.hooksPath .; rm README.md"
    spoil = {**shell, "id": "spoil", "commands": [evil]}
    await desk.engine.deploy(flow("a", "system"))
    given = {"commitMessage": "Report", "inputFiles": {"given.txt": "given"}, "author": {"name": "Bo"}}
    found = await desk.run("Push", before=[shell], flows={"gitDirectory": "f"}, **given)
    assert desk.tree() == ["README.md", "f/a.yml", "f/system_git.yml", "given.txt", "made.txt"]
    assert git(desk.bare, "log", "-1", "--format=%H %an", "main").strip() == f"{found['commitId']} Bo"
    await desk.run("Push", before=[clone, shell, spoil], flows={"enabled": False}, branch="next", **given)
    assert desk.tree("next") == ["f/a.yml", "f/system_git.yml", "given.txt", "made.txt"]
    await desk.run("Push", before=[clone, shell, spoil], flows={"enabled": False}, branch="own", url=None, **given)
    assert desk.tree("own") == ["f/a.yml", "f/system_git.yml", "given.txt", "made.txt"]
    await desk.run("Push", State.FAILED, before=[shell], url=None)
    assert "There is no `url`, and the working directory holds no clone." in desk.said


async def test_a_first_commit_of_an_empty_repository(desk):
    empty = desk.host.root / "empty.git"
    git(desk.host.root, "init", "-q", "--bare", "-b", "main", str(empty))
    await desk.engine.deploy(flow("a", "dev"))
    await desk.run("PushFlows", sourceNamespace="dev", url=f"{desk.host.url}/empty.git")
    assert git(empty, "ls-tree", "-r", "--name-only", "main").split() == ["_flows/a.yml"]


async def test_a_deployed_text_must_be_a_flow(desk):
    with pytest.raises(FlowInvalid):
        await desk.engine.flows.check("id: x\n")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("id: a\nnamespace: dev\n", "id: a\nnamespace: prod\n"),
        ('namespace: "dev"  # ours\nid: a', "namespace: prod  # ours\nid: a\n"),
        ("tasks:\n  - namespace: dev\nnamespace: 'x'\n", "tasks:\n  - namespace: dev\nnamespace: prod\n"),
    ],
)
def test_namespaces_are_rewritten(written, expected):
    assert with_namespace(written, "prod") == expected


def test_paths_and_texts_for_the_repository():
    assert pushed_path("dev.team.crm", "a", "dev") == "team/crm/a.yml"
    assert pushed_source("revision: 3\nid: a\nnamespace: dev.team\n", "dev.team", "dev", "prod") == (
        "id: a\nnamespace: prod.team\n"
    )
    assert pushed_source("id: a\nnamespace: dev", "dev", "dev", None) == "id: a\nnamespace: dev\n"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:p@github.com/a/b.git", "https://github.com/a/b/commit/c1"),
        ("git@github.com:a/b.git", "https://github.com/a/b/commit/c1"),
        ("ssh://git@host:22/a/b.git", "https://host/a/b/commit/c1"),
        ("https://bitbucket.org/a/b", "https://bitbucket.org/a/b/commits/c1"),
        ("file:///x/y.git", None),
    ],
)
def test_where_a_commit_can_be_seen(url, expected):
    assert commit_url(url, "main", "c1") == expected
