"""Services that keep records (HubSpot, Zendesk, Notion, Apify), as their APIs answer."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.notion_blocks import blocks_of, markdown_of
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin"


class Records:
    """HubSpot's objects of all kinds."""

    def __init__(self) -> None:
        self.kept: dict[str, dict] = {}

    def __call__(self, request):
        if request.headers["authorization"] != "Bearer t0ken":
            return Answered({"status": "error", "message": "Authentication credentials not found."}, 401)
        kind, _, number = request.path.removeprefix("/crm/v3/objects/").partition("/")
        if number == "search":
            begin = int(request.json.get("after", 0))
            rows = [{"id": str(n), "properties": {"email": f"{n}@x.test"}} for n in range(begin, min(begin + 2, 5))]
            paging = {"paging": {"next": {"after": str(begin + 2)}}} if begin + 2 < 5 else {}
            return Answered({"total": 5, "results": rows, **paging})
        if request.method == "POST":
            number = str(len(self.kept) + 1)
            self.kept[number] = {"kind": kind, **request.json}
            return Answered({"id": number, "properties": request.json["properties"]}, 201)
        if number not in self.kept:
            return Answered({"message": "resource not found"}, 404)
        if request.method == "DELETE":
            del self.kept[number]
            return Answered(status=204)
        if request.method == "PATCH":
            self.kept[number]["properties"] |= request.json["properties"]
        return Answered({"id": number, "properties": self.kept[number]["properties"]})


HUBSPOT = {
    "contacts": (
        "contactId",
        {"email": "ann@x.test", "firstName": "Ann", "lifecycleStage": "lead"},
        {"email": "ann@x.test", "firstname": "Ann", "lifecyclestage": "lead"},
    ),
    "companies": (
        "companyId",
        {"name": "X", "domain": "x.test", "companyType": "PARTNER"},
        {"name": "X", "domain": "x.test", "type": "PARTNER"},
    ),
    "deals": (
        "dealId",
        {"name": "D", "pipeline": "default", "stage": "won", "amount": 5.5},
        {"dealname": "D", "pipeline": "default", "dealstage": "won", "amount": "5.5"},
    ),
}


@pytest.mark.parametrize("kind", HUBSPOT)
async def test_objects_of_hubspot(make_context, kind):
    identity, given, sent = HUBSPOT[kind]
    service = Records()
    with serving(service) as wire:
        context = make_context({"providers": {"hubspot": {"base_url": wire.url}}})

        async def run(verb, **more):
            return await context.run(type=f"{PLUGIN}.hubspot.{kind}.{verb}", apiKey="t0ken", **more)

        made = await run("Create", **given, additionalProperties={"city": "Bern"})
        assert service.kept["1"] == {"kind": kind, "properties": {**sent, "city": "Bern"}}
        assert (made.id, json.loads(context.files.text(made.uri))) == (1, {**sent, "city": "Bern"})
        await run("Update", **{identity: "1"}, additionalProperties={"city": "Basel"})
        assert wire.last.json == {"properties": {"city": "Basel"}}
        read = await run("Get", **{identity: "1"}, properties=["city", "name"])
        assert json.loads(context.files.text(read.uri))["city"] == "Basel"
        assert wire.last.query == {"properties": "city,name"}
        await run("Delete", **{identity: "1"})
        with pytest.raises(TaskFailed, match="HubSpot answered 404: resource not found"):
            await run("Get", **{identity: "1"})
        first = await run("Search", properties=["email"], limit=2)
        assert (first.total, wire.last.json) == (2, {"properties": ["email"], "limit": 2})
        every = await run("Search", fetchAllPages=True, sorts=[{"propertyName": "createdate"}])
        assert (every.total, len(context.files.text(every.uri).splitlines())) == (5, 5)
        with pytest.raises(TaskFailed, match=r"credentials not found.*Check the credentials"):
            await context.run(type=f"{PLUGIN}.hubspot.{kind}.Search", oauthToken="other")
        with pytest.raises(TaskFailed, match="who asks"):
            await context.run(type=f"{PLUGIN}.hubspot.{kind}.Search")
        assert "t0ken" in context.masked


