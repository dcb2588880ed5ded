"""`io.kestra.plugin.ai.rag`: answers out of one's own documents."""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.task import AnyTyped
from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.agent import AIAgent
from engine.tasks.ai.completion import Answer
from engine.tasks.ai.conversation import Configuration
from engine.tasks.ai.embeddings import Segment
from engine.tasks.ai.guardrails import Guardrails
from engine.tasks.ai.model_service import provider_of
from engine.tasks.ai.retriever import AnyRetriever, EmbeddingStoreRetriever, store_of
from engine.tasks.ai.segments import Kind, segments
from engine.tasks.fetched_rows import filed
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.working_files import below, inside

AT_ONCE = 64  # texts that go to a model in one call


class InlineDocument(Part):
    """A document written in the flow."""

    content: Property[Text]
    metadata: Property[JsonMap | None] = None


class Splitter(Part):
    """How documents are cut."""

    splitter: Kind = "RECURSIVE"
    max_segment_size_in_chars: int = Field(ge=1)
    max_overlap_size_in_chars: int = Field(default=0, ge=0)


class Ingested(Outputs):
    """How many documents were taken in, and what the store tells."""

    ingestedDocuments: int  # noqa: N815 - appears as written
    embeddingStoreOutputs: dict[str, Any]  # noqa: N815
    inputTokenCount: int | None = None  # noqa: N815
    outputTokenCount: int | None = None  # noqa: N815
    totalTokenCount: int | None = None  # noqa: N815


class IngestDocument(RunnableTask):
    """Take documents in, so that they can be searched by their meaning."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: ingest
type: io.kestra.plugin.ai.rag.IngestDocument
provider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-embedding-001
embeddings:
  type: io.kestra.plugin.ai.embeddings.KestraKVStore
drop: true
fromDocuments:
  - content: Restart nginx with `systemctl restart nginx`.
documentSplitter:
  splitter: PARAGRAPH
  maxSegmentSizeInChars: 1000
  maxOverlapSizeInChars: 100
""",
    )
    type: Literal["io.kestra.plugin.ai.rag.IngestDocument"]
    provider: AnyTyped
    embeddings: AnyTyped
    from_path: Property[OptionalText] = None
    from_internal_uris: Property[TextList | None] = Field(default=None, alias="fromInternalURIs")
    from_external_urls: Property[TextList | None] = Field(default=None, alias="fromExternalURLs")
    from_documents: list[InlineDocument] | None = None
    metadata: Property[JsonMap | None] = None
    document_splitter: Splitter | None = None
    drop: Property[bool] = False

    async def run(self, context: RunContext) -> Ingested:
        documents = await self._documents(context)
        pieces = [(piece, about) for text, about in documents for piece in self._cut(text)]
        provider, kept = provider_of(self.provider), []
        for at in range(0, len(pieces), AT_ONCE):
            batch = pieces[at : at + AT_ONCE]
            vectors = await provider.embed(context, [piece for piece, _ in batch])
            kept += [Segment(piece, vector, about) for (piece, about), vector in zip(batch, vectors, strict=True)]
        told = await store_of(self.embeddings).add(context, kept, drop=self.drop)
        context.metric("indexed.documents", len(documents))
        return Ingested(ingestedDocuments=len(documents), embeddingStoreOutputs=told)

    def _cut(self, text: str) -> list[str]:
        if self.document_splitter is None:
            return [text] if text.strip() else []
        how = self.document_splitter
        return segments(text, how.splitter, how.max_segment_size_in_chars, how.max_overlap_size_in_chars)

    async def _documents(self, context: RunContext) -> list[tuple[str, dict[str, Any]]]:
        found: list[tuple[str, dict[str, Any]]] = []
        if self.from_path:
            folder = inside(context.working_dir, self.from_path)
            paths = await asyncio.to_thread(lambda: list(below(folder)) if folder.is_dir() else [folder])
            found += [(await _text(path.read_bytes, path.name), {"file_name": path.name}) for path in paths]
        for document in self.from_documents or []:
            found.append((document.content, dict(document.metadata or {})))
        for uri in self.from_internal_uris or []:
            found.append((await _text(context.files.path(uri).read_bytes, uri), {}))
        for url in self.from_external_urls or []:
            answer = await rest_service.call(context, url, "GET", url)
            found.append((answer.text, {"url": url}))
        return [(text, {**about, **(self.metadata or {})}) for text, about in found]


