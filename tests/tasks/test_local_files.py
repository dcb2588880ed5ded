"""`fs.local` and `fs.nfs`: files of this machine, and what keeps flows out of the rest of it."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue, local_watch
from engine.tasks.fs.nfs import kind_of
from engine.tasks.local_files import copied_folder, reached
from engine.tasks.name_patterns import fitting
from tests.tasks.context import task

FS = "io.kestra.plugin.fs"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "in" / "deep").mkdir(parents=True)
    for name in ("b.csv", "a.csv", "c.txt", "deep/d e.csv"):
        (folder / "in" / name).write_text(name)
    return folder


@pytest.fixture
def own(tmp_path, data):
    """The bot's own folder lies among those that flows may use, as it might."""
    folder = data / "bot"
    folder.mkdir()
    (folder / "key").write_text("s3cret")
    (tmp_path / "outside").write_text("outside")
    return folder


@pytest.fixture
def here(make_context, data, own):
    return make_context({"local_files": {"allowed_paths": [str(data)]}, "data": str(own)})


def run(context, name, **given):
    return context.run(type=f"{FS}.{name}", **given)


def trigger(name, **given):
    declared = {"id": "t", "type": f"{FS}.{name}.Trigger", **given}
    return catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})


async def look(found, context):
    """What it sees, remembering it for the next look."""
    seen = await found.poll(context)
    context.memory = seen.memory
    return [] if seen.found is None else [(one["name"], one["changeType"]) for one in seen.found.files]


async def test_patterns_are_read_as_in_java_and_end(here, data):
    java = await run(here, "local.List", from_=f"{data}/in", regExp=r"(?<name>\p{Alpha})\.[\p{Lower}]sv")
    assert [one["name"] for one in java.files] == ["a.csv", "b.csv"]
    (data / "in" / f"{'a' * 60}b").touch()
    with pytest.raises(TaskFailed, match=r"`regExp`: The regular expression .* takes longer"):
        await run(here, "local.List", from_=f"{data}/in", regExp="(a+)+")
    assert (await run(here, "local.List", from_=f"{data}/in", regExp=r"(a+a*)*\w*\w*\w*\w*\w*b")).count == 1


def test_of_however_many_names_those_that_fit_are_found():
    names = [f"{'in' if number % 10 else 'out'}/{number}{'x' * 1_000}.csv" for number in range(24_000)]
    assert len(set(fitting(names, r"in/.*x.*\.csv", "regExp"))) == 21_600


async def test_files_there_and_back(here, data):
    found = await run(here, "local.List", from_=f"{data}/in", regExp=r".*\.csv", recursive=True)
    assert [one["name"] for one in found.files] == ["a.csv", "b.csv", "d e.csv"]
    one = found.files[2]
    assert (one["uri"], one["size"], one["directory"]) == ((data / "in/deep/d e.csv").as_uri(), 12, False)
    assert (one["parent"], one["modifiedDate"][-1]) == (str(data / "in/deep"), "Z")
    assert [one["name"] for one in (await run(here, "local.List", from_=f"{data}/in")).files] == [
        "a.csv", "b.csv", "c.txt",
    ]  # fmt: skip
    cut = await run(here, "local.List", from_=f"{data}/in", maxFiles=2)
    assert cut.count == 2
    assert here.said("There are 3 files; the first 2 are taken", "WARN")

    got = await run(here, "local.Download", from_=one["uri"])
    assert (here.files.text(got.uri), got.size) == ("deep/d e.csv", 12)
    put = await run(here, "local.Upload", from_=got.uri, to=f"{data}/made/on the way/x.csv")
    assert (put.uri, put.size) == ((data / "made/on the way/x.csv").as_uri(), 12)
    with pytest.raises(TaskFailed, match=r"There is a file .*x\.csv already"):
        await run(here, "local.Upload", from_=got.uri, to=f"{data}/made/on the way/x.csv", overwrite=False)
    many = await run(here, "local.Uploads", from_={"1.csv": got.uri, "2.csv": got.uri}, to=f"{data}/many/")
    assert many.files == [(data / "many/1.csv").as_uri(), (data / "many/2.csv").as_uri()]
    none = await run(here, "local.Uploads", from_=[got.uri], to=f"{data}/many", regExp=r".*\.sql")
    assert none.files == []
    assert not [path for path in data.rglob("*") if path.name.startswith(".parley")]  # nothing half written stays


