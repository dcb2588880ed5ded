"""Meilisearch, as its API answers."""

import json
from datetime import timedelta

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

MEILISEARCH = "io.kestra.plugin.meilisearch"


class Index:
    """Documents by their ids; every task has ended at the second look."""

    def __init__(self):
        self.documents, self.looks, self.asked = {}, {}, []

    def __call__(self, request):
        if request.headers["authorization"] != "Bearer k":
            said = {"message": "The provided API key is invalid.", "code": "invalid_api_key", "type": "auth"}
            return Answered(said, 403)
        self.asked.append((request.method, request.path, request.json if request.body else None))
        if request.path.startswith("/tasks/"):
            return self.task(request.path.rpartition("/")[2])
        path = request.path.removeprefix("/indexes/my films/")
        if path == "documents":
            self.documents |= {str(one["id"]): one for one in request.json}
            return Answered({"taskUid": len(self.asked), "status": "enqueued"}, 202)
        if path.startswith("documents/"):
            found = self.documents.get(path.removeprefix("documents/"))
            missing = {"message": "Document not found.", "code": "document_not_found"}
            return Answered(found or missing, 200 if found else 404)
        if path == "search":
            hits = [one for one in self.documents.values() if request.json["q"] in one["title"]]
            return Answered({"hits": hits, "limit": 20, "estimatedTotalHits": 99})
        return Answered({"facetHits": [{"value": "fiction", "count": 2}], "facetQuery": "fic", "processingTimeMs": 0})

    def task(self, number):
        self.looks[number] = self.looks.get(number, 0) + 1
        if self.looks[number] < 2:
            return Answered({"uid": number, "status": "processing"})
        bad = any(one.get("bad") for one in self.documents.values())
        error = {"message": "no id", "code": "missing_document_id"} if bad else None
        return Answered({"uid": number, "status": "failed" if bad else "succeeded", "error": error})


async def test_documents_are_put_read_and_found(context, monkeypatch):
    monkeypatch.setattr("engine.tasks.meilisearch.EVERY", timedelta(0))
    with serving(index := Index()) as wire:

        async def run(verb, **given):
            who = {"url": f"{wire.url}/", "key": "k", "index": "my films"}
            return await context.run(type=f"{MEILISEARCH}.{verb}", **{**who, **given})

        films = [{"id": number, "title": f"film {number}"} for number in range(3)]
        uri = await context.files.put("".join(json.dumps(one) + "\n" for one in films).encode(), "films.jsonl")
        added = await run("DocumentAdd", from_=uri, batchSize=2)
        assert (added.documentsAdded, added.taskUids, context.metrics["documentAdded"]) == (3, [1, 2], 3)
        assert index.asked == [
            ("POST", "/indexes/my films/documents", films[:2]),
            ("POST", "/indexes/my films/documents", films[2:]),
            *[("GET", "/tasks/1", None)] * 2,
            *[("GET", "/tasks/2", None)] * 2,
        ]
        assert (await run("DocumentGet", documentId=1)).document == films[1]
        hits = await run("Search", query="film 2")
        assert (hits.totalHits, json.loads(context.files.text(hits.uri))) == (1, films[2])
        facets = await run("FacetSearch", facetName="genre", facetQuery="fic", filters="rating > 3")
        assert index.asked[-1][2] == {"facetName": "genre", "facetQuery": "fic", "filter": ["rating > 3"]}
        assert (facets.totalHits, json.loads(context.files.text(facets.uri))["facetHits"][0]["count"]) == (1, 2)
        bad = {"id": 9, "title": "", "bad": True}
        assert (await run("DocumentAdd", from_=bad, waitForIndexing=False)).documentsAdded == 1
        for given, why in (
            ({"verb": "DocumentAdd", "from_": bad}, r"ended as failed: no id \(missing_document_id\)"),
            ({"verb": "DocumentAdd", "from_": bad, "waitTimeout": "PT0S"}, "did not end within"),
            ({"verb": "DocumentGet", "documentId": "none"}, "Meilisearch answered 404: Document not found"),
            ({"verb": "DocumentGet", "documentId": " "}, "not said which document"),
            ({"verb": "Search", "index": " "}, "not said which index"),
            ({"verb": "Search", "key": "hush"}, "403: The provided API key is invalid"),
        ):
            with pytest.raises(TaskFailed, match=why):
                await run(**given)
        assert {"k", "hush"} <= context.masked
