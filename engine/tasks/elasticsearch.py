"""`io.kestra.plugin.elasticsearch`: documents in Elasticsearch and OpenSearch."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, StoredUri, TaskFailed
from engine.tasks import given_rows, rest_service
from engine.tasks.elasticsearch_cluster import ElasticsearchTask, name_of, names_of
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.rows import lines_of
from engine.tasks.runners import own_file

AT_ONCE = 1000
KEPT = "60s"  # how long the cluster keeps a search between two of its pages
OPERATIONS = ("index", "create", "update", "delete")
REFRESH = {"IMMEDIATE": "true", "WAIT_UNTIL": "wait_for", "NONE": "false"}


class Found(Fetched):
    """What was found: `rows`, `row` or a file of rows, and how many there are in all."""

    total: int = 0


class Search(ElasticsearchTask):
    """Search documents."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: failed
type: io.kestra.plugin.elasticsearch.Search
connection:
  hosts: [https://elastic.example.com:9200]
  basicAuth:
    username: flows
    password: "{{ secret('ELASTIC_PASSWORD') }}"
indexes: [logs]
request:
  query:
    term:
      level: error
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Search", "io.kestra.plugin.opensearch.Search"]
    indexes: Property[TextList | None] = None
    request: Property[JsonMap]
    content_type: Property[Literal["JSON", "YAML"]] = "JSON"
    fetch_type: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Found:
        path = f"{names_of(self.indexes)}_search"
        answer = await self.ask(context, "POST", path, params={"routing": self.routing}, json=self.request)
        hits = rest_service.held(answer, "Elasticsearch", "hits")
        rest_service.held(hits, "Elasticsearch", "hits")
        rows = [
            rest_service.mapped(hit.get("_source"), "Elasticsearch")
            for hit in rest_service.listed(hits, "Elasticsearch", "hits")
        ]
        found = await fetched(context, rows, self.fetch_type)
        total = hits.get("total")
        return Found(
            **found.model_dump(), total=total.get("value", len(rows)) if isinstance(total, dict) else total or len(rows)
        )


class Stored(Outputs):
    """A file of documents, and how many there are."""

    uri: StoredUri
    size: int


class Scroll(ElasticsearchTask):
    """Search documents and store all of them, however many there are."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: everything
type: io.kestra.plugin.elasticsearch.Scroll
connection:
  hosts: [https://elastic.example.com:9200]
indexes: [orders]
request:
  size: 1000
  query:
    term:
      country: fr
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Scroll", "io.kestra.plugin.opensearch.Scroll"]
    indexes: Property[TextList | None] = None
    request: Property[JsonMap]
    content_type: Property[Literal["JSON", "YAML"]] = "JSON"

    async def run(self, context: RunContext) -> Stored:
        params = {"routing": self.routing, "scroll": KEPT}
        page = await self.ask(context, "POST", f"{names_of(self.indexes)}_search", params=params, json=self.request)
        path, size, requests = own_file(context, "scroll", ".jsonl"), 0, 1
        try:
            path.write_bytes(b"")
            while hits := rest_service.held(page, "Elasticsearch", "hits", "hits"):
                await asyncio.to_thread(_append, path, hits)
                size += len(hits)
                body = {"scroll": KEPT, "scroll_id": rest_service.held(page, "Elasticsearch", "_scroll_id")}
                page, requests = await self.ask(context, "POST", "_search/scroll", json=body), requests + 1
            uri = await context.files.put(path, "documents.jsonl")
        finally:
            path.unlink(missing_ok=True)
            if page.get("_scroll_id"):
                await self._forget(context, page["_scroll_id"])
        context.metric("requests.count", requests)
        context.metric("records", size)
        return Stored(uri=uri, size=size)

    async def _forget(self, context: RunContext, scroll: str) -> None:
        try:
            await self.ask(context, "DELETE", "_search/scroll", json={"scroll_id": scroll})
        except TaskFailed as error:
            context.log(f"The cluster keeps the search for another {KEPT}: {error.message}", "WARN")


class Esql(ElasticsearchTask):
    """Query documents in ES|QL."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: longest
type: io.kestra.plugin.elasticsearch.Esql
connection:
  hosts: [https://elastic.example.com:9200]
query: |
  FROM books | KEEP author, page_count | SORT page_count DESC | LIMIT 5
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Esql"]
    query: Property[Text]
    filter: Property[JsonMap | None] = None
    fetch_type: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Found:
        body: dict[str, Any] = {"query": self.query, "columnar": False}
        if self.filter:
            body["filter"] = self.filter.get("query", self.filter)
        answer = await self.ask(context, "POST", "_query", params={"format": "json"}, json=body)
        rest_service.held(answer, "Elasticsearch", "columns")
        names = [column["name"] for column in rest_service.listed(answer, "Elasticsearch", "columns", each=["name"])]
        rows = [
            dict(zip(names, values, strict=True)) for values in rest_service.held(answer, "Elasticsearch", "values")
        ]
        context.metric("records", len(rows))
        return Found(**(await fetched(context, rows, self.fetch_type)).model_dump(), total=len(rows))


class One(Outputs):
    """The document."""

    row: dict[str, Any]


class Get(ElasticsearchTask):
    """Fetch a document by its id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: order
type: io.kestra.plugin.elasticsearch.Get
connection:
  hosts: [https://elastic.example.com:9200]
index: orders
key: "17"
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Get", "io.kestra.plugin.opensearch.Get"]
    index: Property[Text]
    key: Property[Text]
    doc_version: Property[int | None] = None

    async def run(self, context: RunContext) -> One:
        params = {"routing": self.routing, "version": None if self.doc_version is None else str(self.doc_version)}
        found = await self.ask(context, "GET", f"{name_of(self.index)}/_doc/{name_of(self.key)}", params=params)
        return One(row=rest_service.mapped(found.get("_source"), "Elasticsearch"))


class Kept(Outputs):
    """The document's id, and what became of it: `CREATED`, `UPDATED` …"""

    id: str
    result: str


class Put(ElasticsearchTask):
    """Keep a document."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.elasticsearch.Put
connection:
  hosts: [https://elastic.example.com:9200]
index: orders
key: "17"
value: {customer: ann, total: 4}
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Put", "io.kestra.plugin.opensearch.Put"]
    index: Property[Text]
    key: Property[OptionalText] = None
    value: Property[JsonMap]
    op_type: Property[Literal["INDEX", "CREATE", "UPDATE", "DELETE"]] = "INDEX"
    refresh_policy: Property[Literal["IMMEDIATE", "WAIT_UNTIL", "NONE"]] = "NONE"
    content_type: Property[Literal["JSON", "YAML"]] = "JSON"

    async def run(self, context: RunContext) -> Kept:
        params = {"routing": self.routing, "refresh": REFRESH[self.refresh_policy]}
        index, key = name_of(self.index), name_of(self.key) if self.key else ""
        if not key and self.op_type in ("UPDATE", "DELETE"):
            raise TaskFailed("It is not said which document.", fix="Give `key`.")
        if self.op_type == "UPDATE":
            body = {"doc": self.value}
            found = await self.ask(context, "POST", f"{index}/_update/{key}", params=params, json=body)
        elif self.op_type == "DELETE":
            found = await self.ask(context, "DELETE", f"{index}/_doc/{key}", params=params)
        else:
            more = {"op_type": "create"} if self.op_type == "CREATE" else {}
            method = "PUT" if key else "POST"
            found = await self.ask(context, method, f"{index}/_doc/{key}", params=params | more, json=self.value)
        identity, result = (str(rest_service.held(found, "Elasticsearch", name)) for name in ("_id", "result"))
        return Kept(id=identity, result=result.upper())


class Answered(Outputs):
    """What the cluster answered."""

    status: int
    response: Any


class Request(ElasticsearchTask):
    """Call any part of the API."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.elasticsearch.Request
connection:
  hosts: [https://elastic.example.com:9200]
method: GET
endpoint: orders/_count
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Request", "io.kestra.plugin.opensearch.Request"]
    method: Property[Literal["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]] = "GET"
    endpoint: Property[Text]
    parameters: Property[JsonMap | None] = None
    body: Property[Any] = None

    async def run(self, context: RunContext) -> Answered:
        given: dict[str, Any] = {"params": {name: str(value) for name, value in (self.parameters or {}).items()}}
        if isinstance(self.body, str):
            given["content"] = self.body.encode()
        elif self.body is not None:
            given["json"] = self.body
        answer = await self.answer(context, self.method, self.endpoint, **given)
        is_json = "json" in answer.headers.get("content-type", "")
        said = rest_service.parsed(answer, "Elasticsearch") if is_json else answer.text
        return Answered(status=answer.code, response=said)


class Loaded(Outputs):
    """How many documents were kept."""

    size: int


class Load(ElasticsearchTask):
    """Keep the documents of a file, many at a time."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.elasticsearch.Load
connection:
  hosts: [https://elastic.example.com:9200]
from: "{{ outputs.orders.uri }}"
index: orders
idKey: id
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Load", "io.kestra.plugin.opensearch.Load"]
    from_: Property[Any] = Field(alias="from")
    index: Property[Text]
    op_type: Property[Literal["INDEX", "CREATE"]] = "INDEX"
    id_key: Property[OptionalText] = None
    remove_id_key: Property[bool] = True
    chunk: Property[int] = Field(default=AT_ONCE, ge=1)

    async def run(self, context: RunContext) -> Loaded:
        rows = await given_rows.rows(context, self.from_)
        for begin in range(0, len(rows), self.chunk):
            lines = [line for row in rows[begin : begin + self.chunk] for line in self._lines(row)]
            await self.carried_out(context, "".join(f"{line}\n" for line in lines))
        context.metric("records", len(rows))
        return Loaded(size=len(rows))

    def _lines(self, row: Any) -> tuple[str, str]:
        if not isinstance(row, dict):
            raise TaskFailed(f"A document is no map: {str(row)[:100]!r}.", fix="Give maps.")
        about: dict[str, Any] = {"_index": self.index}
        if self.id_key and row.get(self.id_key) is not None:
            about["_id"] = str(row[self.id_key])
            if self.remove_id_key:
                row = {name: value for name, value in row.items() if name != self.id_key}
        head = json.dumps({self.op_type.lower(): about}, ensure_ascii=False)
        return head, json.dumps(row, ensure_ascii=False)


class Bulk(ElasticsearchTask):
    """Carry out the operations of a file in Elasticsearch's own format for many at a time."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: carry_out
type: io.kestra.plugin.elasticsearch.Bulk
connection:
  hosts: [https://elastic.example.com:9200]
from: "{{ inputs.operations }}"
""",
    )
    type: Literal["io.kestra.plugin.elasticsearch.Bulk", "io.kestra.plugin.opensearch.Bulk"]
    from_: Property[Text] = Field(alias="from")
    chunk: Property[int] = Field(default=AT_ONCE, ge=1)

    async def run(self, context: RunContext) -> Loaded:
        size, operations = 0, _operations(context.files.path(self.from_))
        while some := list(islice(operations, self.chunk)):
            await self.carried_out(context, "".join(some))
            size += len(some)
        context.metric("records", size)
        return Loaded(size=size)


def _append(path: Path, hits: Sequence[Mapping[str, Any]]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines_of(hit.get("_source") or {} for hit in hits))


def _operations(path: Path) -> Iterator[str]:
    """The operations of a file, each with the document that belongs to it; TaskFailed names a line that is none."""
    with path.open(encoding="utf-8") as file:
        lines = ((number, line.rstrip("\n")) for number, line in enumerate(file, 1) if line.strip())
        for number, line in lines:
            try:
                (kind,) = json.loads(line)
            except (ValueError, TypeError) as error:
                raise TaskFailed(f"Line {number} of {path.name} is no operation: {line[:80]!r}.") from error
            if kind not in OPERATIONS:
                raise TaskFailed(f"Line {number} of {path.name}: there is no operation {kind!r}.")
            yield f"{line}\n" if kind == "delete" else f"{line}\n{next(lines, (0, ''))[1]}\n"
