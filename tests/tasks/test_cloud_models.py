"""Models in the clouds, a provider after the other, and what an agent remembers in other places than the KV store."""

from urllib.parse import parse_qs, urlsplit

import pytest

from engine.errors import TaskFailed
from engine.plugin import Typed
from engine.tasks import catalogue
from engine.tasks.ai.conversation import Media, Turn
from engine.tasks.ai.fallback import is_passing
from engine.tasks.ai.messages import bedrock_messages
from tests.wire.google import TOKEN
from tests.wire.loopback import Answered, serving

AI = "io.kestra.plugin.ai"
ASKED = [{"type": "SYSTEM", "content": "Be brief."}, {"type": "USER", "content": "Hi"}]
CHAT = {"type": f"{AI}.completion.ChatCompletion", "messages": ASKED}
SAID = {"message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop", "index": 0}
PICTURE = Answered(b"picture", headers={"Content-Type": "image/png"})
COMPLETION = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [SAID]}


async def test_azure_openai(make_context):
    def handle(request):
        if request.path == "/t1/oauth2/v2.0/token":
            assert request.form["scope"].endswith("/.default")
            return Answered({"access_token": "of-entra", "expires_in": 3600})
        if request.path.endswith("/embeddings"):
            return Answered({"data": [{"index": 0, "embedding": [1.0, 2.0]}], "model": "m", "object": "list"})
        known = request.headers.get("api-key") == "k" or request.headers.get("authorization") == "Bearer of-entra"
        return Answered(COMPLETION) if known else Answered({"error": {"message": "Access denied"}}, 401)

    with serving(handle) as azure:
        context = make_context({"providers": {"entra": {"base_url": azure.url}}})
        provider = {"type": f"{AI}.provider.AzureOpenAI", "endpoint": azure.url, "modelName": "gpt"}
        found = await context.run(**CHAT, provider={**provider, "apiKey": "k", "serviceVersion": "2024-06-01"})
        assert found.textOutput == "Hello."
        assert azure.last.path == "/openai/deployments/gpt/chat/completions"
        assert azure.last.query == {"api-version": "2024-06-01"}
        who = {"tenantId": "t1", "clientId": "c", "clientSecret": "s3cret"}
        assert (await context.run(**CHAT, provider={**provider, **who})).textOutput == "Hello."
        assert {"s3cret", "of-entra"} <= context.masked
        for version, name in (("2024-06-01", "max_tokens"), (None, "max_completion_tokens")):
            given = {**provider, "apiKey": "k", **({"serviceVersion": version} if version else {})}
            await context.run(**CHAT, provider=given, configuration={"maxToken": 50})
            assert {key: told for key, told in azure.last.json.items() if key.startswith("max")} == {name: 50}
        assert await of(provider | {"apiKey": "k"}).embed(context, ["x"]) == [[1.0, 2.0]]
        with pytest.raises(TaskFailed, match=r"azure_openai answered 401: Access denied"):
            await context.run(**CHAT, provider={**provider, "apiKey": "wrong"})
        with pytest.raises(TaskFailed, match="who asks Azure"):
            await context.run(**CHAT, provider=provider)


def of(declared: dict) -> Typed:
    """A provider, as a task holds it."""
    return catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})


async def test_gemini_at_vertex(make_context, google_service):
    def handle(request):
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        part = {"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}
        return Answered({"candidates": [part], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}})

    with serving(handle) as vertex:
        context = make_context()
        provider = {"type": f"{AI}.provider.GoogleVertexAI", "project": "p", "location": "l", "modelName": "gemini"}
        provider |= {"endpoint": vertex.url, "serviceAccount": google_service.service_account}
        found = await context.run(**CHAT, provider=provider, configuration={"temperature": 0.5})
        assert (found.textOutput, found.tokenUsage["totalTokenCount"]) == ("Hello.", 5)
        assert vertex.last.path == "/v1/projects/p/locations/l/publishers/google/models/gemini:generateContent"
        assert vertex.last.json["systemInstruction"]["parts"] == [{"text": "Be brief."}]


