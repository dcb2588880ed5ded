"""Google Drive with a service account."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.google_drive import google_drive

__all__ = ["google_drive"]
KIND = "io.kestra.plugin.googleworkspace.drive"


@pytest.fixture
def drive(make_context, google_service, google_drive):
    url = google_drive.wire.url
    where = {"google_drive": f"{url}/drive/v3", "google_upload": f"{url}/upload/drive/v3"}
    context = make_context({"providers": {name: {"base_url": base} for name, base in where.items()}})

    async def call(kind, **given):
        return await context.run(type=f"{KIND}.{kind}", serviceAccount=google_service.service_account, **given)

    call.context = context
    return call


async def test_a_file_s_life(drive, google_drive):
    uri = await drive.context.files.put(b"a,b\r\n--x\r\n1,2", "t.csv")
    given = {"name": "Tä/ble", "parents": ["p1"], "contentType": "text/csv", "mimeType": "application/x-sheet"}
    made = (await drive("Upload", from_=uri, description="Mine", **given)).file
    assert (made["id"], made["name"], made["size"], made["version"], made["parents"]) == ("f1", "Tä/ble", 13, 1, ["p1"])
    kept = google_drive.files["f1"]
    assert (kept["content"], kept["contentType"], kept["mimeType"], kept["description"]) == (
        b"a,b\r\n--x\r\n1,2",
        "text/csv",
        "application/x-sheet",
        "Mine",
    )
    fetched = await drive("Download", fileId="f1")
    assert (await drive.context.files.read(fetched.uri), fetched.file["name"]) == (b"a,b\r\n--x\r\n1,2", "Tä/ble")
    assert fetched.uri.endswith("Tä-ble")
    exported = await drive("Export", fileId="f1", contentType="application/pdf")
    assert (await drive.context.files.read(exported.uri)).startswith(b"application/pdf:a,b")
    new = await drive.context.files.put(b"new", "t.csv")
    changed = (await drive("Upload", from_=new, fileId="f1", contentType="text/csv\r\nX-Evil: 1")).file
    assert (changed["version"], google_drive.files["f1"]["content"]) == (2, b"new")
    assert (await drive("Delete", fileId="f1")).fileId == "f1"
    with pytest.raises(TaskFailed, match=r"Google Drive answered 404: File not found"):
        await drive("Download", fileId="f1")


async def test_files_are_listed_page_by_page(drive, google_drive):
    for name in ("one", "two", "three"):
        await drive("Create", name=name, mimeType="application/vnd.google-apps.folder")
    assert [file["name"] for file in (await drive("List")).files] == ["one", "two", "three"]
    found = await drive("List", query="name =\n  'two'", corpora=["user", "allTeamDrives"])
    assert [file["id"] for file in found.files] == ["f2"]
    assert google_drive.wire.last.query["corpora"] == "user,allTeamDrives"
    assert google_drive.wire.last.query["q"] == "name = 'two'"


NOW = datetime.now(UTC)


def at(minutes):
    return (NOW + timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_new_files_start_an_execution_once(drive, google_drive, google_service):
    def file(one, minutes, **given):
        given = {"parents": ["in"], "owners": ["ann@x.test"], "mimeType": "application/pdf", "content": b"pdf", **given}
        google_drive.files[one] = {
            "id": one,
            "name": one,
            "version": "1",
            "trashed": False,
            "createdTime": at(minutes),
            **given,
        }

    declared = {"id": "t", "type": f"{KIND}.FileCreatedTrigger", "serviceAccount": google_service.service_account}
    where = {"folderId": "in", "includeSubfolders": True, "ownerEmail": "ann@x.test", "maxFilesPerPoll": 2}
    declared |= {**where, "mimeTypes": ["application/pdf", "application/vnd.google-apps.document"]}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})

    async def look():
        seen = await trigger.poll(drive.context)
        drive.context.memory = seen.memory
        return {one["name"]: one["kestraFileUri"] for one in seen.found.files} if seen.found else {}

    folder = "application/vnd.google-apps.folder"
    file("old", -90)
    file("elsewhere", -5, parents=["root"])
    file("bin", -5, trashed=True)
    file("bob's", -5, owners=["bob@x.test"])
    file("text", -5, mimeType="text/plain")
    file("sub", -900, mimeType=folder)
    file("deep", -900, mimeType=folder, parents=["sub"])
    file("a", -5)
    file("b", -4, parents=["deep"], mimeType="application/vnd.google-apps.document")
    file("c", -4)
    first = await look()
    assert (list(first), first["b"]) == (["a", "b"], None)
    assert await drive.context.files.read(first["a"]) == b"pdf"
    assert list(await look()) == ["c"]  # what was too many comes next
    assert await look() == {}
    file("late", -4.5)  # the search knew of it later than of those made after it
    file("d", -1)
    assert list(await look()) == ["late", "d"]
    assert await look() == {}
    assert set(drive.context.memory["ids"]) == {"d"}  # no more is kept than is needed
    assert (await trigger.model_copy(update={"folder_id": "it's \\ none"}).poll(drive.context)).found is None


async def test_a_folder_of_too_many_folders(drive, google_drive, google_service, monkeypatch):
    monkeypatch.setattr("engine.tasks.googleworkspace.drive.MOST_FOLDERS", 2)
    for name in ("one", "two"):
        await drive("Create", name=name, mimeType="application/vnd.google-apps.folder")
    declared = {"id": "t", "type": f"{KIND}.FileCreatedTrigger", "serviceAccount": google_service.service_account}
    declared |= {"folderId": "root", "includeSubfolders": True}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    with pytest.raises(TaskFailed, match="more than 2 folders"):
        await trigger.poll(drive.context)
