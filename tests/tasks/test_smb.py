"""Files on shares, on a real Samba server; the tasks are those of SFTP."""

from datetime import datetime

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.samba import PASSWORD, USER, samba

SMB = "io.kestra.plugin.fs.smb"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shares")
    with samba(folder) as port:
        yield folder, port


@pytest.fixture
def office(server):
    folder = server[0] / "office"
    (folder / "in/old").mkdir(parents=True, exist_ok=True)
    for name in ("b.csv", "a.csv", "c.txt", "old/d e.csv"):
        (folder / "in" / name).write_text(name)
    return folder


def who(server):
    return {"host": "127.0.0.1", "port": server[1], "username": USER, "password": PASSWORD}


async def test_files_there_and_back(context, server, office):
    async def run(kind, **given):
        return await context.run(type=f"{SMB}.{kind}", **who(server), **given)

    found = (await run("List", from_="/office/in/", regExp=r".*\.csv", recursive=True)).files
    assert [one["serverPath"] for one in found] == ["office/in/a.csv", "office/in/b.csv", "office/in/old/d e.csv"]
    assert (found[0]["size"], found[0]["fileType"]) == (5, "FILE")
    seen = datetime.fromisoformat(found[0]["updatedDate"])
    assert abs(seen.timestamp() - (office / "in/a.csv").stat().st_mtime) < 2
    folders = [one["name"] for one in (await run("List", from_="office\\in")).files if one["fileType"] == "FOLDER"]
    assert folders == ["old"]
    uri = (await run("Download", from_="/office/in/old/d e.csv")).to
    assert context.files.text(uri) == "old/d e.csv"
    await run("Upload", from_=uri, to="/office/made/on the way/x.csv")
    assert (office / "made/on the way/x.csv").read_text() == "old/d e.csv"
    with pytest.raises(TaskFailed, match=r"There is a file office/made/on the way/x\.csv already"):
        await run("Upload", from_=uri, to="/office/made/on the way/x.csv", overwrite=False)
    await run("Uploads", from_={"one.csv": uri, "two.csv": uri}, to="/office/many/")
    assert sorted(path.name for path in (office / "many").iterdir()) == ["one.csv", "two.csv"]
    await run("Move", from_="/office/many/one.csv", to="/office/gone/")
    assert (office / "gone/one.csv").exists()
    await run("Move", from_="/office/many/two.csv", to="/archive/")  # another share
    assert (server[0] / "archive/two.csv").read_text() == "old/d e.csv"
    assert not (office / "many/two.csv").exists()
    assert (await run("Delete", uri="/office/made")).deleted  # with what is in it
    assert not (office / "made").exists()
    assert not (await run("Delete", uri="/office/made")).deleted
    with pytest.raises(TaskFailed, match="There is no file"):
        await run("Delete", uri="/office/made", errorOnMissing=True)
    taken = await run("Downloads", from_="/office/in/", regExp=r".*\.csv", action="MOVE", moveDirectory="/archive/done")
    assert sorted(taken.outputFiles) == ["a.csv", "b.csv"]
    assert sorted(path.name for path in (server[0] / "archive/done").iterdir()) == ["a.csv", "b.csv"]
    assert PASSWORD in context.masked


async def test_the_trigger_takes_each_file_once(context, server, office):
    declared = {"id": "t", "type": f"{SMB}.Trigger", **who(server), "from": "/office/in/", "action": "NONE"}
    stays = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    looks = []
    for _ in range(2):  # what stays and is not new starts nothing again
        look = await stays.poll(context)
        context.memory = look.memory
        looks.append(sorted(look.found.outputFiles) if look.found else [])
    assert looks == [["a.csv", "b.csv", "c.txt"], []]
    declared |= {"action": "DELETE"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert sorted((await trigger.poll(context)).found.outputFiles) == ["a.csv", "b.csv", "c.txt"]
    assert (await trigger.poll(context)).found is None


async def test_who_is_refused(context, server, office):
    fetch = {"type": f"{SMB}.Download", "from_": "/office/in/a.csv", **who(server)}
    for wrong, said in [
        ({"password": "no"}, r"refused .*Check user and password"),
        ({"username": None}, "not said who asks"),
        ({"from_": "/none/a.csv"}, r"refused: .*none.*No such file.*Check the path"),
        ({"from_": "/office/none.csv"}, r"refused: .*none\.csv.*No such file"),
        ({"from_": "/office/../archive/x"}, "is no path on a share"),
        ({"from_": "/"}, "is no path on a share"),
        ({"port": "x"}, "is not a number"),
        ({"port": 1}, r"could not be reached: .*Check host, port"),
        ({"host": "169.254.169.254"}, "link-local"),
    ]:
        with pytest.raises(TaskFailed, match=said):
            await context.run(**{**fetch, **wrong})
