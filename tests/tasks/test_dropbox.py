"""Files in Dropbox, as its API answers."""

import json

import pytest

from engine.errors import TaskFailed
from engine.tasks.dropbox import files
from tests.wire.loopback import Answered, serving

FILES = "io.kestra.plugin.dropbox.files"


class Service:
    """Files by their paths; large ones come in pieces."""

    def __init__(self):
        self.files, self.sessions, self.asked = {"/in/a.csv": b"a", "/in/b.csv": b"b", "/in/ü.csv": b"u"}, {}, []

    def __call__(self, request):
        if request.headers["authorization"] != "Bearer t0ken":
            said = {"error_summary": "invalid_access_token/..", "error": {".tag": "invalid_access_token"}}
            return Answered(said, 401)
        what = request.path.removeprefix("/2/files/")
        argument = request.headers.get("dropbox-api-arg")
        given = json.loads(argument) if argument else request.json
        self.asked.append((request.method, what, given))
        return getattr(self, what.replace("/", "_"))(given, request.body)

    def about(self, path, tag="file"):
        told = {".tag": tag, "name": path.rpartition("/")[2], "path_lower": path.lower(), "path_display": path}
        if tag == "folder":
            return told
        size = len(self.files[path])
        return {**told, "size": size, "rev": "1", "client_modified": "2026-01-01T00:00:00Z", "content_hash": "h"}

    def missing(self, where):
        return Answered({"error_summary": f"{where}/not_found/..", "error": {".tag": where}}, 409)

    def upload(self, place, body):
        if place["mode"] == "add" and place["path"] in self.files:
            return self.missing("path/conflict")
        self.files[place["path"]] = body
        told = self.about(place["path"])
        del told[".tag"]
        return Answered(told)

    def upload_session_start(self, given, body):
        assert given == {"close": False}
        self.sessions["s1"] = body
        return Answered({"session_id": "s1"})

    def upload_session_append_v2(self, given, body):
        assert given["cursor"]["offset"] == len(self.sessions["s1"])
        self.sessions["s1"] += body
        return Answered(None)

    def upload_session_finish(self, given, body):
        assert given["cursor"]["offset"] == len(self.sessions["s1"])
        return self.upload(given["commit"], self.sessions.pop("s1") + body)

    def download(self, given, body):
        if given["path"] not in self.files:
            return self.missing("path")
        about = json.dumps(self.about(given["path"]))
        return Answered(self.files[given["path"]], headers={"Dropbox-API-Result": about})

    def list_folder(self, given, body):
        assert given["path"] != "/"
        entries = [self.about("/in", "folder"), *(self.about(path) for path in self.files)]
        self.rest = entries[given["limit"] :]
        return Answered({"entries": entries[: given["limit"]], "cursor": "c", "has_more": bool(self.rest)})

    def list_folder_continue(self, given, body):
        assert given == {"cursor": "c"}
        return Answered({"entries": self.rest, "cursor": "c2", "has_more": False})

    def search_v2(self, given, body):
        found = [{"metadata": {".tag": "metadata", "metadata": self.about("/in/a.csv")}}]
        return Answered({"matches": found, "cursor": "c", "has_more": True})

    def search_continue_v2(self, given, body):
        return Answered({"matches": [{"metadata": {"metadata": self.about("/in/b.csv")}}], "has_more": False})

    def copy_v2(self, given, body):
        if given["from_path"] not in self.files:
            return self.missing("from_lookup")
        self.files[given["to_path"]] = self.files[given["from_path"]]
        return Answered({"metadata": self.about(given["to_path"])})

    def move_v2(self, given, body):
        self.files[given["to_path"]] = self.files.pop(given["from_path"])
        return Answered({"metadata": self.about(given["to_path"])})

    def delete_v2(self, given, body):
        told = self.about(given["path"])
        del self.files[given["path"]]
        return Answered({"metadata": told})

    def create_folder_v2(self, given, body):
        told = self.about(given["path"], "folder")
        del told[".tag"]  # there is only one kind
        return Answered({"metadata": told})

    def get_metadata(self, given, body):
        return Answered(self.about(given["path"]))


@pytest.fixture
def dropbox(make_context):
    with serving(service := Service()) as wire:
        context = make_context({"providers": {"dropbox": {"base_url": wire.url}}})

        async def run(verb, **given):
            return await context.run(type=f"{FILES}.{verb}", **{"accessToken": "t0ken", **given})

        yield service, context, run