async def test_tasks_of_vertex_ai(make_context, google_service):
    rating = {"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW", "severityScore": 0.25, "blocked": False}

    def handle(request):
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        said = request.json["contents"]
        heard = said[-1]["parts"][0].get("text", "")
        if heard == "harm":
            return Answered({"candidates": [{"finishReason": "SAFETY", "safetyRatings": [rating | {"blocked": True}]}]})
        part = {"content": {"role": "model", "parts": [{"text": f"{len(said)}: {heard}"}]}, "finishReason": "STOP"}
        part |= {"safetyRatings": [rating], "citationMetadata": {"citations": [{"title": "A book"}]}}
        return Answered({"candidates": [part], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 5}})

    with serving(handle) as vertex:
        context = make_context({"providers": {"vertex": {"base_url": vertex.url}}}, inputs={"what": "two"})

        async def run(kind, **given):
            task = {"type": f"io.kestra.plugin.gcp.vertexai.{kind}", "region": "eu", "projectId": "p"}
            task |= {"modelId": "gemini-2.5-flash", "serviceAccount": google_service.service_account}
            return await context.run(**task | given)

        (found,) = (await run("TextCompletion", prompt="Hi", parameters={"temperature": "0.5", "topK": 3})).predictions
        assert (
            vertex.last.path == "/v1/projects/p/locations/eu/publishers/google/models/gemini-2.5-flash:generateContent"
        )
        assert vertex.last.json["generationConfig"] == {"temperature": 0.5, "topK": 3.0}
        assert found.content == "1: Hi"
        assert found.citationMetadata == {"citations": [{"citations": ["A book"]}]}
        harmless = {"scores": [0.25], "categories": ["HARM_CATEGORY_HARASSMENT"], "blocked": False}
        assert found.safetyAttributes == harmless
        assert context.metrics["total.token.count"] == 5

        messages = [{"author": "user", "content": "one"}, {"content": "{{ inputs.what }}"}]
        more = {"context": "before", "history": [{"content": "long ago"}], "examples": [{"input": "a", "output": "b"}]}
        found = (await run("ChatCompletion", messages=messages, **more)).predictions
        assert [one.content for one in found] == ["4: one", "6: two"]
        roles = [turn["role"] for turn in vertex.last.json["contents"]]
        assert roles == ["user", "user", "model", "user", "model", "user"]

        uri = await context.files.put(b"picture", "a.png")
        seen = [{"content": "What?"}, {"content": uri, "mimeType": "image/png"}]
        found = await run("MultimodalCompletion", contents=seen)
        assert (found.text, found.blocked, found.finishReason) == ("1: What?", False, "STOP")
        sent = vertex.last.json["contents"][0]["parts"][1]["inlineData"]
        assert "image/png" in sent.values()
        found = await run("MultimodalCompletion", contents=[{"content": "harm"}])
        assert (found.text, found.blocked, found.safetyRatings[0]["blocked"]) == (None, True, True)
        assert context.said("held back .SAFETY", "WARN")
        with pytest.raises(TaskFailed, match=r"There is no image/png at 'a\.png'"):
            await run("MultimodalCompletion", contents=[{"content": "a.png", "mimeType": "image/png"}])


