"""Right answers of services in which one part is something else: a task ends in a sentence, or does without it."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from engine.errors import TaskFailed
from engine.plugin import Look
from engine.tasks import catalogue
from engine.tasks.rest_service import dated, decoded, whole

HERE = "http://127.0.0.1:9"  # nobody hears there: a handler answers
PAGE = "0123456789abcdef0123456789abcdef"
ODD: list[Any] = [None, 7, "x", ["x"], {}]
TEXT = {"plain_text": "a", "text": {"content": "a", "link": {"url": "u"}}, "annotations": {"bold": True}}
TITLE = {"properties": {"Name": {"type": "title", "title": [TEXT]}}}
BLOCK = {"type": "paragraph", "paragraph": {"rich_text": [TEXT], "children": [{"type": "quote", "quote": {}}]}}
PEOPLE = {"user": {"login": "u"}, "assignee": {"login": "a"}, "assignees": [{"login": "a"}]}
FOUND = {"state": "open", "html_url": "u", **PEOPLE, "labels": [{"name": "l"}]}
COMMIT = {"author": {"date": "d"}, "committer": {"date": "d"}, "tree": {"sha": "s"}, "message": "m"}
CONTENT = {"number": 1, "repository": {"name": "r"}, "labels": {"nodes": [{"name": "l"}]}}
FIELDS = {"nodes": [{"field": {"name": "Status"}, "name": "Done"}]}
ITEMS = {"nodes": [{"content": CONTENT, "fieldValues": FIELDS}], "pageInfo": {"hasNextPage": False, "endCursor": "c"}}
EVENT = {
    "id": "e",
    "created": "2042-01-01T00:00:00Z",
    "start": {"dateTime": "d"},
    "organizer": {"email": "o"},
}
SUBJECT = {"name": "Subject", "value": "s"}
BODY = {"mimeType": "text/plain", "body": {"data": "aGk"}}
AIRTABLE = {"apiKey": "k", "baseId": "b", "tableId": "t"}
NOTION = {"apiToken": "t"}
JIRA = {"accessToken": "t"}
SERVICENOW = {"username": "u", "password": "p", "table": "incident"}
SHEET = {"spreadsheetId": "s", "range": "A1:B2"}


@pytest.mark.parametrize(
    ("text", "found"), [("aGk=", b"hi"), ("aGk", b"hi"), ("-_8", b"\xfb\xff"), ("+/8=", b"\xfb\xff")]
)
def test_base64_is_read_in_every_spelling(text, found):
    assert decoded({"a": {"b": text}}, "Acme", "a", "b") == found


@pytest.mark.parametrize("odd", ["x", "a!", "ä", 7, ["x"], {"c": 1}])
def test_what_is_no_base64_ends_in_a_sentence(odd):
    with pytest.raises(TaskFailed, match=r"Acme answered with no Base64 in `a\.b`: "):
        decoded({"a": {"b": odd}}, "Acme", "a", "b")


@pytest.mark.parametrize("odd", ["x", "2026-01-01", 7, ["x"]])
def test_what_is_no_moment_ends_in_a_sentence(odd):
    with pytest.raises(TaskFailed, match="Acme answered with no date and time in `at`: "):
        dated({"at": odd}, "Acme", "at")


def test_a_number_may_be_missing_where_that_is_said():
    assert (whole({}, "Acme", "a", "b", missing=3), whole({"a": {"b": "4"}}, "Acme", "a", "b", missing=3)) == (3, 4)
    with pytest.raises(TaskFailed, match=r"Acme answered without `a\.b`"):
        whole({}, "Acme", "a", "b")
    with pytest.raises(TaskFailed, match="Acme answered with no object in `a`: 7"):
        whole({"a": 7}, "Acme", "a", "b", missing=3)


def searched(row: dict[str, Any]) -> dict[str, Any]:
    """What a search at GitHub answers."""
    return {"total_count": 1, "items": [row]}


# the task, which setting or property says where the service is, what it is given, and a right answer to each call
TASKS: list[tuple[str, str, dict[str, Any], dict[str, Any] | list[Any]]] = [
    ("airtable.records.List", "airtable", AIRTABLE, {"records": [{"id": "r", "fields": {}}]}),
    ("airtable.records.Get", "airtable", {**AIRTABLE, "recordId": "r", "fields": ["a"]}, {"fields": {"a": 1}}),
    ("airtable.records.Create", "airtable", {**AIRTABLE, "fields": {"a": 1}}, {"records": [{"id": "r"}]}),
    ("github.code.Search", "github", {"query": "q"}, searched({"repository": {"name": "r"}})),
    ("github.commits.Search", "github", {"query": "q"}, searched({"commit": COMMIT, "author": {"login": "a"}})),
    ("github.issues.Search", "github", {"query": "q"}, searched(FOUND)),
    ("github.repositories.Search", "github", {"query": "q"}, searched({"owner": {"login": "o"}})),
    (
        "github.projects.List",
        "github",
        {"organization": "o", "projectNumber": 1},
        {"data": {"organization": {"projectV2": {"items": ITEMS}}}},
    ),
    ("gitlab.issues.Search", "url", {"token": "t", "projectId": "p"}, [{"id": 1}]),
    ("googleworkspace.calendar.EventCreatedTrigger", "google_calendar", {}, {"items": [EVENT], "nextPageToken": ""}),
    ("googleworkspace.drive.List", "google_drive", {}, {"files": [{"id": "f", "size": "1", "version": "2"}]}),
    ("googleworkspace.sheets.ReadRange", "google_sheets", SHEET, {"values": [["a", "b"], [1, 2]]}),
    (
        "googleworkspace.mail.Get",
        "google_mail",
        {"accessToken": "t", "messageId": "m"},
        {"id": "m", "internalDate": "1767225600000", "payload": {"headers": [SUBJECT], "parts": [BODY]}},
    ),
    ("jira.comments.Get", "baseUrl", {**JIRA, "issueIdOrKey": "A-1"}, {"comments": [{"id": "c"}]}),
    (
        "linear.issues.Create",
        "linear",
        {"token": "t", "team": "T", "title": "t"},
        {
            "data": {
                "teams": {"nodes": [{"name": "T", "id": "t"}], "pageInfo": {"hasNextPage": False}},
                "issueCreate": {"success": True, "issue": {"id": "i"}},
            }
        },
    ),
    ("notion.database.CreateItem", "notion", {**NOTION, "databaseId": PAGE, "title": "t"}, {"id": "p", **TITLE}),
    ("notion.page.Read", "notion", {**NOTION, "pageId": PAGE}, {"id": "p", **TITLE, "results": [BLOCK]}),
    (
        "notion.page.UpdateTrigger",
        "notion",
        NOTION,
        {"results": [{"id": "p", "last_edited_time": "2042-01-01T00:00:00Z", "parent": {"page_id": PAGE}, **TITLE}]},
    ),
    ("servicenow.Get", "domain", SERVICENOW, {"result": [{"sys_id": "s"}]}),
]


def places(answer: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in an answer, the whole first."""
    yield above
    steps = answer.items() if isinstance(answer, dict) else enumerate(answer) if isinstance(answer, list) else ()
    for step, below in steps:
        yield from places(below, (*above, step))


