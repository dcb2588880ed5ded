"""Documents taken in, searched, and answered from; what the web says about a question."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TaskFailed
from engine.tasks.ai.segments import segments
from tests.wire.loopback import Answered, serving

AI = "io.kestra.plugin.ai"
STORE = {"type": f"{AI}.embeddings.KestraKVStore"}
DOCUMENTS = [{"content": "Paris is the capital of France."}, {"content": "Restart nginx when the server is down."}]


@pytest.fixture
def rag(make_context, openai_service, gemini_service, ollama_service):
    """A context, and a provider of each kind that makes embeddings."""
    context = make_context({"providers": {"gemini": {"base_url": gemini_service.url}}})
    ollama_service.models.add("m")
    providers = {
        "OpenAI": {"apiKey": "k", "baseUrl": openai_service.url},
        "GoogleGemini": {"apiKey": "k"},
        "Ollama": {"endpoint": ollama_service.url},
    }
    made = {n: {"type": f"{AI}.provider.{n}", "modelName": "m", **more} for n, more in providers.items()}
    return context, made


@pytest.mark.parametrize("provider", ["OpenAI", "GoogleGemini", "Ollama"])
async def test_ingest_search_answer(rag, provider, openai_service):
    context, providers = rag
    with serving(lambda request: Answered("A cat and a dog.")) as site:
        done = await context.run(
            type=f"{AI}.rag.IngestDocument",
            provider=providers[provider],
            embeddings=STORE,
            fromDocuments=DOCUMENTS,
            fromExternalURLs=[site.url],
            fromInternalURIs=[await context.files.put(b"Only words.", "x.txt")],
            metadata={"team": "ops"},
            drop=True,
        )
    assert (done.ingestedDocuments, done.embeddingStoreOutputs) == (4, {"kvName": "a_flow-embedding-store"})
    search = {"type": f"{AI}.rag.Search", "provider": providers[provider], "embeddings": STORE, "minScore": 0.5}
    found = await context.run(**search, query="How do I restart the server?", maxResults=1, fetchType="FETCH")
    assert found.results == ["Restart nginx when the server is down."]
    found = await context.run(**search, query="cat", maxResults=2, fetchType="STORE")
    assert json.loads(context.files.text(found.uri).splitlines()[0]) == "A cat and a dog."
    openai_service.replies[0] = "Paris."
    answer = await context.run(
        type=f"{AI}.rag.ChatCompletion",
        chatProvider=providers["OpenAI"],
        embeddingProvider=providers[provider],
        embeddings=STORE,
        contentRetrieverConfiguration={"maxResults": 1},
        prompt="What is the capital of France?",
    )
    assert (answer.textOutput, answer.completion) == ("Paris.", "Paris.")
    assert answer.sources == ["Paris is the capital of France."]
    assert "Paris is the capital of France." in openai_service.asked[-1]["messages"][-1]["content"]


async def test_what_does_not_fit(rag):
    context, providers = rag
    ask = {"type": f"{AI}.rag.ChatCompletion", "chatProvider": providers["OpenAI"], "prompt": "x"}
    with pytest.raises(TaskFailed, match="nothing to look up"):
        await context.run(**ask)
    await context.kv.set(context.namespace, "a_flow-embedding-store", {"segments": [{"text": "x", "vector": [1.0]}]})
    with pytest.raises(TaskFailed, match="vector has 8 numbers, the documents' 1"):
        await context.run(**ask, embeddings=STORE)
    await context.kv.set(context.namespace, "other", "text")
    with pytest.raises(TaskFailed, match="holds no embeddings"):
        await context.run(**ask, embeddings={**STORE, "kvName": "other"})
    claude = {"type": f"{AI}.provider.Anthropic", "modelName": "m", "apiKey": "k"}
    ingest = {"type": f"{AI}.rag.IngestDocument", "embeddings": STORE, "fromDocuments": DOCUMENTS}
    with pytest.raises(TaskFailed, match="makes no embeddings"):
        await context.run(**ingest, provider=claude)
    with pytest.raises(TaskFailed, match="is not an embedding store"):
        await context.run(**{**ingest, "embeddings": claude}, provider=providers["OpenAI"])


async def test_an_agent_reads_what_was_ingested(rag):
    context, providers = rag
    await context.run(
        type=f"{AI}.rag.IngestDocument", provider=providers["OpenAI"], embeddings=STORE, fromDocuments=DOCUMENTS
    )
    retriever = {
        "type": f"{AI}.retriever.EmbeddingStoreRetriever",
        "embeddings": STORE,
        "embeddingProvider": providers["OpenAI"],
    }
    agent = {"type": f"{AI}.agent.AIAgent", "provider": providers["OpenAI"], "contentRetrievers": [retriever]}
    found = await context.run(**agent, prompt=DOCUMENTS[0]["content"])
    assert found.sources[0] == DOCUMENTS[0]["content"]


async def test_the_web_is_asked_every_time(make_context, openai_service):
    page = {"title": "T", "url": "https://x.test", "content": "Foxes are red."}
    item = {"title": "G", "link": "https://g.test", "snippet": "Foxes are quick."}
    answers = {"/search": {"results": [page]}, "/google": {"items": [item]}}
    with serving(lambda request: Answered(answers[request.path])) as web:
        places = {"tavily": {"base_url": web.url}, "google_search": {"base_url": f"{web.url}/google"}}
        context = make_context({"providers": places})
        openai_service.replies[0] = "Red."
        found = await context.run(
            type=f"{AI}.agent.AIAgent",
            provider={"type": f"{AI}.provider.OpenAI", "modelName": "m", "apiKey": "k", "baseUrl": openai_service.url},
            prompt="What colour are foxes?",
            contentRetrievers=[
                {"type": "io.kestra.plugin.langchain4j.retriever.TavilyWebSearch", "apiKey": "t0ken", "maxResults": 5},
                {"type": f"{AI}.retriever.GoogleCustomWebSearch", "apiKey": "g", "csi": "e"},
            ],
        )
        assert web.requests[0].json == {"query": "What colour are foxes?", "max_results": 5}
        assert web.requests[1].query == {"key": "g", "cx": "e", "q": "What colour are foxes?", "num": "3"}
    assert found.textOutput == "Red."
    assert found.sources == ["T\nhttps://x.test\nFoxes are red.", "G\nhttps://g.test\nFoxes are quick."]
    assert "Foxes are quick." in openai_service.asked[-1]["messages"][-1]["content"]


FIRST = "One. Two is a sentence."
KINDS = ["RECURSIVE", "PARAGRAPH", "LINE", "SENTENCE", "WORD"]
TEXT = f"{FIRST}\nA line.\n\nAnother paragraph that is long. It has an end."


@pytest.mark.parametrize(
    ("kind", "most", "overlap", "expected"),
    [
        ("PARAGRAPH", 60, 0, ["One. Two is a sentence.\nA line.", "Another paragraph that is long. It has an end."]),
        (
            "SENTENCE",
            24,
            0,
            ["One. Two is a sentence.", "A line.", "Another paragraph that", "is long. It has an end."],
        ),
        (
            "RECURSIVE",
            40,
            12,
            [f"{FIRST}\nA line.", "A line. Another paragraph that is long.", "It has an end."],
        ),
        ("WORD", 5, 0, ["abcde", "fgh"]),
    ],
)
def test_segments(kind, most, overlap, expected):
    text = "abcdefgh" if kind == "WORD" else TEXT
    assert segments(text, kind, most, overlap) == expected


def test_an_overlap_is_whole_sentences():
    assert segments("First one here. Second two.\n\nThird three.", "PARAGRAPH", 30, 15)[1] == "Second two. Third three."


@given(
    st.text(),
    st.sampled_from(["RECURSIVE", "PARAGRAPH", "LINE", "SENTENCE", "WORD"]),
    st.integers(1, 50),
    st.integers(0, 60),
)
def test_no_segment_is_too_long_and_nothing_is_lost(text, kind, most, overlap):
    found = segments(text, kind, most, overlap)
    assert all(0 < len(one) <= most for one in found)
    if not overlap:
        assert "".join("".join(found).split()) == "".join(text.split())