async def test_models_at_bedrock(make_context):
    replies = [
        {"content": [{"toolUse": {"toolUseId": "u1", "name": "kv_set", "input": {"key": "a"}}}], "stop": "tool_use"},
        {"content": [{"text": "Hello."}], "stop": "end_turn"},
    ]

    def handle(request):
        if request.path.endswith("/invoke"):
            body = request.json
            found = {"embeddings": [[1.0], [2.0]]} if "texts" in body else {"embedding": [3.0]}
            return Answered(found)
        if "denied" in request.path:
            headers = {"x-amzn-ErrorType": "AccessDeniedException"}
            return Answered({"message": "You don't have access to the model"}, 403, headers)
        reply = replies[1] if "toolConfig" not in request.json or len(request.json["messages"]) > 1 else replies[0]
        usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
        message = {"role": "assistant", "content": reply["content"]}
        return Answered({"output": {"message": message}, "stopReason": reply["stop"], "usage": usage, "metrics": {}})

    with serving(handle) as bedrock:
        context = make_context()
        provider = {"type": f"{AI}.provider.AmazonBedrock", "accessKeyId": "A", "secretAccessKey": "s3cret"}
        provider |= {"region": "eu-central-1", "baseUrl": bedrock.url, "modelName": "claude"}
        configuration = {"temperature": 0.5, "topK": 4, "maxToken": 9}
        found = await context.run(**CHAT, provider=provider, configuration=configuration)
        assert (found.textOutput, found.finishReason, found.tokenUsage["totalTokenCount"]) == ("Hello.", "STOP", 5)
        assert bedrock.last.path == "/model/claude/converse"
        assert bedrock.last.json == {
            "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
            "system": [{"text": "Be brief."}],
            "inferenceConfig": {"maxTokens": 9, "temperature": 0.5},
            "additionalModelRequestFields": {"top_k": 4},
        }
        assert "/eu-central-1/bedrock/aws4_request" in bedrock.last.headers["authorization"]
        tool = {"type": f"{AI}.tool.KestraTask"}
        tool["tasks"] = [{"id": "kv_set", "type": "io.kestra.plugin.core.debug.Return", "format": "..."}]
        agent = {"type": f"{AI}.agent.AIAgent", "prompt": "Hi", "provider": provider, "tools": [tool]}
        assert (await context.run(**agent)).textOutput == "Hello."
        sent = bedrock.last.json["messages"]
        assert sent[1]["content"][0]["toolUse"]["toolUseId"] == "u1"
        assert sent[2]["content"][0]["toolResult"]["toolUseId"] == "u1"
        assert await of(provider).embed(context, ["a", "b"]) == [[1.0], [2.0]]
        assert await of(provider | {"modelType": "TITAN"}).embed(context, ["a"]) == [[3.0]]
        with pytest.raises(TaskFailed, match=r"AccessDeniedException: You don't have access"):
            await context.run(**CHAT, provider={**provider, "modelName": "denied"})
        with pytest.raises(TaskFailed, match="has no `seed`"):
            await context.run(**CHAT, provider=provider, configuration={"seed": 1})
    media = (Media("image/png", b"x"), Media("application/pdf", b"y"))
    (message,) = bedrock_messages([Turn("user", "Look", media=media)])
    assert [next(iter(block)) for block in message["content"]] == ["text", "image", "document"]


@pytest.mark.parametrize(("name", "more"), [("WorkersAI", {"apiKey": "k", "accountId": "a"}), ("DockerModel", {})])
async def test_more_services_that_speak_openai_s_language(context, openai_service, name, more):
    provider = {"type": f"{AI}.provider.{name}", "modelName": "m", "baseUrl": openai_service.url, **more}
    assert (await context.run(**CHAT, provider=provider)).textOutput == openai_service.replies[0]


@pytest.mark.parametrize("answer", [Answered({"result": {"image": "cGljdHVyZQ=="}, "success": True}), "binary"])
async def test_pictures_of_workers_ai(context, answer):
    with serving(lambda request: PICTURE if answer == "binary" else answer) as cloudflare:
        provider = {"type": f"{AI}.provider.WorkersAI", "modelName": "@cf/x/flux", "apiKey": "k", "accountId": "a"}
        provider |= {"baseUrl": f"{cloudflare.url}/ai/v1"}
        made = await context.run(type=f"{AI}.completion.ImageGeneration", prompt="A fox", provider=provider)
        assert (cloudflare.last.path, cloudflare.last.json) == ("/ai/run/@cf/x/flux", {"prompt": "A fox"})
        assert cloudflare.last.headers["authorization"] == "Bearer k"
    assert context.files.path(made.imageUrl).read_bytes() == b"picture"


async def test_workers_ai_takes_top_k(context, openai_service):
    provider = {"type": f"{AI}.provider.WorkersAI", "modelName": "m", "apiKey": "k", "accountId": "a"}
    await context.run(**CHAT, provider={**provider, "baseUrl": openai_service.url}, configuration={"topK": 3})
    assert openai_service.wire.last.json["top_k"] == 3


async def test_the_next_provider_is_asked_when_one_is_away(context, openai_service):
    away = {"type": f"{AI}.provider.Ollama", "endpoint": "http://127.0.0.1:9", "modelName": "m"}
    good = {"type": f"{AI}.provider.OpenAI", "baseUrl": openai_service.url, "apiKey": "k", "modelName": "good"}

    def busy(request):
        return Answered({"error": {"message": "overloaded"}}, 529)

    with serving(busy) as anthropic:
        full = {"type": f"{AI}.provider.Anthropic", "baseUrl": anthropic.url, "apiKey": "k", "modelName": "m"}
        given = {"type": f"{AI}.provider.Fallback", "providers": [away, full, good]}
        assert (await context.run(**CHAT, provider=given)).textOutput == "Hello."
        assert context.tags["output.token.count"] == {"model": "good"}, "the one that answered"
        assert context.said("Ollama gave no answer", "WARN")
        assert context.said("Anthropic gave no answer, the next is asked: .*529", "WARN")
        with pytest.raises(TaskFailed, match="529"):
            await context.run(**CHAT, provider={**given, "providers": [away, full]})

    def denied(request):
        return Answered({"error": {"message": "bad key"}}, 401)

    with serving(denied) as wrong:
        refused = {**good, "baseUrl": wrong.url}
        with pytest.raises(TaskFailed, match="bad key"):
            await context.run(**CHAT, provider={**given, "providers": [refused, good]})


