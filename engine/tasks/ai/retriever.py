"""`io.kestra.plugin.ai.retriever`: what a model is given to read before it answers."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.core.task import AnyTyped, ByType
from engine.plugin import Property, RunContext, TaskFailed, Typed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore
from engine.tasks.ai.model_service import provider_of
from engine.tasks.property_types import Text

TAVILY = "https://api.tavily.com"
GOOGLE = "https://www.googleapis.com/customsearch/v1"


class Retriever(Typed, ABC):
    """Finds texts about a question."""

    noun = "a content retriever"
    stands_in = "`contentRetrievers`"

    @abstractmethod
    async def retrieve(self, context: RunContext, question: str) -> list[str]:
        """The texts, best first; TaskFailed."""


AnyRetriever = Annotated[Retriever, ByType("AnyTyped", "a content retriever", lambda: Retriever)]


class TavilyWebSearch(Retriever):
    """Search the web through Tavily, every time."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.retriever.TavilyWebSearch
apiKey: "{{ secret('TAVILY_API_KEY') }}"
maxResults: 5
""",
    )
    type: Literal["io.kestra.plugin.ai.retriever.TavilyWebSearch"]
    api_key: Property[Text]
    max_results: Property[int] = Field(default=3, ge=1, le=20)

    async def retrieve(self, context: RunContext, question: str) -> list[str]:
        return [_told(one) for one in await tavily(context, self.api_key, question, self.max_results)]


class GoogleCustomWebSearch(Retriever):
    """Search the web through one's own search engine at Google, every time."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.retriever.GoogleCustomWebSearch
apiKey: "{{ secret('GOOGLE_SEARCH_KEY') }}"
csi: "{{ secret('GOOGLE_SEARCH_ENGINE') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.retriever.GoogleCustomWebSearch"]
    api_key: Property[Text]
    csi: Property[Text]
    max_results: Property[int] = Field(default=3, ge=1, le=10)

    async def retrieve(self, context: RunContext, question: str) -> list[str]:
        return [_told(one) for one in await google(context, self.api_key, self.csi, question, self.max_results)]


class EmbeddingStoreRetriever(Retriever):
    """Look up what documents say that were ingested before."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.retriever.EmbeddingStoreRetriever
embeddings:
  type: io.kestra.plugin.ai.embeddings.KestraKVStore
embeddingProvider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-embedding-001
""",
    )
    type: Literal["io.kestra.plugin.ai.retriever.EmbeddingStoreRetriever"]
    embeddings: AnyTyped
    embedding_provider: AnyTyped
    max_results: Property[int] = Field(default=3, ge=1)
    min_score: Property[float] = Field(default=0.0, ge=0, le=1)

    async def retrieve(self, context: RunContext, question: str) -> list[str]:
        store, provider = store_of(self.embeddings), provider_of(self.embedding_provider)
        (vector,) = await provider.embed(context, [question])
        return [one.text for one in await store.nearest(context, vector, self.max_results, self.min_score)]


async def tavily(context: RunContext, key: str, question: str, most: int) -> list[dict[str, Any]]:
    """What Tavily finds: `title`, `url` and `content` of each page."""
    context.mask(key)
    base = (context.settings.provider("tavily").base_url or TAVILY).rstrip("/")
    given = {"query": question, "max_results": most}
    headers = {"Authorization": f"Bearer {key}"}
    found = await rest_service.document(context, "Tavily", "POST", f"{base}/search", headers=headers, json=given)
    return _pages(found, "results", "Tavily")


async def google(context: RunContext, key: str, engine: str, question: str, most: int) -> list[dict[str, Any]]:
    """What Google finds, in the same form."""
    context.mask(key)
    url = context.settings.provider("google_search").base_url or GOOGLE
    params = {"key": key, "cx": engine, "q": question, "num": str(most)}
    found = await rest_service.document(context, "Google", "GET", url, params=params)
    pages = _pages(found, "items", "Google")
    return [{"title": one.get("title"), "url": one.get("link"), "content": one.get("snippet")} for one in pages]


async def grounded(context: RunContext, retrievers: Sequence[Retriever], question: str) -> tuple[str, list[str]]:
    """The question with what was found about it, and the texts that were found."""
    found: list[str] = []
    for one in retrievers:
        found += await one.retrieve(context, question)
    if not found:
        return question, []
    joined = "\n\n".join(found)
    return f"{question}\n\nAnswer with the help of this:\n{joined}", found


def store_of(found: Any) -> EmbeddingStore:
    """The store that stands here; TaskFailed when it is something else."""
    if not isinstance(found, EmbeddingStore):
        raise TaskFailed(f"{getattr(found, 'type', found)!r} is not an embedding store.", fix="Use KestraKVStore.")
    return found


def _pages(found: Any, name: str, service: str) -> list[dict[str, Any]]:
    if not isinstance(found, dict):
        raise TaskFailed(f"{service} answered with something that is not its JSON.")
    return [one for one in found.get(name) or [] if isinstance(one, dict)]


def _told(page: dict[str, Any]) -> str:
    return "\n".join(str(page[name]) for name in ("title", "url", "content") if page.get(name)) or json.dumps(page)
