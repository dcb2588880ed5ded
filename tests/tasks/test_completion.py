"""plugin-ai completions over every kind of provider."""

import base64
import json

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving
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
    assert providers.context.tags["input.token.count"] == {"model": "m"}
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


@pytest.mark.parametrize("provider", ["OpenAI", "GoogleGemini", "Ollama", "Anthropic"])
async def test_pictures_go_along(
    providers, provider, openai_service, gemini_service, ollama_service, anthropic_service
):
    context = providers.context
    picture = await context.files.put(PIXEL, "p.png")
    blocks = [{"type": "TEXT", "text": "What is this?"}, {"type": "IMAGE", "uri": picture}]
    providers.answers("dot")
    found = await providers("ChatCompletion", provider, messages=[{"type": "USER", "contentBlocks": blocks}])
    assert found.textOutput == "dot"
    services = {
        "OpenAI": openai_service, "GoogleGemini": gemini_service, "Ollama": ollama_service,
        "Anthropic": anthropic_service,
    }  # fmt: skip
    sent = services[provider].wire.last.body.decode()
    assert base64.b64encode(PIXEL).decode() in sent
    assert "What is this?" in sent
    found = await providers("Classification", provider, contentBlocks=blocks, classes=["dot", "line"])
    assert found.classification == "dot"
    with pytest.raises(TaskFailed, match="either `prompt` or `contentBlocks`"):
        await providers("Classification", provider, prompt="x", contentBlocks=blocks, classes=["a"])


async def test_what_comes_with_an_answer(providers):
    messages = [{"type": "USER", "content": "Hi"}]
    found = await providers("ChatCompletion", "OpenAI", messages=messages)
    assert found.aiResponse == found.textOutput == "Hello."
    assert (found.outputFiles, found.sources, found.thinking) == ({}, [], None)
    assert found.requestDuration >= 0
    assert providers.context.metrics["ai.provider.calls"] == 1
    assert not providers.context.said("Hi")
    await providers(
        "ChatCompletion", "OpenAI", messages=messages, configuration={"logRequests": True, "logResponses": True}
    )
    assert providers.context.said('m is asked: .*"role": "user", "content": "Hi"')
    assert providers.context.said('m answers: .*"content": "Hello."')


@pytest.mark.parametrize("provider", ["OpenAI", "DeepSeek", "GoogleGemini", "Ollama", "Anthropic"])
async def test_a_schema_is_described(
    providers, provider, openai_service, gemini_service, ollama_service, anthropic_service
):
    providers.answers("{}")
    wanted = {"type": "JSON", "jsonSchema": {"type": "object"}, "jsonSchemaDescription": "A ticket"}
    messages = [{"type": "USER", "content": "x"}]
    await providers("ChatCompletion", provider, messages=messages, configuration={"responseFormat": wanted})
    services = (openai_service, gemini_service, ollama_service, anthropic_service)
    (sent,) = [service.wire.last.body.decode() for service in services if service.wire.requests]
    assert "A ticket" in sent


async def test_guardrails(providers, openai_service):
    rails = {
        "input": [{"expression": "{{ message | length < 10 }}", "message": "Too long."}],
        "output": [{"expression": "{{ not (response contains 'SECRET') }}", "message": "It leaked."}],
    }
    providers.answers("a SECRET")
    asked = len(openai_service.asked)
    user = [{"type": "USER", "content": "x" * 20}]
    found = await providers("ChatCompletion", "OpenAI", messages=user, guardrails=rails)
    assert (found.guardrailViolated, found.guardrailViolationMessage) == (True, "Input guardrail: Too long.")
    assert len(openai_service.asked) == asked  # the model was not even asked
    user = [{"type": "USER", "content": "short"}]
    found = await providers("ChatCompletion", "OpenAI", messages=user, guardrails=rails)
    assert (found.textOutput, found.guardrailViolationMessage) == (None, "Output guardrail: It leaked.")
    found = await providers("Classification", "OpenAI", prompt="short", classes=["a"], guardrails=rails)
    assert (found.classification, found.guardrailViolated) == (None, True)
    extract = {"schemaName": "T", "jsonFields": ["a"], "guardrails": rails}
    assert (await providers("JSONStructuredExtraction", "OpenAI", prompt="short", **extract)).extractedJson is None