@pytest.mark.parametrize(
    ("said", "passing"),
    [
        ("openai answered 503: busy", True),
        ("Gemini answered 429 for the model m: quota", True),
        ("Anthropic did not answer within 5 s.", True),
        ("AWS bedrock-runtime refused Converse: ThrottlingException: slow down", True),
        ("openai answered 400: bad request", False),
        ("The model called a tool with arguments that are no map", False),
    ],
)
def test_what_passes(said, passing):
    assert is_passing(TaskFailed(said)) is passing


async def remembers(context, memory, openai_service):
    """Two runs of an agent: the second is told what was said in the first."""
    provider = {"type": f"{AI}.provider.OpenAI", "baseUrl": openai_service.url, "apiKey": "k", "modelName": "m"}
    agent = {"type": f"{AI}.agent.AIAgent", "provider": provider}
    memory = {"memoryId": "ann", "ttl": "PT1H", **memory}
    await context.run(**agent, memory=memory, prompt="I am Ann")
    await context.run(**agent, memory={**memory, "drop": "AFTER_TASKRUN"}, prompt="Who am I?")
    told = [one["content"] for one in openai_service.wire.last.json["messages"]]
    assert told == ["I am Ann", "Hello.", "Who am I?"]
    await context.run(**agent, memory=memory, prompt="Still there?")
    assert len(openai_service.wire.last.json["messages"]) == 1
    await context.run(**agent, memory={**memory, "drop": "BEFORE_TASKRUN"}, prompt="And now?")
    assert len(openai_service.wire.last.json["messages"]) == 1


async def test_memory_in_redis(context, openai_service, redis_server):
    await remembers(context, {"type": f"{AI}.memory.Redis", "host": redis_server}, openai_service)


async def test_memory_in_postgresql(context, openai_service, new_postgres):
    parts = urlsplit(new_postgres)
    host = parse_qs(parts.query).get("host", [parts.hostname])[0]
    memory = {"type": f"{AI}.memory.PostgreSQL", "host": host, "database": parts.path.strip("/")}
    memory |= {"port": parts.port or 5432, "user": parts.username, "password": parts.password or "unused"}
    memory |= {"tableName": "what_was_said"}
    await remembers(context, memory, openai_service)
    with pytest.raises(TaskFailed, match="is no name of a table"):
        await remembers(context, {**memory, "tableName": "x; DROP TABLE y"}, openai_service)


async def test_langdock(make_context):
    claude = {"content": [{"type": "text", "text": "Salut."}], "stop_reason": "end_turn", "usage": {"input_tokens": 3}}
    listed = [
        {"id": "gpt", "owned_by": "openai", "created": 1700000000},
        {"id": "claude", "display_name": "Claude", "created_at": "2025-01-01T00:00:00Z"},
        {"object": "x"},
    ]

    def handle(request):
        if request.headers["authorization"] != "Bearer s3cret":
            return Answered({"error": {"message": "Invalid API key"}}, 401)
        if request.path.endswith("/models"):
            return Answered({"data": listed} if "eu" in request.path else {"models": []})
        if request.path == "/anthropic/us/v1/messages":
            return Answered(claude)
        if request.path == "/openai/eu/v1/embeddings":
            return Answered({"data": [{"index": 0, "embedding": [1.0, 2.0]}], "model": "m", "object": "list"})
        assert request.path == "/openai/eu/v1/chat/completions"
        return Answered(COMPLETION)

    with serving(handle) as langdock:
        context = make_context({"providers": {"langdock": {"base_url": langdock.url}}})
        provider = {"type": f"{AI}.provider.Langdock", "apiKey": "s3cret", "modelName": "m"}
        assert (await context.run(**CHAT, provider=provider)).textOutput == "Hello."
        other = {**provider, "modelFamily": "ANTHROPIC", "region": "US"}
        assert (await context.run(**CHAT, provider=other)).textOutput == "Salut."
        assert await of({**other, "region": "EU"}).embed(context, ["x"]) == [[1.0, 2.0]]
        ask = {"type": f"{AI}.langdock.ListModels", "apiKey": "s3cret"}
        found = await context.run(**ask)
        assert found.count == 2
        assert found.models[0] == {"id": "gpt", "createdAt": "2023-11-14T22:13:20Z", "ownedBy": "openai"}
        assert found.models[1]["displayName"] == "Claude"
        await context.run(**ask, baseUrl=f"{langdock.url}/eu/v1/")
        assert langdock.last.path == "/eu/v1/models"
        with pytest.raises(TaskFailed, match="no list of models"):
            await context.run(**ask, region="US")
        with pytest.raises(TaskFailed, match="Langdock answered 401: Invalid API key"):
            await context.run(**{**ask, "apiKey": "wrong"})


