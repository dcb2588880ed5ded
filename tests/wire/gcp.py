"""Cloud Storage and BigQuery over their JSON APIs: objects are kept, jobs need a few looks until they are done."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.wire.google import TOKEN, GoogleService
from tests.wire.loopback import Answered, Received, serving


class GcpService(GoogleService):
    """`objects` by (bucket, name); `results` of queries by a word in their text; a job's id is taken only once."""

    def __init__(self) -> None:
        super().__init__()
        self.buckets: dict[str, dict[str, Any]] = {}
        self.objects: dict[tuple[str, str], tuple[bytes, dict[str, Any]]] = {}
        self.datasets: dict[str, dict[str, Any]] = {}
        self.tables: dict[tuple[str, str], dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.looks: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.results: dict[str, tuple[list[dict[str, Any]], list[list[Any]]]] = {}
        self.uploads: list[dict[str, Any]] = []
        self.loaded: list[bytes] = []
        self.subscriptions: dict[str, str] = {}
        self.waiting: list[dict[str, Any]] = []  # messages that nobody acknowledged

    @property
    def settings(self) -> dict[str, Any]:
        """Where the services are, for a context."""
        at = {"gcs": "/storage/v1", "bigquery": "/bigquery/v2", "pubsub": "/pubsub/v1", "gcp_iam": "/iam/v1"}
        return {"providers": {name: {"base_url": f"{self.wire.url}{path}"} for name, path in at.items()}}

    def answer(self, request: Received) -> Answered:
        if request.path == "/token":
            return super().answer(request)
        if request.path.endswith(":generateAccessToken"):
            return Answered({"accessToken": "as-another", "expireTime": "2030-01-01T00:00:00Z"})
        if request.headers.get("authorization") not in (f"Bearer {TOKEN}", "Bearer as-another"):
            return _error(401, "Request had invalid authentication credentials.")
        if request.path.startswith("/upload/"):
            return self._begin(request)
        if request.path.startswith("/session/"):
            return self._receive(request)
        area, rest = request.path.split("/", 3)[1], request.path.split("/", 3)[3]
        if area == "pubsub":
            return self._pubsub(request, f"projects/{rest.removeprefix('projects/')}")
        return self._storage(request, rest) if area == "storage" else self._bigquery(request, rest)

    def _pubsub(self, request: Received, name: str) -> Answered:
        name, _, verb = name.partition(":")
        if request.method == "PUT":
            if name in self.subscriptions:
                return _error(409, "Resource already exists in the project.")
            self.subscriptions[name] = request.json["topic"]
            return Answered({"name": name, **request.json})
        if verb == "publish":
            first = len(self.waiting)
            ids = [f"m{first + n}" for n in range(len(request.json["messages"]))]
            self.waiting += [{"messageId": i, **m} for i, m in zip(ids, request.json["messages"], strict=True)]
            return Answered({"messageIds": ids})
        if name not in self.subscriptions:
            return _error(404, f"Resource not found (resource={name}).")
        if verb == "acknowledge":
            self.waiting = [one for one in self.waiting if f"ack-{one['messageId']}" not in request.json["ackIds"]]
            return Answered({})
        got = self.waiting[: request.json["maxMessages"]]
        self.waiting = [*self.waiting[len(got) :], *got]  # what is not acknowledged comes again, behind the others
        return Answered({"receivedMessages": [{"ackId": f"ack-{m['messageId']}", "message": m} for m in got]})

    def _begin(self, request: Received) -> Answered:
        if request.query.get("uploadType") != "resumable":
            return _error(400, "Only resumable uploads here.")
        job = (request.json.get("jobReference") or {}).get("jobId")
        if job in self.jobs:
            return _error(409, f"Already Exists: Job {job}")
        self.uploads.append({"path": request.path, "about": request.json})
        return Answered(None, headers={"Location": f"{self.wire.url}/session/{len(self.uploads) - 1}"})

    def _receive(self, request: Received) -> Answered:
        begun = self.uploads[int(request.path.rpartition("/")[2])]
        if found := re.fullmatch(r"/upload/storage/v1/b/([^/]+)/o", begun["path"]):
            name = begun["about"]["name"]
            self.objects[found[1], name] = (request.body, begun["about"])
            return Answered(self._object(found[1], name))
        self.loaded.append(request.body)
        return self._job(begun["about"])

    def _object(self, bucket: str, name: str) -> dict[str, Any]:
        content, about = self.objects[bucket, name]
        md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        known = {"kind": "storage#object", "bucket": bucket, "name": name, "size": str(len(content)), "md5Hash": md5}
        return {**known, "contentType": about.get("contentType"), "generation": "1"}

    def _storage(self, request: Received, rest: str) -> Answered:
        if rest == "b":
            name = request.json["name"]
            if name in self.buckets:
                return _error(409, "Your previous request to create the named bucket succeeded.")
            self.buckets[name] = request.json | {"project": request.query["project"]}
            return Answered(self.buckets[name])
        bucket, _, below = rest.removeprefix("b/").partition("/")
        if not below:
            if request.method == "DELETE":
                del self.buckets[bucket]
                return Answered(status=204)
            if request.method == "PATCH":
                self.buckets[bucket] |= request.json
            return Answered(self.buckets[bucket])
        if below == "o":
            return self._list(bucket, request.query)
        name = below.removeprefix("o/")
        if "/rewriteTo/" in name:
            name, _, target = name.partition("/rewriteTo/b/")
            self.objects[target.partition("/o/")[0], target.partition("/o/")[2]] = self.objects[bucket, name]
            return Answered({"done": "rewriteToken" in request.query, "rewriteToken": "more"})
        if (bucket, name) not in self.objects:
            return _error(404, f"No such object: {bucket}/{name}")
        if request.method == "DELETE":
            if self.objects[bucket, name][1].get("temporaryHold"):
                held = "is under active Temporary hold and cannot be deleted, overwritten or archived"
                return _error(403, f"Object '{bucket}/{name}' {held} until hold is removed.")
            del self.objects[bucket, name]
            return Answered(status=204)
        return Answered(self.objects[bucket, name][0])

    def _list(self, bucket: str, query: dict[str, str]) -> Answered:
        names = sorted(n for b, n in self.objects if b == bucket and n.startswith(query["prefix"]))
        prefixes: set[str] = set()
        if query.get("delimiter"):
            rest = {name: name[len(query["prefix"]) :] for name in names}
            prefixes = {query["prefix"] + r.split("/")[0] + "/" for r in rest.values() if "/" in r}
            names = [name for name in names if "/" not in rest[name]]
        begin = int(query.get("pageToken", 0))
        page: dict[str, Any] = {"items": [self._object(bucket, name) for name in names[begin : begin + 2]]}
        if not begin:
            page["prefixes"] = sorted(prefixes)
        if begin + 2 < len(names):
            page["nextPageToken"] = str(begin + 2)
        return Answered(page)

    def _bigquery(self, request: Received, rest: str) -> Answered:
        if rest.endswith("/datasets"):
            name = request.json["datasetReference"]["datasetId"]
            if name in self.datasets:
                return _error(409, f"Already Exists: Dataset {name}")
            self.datasets[name] = request.json
            return Answered(request.json)
        if found := re.fullmatch(r"projects/[^/]+/datasets/(\w+)", rest):
            return self._dataset(request, found[1])
        if found := re.fullmatch(r"projects/([^/]+)/datasets/(\w+)/tables(?:/([^/]+))?", rest):
            return self._table(request, found[2], unquote(found[3] or ""))
        if rest.endswith("/jobs"):
            return self._job(request.json)
        identity = rest.removesuffix("/cancel").rpartition("/")[2]
        if identity not in self.jobs:
            return _error(404, f"Not found: Job {identity}")
        if "/queries/" in rest:
            return self._rows(self.jobs[identity], int(request.query.get("pageToken", 0)))
        if rest.endswith("/cancel"):
            self.cancelled.add(identity)
            return Answered({"kind": "bigquery#jobCancelResponse", "job": self._told(identity)})
        self.looks[identity] += 1
        return Answered(self._told(identity))

    def _dataset(self, request: Received, name: str) -> Answered:
        if name not in self.datasets:
            return _error(404, f"Not found: Dataset p:{name}")
        if request.method == "GET":
            return Answered(self.datasets[name])
        if request.method == "DELETE":
            if any(dataset == name for dataset, _ in self.tables) and "deleteContents" not in request.query:
                return _error(400, f"Dataset p:{name} is still in use")
            self.tables = {key: table for key, table in self.tables.items() if key[0] != name}
            del self.datasets[name]
            return Answered(b"", 204)
        self.datasets[name] |= request.json
        return Answered(self.datasets[name])

    def _table(self, request: Received, dataset: str, name: str) -> Answered:
        if request.method == "POST":
            name = request.json["tableReference"]["tableId"]
            if (dataset, name) in self.tables:
                return _error(409, f"Already Exists: Table p:{dataset}.{name}")
            kind = {"view": "VIEW", "materializedView": "MATERIALIZED_VIEW", "externalDataConfiguration": "EXTERNAL"}
            made = {"type": next((kind[key] for key in kind if key in request.json), "TABLE")}
            made |= {"id": f"p:{dataset}.{name}", "etag": "e1", "creationTime": "1767225600000", "numRows": "0"}
            self.tables[dataset, name] = made
        if (dataset, name) not in self.tables:
            return _error(404, f"Not found: Table p:{dataset}.{name}")
        if request.method == "DELETE":
            del self.tables[dataset, name]
            return Answered(b"", 204)
        if request.method in ("POST", "PATCH"):
            self.tables[dataset, name] |= request.json
        return Answered(self.tables[dataset, name])

    def _job(self, body: dict[str, Any]) -> Answered:
        identity = body["jobReference"]["jobId"]
        if identity in self.jobs:
            return _error(409, f"Already Exists: Job {identity}")
        self.jobs[identity], self.looks[identity] = body, 0
        return Answered(self._told(identity))

    def _told(self, identity: str) -> dict[str, Any]:
        job = self.jobs[identity]
        done = identity in self.cancelled or (self.looks[identity] > 1 and "endless" not in json.dumps(job))
        status: dict[str, Any] = {"state": "DONE" if done else "RUNNING"}
        if done and "broken" in json.dumps(job):
            error = {"reason": "invalidQuery", "message": "Syntax error: Unexpected identifier"}
            status |= {"errorResult": error, "errors": [error, {"reason": "x", "message": "at [1:1]"}]}
        if identity in self.cancelled:
            said = "Job execution was cancelled: User requested cancellation"
            status |= {"errorResult": {"reason": "stopped", "message": said}}
        reference = {"location": "EU", **job["jobReference"]}
        statistics = {"totalBytesProcessed": "12", "load": {"outputRows": "3", "inputFiles": "1"}}
        statistics |= {"extract": {"destinationUriFileCounts": ["2"]}}
        return {**job, "jobReference": reference, "status": status, "statistics": statistics}

    def _rows(self, job: dict[str, Any], begin: int) -> Answered:
        sql = job["configuration"]["query"]["query"]
        fields, rows = next(found for word, found in self.results.items() if word in sql)
        page: dict[str, Any] = {"schema": {"fields": fields}, "rows": [_row(row) for row in rows[begin : begin + 1]]}
        if begin + 1 < len(rows):
            page["pageToken"] = page["nextPageToken"] = str(begin + 1)
        return Answered(page)


def _row(values: list[Any]) -> dict[str, Any]:
    return {"f": [{"v": value} for value in values]}


def _error(status: int, message: str) -> Answered:
    return Answered({"error": {"code": status, "message": message, "errors": []}}, status)


@pytest.fixture
def gcp_service() -> Iterator[GcpService]:
    """The service, running."""
    service = GcpService()
    with serving(service.answer) as service.wire:
        yield service