async def test_files_come_and_go(dropbox, monkeypatch):
    service, context, run = dropbox
    uri = await context.files.put(b"0123456789", "x")
    told = (await run("Upload", from_=uri, to="/out/x.txt")).metadata
    assert (told["name"], told["pathLower"], told["size"], told["clientModified"]) == (
        "x.txt",
        "/out/x.txt",
        10,
        "2026-01-01T00:00:00Z",
    )
    assert service.asked == [("POST", "upload", {"path": "/out/x.txt", "mode": "add", "autorename": False})]
    monkeypatch.setattr(files, "BLOCK", 4)
    await run("Upload", from_=uri, to="/out/big.txt", mode="overwrite", autorename=True)
    assert service.files["/out/big.txt"] == b"0123456789"
    assert [what for _, what, _ in service.asked[1:]] == [
        f"upload_session/{step}" for step in ("start", "append_v2", "finish")
    ]
    got = await run("Download", from_="/in/ü.csv")
    assert (context.files.text(got.uri), got.uri.rpartition("/")[2], got.metadata["rev"]) == ("u", "ü.csv", "1")
    where = await context.files.put(b" /in/a.csv\n", "where")
    assert context.files.text((await run("Download", from_=where)).uri) == "a"
    for given, why in (
        ({"verb": "Upload", "from_": "/etc/passwd", "to": "/x"}, "no file of a flow"),
        ({"verb": "Upload", "from_": uri, "to": "x"}, "`to` does not begin with a slash"),
        ({"verb": "Upload", "from_": uri, "to": "/out/x.txt"}, "409: path/conflict/not_found"),
        ({"verb": "Download", "from_": "/none"}, "Dropbox answered 409 for /none"),
        ({"verb": "Download", "from_": "/in/a.csv", "accessToken": "hush"}, "401.*Check the credentials"),
        ({"verb": "Delete", "from_": " "}, "`from` is empty"),
    ):
        with pytest.raises(TaskFailed, match=why):
            await run(**given)
    assert {"t0ken", "hush"} <= context.masked


async def test_a_download_waits_when_it_is_told_to(make_context):
    busy = [Answered({"error_summary": "too_many_requests/"}, 429, {"Retry-After": "0"})] * 2

    def service(request):
        return busy.pop() if busy else Answered(b"a,b", headers={"Dropbox-API-Result": '{"name": "a.csv"}'})

    with serving(service) as wire:
        context = make_context({"providers": {"dropbox": {"base_url": wire.url}}})
        task = {"type": f"{FILES}.Download", "accessToken": "t0ken", "from_": "/in/a.csv"}
        assert context.files.text((await context.run(**task)).uri) == "a,b"
        assert context.said("Dropbox asks to wait 0 s", "WARN")
        busy += [Answered("slow down", 429, {"Retry-After": "0"})] * 5
        with pytest.raises(TaskFailed, match=r"answered 429 for /in/a\.csv: slow down"):
            await context.run(**task)
        assert not busy


async def test_what_is_there(dropbox):
    service, context, run = dropbox
    found = await run("List", from_="/", limit=2)
    folder = {"name": "in", "id": "/in", "path": "/in", "type": "folder", "size": None, "clientModified": None}
    assert (found.size, found.rows[0]) == (4, folder)
    assert (found.rows[1]["type"], found.rows[1]["size"]) == ("file", 1)
    assert service.asked[0][2] == {"path": "", "recursive": False, "limit": 2}
    kept = await run("List", from_="/in", recursive=True, fetchType="STORE")
    rows = [json.loads(line) for line in context.files.text(kept.uri).splitlines()]
    assert (kept.size, [row["name"] for row in rows]) == (4, ["in", "a.csv", "b.csv", "ü.csv"])
    service.asked.clear()
    assert (await run("List", limit=1, fetchType="FETCH_ONE")).row == folder
    assert len(service.asked) == 1
    both = await run("Search", query="csv", path="/in", maxResults=1, fileExtensions=["csv"])
    assert [row["id"] for row in both.rows] == ["/in/a.csv", "/in/b.csv"]
    assert service.asked[1:] == [
        (
            "POST",
            "search_v2",
            {"query": "csv", "options": {"path": "/in", "max_results": 1, "file_extensions": ["csv"]}},
        ),
        ("POST", "search/continue_v2", {"cursor": "c"}),
    ]


async def test_files_are_copied_moved_and_deleted(dropbox):
    service, _, run = dropbox
    copied = await run("Copy", from_="/in/a.csv", to="/out/a.csv")
    assert (copied.file.path, copied.file.type, copied.file.size) == ("/out/a.csv", "file", 1)
    await run("Move", from_="/in/b.csv", to="/out/b.csv", allowOwnershipTransfer=True)
    assert (await run("Delete", from_="/in/a.csv")).file.name == "a.csv"
    assert sorted(service.files) == ["/in/ü.csv", "/out/a.csv", "/out/b.csv"]
    assert (await run("CreateFolder", path="/new")).file.type == "folder"
    assert (await run("GetMetadata", path="/out/a.csv")).file.clientModified == "2026-01-01T00:00:00Z"
    assert [asked for _, what, asked in service.asked if what in ("copy_v2", "move_v2", "create_folder_v2")] == [
        {"from_path": "/in/a.csv", "to_path": "/out/a.csv", "autorename": False},
        {
            "from_path": "/in/b.csv",
            "to_path": "/out/b.csv",
            "autorename": False,
            "allow_ownership_transfer": True,
        },
        {"path": "/new", "autorename": False},
    ]
    with pytest.raises(TaskFailed, match="Dropbox answered 409: from_lookup/not_found"):
        await run("Copy", from_="/none", to="/x")