async def test_the_system_message_sees_the_classes(providers, openai_service):
    providers.answers("b")
    given = {"prompt": "x", "classes": ["a", "b"], "systemMessage": "One of {{ classes | join('/') }}."}
    await providers("Classification", "OpenAI", **given)
    assert openai_service.asked[-1]["messages"][0]["content"] == "One of a/b."


async def test_claude_by_itself(context, anthropic_service):
    anthropic_service.replies[0] = "Tokyo"
    ask = {"type": "io.kestra.plugin.anthropic.ChatCompletion", "apiKey": "k", "baseUrl": anthropic_service.url}
    turns = [{"type": "USER", "content": "Capital?"}, {"type": "ASSISTANT", "content": "Of?"}]
    found = await context.run(**ask, model="m", messages=[*turns, {"type": "USER", "content": "Japan"}], system="Brief")
    assert found.outputText == "Tokyo"
    assert json.loads(found.rawResponse)["content"][0]["text"] == "Tokyo"
    sent = anthropic_service.wire.last.json
    assert ([one["role"] for one in sent["messages"]], sent["system"]) == (["user", "assistant", "user"], "Brief")
    assert sent["max_tokens"] == 1024
    assert "k" in context.masked
    assert context.tags["usage.input.tokens"] == context.tags["usage.output.tokens"] == {"model": "m"}
    assert context.metrics["usage.output.tokens"] > 0


async def test_perplexity(context, openai_service):
    openai_service.replies[0] = "Rain."
    ask = {"type": "io.kestra.plugin.perplexity.ChatCompletion", "apiKey": "k", "baseUrl": openai_service.url}
    messages = [{"type": "SYSTEM", "content": "Brief"}, {"type": "USER", "content": "Weather?"}]
    found = await context.run(**ask, model="sonar", messages=messages, jsonResponseSchema='{"type": "object"}')
    assert found.outputText == "Rain."
    assert json.loads(found.rawResponse)["choices"][0]["message"]["content"] == "Rain."
    sent = openai_service.asked[-1]
    assert (sent["top_p"], sent["temperature"], sent["messages"][0]["role"]) == (0.9, 0.2, "system")
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert context.metrics["usage.total.tokens"] == 10
    assert context.tags["usage.prompt.tokens"] == {"model": "sonar"}


async def test_a_file_for_openai(context, openai_service):
    source = await context.files.put(b"%PDF", "doc.pdf")
    task = {"type": "io.kestra.plugin.openai.UploadFile", "apiKey": "k", "baseUrl": openai_service.url}
    assert (await context.run(**task, from_=source, purpose="USER_DATA")).fileId == "file-1"
    assert openai_service.wire.last.parts["file"] == ("doc.pdf", b"%PDF")
    assert openai_service.wire.last.parts["purpose"][1] == b"user_data"