async def test_copies_moves_and_deletes(here, data):
    await run(here, "local.Copy", from_=f"{data}/in/a.csv", to=f"{data}/kept/")
    with pytest.raises(TaskFailed, match=r"There is a file .*already"):
        await run(here, "local.Copy", from_=f"{data}/in/b.csv", to=f"{data}/kept/a.csv")
    await run(here, "local.Copy", from_=f"{data}/in/b.csv", to=f"{data}/kept/a.csv", overwrite=True)
    assert (data / "kept/a.csv").read_text() == "b.csv"
    await run(here, "local.Copy", from_=f"{data}/in", to=f"{data}/kept")
    assert (data / "kept/deep/d e.csv").exists()
    assert (data / "kept/a.csv").read_text() == "b.csv"  # what is there stays
    assert here.said(r"There is a file .*kept/a\.csv already; it stays", "WARN")

    await run(here, "local.Move", from_=f"{data}/in/a.csv", to=f"{data}/gone/")
    assert ((data / "gone/a.csv").read_text(), (data / "in/a.csv").exists()) == ("a.csv", False)
    await run(here, "local.Move", from_=f"{data}/in/deep", to=f"{data}/gone/deeper")
    assert (data / "gone/deeper/d e.csv").exists()

    move = {"from_": f"{data}/in/b.csv", "overwrite": True}
    for here_is in ("gone", "gone/deeper"):
        with pytest.raises(TaskFailed, match=r"There is a folder .*already"):
            await run(here, "local.Move", from_=f"{data}/in/b.csv", to=f"{data}/{here_is}")
        with pytest.raises(TaskFailed, match=r"is a folder that holds something.*ends in `/`"):
            await run(here, "local.Move", **move, to=f"{data}/{here_is}")
    (data / "in/deeper").mkdir()
    with pytest.raises(TaskFailed, match=r"gone/deeper is a folder that holds something"):
        await run(here, "local.Move", from_=f"{data}/in/deeper", to=f"{data}/gone/", overwrite=True)
    await run(here, "local.Move", **move, to=f"{data}/in/deeper")  # it holds nothing
    assert (data / "in/deeper").read_text() == "b.csv"
    await run(here, "local.Move", from_=f"{data}/gone/deeper", to=f"{data}/in/deeper", overwrite=True)
    assert (data / "in/deeper/d e.csv").exists()
    await run(here, "local.Move", from_=f"{data}/in/deeper", to=f"{data}/in/", overwrite=True)
    await run(here, "local.Move", from_=f"{data}/in/deeper", to=f"{data}/gone/")
    assert (data / "gone/deeper/d e.csv").exists()

    with pytest.raises(TaskFailed, match=r"is not empty.*recursive: true"):
        await run(here, "local.Delete", from_=f"{data}/gone")
    assert (await run(here, "local.Delete", from_=f"{data}/gone", recursive=True)).deleted
    assert not (data / "gone").exists()
    assert not (await run(here, "local.Delete", from_=f"{data}/gone")).deleted
    with pytest.raises(TaskFailed, match=r"There is no file .*errorOnMissing"):
        await run(here, "local.Delete", from_=f"{data}/gone", errorOnMissing=True)
    with pytest.raises(TaskFailed, match=r"There is no .*none\.csv\. .*Check the path"):
        await run(here, "local.Download", from_=f"{data}/in/none.csv")
    with pytest.raises(TaskFailed, match=r"in is no file.*Downloads"):
        await run(here, "local.Download", from_=f"{data}/in")


async def test_a_folder_is_emptied(here, data):
    taken = await run(
        here, "local.Downloads", from_=f"{data}/in", regExp=r".*\.csv", action="MOVE", moveDirectory=f"{data}/done"
    )
    assert sorted(path.name for path in (data / "done").iterdir()) == ["a.csv", "b.csv"]
    assert {here.files.text(uri) for uri in taken.outputFiles.values()} == {"a.csv", "b.csv"}
    assert taken.files[0]["localPath"] == str(data / "done/a.csv")
    await run(here, "local.Downloads", from_=f"{data}/in", action="DELETE")
    assert [path.name for path in (data / "in").iterdir()] == ["deep"]
    with pytest.raises(TaskFailed, match="Give `moveDirectory`"):
        await run(here, "local.Downloads", from_=f"{data}/done", action="MOVE")


async def test_no_file_goes_before_all_are_stored(here, data):
    gone = task(here, type=f"{FS}.local.Downloads", from_=f"{data}/in", action="DELETE")
    with pytest.raises(TaskFailed, match=r"There is no .*vanished\.csv"):
        await local_watch.taken(here, gone, [data / "in/a.csv", data / "in/vanished.csv"])
    assert (data / "in/a.csv").exists()


async def test_a_killed_task_reaches_no_further_file(here, data):
    begun, killed, over, said = threading.Event(), threading.Event(), threading.Event(), []

    def work(reach):
        begun.set()
        killed.wait(30)
        try:
            copied_folder(reach, data / "in", data / "copy", overwrite=False)
        except TaskFailed as error:
            said.append(error.message)
        over.set()

    copying = asyncio.create_task(reached(here, work))
    await asyncio.to_thread(begun.wait, 30)  # and nothing else waits for the disk
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    killed.set()
    await asyncio.to_thread(over.wait, 30)
    assert (said, (data / "copy").exists()) == (["The task was killed."], False)


