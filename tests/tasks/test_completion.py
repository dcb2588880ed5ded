"""plugin-ai completions over every kind of provider."""

import json

import pytest

from engine.errors import TaskFailed
from tests.wire.openai import PIXEL

AI = "io.kestra.plugin.ai"


@pytest.fixture
def providers(make_context, openai_service, gemini_service, ollama_service, anthropic_service):
    context = make_context(
        {"providers": {"openai": {"base_url": openai_service.url}, "gemini": {"base_url": gemini_service.url}}},
        inputs={"model": "m"},
    )
    named = {
        "OpenAI": {"apiKey": "k"},
        "DeepSeek": {"apiKey": "k", "baseUrl": openai_service.url},
        "GoogleGemini": {"apiKey": "k"},
        "Ollama": {"endpoint": ollama_service.url},
        "Anthropic": {"apiKey": "k", "baseUrl": anthropic_service.url},
    }

    async def ask(kind: str, provider: str, **given):
        chosen = {"type": f"{AI}.provider.{provider}", "modelName": "{{ inputs.model }}", **named[provider]}
        return await context.run(type=f"{AI}.completion.{kind}", provider=chosen, **given)

    def answers(text: str) -> None:
        openai_service.replies[0] = gemini_service.replies[0] = anthropic_service.replies[0] = text
        ollama_service.speak = lambda prompt: text

    ask.answers, ask.context = answers, context  # type: ignore[attr-defined]
    return ask


@pytest.mark.parametrize("provider", ["OpenAI", "DeepSeek", "GoogleGemini", "Ollama", "Anthropic"])
async def test_every_provider(providers, provider):
    providers.answers("Positive.")
    messages = [{"type": "SYSTEM", "content": "Be brief"}, {"type": "USER", "content": "Hi"}]
    found = await providers("ChatCompletion", provider, messages=messages)
    assert (found.textOutput, found.finishReason) == ("Positive.", "STOP")
    assert providers.context.metrics["total.token.count"] > 0
    found = await providers("Classification", provider, prompt="Great!", classes=["positive", "negative"])
    assert found.classification == "positive"
    providers.answers('{"customer": "Ann", "problem": "none"}')
    found = await providers(
        "JSONStructuredExtraction", provider, prompt="x", schemaName="T", jsonFields=["customer", "problem"]
    )
    assert json.loads(found.extractedJson) == {"customer": "Ann", "problem": "none"}


async def test_what_does_not_fit(providers):
    user = [{"type": "USER", "content": "x"}]
    with pytest.raises(TaskFailed, match="must be of type USER"):
        await providers("ChatCompletion", "OpenAI", messages=[{"type": "AI", "content": "x"}])
    with pytest.raises(TaskFailed, match="has no `topK`"):
        await providers("ChatCompletion", "OpenAI", messages=user, configuration={"topK": 3})
    wanted = {"responseFormat": {"jsonSchema": {"type": "object"}}}
    with pytest.raises(TaskFailed, match="need `responseFormat"):
        await providers("ChatCompletion", "OpenAI", messages=user, configuration=wanted)
    with pytest.raises(TaskFailed, match="not JSON: 'Hello"):
        await providers("ChatCompletion", "OpenAI", messages=user, configuration={"responseFormat": {"type": "JSON"}})
    providers.answers("Something else")
    await providers("Classification", "OpenAI", prompt="x", classes=["a", "b"])
    assert providers.context.said("none of the classes", "WARN")


async def test_what_anthropic_refuses(context, anthropic_service):
    provider = {"type": f"{AI}.provider.Anthropic", "modelName": "m", "baseUrl": anthropic_service.url}
    task = {"type": f"{AI}.completion.ChatCompletion", "messages": [{"type": "USER", "content": "x"}]}
    with pytest.raises(TaskFailed, match=r"Anthropic answered 401: invalid x-api-key.*Check the API key"):
        await context.run(**task, provider={**provider, "apiKey": "wrong"})
    with pytest.raises(TaskFailed, match="has no `seed`"):
        await context.run(**task, provider={**provider, "apiKey": "k"}, configuration={"seed": 1})
    assert "wrong" in context.masked


async def test_a_picture_by_a_provider(providers, openai_service):
    found = await providers("ImageGeneration", "OpenAI", prompt="A fox")
    assert await providers.context.files.read(found.imageUrl) == PIXEL
    assert openai_service.asked[-1] == {"model": "m", "prompt": "A fox"}
    openai_service.picture_url = "https://pictures.test/1.png"
    assert (await providers("ImageGeneration", "OpenAI", prompt="A fox")).imageUrl == "https://pictures.test/1.png"
    with pytest.raises(TaskFailed, match="makes no pictures"):
        await providers("ImageGeneration", "Ollama", prompt="A fox")
