"""Pages of Confluence, as its API answers."""

import json
from base64 import b64decode

import pytest
from pydantic import ValidationError

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

PAGES = "io.kestra.plugin.confluence.pages"


@pytest.fixture
def confluence(context):
    pages = {"7": {"id": "7", "version": {"number": 1}}}

    def service(request):
        if b64decode(request.headers["authorization"].removeprefix("Basic ")) != b"me@example.com:token":
            return Answered({"errors": [{"status": 401, "title": "Unauthorized"}]}, 401)
        name = request.path.removeprefix("/wiki/api/v2/pages").strip("/") or "8"
        if request.method == "PUT" and request.json["version"]["number"] != pages[name]["version"]["number"] + 1:
            return Answered({"errors": [{"status": 409, "title": "Version must be incremented"}]}, 409)
        pages[name] = {"version": {"number": 1}, **request.json, "id": name}
        return Answered(pages[name])

    with serving(service) as wire:

        async def run(verb, **given):
            who = {"serverUrl": f"{wire.url}/", "username": "me@example.com", "apiToken": "token"}
            return await context.run(type=f"{PAGES}.{verb}", **{**who, **given})

        yield run, wire


async def test_a_page_is_made(confluence):
    run, wire = confluence
    text = "# News\n- *one* & <br/>"
    made = await run("Create", spaceId=5, title="News", markdown=text, parentId="", rootLevel=True)
    assert json.loads(made.value)["id"] == "8"
    assert (wire.last.method, wire.last.query) == ("POST", {"root-level": "true"})
    html = "<h1>News</h1>\n<ul>\n<li><em>one</em> &amp; <br/></li>\n</ul>\n"
    body = {"representation": "storage", "value": html}
    assert wire.last.json == {"spaceId": "5", "title": "News", "body": body}


async def test_a_page_is_written_anew(confluence):
    run, wire = confluence
    page = {"pageId": 7, "status": "current", "title": "Recap", "markdown": "Two  \nlines"}
    told = await run("Update", **page, versionInfo={"number": "2", "message": "Weekly"}, parentId="3")
    assert json.loads(told.value)["version"] == {"number": 2, "message": "Weekly"}
    assert wire.last.json["body"]["value"] == "<p>Two<br />\nlines</p>\n"
    assert (wire.last.json["parentId"], "ownerId" in wire.last.json) == ("3", False)
    with pytest.raises(TaskFailed, match=r"Confluence answered 409: .*Version must be incremented"):
        await run("Update", **page, versionInfo={"number": 2, "message": "Again"})
    with pytest.raises(TaskFailed, match="Confluence answered 401"):
        await run("Update", **page, versionInfo={"number": 3, "message": "x"}, apiToken="other")
    with pytest.raises(ValidationError, match="message"):
        await run("Update", **page, versionInfo={"number": 3})