async def test_nobody_said_that_flows_may(context, data):
    with pytest.raises(TaskFailed, match=r"may not use files of this machine.*local_files\.allowed_paths"):
        await run(context, "local.Download", from_=f"{data}/in/a.csv")
    with pytest.raises(TaskFailed, match=r"may not use files of this machine"):
        await run(context, "nfs.List", from_=f"{data}/in")


@pytest.mark.parametrize(
    "path",
    [
        "{data}/../outside",
        "{data}/..",
        "{data}/link",
        "{data}/linked/outside",
        "{data}/bot/key",
        "file://{data}/%2e%2e/outside",
    ],
)
async def test_what_flows_may_not_use(here, data, tmp_path, path):
    (data / "link").symlink_to(tmp_path / "outside")
    (data / "linked").symlink_to(tmp_path)
    place = path.format(data=data)
    uri = await here.files.put(b"x", "x")
    for name, given in [
        ("local.Download", {"from_": place}),
        ("local.Copy", {"from_": place, "to": f"{data}/got"}),
        ("nfs.Copy", {"from_": place, "to": f"{data}/got"}),
    ]:
        with pytest.raises(TaskFailed, match="Flows may not use"):
            await run(here, name, **given)
    if path != "{data}/link":  # that link is itself replaced or removed, not what it leads to
        for name, given in [
            ("local.Upload", {"from_": uri, "to": place}),
            ("local.Move", {"from_": f"{data}/in/a.csv", "to": place, "overwrite": True}),
            ("local.Delete", {"from_": place}),
            ("nfs.Delete", {"uri": place}),
        ]:
            with pytest.raises(TaskFailed, match="Flows may not use"):
                await run(here, name, **given)
    assert (tmp_path / "outside").read_text() == "outside"
    assert not (data / "got").exists()


@pytest.mark.parametrize("name", [".env", "parley.yaml"])
async def test_the_settings_of_the_bot_are_no_files_of_flows(here, data, monkeypatch, name):
    monkeypatch.chdir(data)
    (data / name).write_text("PARLEY_SLACK__TOKEN=xoxb-1")
    with pytest.raises(TaskFailed, match="Flows may not use"):
        await run(here, "local.Download", from_=str(data / name))
    with pytest.raises(TaskFailed, match="no folder that a flow may take away"):
        await run(here, "local.Delete", from_=str(data), recursive=True)
    found = await run(here, "local.List", from_=str(data), maxFiles=100)
    assert name not in [one["name"] for one in found.files]


async def test_files_that_are_gone_start_an_execution_also_when_the_next_cannot_be_moved(here, data):
    (data / "done/b.csv/b.csv").mkdir(parents=True)
    given = {"from": f"{data}/in", "regExp": r"[ab]\.csv", "action": "MOVE", "moveDirectory": f"{data}/done"}
    assert await look(trigger("local", **given), here) == [("a.csv", "CREATE")]
    assert here.said("b.csv and what comes after it are left where they are: .*folder that holds something", "WARN")
    with pytest.raises(TaskFailed, match="folder that holds something"):
        await look(trigger("local", **given), here)
    assert (data / "in/b.csv").exists()


async def test_no_link_leads_out_of_what_flows_may_use(here, data, tmp_path, own):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/x.csv").write_text("secret")
    (data / "in/out").symlink_to(tmp_path / "secret")
    (data / "in/x").symlink_to(tmp_path / "outside")
    found = await run(here, "local.List", from_=str(data), recursive=True, maxFiles=100)
    assert {one["name"] for one in found.files} == {"a.csv", "b.csv", "c.txt", "d e.csv"}
    uri = await here.files.put(b"new", "outside")
    with pytest.raises(TaskFailed, match="Flows may not use"):
        await run(here, "local.Upload", from_=uri, to=f"{data}/in/out")  # a folder, by a link
    (data / "more/out").mkdir(parents=True)
    (data / "more/out/x.csv").write_text("new")
    with pytest.raises(TaskFailed, match="Flows may not use"):
        await run(here, "local.Copy", from_=f"{data}/more", to=f"{data}/in", overwrite=True)
    assert (tmp_path / "secret/x.csv").read_text() == "secret"
    await run(here, "local.Upload", from_=uri, to=f"{data}/in/x")
    assert ((data / "in/x").read_text(), (tmp_path / "outside").read_text()) == ("new", "outside")
    for whole in (data, own.parent, tmp_path):
        with pytest.raises(TaskFailed, match=r"no folder that a flow may take away|Flows may not use"):
            await run(here, "local.Delete", from_=str(whole), recursive=True)
    await run(here, "local.Copy", from_=str(data), to=f"{data}/all")
    assert not (data / "all/bot").exists()
    with pytest.raises(TaskFailed, match="no full path"):
        await run(here, "local.Download", from_="in/a.csv")
    with pytest.raises(TaskFailed, match=r"`regExp`: The regular expression '\(' cannot be read"):
        await run(here, "local.List", from_=str(data), regExp="(")


