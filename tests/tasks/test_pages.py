"""Lists that come page by page: of every service the next page is asked for once, so that none leads round for ever."""

import pytest

from engine.errors import TaskFailed
from engine.tasks.pages import Pages
from tests.wire.loopback import Answered, serving

PAGE = "0123456789abcdef0123456789abcdef"
PROJECT = {"items": {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "Y3"}}}
BOARD = {"organization": "o", "projectNumber": 1}
SEARCH = {"apiKey": "k", "fetchAllPages": True}


def test_each_cursor_leads_on_once():
    pages = Pages("Acme")
    assert [pages.after(one) for one in ("a", "b", 7, None, "", None)] == ["a", "b", "7", "", "", ""]
    with pytest.raises(TaskFailed, match=r"^Acme answered the same page twice: .* Check the address"):
        pages.after("a")


def test_the_first_page_is_one_of_them():
    pages = Pages("Acme", "a")
    with pytest.raises(TaskFailed, match="Acme answered the same page twice"):
        pages.after("a")


def test_rows_stand_for_a_page_that_has_but_a_number():
    pages = Pages("Acme")
    pages.after([{"id": 1, "name": "a"}])
    pages.after([{"id": 2, "name": "a"}])
    with pytest.raises(TaskFailed, match="Acme answered the same page twice"):
        pages.after([{"name": "a", "id": 1}])


@pytest.mark.parametrize(
    ("kind", "service", "given", "told"),
    [
        (
            "airtable.records.List",
            "Airtable",
            {"apiKey": "k", "baseId": "b", "tableId": "t", "enableAutoPagination": True},
            {"records": [{"id": "r"}], "offset": "o"},
        ),
        ("cloudflare.zones.List", "Cloudflare", {"apiToken": "t"}, {"success": True, "result": [{"id": "z"}] * 100}),
        ("dropbox.files.List", "Dropbox", {"accessToken": "t"}, {"entries": [], "has_more": True, "cursor": "c"}),
        ("github.projects.List", "GitHub", BOARD, {"data": {"organization": {"projectV2": PROJECT}}}),
        ("hubspot.companies.Search", "HubSpot", SEARCH, {"results": [], "paging": {"next": {"after": "1"}}}),
        (
            "notion.page.Read",
            "Notion",
            {"apiToken": "t", "pageId": PAGE},
            {"id": "p", "results": [], "has_more": True, "next_cursor": "c"},
        ),
        (
            "slack.app.users.List",
            "Slack",
            {"token": "xoxb-1"},
            {"ok": True, "members": [{"id": "U"}], "response_metadata": {"next_cursor": "c"}},
        ),
    ],
)
async def test_a_list_that_leads_back_to_itself_ends_in_a_sentence(make_context, kind, service, given, told):
    name = kind.partition(".")[0]
    asked = []

    def answers(request):
        asked.append(request.path)
        return Answered(told)

    with serving(answers) as wire:
        context = make_context({"providers": {name: {"base_url": wire.url}}})
        with pytest.raises(TaskFailed, match=f"{service} answered the same page twice"):
            await context.run(type=f"io.kestra.plugin.{kind}", **given)
    assert len(asked) <= 3


async def test_a_search_of_drive_that_leads_back_to_itself_ends_in_a_sentence(make_context, google_service):
    told = {"files": [{"id": "f"}], "nextPageToken": "t"}
    with serving(lambda request: Answered(told)) as wire:
        context = make_context({"providers": {"google_drive": {"base_url": wire.url}}})
        account = {"serviceAccount": google_service.service_account}
        with pytest.raises(TaskFailed, match="Google Drive answered the same page twice"):
            await context.run(type="io.kestra.plugin.googleworkspace.drive.List", **account)
