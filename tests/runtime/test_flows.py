"""Flow folders: an edit is a new revision, a broken file keeps its last good one, a removed one starts nothing new."""

import asyncio
import os
import threading

import pytest

from engine.core.state import State
from engine.errors import FlowInvalid, NotFound, Refused, StoreFailed
from engine.runtime import Engine
from engine.runtime import flows as runtime_flows
from tests.runtime.marks import registry

FLOW = "id: f\nnamespace: a\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: one}\n"


@pytest.fixture
def folder(settings):
    return settings.flows[0]


def write(path, text, stamp=[0]):  # noqa: B006 - counts across calls: two edits within one tick of the clock differ
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    stamp[0] += 1
    os.utime(path, (path.stat().st_atime, 1_700_000_000 + stamp[0]))


async def test_a_file_is_a_flow(engine, folder, run):
    write(folder / "team" / "f.yaml", FLOW)
    assert await engine.flows.look()
    assert not await engine.flows.look()
    done = await engine.wait((await engine.create("a", "f", {}, started_by="x")).id, timeout=10)
    assert done.state is State.SUCCESS
    assert engine.flows.source("a", "f") == FLOW


async def test_an_edit_is_a_new_revision_and_the_old_one_is_kept(engine, folder):
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    write(folder / "f.yaml", FLOW.replace("one", "two"))
    await engine.flows.look()
    assert [engine.flows.get("a", "f").revision, engine.flows.get("a", "f", 1).tasks[0].format] == [2, "one"]
    write(folder / "f.yaml", FLOW.replace("one", "two"))  # saved again, unchanged
    await engine.flows.look()
    assert engine.flows.get("a", "f").revision == 2


async def test_a_text_that_only_numbers_itself_anew_is_the_same(engine):
    first = await engine.deploy(FLOW)
    assert (await engine.deploy(f"revision: 7\n{FLOW}")).revision == first.revision == 1
    assert (await engine.deploy(FLOW.replace("one", "two"))).revision == 2


async def test_the_history_of_a_flow_and_the_way_back(engine, folder):
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    write(folder / "f.yaml", FLOW.replace("one", "two"))
    await engine.flows.look()
    there = await engine.flows.revisions("a", "f")
    assert [(row.revision, "two" in row.source) for row in there] == [(1, False), (2, True)]
    restored = await engine.flows.restore("a", "f", 1)
    assert (restored.revision, restored.tasks[0].format) == (3, "one")
    assert (folder / "f.yaml").read_text() == FLOW  # the file is what counts
    await engine.flows.look()
    assert engine.flows.get("a", "f").revision == 3
    with pytest.raises(NotFound, match=r"no revision 9 of flow a\.f\. It has 1 to 3"):
        await engine.flows.restore("a", "f", 9)
    with pytest.raises(NotFound, match=r"no flow a\.nowhere"):
        await engine.flows.revisions("a", "nowhere")


async def test_a_broken_file_keeps_its_last_good_revision(engine, folder):
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    write(folder / "f.yaml", FLOW.replace("format: one", "formt: one"))
    await engine.flows.look()
    assert engine.flows.get("a", "f").revision == 1
    problem = engine.flows.problems()[str(folder / "f.yaml")]
    assert isinstance(problem, FlowInvalid)
    assert "formt" in str(problem) + str([one.path for one in problem.problems])
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    assert engine.flows.problems() == {}


async def test_a_test_beside_the_flows_is_no_broken_flow(engine, folder):
    write(folder / "f.yaml", FLOW)
    write(folder / "f_test.yaml", "id: t\nnamespace: a\nflowId: f\ntestCases: [{id: one}]\n")
    write(folder / "board.yaml", "title: x\ncharts: []\n")
    await engine.flows.look()
    assert engine.flows.problems() == {}
    assert [flow.id for flow in engine.flows.list()] == ["f"]


async def test_a_removed_file_starts_nothing_new_and_comes_back(engine, folder, settings):
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    done = await engine.wait((await engine.create("a", "f", {}, started_by="x")).id, timeout=10)
    (folder / "f.yaml").unlink()
    await engine.flows.look()
    with pytest.raises(NotFound):
        await engine.create("a", "f", {}, started_by="x")
    assert engine.flows.list() == []
    assert (await engine.execution(done.id)).state is State.SUCCESS
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    assert engine.flows.get("a", "f").revision == 1


async def test_a_file_removed_while_the_bot_was_down(settings, clock):
    path = settings.flows[0] / "f.yaml"
    for there in (True, False):
        write(path, FLOW)
        if not there:
            path.unlink()
        engine = await Engine.open(settings, registry=registry(), clock=clock)
        await engine.start(watch=False)
        assert engine.flows.exists("a", "f") is there
        await engine.stop()


async def test_two_files_can_not_define_one_flow(engine, folder):
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    write(folder / "g.yaml", FLOW.replace("one", "two"))
    await engine.flows.look()
    assert "defines a.f already" in str(engine.flows.problems()[str(folder / "g.yaml")])
    assert engine.flows.get("a", "f").tasks[0].format == "one"