async def test_many_requests_to_claude_at_once(context):
    asked = []
    there = {"id": "msgbatch_1", "processing_status": "in_progress", "request_counts": {"processing": 2}}
    message = {
        "content": [
            {"type": "text", "text": "Tokyo"},
            {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 2},
    }
    refused = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}
    rows = [
        {"custom_id": "japan", "result": {"type": "succeeded", "message": message}},
        {"custom_id": "france", "result": {"type": "errored", "error": refused}},
        {"custom_id": "peru", "result": {"type": "expired"}},
        {"custom_id": "mars", "result": {"type": "lost"}},
    ]

    def service(request):
        asked.append((request.method, request.path))
        assert request.headers["anthropic-version"]
        if request.headers["x-api-key"] != "k":
            return Answered({"type": "error", "error": {"type": "authentication_error", "message": "invalid key"}}, 401)
        if request.path.endswith("/results"):
            return Answered("".join(json.dumps(row) + "\n" for row in rows))
        return Answered(there)

    with serving(service) as wire:
        ask = {"type": "io.kestra.plugin.anthropic.MessageBatch", "apiKey": "k", "baseUrl": f"{wire.url}/v1"}
        turns = [{"type": "USER", "content": "Capital?"}]
        plain = {"model": "m", "messages": turns}
        more = {"maxTokens": 64, "system": " Brief ", "topK": 3, "promptCaching": True}
        made = await context.run(
            **ask, mode="CREATE", requests=[{"customId": "japan", **plain}, {"customId": "peru", **plain, **more}]
        )
        counts = {"processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        assert (made.batchId, made.status, made.requestCounts, made.results) == (
            "msgbatch_1",
            "in_progress",
            counts,
            None,
        )
        turn = [{"role": "user", "content": "Capital?"}]
        full = {"model": "m", "max_tokens": 64, "messages": turn, "system": "Brief", "top_k": 3}
        assert wire.last.json == {
            "requests": [
                {"custom_id": "japan", "params": {"model": "m", "max_tokens": 1024, "messages": turn}},
                {"custom_id": "peru", "params": {**full, "cache_control": {"type": "ephemeral"}}},
            ]
        }
        assert (await context.run(**ask, mode="RETRIEVE", batchId="msgbatch_1")).results is None
        there.update(processing_status="ended", results_url="https://api.example/results")
        found = await context.run(**ask, mode="RETRIEVE", batchId="msgbatch_1")
        first, second, third, fourth = found.results
        assert (first["outputText"], first["stopReason"], first["cacheReadInputTokens"]) == ("Tokyo", "end_turn", 2)
        assert first["toolUses"] == [{"id": "t", "name": "look", "input": {"a": 1}}]
        assert (second["type"], second["errorMessage"], json.loads(second["rawResponse"])) == (
            "errored",
            "too long",
            refused,
        )
        assert (third, fourth["type"]) == ({"customId": "peru", "type": "expired"}, "unknown")
        assert (context.metrics["usage.input.tokens"], context.metrics["usage.cache.read.tokens"]) == (9, 2)
        assert [json.loads(line) for line in context.files.text(found.uri).splitlines()] == found.results
        read = {**ask, "mode": "RETRIEVE", "batchId": "msgbatch_1"}
        handed_on = {
            kind: await context.run(**read, fetchType=kind) for kind in ("STORE", "FETCH", "FETCH_ONE", "NONE")
        }
        assert {kind: (one.uri is not None, len(one.results or ())) for kind, one in handed_on.items()} == {
            "STORE": (True, 0),
            "FETCH": (False, 4),
            "FETCH_ONE": (False, 1),
            "NONE": (False, 0),
        }
        await context.run(**ask, mode="CANCEL", batchId="msgbatch_1")
        assert asked == [
            ("POST", "/v1/messages/batches"),
            ("GET", "/v1/messages/batches/msgbatch_1"),
            ("GET", "/v1/messages/batches/msgbatch_1"),
            ("GET", "/v1/messages/batches/msgbatch_1/results"),
            *[("GET", f"/v1/messages/batches/msgbatch_1{end}") for _ in handed_on for end in ("", "/results")],
            ("POST", "/v1/messages/batches/msgbatch_1/cancel"),
        ]
        twice = [{"customId": "a", **plain}] * 2
        for given, why in (
            ({"mode": "CREATE"}, "`requests` is empty"),
            ({"mode": "CREATE", "requests": twice}, "Two requests have the `customId` 'a'"),
            ({"mode": "CANCEL", "batchId": " "}, "not said which batch"),
            ({"mode": "CANCEL", "batchId": "x", "apiKey": "hush"}, "Anthropic answered 401: invalid key"),
        ):
            with pytest.raises(TaskFailed, match=why):
                await context.run(**{**ask, **given})
        assert {"k", "hush"} <= context.masked


async def test_a_batch_of_claude_may_be_larger_than_an_answer_in_memory(make_context):
    context = make_context({"http": {"max_body": 300}})
    rows = [{"custom_id": f"row-{number}", "result": {"type": "expired"}} for number in range(20)]
    lost = [*rows, {"custom_id": "mars"}]
    told = iter((rows, rows, rows, lost))

    def service(request):
        if request.path.endswith("/results"):
            return Answered("".join(json.dumps(row) + "\n" for row in next(told)))
        return Answered({"id": "msgbatch_1", "processing_status": "ended"})

    with serving(service) as wire:
        ask = {"type": "io.kestra.plugin.anthropic.MessageBatch", "apiKey": "k", "baseUrl": f"{wire.url}/v1"}
        read = {**ask, "mode": "RETRIEVE", "batchId": "msgbatch_1"}
        stored = await context.run(**read, fetchType="STORE")
        assert len(context.files.text(stored.uri).splitlines()) == 20
        one = await context.run(**read, fetchType="FETCH_ONE")
        assert one.results == [{"customId": "row-0", "type": "expired"}]
        with pytest.raises(TaskFailed, match=r"more than 300 bytes.*Use `fetchType: STORE`"):
            await context.run(**read)
        with pytest.raises(TaskFailed, match="results that are none"):
            await context.run(**read, fetchType="STORE")
