"""Files over FTP and FTPS, on a real server; the tasks are those of SFTP."""

import socket
from datetime import UTC, datetime

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.ftp_connection import FOLDER, entry_of
from tests.wire.certificates import self_signed
from tests.wire.ftp import ftp

FS = "io.kestra.plugin.fs"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    (folder / "in" / "old").mkdir(parents=True)
    for name in ("b.csv", "a.csv", "c.txt", "old/d e.csv"):
        (folder / "in" / name).write_text(name)
    return folder


def who(port, user="shop"):
    return {"host": "127.0.0.1", "port": port, "username": user, "password": "s3cret"}


@pytest.mark.parametrize("listing", [True, False], ids=["MLSD", "LIST"])
async def test_files_there_and_back(context, home, listing):
    with ftp(home, listing=listing) as port:

        async def run(name, **given):
            return await context.run(type=f"{FS}.ftp.{name}", **who(port), **given)

        found = (await run("List", from_="/in/", regExp=r".*\.csv", recursive=True)).files
        assert [one["serverPath"] for one in found] == ["in/a.csv", "in/b.csv", "in/old/d e.csv"]
        assert (found[0]["size"], found[0]["fileType"]) == (5, "FILE")
        seen = datetime.fromisoformat(found[0]["updatedDate"])
        assert abs(seen.timestamp() - (home / "in/a.csv").stat().st_mtime) < 61
        assert {one["name"]: one["fileType"] for one in (await run("List", from_="in")).files}["old"] == "FOLDER"
        uri = (await run("Download", from_="/in/old/d e.csv")).to
        assert context.files.text(uri) == "old/d e.csv"
        await run("Upload", from_=uri, to="/made/on the way/x.csv")
        assert (home / "made/on the way/x.csv").read_text() == "old/d e.csv"
        with pytest.raises(TaskFailed, match=r"There is a file made/on the way/x\.csv already"):
            await run("Upload", from_=uri, to="/made/on the way/x.csv", overwrite=False)
        await run("Uploads", from_={"one.csv": uri, "two.csv": uri}, to="/many/")
        assert sorted(path.name for path in (home / "many").iterdir()) == ["one.csv", "two.csv"]
        await run("Move", from_="/many/one.csv", to="/gone/")
        assert (home / "gone/one.csv").exists()
        assert (await run("Delete", uri="/many")).deleted  # with what is in it
        assert not (home / "many").exists()
        assert not (await run("Delete", uri="/many/two.csv")).deleted
        with pytest.raises(TaskFailed, match="There is no file"):
            await run("Delete", uri="/many/two.csv", errorOnMissing=True)
        taken = await run("Downloads", from_="/in/", regExp=r".*\.csv", action="MOVE", moveDirectory="/done/")
        assert sorted(taken.outputFiles) == ["a.csv", "b.csv"]
        assert sorted(path.name for path in (home / "done").iterdir()) == ["a.csv", "b.csv"]
    assert "s3cret" in context.masked


async def test_the_trigger_takes_each_file_once(context, home):
    with ftp(home) as port:
        declared = {"id": "t", "type": f"{FS}.ftp.Trigger", **who(port), "from": "/in/", "action": "DELETE"}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
        assert sorted((await trigger.poll(context)).found.outputFiles) == ["a.csv", "b.csv", "c.txt"]
        assert (await trigger.poll(context)).found is None


async def test_a_file_that_stays_is_news_once_and_again_when_it_changes(context, home):
    with ftp(home) as port:
        declared = {"id": "t", "type": f"{FS}.ftp.Trigger", **who(port), "from": "/in/", "maxFiles": 2}

        async def look(**more):
            given = {**declared, **more}
            trigger = catalogue().resolve(given).model_validate(given, context={"registry": catalogue()})
            seen = await trigger.poll(context)
            context.memory = seen.memory
            return [(one["name"], one["changeType"]) for one in seen.found.files] if seen.found else []

        assert await look() == [("a.csv", "CREATE"), ("b.csv", "CREATE")]
        assert await look() == [("c.txt", "CREATE")]  # what was too many comes next
        assert await look() == []
        (home / "in/b.csv").write_text("longer than it was")
        (home / "in/new.csv").write_text("new")
        assert await look(on="UPDATE") == [("b.csv", "UPDATE")]
        assert await look(on="CREATE_OR_UPDATE") == []  # what is new was seen, and not asked for
        assert sorted(path.name for path in (home / "in").iterdir()) == ["a.csv", "b.csv", "c.txt", "new.csv", "old"]


async def test_files_that_are_gone_start_an_execution_also_when_the_next_cannot_be_moved(context, home):
    (home / "done/b.csv").mkdir(parents=True)
    with ftp(home) as port:
        given = {"from": "/in/", "regExp": r".*/[ab]\.csv", "action": "MOVE", "moveDirectory": "/done/"}
        declared = {"id": "t", "type": f"{FS}.ftp.Trigger", **who(port), **given}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
        found = (await trigger.poll(context)).found
        assert [one["name"] for one in found.files] == ["a.csv"]
        context.memory = context.remembered[-1]  # the process dies now
        assert (await trigger.poll(context)).found == found
        context.memory = {}
        assert context.said("b.csv and what comes after it are left where they are", "WARN")
        with pytest.raises(TaskFailed, match="refused"):
            await trigger.poll(context)