class Results(Outputs):
    """The texts that were found."""

    results: list[str] | None = None
    uri: StoredUri | None = None
    size: int = 0


class Search(RunnableTask):
    """Search documents by their meaning."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: search
type: io.kestra.plugin.ai.rag.Search
provider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-embedding-001
embeddings:
  type: io.kestra.plugin.ai.embeddings.KestraKVStore
query: How is nginx restarted?
maxResults: 5
minScore: 0.5
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.ai.rag.Search"]
    provider: AnyTyped
    embeddings: AnyTyped
    query: Property[Text]
    max_results: Property[int] = Field(ge=1)
    min_score: Property[float] = Field(ge=0, le=1)
    fetch_type: Property[Literal["STORE", "FETCH", "FETCH_ONE", "NONE"]] = "NONE"

    async def run(self, context: RunContext) -> Results:
        (vector,) = await provider_of(self.provider).embed(context, [self.query])
        store = store_of(self.embeddings)
        found = [one.text for one in await store.nearest(context, vector, self.max_results, self.min_score)]
        context.metric("fetch.size", len(found))
        if self.fetch_type == "STORE":
            return Results(uri=await filed(context, found, "results.jsonl"), size=len(found))
        if self.fetch_type == "NONE":
            return Results()
        kept = found[:1] if self.fetch_type == "FETCH_ONE" else found
        return Results(results=kept, size=len(found))


class RetrieverConfiguration(Part):
    """How many texts, and how near they must be."""

    max_results: int = Field(default=3, ge=1)
    min_score: float = Field(default=0.0, ge=0, le=1)


class Grounded(Answer):
    """The answer; `completion` is its older name."""

    completion: str | None


class ChatCompletion(RunnableTask):
    """Ask a model, with what one's documents or the web say about the question."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: answer
type: io.kestra.plugin.ai.rag.ChatCompletion
chatProvider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-2.5-flash
embeddingProvider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-embedding-001
embeddings:
  type: io.kestra.plugin.ai.embeddings.KestraKVStore
prompt: "{{ inputs.question }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.rag.ChatCompletion"]
    prompt: Property[Text]
    system_message: Property[OptionalText] = None
    chat_provider: AnyTyped
    chat_configuration: Configuration = Field(default_factory=Configuration)
    embedding_provider: AnyTyped | None = None
    embeddings: AnyTyped | None = None
    content_retriever_configuration: RetrieverConfiguration = Field(default_factory=RetrieverConfiguration)
    content_retrievers: list[AnyRetriever] = Field(default_factory=list)
    tools: list[AnyTyped] = Field(default_factory=list)
    memory: AnyTyped | None = None
    guardrails: Guardrails = Field(default_factory=Guardrails)

    async def run(self, context: RunContext) -> Grounded:
        agent = AIAgent.model_validate(
            {
                "id": self.id,
                "type": AIAgent.type_names()[0],
                "provider": self.chat_provider,
                "configuration": self.chat_configuration,
                "prompt": self.prompt,
                "systemMessage": self.system_message,
                "contentRetrievers": [*self._own(), *self.content_retrievers],
                "tools": self.tools,
                "memory": self.memory,
                "guardrails": self.guardrails,
            },
            context={"rendered": True},
        )
        found = await agent.run(context)
        return Grounded(**found.model_dump(), completion=found.textOutput)

    def _own(self) -> Sequence[EmbeddingStoreRetriever]:
        if self.embeddings is None:
            if not self.content_retrievers:
                raise TaskFailed("There is nothing to look up.", fix="Give `embeddings` or `contentRetrievers`.")
            return ()
        limits = self.content_retriever_configuration
        return (
            EmbeddingStoreRetriever(
                type=EmbeddingStoreRetriever.type_names()[0],
                embeddings=self.embeddings,
                embedding_provider=self.embedding_provider or self.chat_provider,
                max_results=limits.max_results,
                min_score=limits.min_score,
            ),
        )


async def _text(read: Any, name: str) -> str:
    content: bytes = await asyncio.to_thread(read)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TaskFailed(f"{name} is not text.", fix="Give text, Markdown or HTML.") from error
