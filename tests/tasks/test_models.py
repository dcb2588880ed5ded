"""DeepSeek, OpenAI, Gemini and Ollama through their own clients, against loopback services."""

import json
import threading

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, Received, serving
from tests.wire.openai import PIXEL

DEEPSEEK = "io.kestra.plugin.deepseek.ChatCompletion"
OPENAI = "io.kestra.plugin.openai"
GEMINI = "io.kestra.plugin.gemini"
OLLAMA = "io.kestra.plugin.ollama.cli.OllamaCLI"
CARELESS = """
{
  type: "object",
  "properties": {
    "tasks": {
      "type": "array",
      "items": {"title": "string", "due": {"type": "string" "format": "date-time",}}
    }
  }
}
"""


@pytest.fixture
def deepseek(make_context, openai_service):
    context = make_context({"providers": {"deepseek": {"base_url": openai_service.url}}}, inputs={"prompt": "milk"})

    async def ask(schema: str | None = None):
        given = {"jsonResponseSchema": schema} if schema else {}
        messages = [{"type": "SYSTEM", "content": "Be brief"}, {"type": "USER", "content": "{{ inputs.prompt }}"}]
        return await context.run(type=DEEPSEEK, apiKey="key", modelName="deepseek-chat", messages=messages, **given)

    ask.context = context  # type: ignore[attr-defined]
    return ask


async def test_deepseek_answers(deepseek, openai_service):
    found = await deepseek()
    assert found.response == "Hello."
    assert json.loads(found.raw)["choices"][0]["message"]["content"] == "Hello."
    assert deepseek.context.tags["usage.prompt.tokens"] == {"model": "deepseek-chat"}
    assert deepseek.context.metrics["usage.completion.tokens"] > 0
    (asked,) = openai_service.asked
    assert asked == {
        "model": "deepseek-chat",
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "milk"}],
    }
    assert "key" in deepseek.context.masked


async def test_a_careless_schema_reaches_deepseek_as_it_is(deepseek, openai_service):
    openai_service.replies.extend(['```json\n{"tasks": [{"title": "Milk"}]}\n```'])
    openai_service.replies.popleft()
    found = await deepseek(CARELESS)
    assert json.loads(found.response) == {"tasks": [{"title": "Milk"}]}, "an array inside does not wrap the whole"
    (asked,) = openai_service.asked
    assert asked["response_format"] == {"type": "json_object"}
    assert asked["messages"][0]["role"] == "system"
    assert CARELESS.strip() in asked["messages"][0]["content"]
    assert deepseek.context.said("not strict JSON", "WARN")


async def test_a_lone_object_is_wrapped_when_the_top_level_is_an_array(deepseek, openai_service):
    openai_service.replies.extend(['{"a": 1}'])
    openai_service.replies.popleft()
    assert json.loads((await deepseek('{"type": "array", "items": {"type": "object"}}')).response) == [{"a": 1}]


async def test_deepseek_is_asked_twice_for_json(deepseek, openai_service):
    openai_service.replies.clear()
    openai_service.replies.extend(["", '{"tasks": []}'])
    assert (await deepseek(CARELESS)).response == '{"tasks": []}'
    openai_service.replies.clear()
    openai_service.replies.append("I would rather not.")
    with pytest.raises(
        TaskFailed, match="answered twice with something that is not JSON: 'I would rather not"
    ) as caught:
        await deepseek(CARELESS)
    assert (caught.value.outputs or {})["response"] == "I would rather not."


async def test_what_the_answer_lacks_is_said(deepseek, openai_service):
    openai_service.replies.clear()
    openai_service.replies.append('{"todo": []}')
    assert (await deepseek(CARELESS)).response == '{"todo": []}'
    assert deepseek.context.said("The answer lacks tasks", "WARN")


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "Check the API key"), (404, "retired names"), (402, "no balance left"), (400, "answered 400")],
)
async def test_refusals_say_what_to_do(deepseek, openai_service, status, hint):
    openai_service.refusals.append((status, "No."))
    with pytest.raises(TaskFailed, match=f"deepseek answered {status}: No.") as caught:
        await deepseek()
    assert hint in str(caught.value)


async def test_a_service_that_is_not_there(make_context):
    context = make_context()
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(
            type=DEEPSEEK,
            apiKey="key",
            modelName="m",
            baseUrl="http://127.0.0.1:1/v1",
            messages=[{"type": "USER", "content": "x"}],
        )


