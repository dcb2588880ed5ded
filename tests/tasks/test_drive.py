"""Google Drive with a service account."""

import pytest

from engine.errors import TaskFailed
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
