"""Agents: tools, limits and memory over every kind of provider, and flows that an agent starts in a real engine."""

import json

import pytest
import yaml

from engine.core.state import State
from engine.errors import TaskFailed
from engine.runtime import Engine
from engine.settings import Settings
from tests.tasks.context import TestContext
from tests.wire.loopback import Answered, serving

AI = "io.kestra.plugin.ai"
FOUND = {"results": [{"title": "T", "url": "https://x.test", "content": "Foxes are red.", "score": 1}]}


class Models:
    """The services by their providers, and one way to set what they answer."""

    def __init__(self, openai, gemini, ollama, anthropic) -> None:
        self.services = {"OpenAI": openai, "GoogleGemini": gemini, "Anthropic": anthropic, "Ollama": ollama}
        given = {
            "OpenAI": {"apiKey": "k", "baseUrl": openai.url},
            "GoogleGemini": {"apiKey": "k"},
            "Anthropic": {"apiKey": "k", "baseUrl": anthropic.url},
            "Ollama": {"endpoint": ollama.url},
        }
        self.providers = {
            name: {"type": f"{AI}.provider.{name}", "modelName": "m", **more} for name, more in given.items()
        }

    def answer(self, name: str, *replies) -> None:
        service = self.services[name]
        if name == "Ollama":
            rest = list(replies)
            service.speak = lambda prompt: rest.pop(0) if len(rest) > 1 else rest[0]
            return
        service.replies.clear()
        service.replies.extend(replies)

    def last(self, name: str) -> str:
        """The last request, as text."""
        return self.services[name].wire.last.body.decode()


@pytest.fixture
def models(openai_service, gemini_service, ollama_service, anthropic_service):
    return Models(openai_service, gemini_service, ollama_service, anthropic_service)


@pytest.fixture
def ask(make_context, models, gemini_service):
    """Runs an agent that may search the web; `ask.context` is its context."""
    with serving(lambda request: Answered(FOUND)) as tavily:
        providers = {"gemini": {"base_url": gemini_service.url}, "tavily": {"base_url": tavily.url}}
        context: TestContext = make_context({"providers": providers})

        async def run(provider: str, prompt: str = "What colour are foxes?", **given):
            search = {"type": f"{AI}.tool.TavilyWebSearch", "apiKey": "t0ken"}
            task = {"type": f"{AI}.agent.AIAgent", "provider": models.providers[provider], "tools": [search]}
            return await context.run(**{**task, "prompt": prompt, **given})

        run.context, run.tavily = context, tavily  # type: ignore[attr-defined]
        yield run


@pytest.mark.parametrize("provider", ["OpenAI", "GoogleGemini", "Anthropic", "Ollama"])
async def test_a_tool_is_used_before_the_answer(ask, models, provider):
    models.answer(provider, [("web_search", {"query": "foxes"})], "Red.")
    found = await ask(provider, systemMessage="Be brief.")
    assert (found.textOutput, found.finishReason) == ("Red.", "STOP")
    assert ask.tavily.last.json == {"query": "foxes", "max_results": 5}
    (execution,) = found.toolExecutions
    assert (execution["requestName"], execution["requestArguments"]) == ("web_search", {"query": "foxes"})
    assert json.loads(execution["result"])[0]["content"] == "Foxes are red."
    assert found.intermediateResponses[0]["toolExecutionRequests"][0]["requestName"] == "web_search"
    assert found.tokenUsage["totalTokenCount"] == ask.context.metrics["total.token.count"] > 0
    assert "Foxes are red." in models.last(provider)
    assert ask.context.metrics["ai.agent.tool.calls"] == 1
    assert "t0ken" in ask.context.masked
    if provider == "GoogleGemini":
        assert "c2lnbmVk" in models.last(provider)  # what the model signed goes back to it


@pytest.mark.parametrize("provider", ["OpenAI", "Anthropic"])
async def test_several_calls_at_once_and_a_tool_that_is_not_there(ask, models, provider):
    models.answer(provider, [("web_search", {"query": "a"}), ("delete_all", {})], "Done.")
    found = await ask(provider)
    assert found.toolExecutions[1]["result"] == "Error: there is no tool 'delete_all'; there are web_search."
    assert found.textOutput == "Done."