async def test_deals_belong_to_somebody_and_tickets_have_stages(make_context):
    service = Records()
    with serving(service) as wire:
        context = make_context({"providers": {"hubspot": {"base_url": wire.url}}})
        deal = {"type": f"{PLUGIN}.hubspot.deals.Create", "apiKey": "t0ken", "name": "D", "pipeline": "p", "stage": "s"}
        await context.run(**deal, associatedCompanyIds=[7], associatedContactIds=[8])
        kinds = [one["types"][0]["associationTypeId"] for one in wire.last.json["associations"]]
        assert (kinds, wire.last.json["associations"][0]["to"]) == ([341, 3], {"id": 7})
        ticket = {"type": f"{PLUGIN}.hubspot.tickets.Create", "apiKey": "t0ken", "subject": "S", "priority": "HIGH"}
        await context.run(**ticket)
        assert wire.last.json["properties"] == {"subject": "S", "hs_pipeline_stage": "1", "hs_ticket_priority": "HIGH"}


async def test_a_ticket_of_zendesk(context):
    with serving(lambda request: Answered({"ticket": {"id": 7}}, 201)) as wire:
        ticket = {"type": f"{PLUGIN}.zendesk.tickets.Create", "domain": wire.url, "subject": "S", "description": "D"}
        made = await context.run(**ticket, username="a@x.test", token="t", priority="HIGH", ticketType="INCIDENT")
        assert (made.id, made.url) == (7, f"{wire.url}/api/v2/tickets/7.json")
        sent = {"subject": "S", "comment": {"body": "D"}, "priority": "high", "type": "incident"}
        assert (wire.last.path, wire.last.json) == ("/api/v2/tickets.json", {"ticket": sent})
        assert base64.b64decode(wire.last.headers["authorization"].split()[1]) == b"a@x.test/token:t"
        await context.run(**ticket, oauthToken="o", assigneeId=5, tags=["bug"])
        assert wire.last.headers["authorization"] == "Bearer o"
        assert (wire.last.json["ticket"]["assignee_id"], wire.last.json["ticket"]["tags"]) == (5, ["bug"])
        with pytest.raises(TaskFailed, match="who asks"):
            await context.run(**ticket)


PAGE = "12345678-1234-1234-1234-123456789abc"
MARKDOWN = """# Notes

Some **bold**, *slanted*, ~~gone~~ and `code`, with a [link](https://x.test).

- one
- two
- [x] done
- [ ] open

1. first

> said

```python
print(1)
```

---
"""


class Notion:
    """Pages and their blocks; no request may hold more than 100 blocks, no piece more than 2,000 characters."""

    def __init__(self) -> None:
        self.blocks: list[dict] = []
        self.edited: list[dict] = []
        self.page = {"id": PAGE, "url": "https://notion.test/p", "archived": False, "properties": {}}

    def __call__(self, request):
        if request.headers["notion-version"] != "2022-06-28" or request.headers["authorization"] != "Bearer t":
            return Answered({"code": "unauthorized", "message": "API token is invalid."}, 401)
        body = request.json if request.body else {}
        children = body.get("children", [])
        texts = [one["text"]["content"] for block in children for one in block[block["type"]].get("rich_text", [])]
        if len(children) > 100 or any(len(text) > 2000 for text in texts):
            return Answered({"code": "validation_error", "message": "body failed validation"}, 400)
        self.blocks += children
        if request.path == "/search":
            begin = int(body.get("start_cursor", 0))
            found = sorted(self.edited, key=lambda page: page["last_edited_time"], reverse=True)
            page = [one for one in found if body.get("query", "") in one["title"]][begin : begin + 2]
            return Answered({"results": page, "has_more": begin + 2 < len(found), "next_cursor": str(begin + 2)})
        if request.path.startswith("/databases/") and request.method == "GET":
            return Answered({"properties": {"Status": {"type": "select"}, "Task": {"type": "title"}}})
        if request.path.startswith("/databases/") and request.method == "PATCH":
            if any(len(one["text"]["content"]) > 2000 for text in body.values() for one in text):
                return Answered({"code": "validation_error", "message": "body failed validation"}, 400)
            return Answered({"object": "database", "id": PAGE, "url": "https://notion.test/d", **body})
        if request.path.endswith("/query"):
            return Answered({"results": [{"id": "r1"}, {"id": "r2"}], "has_more": True, "next_cursor": "c2"})
        if request.path.endswith("/children") and request.method == "GET":
            begin = int(request.query.get("start_cursor", 0))
            page = self.blocks[begin : begin + 3]
            return Answered({"results": page, "has_more": begin + 3 < len(self.blocks), "next_cursor": str(begin + 3)})
        if "parent" in body and "database_id" in body["parent"]:
            self.page["properties"] = body["properties"]
            return Answered(self.page)
        if "title" in body.get("properties", {}):
            self.page["properties"] = {"Name": {"type": "title", **body["properties"]["title"]}}
        self.page["archived"] = body.get("archived", False)
        return Answered(self.page)