async def test_what_was_deployed_without_a_file_stays(settings, clock):
    for _ in range(2):
        engine = await Engine.open(settings, registry=registry(), clock=clock)
        await engine.start(watch=False)
        if not engine.flows.exists("a", "f"):
            await engine.deploy(FLOW)
        assert engine.flows.get("a", "f").revision == 1
        await engine.stop()


async def test_the_folder_is_watched(settings, clock):
    engine = await Engine.open(settings, registry=registry(), clock=clock)
    await engine.flows.start(watch=True, interval=0.01)
    import asyncio

    try:
        write(settings.flows[0] / "f.yaml", FLOW)
        async with asyncio.timeout(10):
            while not engine.flows.exists("a", "f"):
                await asyncio.sleep(0.01)
    finally:
        await engine.stop()


async def test_an_execution_goes_on_with_its_own_revision(engine, clock):
    pause = "id: f\nnamespace: a\ntasks:\n  - {id: p, type: io.kestra.plugin.core.flow.Pause}\n"
    await engine.deploy(pause + "  - {id: t, type: io.kestra.plugin.core.debug.Return, format: old}\n")
    made = await engine.create("a", "f", {}, started_by="x")
    await engine.wait(made.id, until="ended_or_paused", timeout=10)
    await engine.deploy(pause + "  - {id: u, type: io.kestra.plugin.core.debug.Return, format: new}\n")
    await engine.resume(made.id, {}, by="x")
    done = await engine.wait(made.id, timeout=10)
    assert [run.task_id for run in done.task_runs.values()] == ["p", "t"]


async def test_a_new_revision_tells_its_older_names_in_one_line(deploy, caplog):
    caplog.set_level("WARNING", logger="engine.runtime.flows")
    text = "tasks:\n" + "".join(
        f"  - {{id: t{number}, type: io.kestra.core.tasks.log.Log, message: x}}\n" for number in range(20)
    )
    await deploy(text + "  - {id: wait, type: io.kestra.plugin.core.flow.Pause, delay: PT1S}\n")
    await deploy(text + "  - {id: wait, type: io.kestra.plugin.core.flow.Pause, delay: PT1S}\n")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "The flow company.team.f uses older names, which still work: `io.kestra.core.tasks.log.Log` (write "
        "`io.kestra.plugin.core.log.Log`), `delay` (write `pauseDuration`)."
    )


async def test_of_two_texts_kept_at_once_the_later_is_the_newest(engine, deploy, monkeypatch):
    """The first is still looked at when the second is kept already."""
    began, go_on = threading.Event(), threading.Event()

    def slow(source, registry):
        if "first" in source:
            began.set()
            go_on.wait(20)
        return []

    monkeypatch.setattr(runtime_flows, "older_names", slow)
    first = asyncio.create_task(deploy("description: first\ntasks: [{id: t, type: tests.Mark}]\n"))
    await asyncio.to_thread(began.wait, 20)
    assert (await deploy("description: second\ntasks: [{id: t, type: tests.Mark}]\n")).revision == 2
    go_on.set()
    assert (await first).revision == 1
    newest = engine.flows.get("company.team", "f")
    assert (newest.revision, newest.description) == (2, "second")


def flow(flow_id, format="one"):
    return FLOW.replace("id: f\n", f"id: {flow_id}\n").replace("one", format)


async def test_a_file_may_hold_several_flows(engine, folder):
    write(folder / "f.yaml", f"{flow('f')}---\n{flow('g')}")
    await engine.flows.look()
    assert engine.flows.problems() == {}
    assert sorted(one.id for one in engine.flows.list()) == ["f", "g"]
    assert engine.flows.source("a", "g") == flow("g")
    write(folder / "f.yaml", f"{flow('f')}---\n{flow('g', 'two')}---\n{flow('h')}")
    await engine.flows.look()
    assert [engine.flows.get("a", name).revision for name in "fgh"] == [1, 2, 1]
    write(folder / "f.yaml", f"{flow('g', 'two')}---\n{flow('h')}")
    await engine.flows.look()
    assert not engine.flows.exists("a", "f")
    assert [engine.flows.get("a", name).revision for name in "gh"] == [2, 1]


async def test_a_broken_flow_of_a_file_holds_back_none_of_its_others(engine, folder):
    write(folder / "f.yaml", f"{flow('f')}---\n{flow('g')}")
    await engine.flows.look()
    write(folder / "f.yaml", f"{flow('f', 'two')}---\n{flow('g').replace('format', 'formt')}---\nid: h\ntasks: [\n")
    await engine.flows.look()
    assert [engine.flows.get("a", name).revision for name in "fg"] == [2, 1]
    problem = engine.flows.problems()[str(folder / "f.yaml")]
    assert [(one.path, one.line) for one in problem.problems] == [("tasks[0].formt", 9), ("", 12)]
    write(folder / "f.yaml", flow("f", "two"))
    await engine.flows.look()
    assert engine.flows.problems() == {}
    assert [one.id for one in engine.flows.list()] == ["f"]