async def test_a_failing_tool_is_told_to_the_model(ask, models):
    models.answer("OpenAI", [("web_search", {})], "I cannot search.")
    ask.tavily.handler = lambda request: Answered("out of credits", 432)
    found = await ask("OpenAI")
    assert found.toolExecutions[0]["result"] == "Error: Tavily answered 432: out of credits"


async def test_a_run_keeps_to_its_tokens(ask, models):
    calls = [("web_search", {"query": "foxes"})]
    models.answer("OpenAI", calls, "Red.")
    whole = (await ask("OpenAI")).tokenUsage["totalTokenCount"]
    for budget in (1, whole - 1):
        models.answer("OpenAI", calls, "Red.")
        with pytest.raises(TaskFailed, match=f"`maxCumulativeTokens` is {budget}"):
            await ask("OpenAI", configuration={"maxCumulativeTokens": budget})
    models.answer("OpenAI", calls, "Red.")
    found = await ask("OpenAI", configuration={"maxCumulativeTokens": whole})
    assert (found.textOutput, found.tokenUsage["totalTokenCount"]) == ("Red.", whole)


async def test_what_watches_is_told_not_to_be_there(ask, models):
    models.answer("OpenAI", "Red.")
    watched = {"type": f"{AI}.observability.LangfuseObservability", "publicKey": "p"}
    assert (await ask("OpenAI", observability=watched)).textOutput == "Red."
    assert ask.context.said("Nothing is sent to `observability`", "WARN")


async def test_there_is_a_limit(ask, models):
    models.answer("OpenAI", [("web_search", {"query": "again"})])
    with pytest.raises(TaskFailed, match="more than 20 times") as caught:
        await ask("OpenAI")
    assert len((caught.value.outputs or {})["toolExecutions"]) == 20
    with pytest.raises(TaskFailed, match="more than 2 times"):
        await ask("OpenAI", maxSequentialToolsInvocations=2)


async def test_arguments_that_are_no_map(ask, models):
    models.answer("OpenAI", [("web_search", ["no", "map"])])
    with pytest.raises(TaskFailed, match="arguments that are no map"):
        await ask("OpenAI")


async def test_an_answer_in_json(ask, models):
    models.answer("Anthropic", '{"colour": "red"}')
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
    found = await ask("Anthropic", configuration={"responseFormat": {"type": "JSON", "jsonSchema": schema}})
    assert (found.jsonOutput, found.textOutput) == ({"colour": "red"}, None)
    assert "colour" in models.services["Anthropic"].asked[-1]["system"]


async def test_a_conversation_is_remembered(ask, models, openai_service):
    memory = {"type": f"{AI}.memory.KestraKVStore", "memoryId": "ann/1", "messages": 3, "ttl": "P1D"}
    models.answer("OpenAI", "Hello Ann.", "You are Ann.", "Bye.")
    await ask("OpenAI", "I am Ann.", memory=memory)
    await ask("OpenAI", "Who am I?", memory=memory)
    said = [message["content"] for message in openai_service.asked[-1]["messages"]]
    assert said == ["I am Ann.", "Hello Ann.", "Who am I?"]
    kept = ask.context.kv.stored["company.ai", "ai-memory-ann_1"]
    assert [message["text"] for message in kept] == ["Who am I?", "You are Ann."]  # begins with the user
    assert ask.context.kv.ttls["company.ai", "ai-memory-ann_1"] == 86400
    await ask("OpenAI", "Forget me.", memory={**memory, "drop": "AFTER_TASKRUN"})
    assert ("company.ai", "ai-memory-ann_1") not in ask.context.kv.stored


async def test_what_is_no_tool(ask, models):
    with pytest.raises(TaskFailed, match="is not a tool"):
        await ask("OpenAI", tools=[models.providers["OpenAI"]])
    with pytest.raises(TaskFailed, match="is not a memory"):
        await ask("OpenAI", memory=models.providers["OpenAI"])
    with pytest.raises(TaskFailed, match="Two tools are called"):
        await ask("OpenAI", tools=[{"type": f"{AI}.tool.TavilyWebSearch", "apiKey": "a"}] * 2)