async def test_pages_of_notion(make_context):
    service = Notion()
    with serving(service) as wire:
        context = make_context({"providers": {"notion": {"base_url": wire.url}}})

        async def run(name, **more):
            return await context.run(type=f"{PLUGIN}.notion.page.{name}", apiToken="t", **more)

        long = "\n\n".join(["x" * 4100] + ["line"] * 120)
        made = await run("Create", title="Notes", content=long, parentPageId=PAGE)
        assert (made.pageId, made.title, len(service.blocks)) == (PAGE, "Notes", 121)
        assert [len(one["text"]["content"]) for one in service.blocks[0]["paragraph"]["rich_text"]] == [2000, 2000, 100]
        assert wire.requests[0].json["parent"] == {"type": "page_id", "page_id": PAGE}
        service.blocks.clear()
        await run("Update", pageId=PAGE, title="More", content=MARKDOWN)
        read = await run("Read", pageId=PAGE)
        assert read.title == "More"
        for line in ("# Notes", "- one", "- [x] done", "- [ ] open", "1. first", "> said", "```python", "---"):
            assert line in read.content.splitlines()
        assert "Some **bold**, *slanted*, ~~gone~~ and `code`, with a [link](https://x.test)." in read.content
        assert (await run("Archive", pageId=PAGE.replace("-", ""))).archived
        with pytest.raises(TaskFailed, match="no id of Notion"):
            await run("Read", pageId="../users")
        with pytest.raises(TaskFailed, match="nothing to change"):
            await run("Update", pageId=PAGE, content=" ")
        with pytest.raises(TaskFailed, match="Notion answered 401: API token is invalid"):
            await context.run(type=f"{PLUGIN}.notion.page.Read", apiToken="wrong", pageId=PAGE)


async def test_rows_of_a_notion_database(make_context):
    with serving(Notion()) as wire:
        context = make_context({"providers": {"notion": {"base_url": wire.url}}})
        query = {"type": f"{PLUGIN}.notion.database.Query", "apiToken": "t", "databaseId": PAGE}
        found = await context.run(**query, fetchType="FETCH", filter={"property": "Status"}, pageSize=2)
        assert (found.rows, found.hasMore, found.nextCursor) == ([{"id": "r1"}, {"id": "r2"}], True, "c2")
        assert wire.last.json == {"page_size": 2, "filter": {"property": "Status"}}
        stored = await context.run(**query, startCursor="c2")
        assert len(context.files.text(stored.uri).splitlines()) == 2
        assert (await context.run(**query, fetchType="FETCH_ONE")).row == {"id": "r1"}


async def test_rows_come_into_a_notion_database_and_change(make_context):
    service = Notion()
    with serving(service) as wire:
        context = make_context({"providers": {"notion": {"base_url": wire.url}}})

        async def run(name, **more):
            who = {"apiToken": "t", "databaseId": PAGE}
            return await context.run(type=f"{PLUGIN}.notion.database.{name}", **who, **more)

        ticked = {"Done": {"checkbox": "true"}, "Status": {"select": {"name": "To do"}}}
        made = await run("CreateItem", title="Fix it", properties=ticked, content="\n\n".join(["line"] * 101))
        sent = wire.requests[1].json["properties"]
        assert sent["Task"]["title"] == [{"type": "text", "text": {"content": "Fix it"}}]  # its own name for the title
        assert (sent["Done"], sent["Status"]) == ({"checkbox": True}, {"select": {"name": "To do"}})
        assert (made.pageId, made.title, len(service.blocks)) == (PAGE, "Fix it", 101)
        done = await run("UpdateItem", pageId=PAGE, properties={"Done": {"checkbox": "false"}}, archived=True)
        assert (done.archived, wire.last.json["properties"]) == (True, {"Done": {"checkbox": False}})
        with pytest.raises(TaskFailed, match="nothing to change"):
            await run("UpdateItem", pageId=PAGE)


