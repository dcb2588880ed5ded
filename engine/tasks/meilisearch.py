"""`io.kestra.plugin.meilisearch`: documents that are looked for by their words."""

from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import given_rows, rest_service
from engine.tasks.fetched_rows import filed
from engine.tasks.property_types import OptionalText, Text, TextList

EVERY = timedelta(milliseconds=500)
ENDED = frozenset({"succeeded", "failed", "canceled"})


class MeilisearchTask(RunnableTask):
    """Which index, where, and who asks."""

    url: Property[Text]
    key: Property[Text]
    index: Property[Text]

    async def ask(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON of one call; TaskFailed when Meilisearch refuses."""
        context.mask(self.key)
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"{self.url.rstrip('/')}/{path}"
        return await rest_service.mapping(context, "Meilisearch", method, url, headers=headers, **given)

    def below(self, path: str) -> str:
        """The path of something of the index; TaskFailed when it is not said which."""
        if not self.index.strip():
            raise TaskFailed("It is not said which index.", fix="Give `index`.")
        return f"indexes/{quote(self.index.strip(), safe='')}/{path}"


class Added(Outputs):
    """The tasks that put the documents into the index, and how many documents they are."""

    taskUids: list[int]  # noqa: N815 - appears as written
    documentsAdded: int  # noqa: N815


class DocumentAdd(MeilisearchTask):
    """Put documents into an index, in place of those with the same id, and wait until they are found. What was sent
    is put there also when the task is killed."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: put
type: io.kestra.plugin.meilisearch.DocumentAdd
url: https://search.example.com
key: "{{ secret('MEILISEARCH_KEY') }}"
index: articles
from: "{{ outputs.extract.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.meilisearch.DocumentAdd"]
    from_: Property[Any] = Field(alias="from", description="A file of documents, a list of maps, or one map.")
    batch_size: Property[int] = Field(default=1000, ge=1, description="How many are sent at once.")
    wait_for_indexing: Property[bool] = True
    wait_timeout: Property[timedelta] = Field(default=timedelta(minutes=5), description="For each of the batches.")

    async def run(self, context: RunContext) -> Added:
        rows = await given_rows.rows(context, self.from_)
        tasks: list[int] = []
        for start in range(0, len(rows), self.batch_size):
            some = rows[start : start + self.batch_size]
            made = await self.ask(context, "POST", self.below("documents"), json=some)
            tasks.append(rest_service.whole(made, "Meilisearch", "taskUid"))
        if self.wait_for_indexing:
            for task in tasks:
                await self._done(context, task)
        context.metric("documentAdded", len(rows))
        return Added(taskUids=tasks, documentsAdded=len(rows))

    async def _done(self, context: RunContext, task: int) -> None:
        """Wait for a task's end; TaskFailed when it failed."""

        async def look() -> dict[str, Any] | None:
            found = await self.ask(context, "GET", f"tasks/{task}")
            return found if found.get("status") in ENDED else None

        done = await rest_service.waited(
            context, look, every=EVERY, most=self.wait_timeout, what=f"The task {task}", fix="Raise `waitTimeout`."
        )
        if done["status"] != "succeeded":
            error = done.get("error") or {}
            why = f"{error.get('message')} ({error.get('code')})" if error else "nothing more is said"
            raise TaskFailed(f"The task {task} of the index {self.index} ended as {done['status']}: {why}")


class Found(Outputs):
    """The document."""

    document: dict[str, Any]


class DocumentGet(MeilisearchTask):
    """Read a document by its id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: article
type: io.kestra.plugin.meilisearch.DocumentGet
url: https://search.example.com
key: "{{ secret('MEILISEARCH_KEY') }}"
index: articles
documentId: "17"
""",
    )
    type: Literal["io.kestra.plugin.meilisearch.DocumentGet"]
    document_id: Property[Text]

    async def run(self, context: RunContext) -> Found:
        if not self.document_id.strip():
            raise TaskFailed("It is not said which document.", fix="Give `documentId`.")
        path = self.below(f"documents/{quote(self.document_id.strip(), safe='')}")
        return Found(document=await self.ask(context, "GET", path))


class Hits(Outputs):
    """A file of what was found, and how much that is."""

    uri: StoredUri
    totalHits: int  # noqa: N815


class Search(MeilisearchTask):
    """Look for documents: the twenty that fit best."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.meilisearch.Search
url: https://search.example.com
key: "{{ secret('MEILISEARCH_KEY') }}"
index: articles
query: "{{ inputs.words }}"
""",
    )
    type: Literal["io.kestra.plugin.meilisearch.Search"]
    query: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Hits:
        told = await self.ask(context, "POST", self.below("search"), json={"q": self.query})
        hits = told.get("hits") or []
        uri = await filed(context, hits, "hits.jsonl")
        return Hits(uri=uri, totalHits=len(hits))


class FacetSearch(MeilisearchTask):
    """Look for the values of a property, such as the genres of films, and how many documents have each."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: genres
type: io.kestra.plugin.meilisearch.FacetSearch
url: https://search.example.com
key: "{{ secret('MEILISEARCH_KEY') }}"
index: films
facetName: genre
facetQuery: fiction
filters:
  - rating > 3
""",
    )
    type: Literal["io.kestra.plugin.meilisearch.FacetSearch"]
    facet_name: Property[Text]
    facet_query: Property[OptionalText] = None
    filters: Property[TextList] = Field(default_factory=list)

    async def run(self, context: RunContext) -> Hits:
        body: dict[str, Any] = {"facetName": self.facet_name}
        body |= {"facetQuery": self.facet_query} if self.facet_query is not None else {}
        body |= {"filter": self.filters} if self.filters else {}
        told = await self.ask(context, "POST", self.below("facet-search"), json=body)
        uri = await filed(context, [told], "facets.jsonl")
        return Hits(uri=uri, totalHits=len(told.get("facetHits") or []))