RESTART = """
id: restart
namespace: company.ops
description: Restarts a service.
inputs:
  - {id: service, type: SELECT, values: [web, db]}
  - {id: hard, type: BOOLEAN, defaults: false}
  - {id: config, type: FILE, required: false}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ inputs.service }}"}
"""


@pytest.fixture
async def engine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opened = await Engine.open(Settings(data=tmp_path / "data", flows=()))
    await opened.start(watch=False, schedules=False)
    await opened.deploy(RESTART)
    yield opened
    await opened.stop(grace=0)


@pytest.fixture
def agent(engine, models):
    """Runs an agent with one KestraFlow tool in the engine; its outputs, and the executions it started."""

    async def run(**tool):
        declared = {"type": f"{AI}.tool.KestraFlow", **tool}
        task = {"id": "agent", "type": f"{AI}.agent.AIAgent", "prompt": "Do it", "tools": [declared]}
        task["provider"] = models.providers["OpenAI"]
        await engine.deploy(yaml.safe_dump({"id": "helper", "namespace": "company.ops", "tasks": [task]}))
        made = await engine.create("company.ops", "helper", {}, started_by="local:ann")
        ended = await engine.wait(made.id, timeout=30)
        assert ended.state is State.SUCCESS, [line.message for line in await engine.logs(made.id)]
        outputs = next(iter(ended.task_runs.values())).outputs
        return outputs, await engine.executions(flow_id="restart")

    return run


async def test_an_agent_starts_a_flow(agent, engine, models, openai_service):
    arguments = {"inputs": {"service": "db"}, "labels": {"why": "slow", "system.correlationId": "mine"}}
    models.answer("OpenAI", [("kestra_flow_company_ops_restart", arguments)], "Started.")
    outputs, (started,) = await agent(namespace="company.ops", flowId="restart", inputs={"hard": True})
    function = openai_service.asked[0]["tools"][0]["function"]
    assert function["description"] == "Restarts a service."
    wanted = function["parameters"]["properties"]["inputs"]
    assert wanted["properties"]["service"] == {"type": "string", "enum": ["web", "db"]}
    assert wanted["required"] == ["service"]
    told = json.loads(outputs["toolExecutions"][0]["result"])
    assert told == {"id": started.id, "namespace": "company.ops", "flowId": "restart", "state": "CREATED"}
    ended = await engine.wait(started.id, timeout=30)
    assert (ended.state, ended.inputs["service"], ended.inputs["hard"]) == (State.SUCCESS, "db", True)
    assert ended.started_by == "flow:company.ops.helper"
    labels = dict(ended.labels)
    assert labels["why"] == "slow"
    assert labels["system.correlationId"] != "mine"


async def test_an_agent_chooses_a_flow_of_the_namespace_only(agent, engine, models, openai_service):
    await engine.deploy(RESTART.replace("company.ops", "company.secret").replace("id: restart", "id: hidden"))
    calls = [
        ("kestra_flow", {"flowId": "hidden"}),
        ("kestra_flow", {"flowId": "helper"}),  # itself
        ("kestra_flow", {"flowId": "restart", "inputs": {"service": "mail"}}),  # not a choice
        ("kestra_flow", {"flowId": "restart", "inputs": {"service": "web", "config": "/etc/passwd"}}),
        ("kestra_flow", {"flowId": "restart", "inputs": {"service": "web"}, "scheduleDate": "tomorrow"}),
        ("kestra_flow", {"flowId": "restart", "inputs": {"service": "web"}}),
    ]
    models.answer("OpenAI", calls, "Done.")
    outputs, started = await agent()
    results = [execution["result"] for execution in outputs["toolExecutions"]]
    assert [result.startswith("Error: ") for result in results] == [True, True, True, True, True, False]
    assert len(started) == 1
    assert openai_service.asked[0]["tools"][0]["function"]["parameters"]["properties"]["flowId"]["enum"] == ["restart"]