async def test_each_file_is_news_once_and_again_when_it_changes(here, data):
    watch = trigger("local", **{"from": f"{data}/in"}, maxFiles=2)
    assert await look(watch, here) == [("a.csv", "CREATE"), ("b.csv", "CREATE")]
    assert await look(watch, here) == [("c.txt", "CREATE")]  # what was too many comes next
    assert await look(watch, here) == []
    (data / "in/b.csv").write_text("b.csv is longer")
    (data / "in/new.csv").write_text("new")
    assert await look(watch, here) == [("b.csv", "UPDATE"), ("new.csv", "CREATE")]
    (data / "in/a.csv").unlink()
    assert await look(watch, here) == []
    (data / "in/a.csv").write_text("a.csv")
    assert await look(watch, here) == [("a.csv", "CREATE")]


@pytest.mark.parametrize(("on", "first", "later"), [("CREATE", 3, []), ("UPDATE", 0, [("a.csv", "UPDATE")])])
async def test_only_what_is_new_or_only_what_changes(here, data, on, first, later):
    watch = trigger("nfs", **{"from": f"{data}/in"}, on=on)
    assert len(await look(watch, here)) == first
    (data / "in/a.csv").write_text("longer than it was")
    assert await look(watch, here) == later


async def test_a_file_that_was_taken_away_may_come_by_the_same_name(here, data):
    watch = trigger("local", **{"from": f"{data}/in"}, on="CREATE", action="MOVE", moveDirectory=f"{data}/done")
    assert len(await look(watch, here)) == 3
    assert len(list((data / "done").iterdir())) == 3
    (data / "in/a.csv").write_text("another")
    assert await look(watch, here) == [("a.csv", "CREATE")]
    assert (data / "done/a.csv").read_text() == "another"


async def test_too_many_to_watch(here, data, monkeypatch):
    monkeypatch.setattr("engine.tasks.arrivals.MOST_KNOWN", 3)
    assert len(await look(trigger("local", **{"from": f"{data}/in"}), here)) == 3
    (data / "in/one more").touch()
    with pytest.raises(TaskFailed, match=r"More than 3 files lie there"):
        await trigger("local", **{"from": f"{data}/in"}).poll(here)


async def test_what_is_mounted(here, data):
    found = await run(here, "nfs.List", from_=f"{data}/in", regExp=".*(csv|deep)")
    assert [(one["name"], one["directory"], one["symbolicLink"]) for one in found.files] == [
        ("a.csv", False, False), ("b.csv", False, False), ("deep", True, False),
    ]  # fmt: skip
    made = await run(here, "nfs.Copy", from_=f"{data}/in/a.csv", to=f"{data}/out/a.csv")
    assert made.to == (data / "out/a.csv").as_uri()
    await run(here, "nfs.Move", from_=f"{data}/in/b.csv", to=f"{data}/out/a.csv")
    assert (data / "out/a.csv").read_text() == "b.csv"
    assert (await run(here, "nfs.Delete", uri=f"{data}/out/a.csv")).deleted
    with pytest.raises(TaskFailed, match="There is no file"):
        await run(here, "nfs.Delete", uri=f"{data}/out/a.csv")
    with pytest.raises(TaskFailed, match=r"The folder .*/in is not empty\. Delete what is in it first"):
        await run(here, "nfs.Delete", uri=f"{data}/in")
    mount = await run(here, "nfs.CheckMount", path=f"{data}/in")
    assert (mount.isNfsMount, mount.fileStoreType in ("", "nfs4")) == (False, False)


@pytest.mark.skipif(os.name != "posix", reason="Linux tells of its mounts so")
def test_which_mount_a_path_is_on():
    table = (
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "40 22 0:44 / /mnt/in\\040box rw,relatime shared:5 - nfs4 nas:/share rw,vers=4.2\n"
        "41 22 0:45 / /mnt rw - tmpfs none rw\nnonsense\n"
    )
    assert kind_of(Path("/mnt/in box/a"), table) == "nfs4"
    assert kind_of(Path("/mnt/in"), table) == "tmpfs"
    assert kind_of(Path("/etc"), table) == "ext4"
    assert kind_of(Path("/etc"), "") == "unknown"