async def test_a_flow_twice_in_one_file_is_told_at_the_second(engine, folder):
    write(folder / "f.yaml", f"{flow('f')}---\n{flow('f', 'two')}")
    await engine.flows.look()
    assert engine.flows.get("a", "f").tasks[0].format == "one"
    (problem,) = engine.flows.problems()[str(folder / "f.yaml")].problems
    assert ("defines a.f already" in problem.message, problem.line) == (True, 6)


async def test_a_flow_that_is_called_otherwise_now_starts_nothing_new_by_its_old_name(engine, folder, settings, clock):
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    write(folder / "f.yaml", flow("other"))
    await engine.flows.look()
    assert [one.id for one in engine.flows.list()] == ["other"]
    write(folder / "f.yaml", "title: x\ncharts: []\n")
    await engine.flows.look()
    assert engine.flows.list() == []


async def test_a_flow_renamed_while_the_bot_was_down(settings, clock):
    for name in ("f", "g"):
        write(settings.flows[0] / "f.yaml", flow(name))
        engine = await Engine.open(settings, registry=registry(), clock=clock)
        await engine.start(watch=False)
        assert [one.id for one in engine.flows.list()] == [name]
        await engine.stop()


@pytest.mark.parametrize(("old", "new"), [("x.yaml", "y.yaml"), ("y.yaml", "x.yaml")])
async def test_a_flow_moved_to_another_file_is_the_same_flow(engine, folder, old, new):
    write(folder / old, f"{flow('f')}---\n{flow('g')}")
    write(folder / new, flow("h"))
    await engine.flows.look()
    write(folder / old, flow("f"))
    write(folder / new, f"{flow('h')}---\n{flow('g')}")
    await engine.flows.look()
    assert engine.flows.problems() == {}
    assert [engine.flows.get("a", name).revision for name in "fgh"] == [1, 1, 1]
    (folder / old).unlink()
    await engine.flows.look()
    assert sorted(one.id for one in engine.flows.list()) == ["g", "h"]


async def test_a_flow_that_another_file_defined_is_taken_in_once_that_does_no_more(engine, folder):
    write(folder / "f.yaml", FLOW)
    write(folder / "g.yaml", flow("f", "two"))
    await engine.flows.look()
    assert engine.flows.get("a", "f").tasks[0].format == "one"
    (folder / "f.yaml").unlink()
    await engine.flows.look()
    assert engine.flows.problems() == {}
    assert engine.flows.get("a", "f").tasks[0].format == "two"


async def test_a_broken_file_does_not_lose_its_flows_to_another(engine, folder):
    write(folder / "f.yaml", FLOW)
    await engine.flows.look()
    write(folder / "f.yaml", FLOW.replace("format", "formt"))
    write(folder / "g.yaml", flow("f", "two"))
    await engine.flows.look()
    assert sorted(engine.flows.problems()) == [str(folder / "f.yaml"), str(folder / "g.yaml")]
    assert engine.flows.get("a", "f").tasks[0].format == "one"


async def test_a_former_text_goes_back_into_its_place_in_the_file(engine, folder):
    write(folder / "f.yaml", f"---\n{flow('f')}")
    await engine.flows.look()
    write(folder / "f.yaml", f"# ours\n---\n{flow('f', 'two')}---\n{flow('g')}")
    await engine.flows.look()
    assert (await engine.flows.restore("a", "f", 1)).revision == 3
    text = (folder / "f.yaml").read_text()
    assert text == f"# ours\n---\n---\n{flow('f')}---\n{flow('g')}"
    await engine.flows.look()
    assert engine.flows.problems() == {}
    assert [engine.flows.get("a", name).revision for name in "fg"] == [3, 1]
    assert engine.flows.source("a", "f") == flow("f")


async def test_a_file_is_not_written_for_a_flow_it_holds_no_more(engine, folder):
    write(folder / "f.yaml", f"{flow('f')}---\n{flow('g')}")
    await engine.flows.look()
    write(folder / "f.yaml", flow("g"))
    with pytest.raises(Refused, match=r"holds a\.f no more"):
        await engine.flows.restore("a", "f", 1)
    assert (folder / "f.yaml").read_text() == flow("g")


async def test_a_file_is_read_again_when_the_database_was_away(engine, folder, monkeypatch):
    write(folder / "f.yaml", FLOW)
    keep = engine.database.transact

    async def away(work):
        raise StoreFailed("The database is away.")

    monkeypatch.setattr(engine.database, "transact", away)
    with pytest.raises(StoreFailed):
        await engine.flows.look()
    monkeypatch.setattr(engine.database, "transact", keep)
    assert await engine.flows.look()
    assert engine.flows.exists("a", "f")
    assert not await engine.flows.look()