async def test_openai_chat(make_context, openai_service):
    context = make_context({"providers": {"openai": {"base_url": openai_service.url}}, "models": {"old": "new"}})
    function = {
        "name": "weather",
        "description": "The weather",
        "parameters": [{"name": "city", "description": "Where", "type": "string", "required": True}],
    }
    found = await context.run(
        type=f"{OPENAI}.ChatCompletion",
        apiKey="key",
        model="old",
        prompt="Hi",
        messages=[{"role": "system", "content": "Be brief"}],
        maxTokens="50",
        functions=[function],
        functionCall="weather",
        jsonResponseSchema='{"type": "object"}',
    )
    assert found.choices[0]["message"]["content"] == "Hello."
    assert context.metrics["usage.total.tokens"] == 10
    assert context.tags["usage.prompt.tokens"] == context.tags["usage.completion.tokens"] == {"model": "new"}
    (asked,) = openai_service.asked
    assert asked["messages"] == [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}]
    assert (asked["model"], asked["temperature"], asked["max_completion_tokens"]) == ("new", 1.0, 50)
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert asked["tools"][0]["function"]["parameters"]["required"] == ["city"]
    assert asked["response_format"]["json_schema"] == {
        "name": "kestra_schema",
        "strict": True,
        "schema": {"type": "object"},
    }


async def test_a_schema_refused_as_strict_is_asked_again(make_context, openai_service):
    context = make_context({"providers": {"openai": {"base_url": openai_service.url}}})
    openai_service.refusals.append((400, "Invalid schema for response_format: additionalProperties is required."))
    schema = '{"type": "object", "properties": {}}'
    await context.run(type=f"{OPENAI}.ChatCompletion", apiKey="k", model="m", prompt="x", jsonResponseSchema=schema)
    assert [asked["response_format"]["json_schema"]["strict"] for asked in openai_service.asked] == [True, False]


async def test_openai_needs_something_to_say(context):
    with pytest.raises(TaskFailed, match="Either `messages` or `prompt`"):
        await context.run(type=f"{OPENAI}.ChatCompletion", apiKey="k", model="m")
    with pytest.raises(TaskFailed, match="not among `functions`"):
        await context.run(type=f"{OPENAI}.ChatCompletion", apiKey="k", model="m", prompt="x", functionCall="nope")


async def test_pictures_are_stored(make_context, openai_service):
    context = make_context({"providers": {"openai": {"base_url": openai_service.url}}})
    given = {"type": f"{OPENAI}.CreateImage", "apiKey": "k", "prompt": "a fox", "size": "SMALL", "n": 2}
    found = await context.run(**given)
    assert [await context.files.read(uri) for uri in found.images] == [PIXEL, PIXEL]
    assert openai_service.asked[0] == {"model": "gpt-image-1", "prompt": "a fox", "size": "256x256", "n": 2}
    openai_service.picture_url = f"{openai_service.wire.url}/picture.png"
    assert (await context.run(**{**given, "n": 1})).images == [openai_service.picture_url]
    (stored,) = (await context.run(**{**given, "n": 1, "download": True})).images
    assert await context.files.read(stored) == PIXEL