async def test_a_notion_database_gets_another_title_and_description(make_context):
    with serving(Notion()) as wire:
        context = make_context({"providers": {"notion": {"base_url": wire.url}}})
        update = {"type": f"{PLUGIN}.notion.database.Update", "apiToken": "t", "databaseId": PAGE}
        named = await context.run(**update, title="Board")
        assert (named.databaseId, named.url, wire.last.path) == (PAGE, "https://notion.test/d", f"/databases/{PAGE}")
        assert wire.last.json == {"title": [{"type": "text", "text": {"content": "Board"}}]}
        await context.run(**update, databaseDescription="x" * 2001)
        assert [len(one["text"]["content"]) for one in wire.last.json["description"]] == [2000, 1]
        with pytest.raises(TaskFailed, match="nothing to change"):
            await context.run(**update)


async def test_edited_pages_of_notion_start_an_execution_once(make_context):
    service, now = Notion(), datetime.now(UTC).replace(second=0, microsecond=0)

    def edit(one, minutes, **parent):
        when = (now + timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        page = {"id": one, "title": one, "url": f"u/{one}", "last_edited_time": when, "parent": parent}
        service.edited = [*(page for page in service.edited if page["id"] != one), page]

    with serving(service) as wire:
        context = make_context({"providers": {"notion": {"base_url": wire.url}}})
        declared = {"id": "t", "type": f"{PLUGIN}.notion.page.UpdateTrigger", "apiToken": "t", "interval": "PT5M"}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})

        async def look(found=trigger):
            seen = await found.poll(context)
            context.memory = seen.memory
            return [page["pageId"] for page in seen.found["updatedPages"]] if seen.found else []

        for one, minutes in (("old", -90), ("a", -3), ("b", -2), ("c", -2)):
            edit(one, minutes)
        assert await look() == ["b", "c", "a"]  # of two pages of the search
        assert await look() == []
        edit("d", -2)  # within the minute that was seen
        assert await look() == ["d"]
        edit("a", 0, page_id=PAGE)
        edit("e", 0)
        assert sorted(await look(trigger.model_copy(update={"parent_page_id": PAGE.replace("-", "")}))) == ["a"]
        context.memory = {}
        assert await look(trigger.model_copy(update={"query": "e"})) == ["e"]


@given(st.text())
def test_any_text_becomes_blocks_that_notion_takes(text):
    for block in blocks_of(text):
        pieces = block.get(block["type"], {}).get("rich_text", [])
        assert all(0 < len(piece["text"]["content"]) <= 2000 for piece in pieces)
    markdown_of(blocks_of(text))


async def test_actors_and_datasets_of_apify(make_context):
    looks = []

    def apify(request):
        if request.method == "POST":
            return Answered({"data": {"id": "r", "status": "RUNNING", "defaultDatasetId": "d"}}, 201)
        looks.append(request.path)
        return Answered([] if len(looks) == 1 else [{"url": "https://x.test"}])

    with serving(apify) as wire:
        context = make_context({"providers": {"apify": {"base_url": wire.url}}})
        run = {"type": f"{PLUGIN}.apify.actor.Run", "apiToken": "t", "actorId": "apify/crawler"}
        begun = await context.run(**run, input={"urls": []}, maxItems=1, memory="MB_1024", waitForFinish=60)
        assert (begun["defaultDatasetId"], wire.last.path) == ("d", "/acts/apify~crawler/runs")
        assert wire.last.query == {"memory": "1024", "maxItems": "1", "waitForFinish": "60"}
        assert wire.last.json == {"urls": []}
        get = {"type": f"{PLUGIN}.apify.dataset.Get", "apiToken": "t", "datasetId": "d"}
        found = await context.run(**get, fields=["url", "text"], sort="DESC")
        assert (found.dataset, len(looks)) == ([{"url": "https://x.test"}], 2)
        assert (wire.last.query["fields"], wire.last.query["desc"], wire.last.query["limit"]) == (
            "url,text",
            "1",
            "1000",
        )
        looks.clear()
        with pytest.raises(TaskFailed, match="stayed empty"):
            await context.run(**get, timeout="PT0S")