async def test_watsonx(make_context):
    call = {"id": "c1", "type": "function", "function": {"name": "activate_skill", "arguments": '{"skill_name": "a"}'}}
    replies = [
        {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]},
        {"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}},
        {"choices": [{"message": {"content": '{"a": 1}'}, "finish_reason": "stop"}]},
        {"choices": []},
        [],
    ]

    def handle(request):
        if request.path == "/identity/token":
            assert request.form["grant_type"] == "urn:ibm:params:oauth:grant-type:apikey"
            return Answered({"access_token": "t0ken"} if request.form["apikey"] == "s3cret" else None)
        assert request.headers["authorization"] == "Bearer t0ken"
        assert request.query["version"] >= "2024-10-08"
        assert (request.json["model_id"], request.json["project_id"]) == ("granite", "p")
        if request.path == "/ml/v1/text/embeddings":
            given = request.json["inputs"]
            return Answered({"results": [{"embedding": [1.0, len(text)]} for text in given]} if given else {})
        assert request.path == "/ml/v1/text/chat"
        return Answered(replies.pop(0))

    with serving(handle) as ibm:
        context = make_context({"providers": {"ibm_iam": {"base_url": ibm.url}}})
        provider = {"type": f"{AI}.provider.WatsonxAI", "apiKey": "s3cret", "projectId": "p", "modelName": "granite"}
        with pytest.raises(TaskFailed, match=r"where watsonx\.ai is"):
            await context.run(**CHAT, provider=provider)
        provider["baseUrl"] = ibm.url
        skill = {"type": f"{AI}.tool.Skill", "skills": [{"name": "a", "description": "b", "content": "Be kind."}]}
        found = await context.run(**CHAT, provider=provider, tools=[skill])
        assert (found.textOutput, found.toolExecutions[0]["result"]) == ("Hello.", "Be kind.")
        assert (ibm.last.json["temperature"], ibm.last.json["max_tokens"]) == (0.7, 512)
        assert ibm.last.json["messages"][-1] == {"role": "tool", "content": "Be kind.", "tool_call_id": "c1"}
        chosen = {"temperature": 0.0, "maxToken": 9, "responseFormat": {"type": "JSON"}}
        assert (await context.run(**CHAT, provider=provider, configuration=chosen)).jsonOutput == {"a": 1}
        assert (ibm.last.json["temperature"], ibm.last.json["max_tokens"]) == (0.0, 9)
        assert await of(provider).embed(context, ["x", "yy"]) == [[1.0, 1], [1.0, 2]]
        with pytest.raises(TaskFailed, match="gave no embeddings"):
            await of(provider).embed(context, [])
        for more, why in (
            ({}, r"gave no answer.*name another model"),
            ({}, "answered in another form"),
            ({"apiKey": "none"}, "gave no token for the key"),
        ):
            with pytest.raises(TaskFailed, match=why):
                await context.run(**CHAT, provider={**provider, **more})
    assert {"s3cret", "t0ken"} <= context.masked


@pytest.mark.parametrize("odd", [["x"], {"a": 1}, [{"message": {"tool_calls": [{"id": "c1"}]}}], [{"message": "x"}]])
async def test_what_watsonx_answers_may_be_odd(make_context, odd):
    def handle(request):
        return Answered({"access_token": "t0ken"} if request.path == "/identity/token" else {"choices": odd})

    with serving(handle) as ibm:
        context = make_context({"providers": {"ibm_iam": {"base_url": ibm.url}}})
        provider = {"type": f"{AI}.provider.WatsonxAI", "apiKey": "s3cret", "projectId": "p", "modelName": "granite"}
        with pytest.raises(TaskFailed, match="answered in another form"):
            await context.run(**CHAT, provider={**provider, "baseUrl": ibm.url})