async def test_responses(make_context, openai_service):
    context = make_context({"providers": {"openai": {"base_url": openai_service.url}}})
    picture = await context.files.put(PIXEL, "a.png")
    content = [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": picture}]
    found = await context.run(
        type=f"{OPENAI}.Responses", apiKey="k", model="m", input=[{"role": "user", "content": content}]
    )
    assert (found.responseId, found.outputText, found.sources) == ("resp_1", "Hello.", ["https://example.com"])
    (asked,) = openai_service.asked
    assert asked["input"][0]["content"][1]["image_url"].startswith("data:image/png;base64,iVBOR")
    assert asked["tool_choice"] == "auto"
    names = ("prompt.tokens", "completion.tokens", "total.tokens", "prompt.cached_tokens")
    assert [context.metrics[f"usage.{name}"] for name in names] == [5, 2, 7, 3]


async def test_how_long_an_answer_may_take(make_context, openai_service):
    context = make_context({"providers": {"openai": {"base_url": openai_service.url, "timeout": 90}}})
    task = {"type": f"{OPENAI}.ChatCompletion", "apiKey": "k", "model": "m", "prompt": "x"}
    for limit, given in ((None, {}), (600.0, {}), (600.0, {"clientTimeout": 30})):
        context.time_limit = limit
        await context.run(**task, **given)
    waited = [request.headers["x-stainless-read-timeout"] for request in openai_service.wire.requests]
    assert [float(seconds) for seconds in waited] == [90, 600, 30]


async def test_who_does_not_answer_in_time(make_context):
    over = threading.Event()

    def silent(_: Received) -> Answered:
        over.wait(60)
        return Answered({})

    with serving(silent) as wire:
        context = make_context(
            {"providers": {name: {"base_url": wire.url} for name in ("openai", "gemini", "anthropic")}}
        )
        context.time_limit = 0.1
        given = {"apiKey": "k", "model": "m", "prompt": "x"}
        with pytest.raises(TaskFailed, match=r"openai did not answer within 0.1 s.*`providers.openai.timeout`"):
            await context.run(type=f"{OPENAI}.ChatCompletion", **given)
        with pytest.raises(TaskFailed, match=r"Gemini did not answer within 0.1 s.*`providers.gemini.timeout`"):
            await context.run(type=f"{GEMINI}.TextCompletion", **given)
        claude = {"type": "io.kestra.plugin.ai.provider.Anthropic", "modelName": "m", "apiKey": "k"}
        asked = {"type": "io.kestra.plugin.ai.completion.Classification", "prompt": "x", "classes": ["a"]}
        with pytest.raises(TaskFailed, match=r"Anthropic did not answer within 0.1 s.*`providers.anthropic.timeout`"):
            await context.run(**asked, provider=claude)
        over.set()


async def test_biases_are_numbers(make_context, openai_service):
    context = make_context({"providers": {"openai": {"base_url": openai_service.url}}}, inputs={"bias": "-100"})
    task = {"type": f"{OPENAI}.ChatCompletion", "apiKey": "k", "model": "m", "prompt": "x"}
    await context.run(**task, logitBias={50256: "{{ inputs.bias }}", "11": 5})
    assert openai_service.asked[-1]["logit_bias"] == {"50256": -100, "11": 5}


@pytest.fixture
def gemini(make_context, gemini_service):
    context = make_context({"providers": {"gemini": {"base_url": gemini_service.url}}})

    async def ask(kind: str, **given):
        return await context.run(type=f"{GEMINI}.{kind}", apiKey="key", **{"model": "gemini-2.5-flash", **given})

    ask.context = context  # type: ignore[attr-defined]
    return ask


async def test_gemini_structured(gemini, gemini_service):
    gemini_service.replies[0] = {"content": "Go", "wind": 12.5}
    schema = '{"type": "object", "properties": {"content": {"type": "string"}, "go": {"type": "boolean"}}}}'
    found = await gemini(
        "StructuredOutputCompletion", model="gemini-2.5-flash-preview-05-20", prompt="Wind?", jsonResponseSchema=schema
    )
    assert [json.loads(text) for text in found.predictions] == [{"content": "Go", "wind": 12.5}]
    (asked,) = gemini_service.asked
    assert asked["generationConfig"]["responseMimeType"] == "application/json"
    assert asked["generationConfig"]["responseJsonSchema"] == json.loads(schema[:-1])
    assert gemini.context.said("followed by '}'", "WARN")
    assert gemini.context.said("The answer lacks go", "WARN")
    assert gemini.context.said("instead of gemini-2.5-flash-preview-05-20")
    assert gemini.context.metrics["total.token.count"] == 10
    assert gemini.context.tags["candidate.token.count"] == {"model": "gemini-2.5-flash"}


async def test_gemini_blocked(gemini, gemini_service):
    gemini_service.replies[0] = None
    found = await gemini("StructuredOutputCompletion", prompt="x", jsonResponseSchema='{"type": "object"}')
    assert found.predictions == []
    assert gemini.context.said("no text .SAFETY", "WARN")


async def test_gemini_text_and_chat(gemini, gemini_service):
    assert (await gemini("TextCompletion", prompt="x")).predictions[0].content == "Hello."
    messages = [
        {"type": "SYSTEM", "content": "Be brief"},
        {"type": "USER", "content": "One"},
        {"type": "AI", "content": "Two"},
        {"type": "USER", "content": "Three"},
    ]
    found = await gemini("ChatCompletion", messages=messages)
    assert [prediction.content for prediction in found.predictions] == ["Hello."]
    asked = gemini_service.asked[-1]
    assert [turn["role"] for turn in asked["contents"]] == ["user", "model", "user"]
    assert asked["systemInstruction"]["parts"][0]["text"] == "Be brief"
    with pytest.raises(TaskFailed, match="must be of type USER"):
        await gemini("ChatCompletion", messages=messages[:-1])


async def test_every_candidate_has_its_own_ratings(gemini, gemini_service, monkeypatch):
    def rated(probability):
        rating = {"category": "HARM_CATEGORY_HARASSMENT", "probability": probability}
        return {"content": {"role": "model", "parts": [{"text": probability}]}, "safetyRatings": [rating]}

    monkeypatch.setattr(
        gemini_service.wire, "handler", lambda _: Answered({"candidates": [*map(rated, ("LOW", "HIGH"))]})
    )
    found = (await gemini("TextCompletion", prompt="x")).predictions
    assert [(one.content, one.safetyRatings[0]["probability"]) for one in found] == [("LOW", "LOW"), ("HIGH", "HIGH")]


async def test_gemini_sees_pictures(gemini, gemini_service):
    uri = await gemini.context.files.put(PIXEL, "a.png")
    found = await gemini(
        "MultimodalCompletion", contents=[{"content": "What?"}, {"content": uri, "mimeType": "image/png"}]
    )
    assert (found.text, found.finishReason, found.blocked) == ("Hello.", "STOP", False)
    parts = [turn["parts"][0] for turn in gemini_service.asked[-1]["contents"]]
    assert "image/png" in parts[1]["inlineData"].values()


async def test_a_retired_model_is_explained(make_context, gemini_service):
    settings = {
        "providers": {"gemini": {"base_url": gemini_service.url}},
        "models": {"mine": "gemini-2.5-flash-preview-05-20"},
    }
    context = make_context(settings)
    with pytest.raises(TaskFailed, match=r"Gemini answered 404 .*may be retired"):
        await context.run(type=f"{GEMINI}.TextCompletion", apiKey="k", model="mine", prompt="x")


SEED_LIKE = (
    'ollama run gemma3:1b "Summarize. Output plain text, no **bold**! Here: {{ read(outputs.commits) }}" > output.txt'
)


async def test_ollama_without_a_shell(make_context, ollama_service):
    context = make_context({"providers": {"ollama": {"base_url": ollama_service.url}}})
    hostile = "fix \"quoted\" `id` $(echo pwn) 'x' > /tmp/y\n" * 40
    context.variables = {
        **context.variables,
        "outputs": {"commits": await context.files.put(hostile.encode(), "c.txt")},
    }
    found = await context.run(type=OLLAMA, commands=[SEED_LIKE], outputFiles=["output.txt"])
    prompt = f"Summarize. Output plain text, no **bold**! Here: {hostile}"
    assert ollama_service.prompts == [prompt]
    assert context.files.text(found.outputFiles["output.txt"]) == f"You said {len(prompt)} characters.\n"
    assert context.said("gemma3:1b: pulling 1a2b 40 %"), "the model was fetched first"
    assert found.exitCode == 0


async def test_ollama_reads_files_and_lists(make_context, ollama_service):
    context = make_context({"providers": {"ollama": {"base_url": ollama_service.url}}})
    commands = ["ollama pull a:1", "ollama run a:1 'And now' < notes.txt >> all.txt", "ollama list"]
    await context.run(type=OLLAMA, commands=commands, inputFiles={"notes.txt": "Notes."})
    assert ollama_service.prompts == ["Notes. And now"]
    assert (context.working_dir / "all.txt").read_text() == "You said 14 characters.\n"
    assert context.said("a:1\t1")


async def test_a_long_prompt_gets_a_larger_context(make_context, ollama_service):
    context = make_context({"providers": {"ollama": {"base_url": ollama_service.url}}}, inputs={"x": "word " * 4000})
    await context.run(type=OLLAMA, commands=['ollama run a:1 "{{ inputs.x }}"'])
    generated = [request.json for request in ollama_service.wire.requests if request.path == "/api/generate"]
    assert generated[-1]["options"]["num_ctx"] == 8192


async def test_ollama_refusals(make_context, ollama_service):
    context = make_context({"providers": {"ollama": {"base_url": ollama_service.url}}})
    with pytest.raises(TaskFailed, match="file does not exist"):
        await context.run(type=OLLAMA, commands=["ollama run missing:1 hi"])
    with pytest.raises(TaskFailed, match="leaves the working directory"):
        await context.run(type=OLLAMA, commands=["ollama run a:1 hi > ../x"])