def with_odd(answer: Any, place: tuple[Any, ...], odd: Any) -> Any:
    """The answer with something else at a place."""
    if not place:
        return odd
    found = deepcopy(answer)
    at = found
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = odd
    return found


@pytest.mark.parametrize(("name", "where", "given", "right"), TASKS, ids=[one[0] for one in TASKS])
async def test_no_odd_part_of_an_answer_breaks_a_task(make_context, google_service, name, where, given, right):
    told, broken = [right], []

    def service(request: httpx.Request) -> httpx.Response:
        is_token = request.url.path.endswith("/token")
        return httpx.Response(200, json={"access_token": "t", "expires_in": 3600} if is_token else told[0])

    context = make_context({"providers": {where: {"base_url": HERE}}})
    account = (
        {"serviceAccount": google_service.service_account} if "google" in name and "accessToken" not in given else {}
    )
    own = {where: HERE} if where in ("url", "baseUrl", "domain") else {}
    declared = {"type": f"io.kestra.plugin.{name}", **account, **given, **own}

    async def once() -> Any:
        if not name.endswith("Trigger"):
            return await context.run(**declared)
        trigger = catalogue().resolve(declared).model_validate({"id": "t", **declared})
        return await trigger.poll(context)

    async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as context.http:
        found = await once()
        assert not isinstance(found, Look) or found.found
        for place in places(right):
            for odd in ODD:
                told[0] = with_odd(right, place, odd)
                try:
                    await once()
                except (TaskFailed, ValidationError):
                    continue
                except Exception as error:  # noqa: BLE001 - what must not be
                    broken.append(f"{'.'.join(map(str, place))}={odd!r}: {error!r}")
    assert broken == []