@pytest.mark.parametrize("kind", ["ftp", "ftps"])
async def test_how_long_is_waited(context, home, tmp_path, kind):
    self_signed(tmp_path)
    tls = {"certificate": tmp_path / "server.pem"} if kind == "ftps" else {}
    trust = {"insecureTrustAllCertificates": True} if kind == "ftps" else {}
    options = {"connectionTimeout": "PT3S", "socketTimeout": "PT5S", "dataTimeout": "PT0S"}
    options |= {"controlKeepAliveTimeout": "PT7S", "controlKeepAliveReplyTimeout": "PT1S"}
    with ftp(home, **tls) as port:
        declared = {"id": "t", "type": f"{FS}.{kind}.List", **who(port), **trust, "from": "/in", "options": options}
        task = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
        client = task.made()
        assert client.timeout == 3
        task.sign_in(client, port)
        assert (client.sock.gettimeout(), client.timeout) == (5, None)
        assert client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        client.quit()
        given = {"options": {"dataTimeout": "PT{{ 2 + 3 }}S"}, "from_": "/in"}
        assert len((await context.run(type=f"{FS}.{kind}.List", **who(port), **trust, **given)).files) == 4


async def test_who_is_refused(context, home):
    with ftp(home) as port:
        fetch = {"type": f"{FS}.ftp.Download", "from_": "/in/a.csv"}
        with pytest.raises(TaskFailed, match=r"refused: 530 .*Check user and password"):
            await context.run(**fetch, **{**who(port), "password": "no"})
        with pytest.raises(TaskFailed, match=r"refused: 550 .*Check the path"):
            await context.run(**{**fetch, "from_": "/none"}, **who(port))
        uri = await context.files.put(b"x", "x")
        with pytest.raises(TaskFailed, match=r"refused: 550"):
            await context.run(type=f"{FS}.ftp.Upload", **who(port, "guest"), from_=uri, to="/x")
        with pytest.raises(TaskFailed, match="line break"):
            await context.run(**{**fetch, "from_": "/in/a.csv\r\nDELE in/a.csv"}, **who(port))
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(**fetch, **who(port))
    with pytest.raises(TaskFailed, match="is not a number"):
        await context.run(**fetch, **who("x"))
    with pytest.raises(TaskFailed, match="by way of a proxy"):
        await context.run(**fetch, **who(port), proxyHost="p")


async def test_over_tls(context, home, tmp_path):
    self_signed(tmp_path)
    with ftp(home, certificate=tmp_path / "server.pem") as port:
        fetch = {"type": f"{FS}.ftps.Download", **who(port), "from_": "/in/a.csv"}
        with pytest.raises(TaskFailed, match=r"can't be trusted: .*insecureTrustAllCertificates"):
            await context.run(**fetch)
        found = await context.run(**fetch, insecureTrustAllCertificates=True)
        assert context.files.text(found.to) == "a.csv"
        with pytest.raises(TaskFailed, match=r"refused: 5\d\d .*(TLS|SSL|PROT)"):  # files in the clear are refused
            await context.run(**fetch, insecureTrustAllCertificates=True, dataChannelProtectionLevel="C")
        with pytest.raises(TaskFailed, match=r"refused: 5\d\d .*(TLS|SSL)"):
            await context.run(**{**fetch, "type": f"{FS}.ftp.Download"})
        for name in ("List", "Uploads", "Downloads", "Delete", "Move", "Upload", "Trigger"):
            assert catalogue().find(f"{FS}.ftps.{name}").__module__ == "engine.tasks.fs.ftps"


@pytest.mark.parametrize(("kind", "port"), [("ftp", 21), ("ftps", 990)])
async def test_the_usual_port(context, kind, port):
    with pytest.raises(TaskFailed, match=f"127.0.0.1:{port} could not be reached"):
        await context.run(type=f"{FS}.{kind}.List", host="127.0.0.1", from_="/")


async def test_over_tls_from_the_first_byte(context, home, tmp_path):
    self_signed(tmp_path)
    with ftp(home, certificate=tmp_path / "server.pem", implicit=True) as port:
        at = {**who(port), "mode": "IMPLICIT", "insecureTrustAllCertificates": True}
        uri = (await context.run(type=f"{FS}.ftps.Download", **at, from_="/in/a.csv")).to
        assert context.files.text(uri) == "a.csv"
        await context.run(type=f"{FS}.ftps.Upload", **at, from_=uri, to="/new.csv")
        assert (home / "new.csv").read_text() == "a.csv"


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("-rw-r--r--   1 shop  shop    1024 Nov 28 10:00 a b.csv", ("a b.csv", False, 1024, "2026-11-28T10:00")),
        ("-rw-r--r--   1 shop  shop       3 Dec 24 10:00 x", ("x", False, 3, "2025-12-24T10:00")),
        ("drwxr-xr-x   2 shop  shop    4096 Jan  5 2024 old", ("old", True, 4096, "2024-01-05T00:00")),
        ("lrwxrwxrwx   1 shop  shop       7 Jan  5 2024 now -> a b.csv", ("now", False, 7, "2024-01-05T00:00")),
        ("11-28-26  10:00AM       <DIR>          In Box", ("In Box", True, 0, "2026-11-28T10:00")),
        ("01-05-2024  01:30PM                 17 x.csv", ("x.csv", False, 17, "2024-01-05T13:30")),
        ("total 12", None),
    ],
)
def test_listings_of_older_servers(line, entry):
    found = entry_of(line, datetime(2026, 11, 28, 12, tzinfo=UTC))
    if entry is None:
        assert found is None
        return
    moment = datetime.fromtimestamp(found.attrs.mtime, UTC).isoformat()[:16]
    assert (found.filename, found.attrs.type == FOLDER, found.attrs.size, moment) == entry
