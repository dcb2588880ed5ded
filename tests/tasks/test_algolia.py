"""Records of an index of Algolia, as its API answers."""

import pytest
from pydantic import ValidationError

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving


class Algolia:
    """One application with indexes of records by their ids."""

    def __init__(self):
        self.indexes = {"my articles": {"old": {"objectID": "old", "title": "Before"}}}

    def __call__(self, request):
        who = (request.headers["x-algolia-application-id"], request.headers["x-algolia-api-key"])
        if who != ("APP", "admin"):
            return Answered({"message": "Invalid Application-ID or API key", "status": 403}, 403)
        _, version, kind, index, verb = request.path.split("/")
        assert (version, kind, request.method) == ("1", "indexes", "POST")
        records = self.indexes.setdefault(index, {})
        if verb == "query":
            hits = [one for one in records.values() if request.json.get("query", "") in one["title"]]
            return Answered({"nbHits": len(hits), "hits": hits[: request.json.get("hitsPerPage", 20)], "page": 0})
        ids = []
        for one in request.json["requests"]:
            body = one["body"]
            ids.append(body.get("objectID", f"made{len(records)}"))
            if one["action"] == "deleteObject":
                records.pop(ids[-1], None)
            else:
                records[ids[-1]] = {"objectID": ids[-1], **body}
        return Answered({"taskID": 7, "objectIDs": ids})


@pytest.fixture
def algolia(make_context):
    with serving(service := Algolia()) as wire:
        context = make_context({"providers": {"algolia": {"base_url": f"{wire.url}/"}}})

        async def run(name, **given):
            who = {"applicationId": "APP", "apiKey": "admin", "indexName": "my articles"}
            return await context.run(type=f"io.kestra.plugin.algolia.{name}", **{**who, **given})

        yield run, service


async def test_records_are_put_found_and_taken_out(algolia):
    run, service = algolia
    put = await run("Index", objects=[{"objectID": "old", "title": "After"}, '{"title": "From text"}\n'])
    assert put.result == {"taskID": 7, "objectIDs": ["old", "made1"]}
    assert service.indexes["my articles"]["old"]["title"] == "After"
    found = await run("Search", params='{"query": "A"}')
    assert (found.nbHits, [one["objectID"] for one in found.hits]) == (1, ["old"])
    everything = await run("Search", params={"hitsPerPage": 1})
    assert (everything.nbHits, len(everything.hits)) == (2, 1)
    assert (await run("Search")).nbHits == 2
    gone = await run("Delete", objectIds='["old", "never"]')
    assert (gone.objectIds, list(service.indexes["my articles"])) == (["old", "never"], ["made1"])


async def test_objects_may_be_the_rows_of_another_task(algolia):
    run, service = algolia
    await run("Index", indexName="rows", objects='[{"objectID": "1", "title": "a"}, {"objectID": "2", "title": "b"}]')
    assert list(service.indexes["rows"]) == ["1", "2"]


async def test_what_algolia_refuses_is_told(algolia):
    run, _ = algolia
    with pytest.raises(TaskFailed, match="Algolia answered 403: Invalid Application-ID or API key"):
        await run("Search", apiKey="reader")
    with pytest.raises(ValidationError, match="must be a list or a map"):
        await run("Index", objects=["no record"])


async def test_an_answer_that_is_no_object_is_told(make_context):
    with serving(lambda request: Answered(["hit"])) as wire:
        context = make_context({"providers": {"algolia": {"base_url": wire.url}}})
        asked = {"applicationId": "APP", "apiKey": "admin", "indexName": "articles"}
        with pytest.raises(TaskFailed, match="Algolia answered with no object"):
            await context.run(type="io.kestra.plugin.algolia.Search", **asked)


async def test_a_key_stays_with_the_service_it_was_written_for(make_context):
    with (
        serving(lambda request: Answered({"nbHits": 0, "hits": []})) as elsewhere,
        serving(lambda request: Answered(status=307, headers={"Location": elsewhere.url})) as moved,
    ):
        context = make_context({"providers": {"algolia": {"base_url": moved.url}}})
        who = {"applicationId": "APP", "apiKey": "admin", "indexName": "articles"}
        await context.run(type="io.kestra.plugin.algolia.Search", **who, params={"query": "A"})
    assert moved.last.headers["x-algolia-api-key"] == "admin"
    assert elsewhere.last.json == {"query": "A"}
    assert not [name for name in elsewhere.last.headers if name.lower().startswith("x-")]
