"""Mistral's models and workflows, as its API answers."""

import asyncio
import json

import pytest

from engine.errors import TaskFailed
from engine.plugin import Look
from engine.tasks import catalogue, mistral
from tests.wire.loopback import Answered, serving

MISTRAL = "io.kestra.plugin.mistral"


async def test_a_model_answers(context):
    content = ["Paris"]

    def service(request):
        if request.headers["authorization"] != "Bearer k":
            return Answered({"message": "Unauthorized"}, 401)
        return Answered({"choices": [{"message": {"content": content[0]}}]})

    with serving(service) as wire:
        ask = {"type": f"{MISTRAL}.ChatCompletion", "apiKey": "k", "baseUrl": f"{wire.url}/v1", "modelName": "m"}
        turns = [{"type": "SYSTEM", "content": "Brief."}, {"type": "USER", "content": "Capital?"}]
        found = await context.run(**ask, messages=turns, jsonResponseSchema='{"type": "object"}')
        assert (found.response, json.loads(found.raw)["choices"][0]["message"]["content"]) == ("Paris", "Paris")
        assert (wire.last.path, wire.last.json) == (
            "/v1/chat/completions",
            {
                "model": "m",
                "messages": [{"role": "system", "content": "Brief."}, {"role": "user", "content": "Capital?"}],
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"type": "object"}, "name": "kestra_schema", "strict": True},
                },
            },
        )
        content[0] = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Rome"}]
        assert (await context.run(**ask, messages=turns)).response == "Rome"
        with pytest.raises(TaskFailed, match="Mistral answered 401: Unauthorized"):
            await context.run(**{**ask, "apiKey": "hush"}, messages=turns)
        assert {"k", "hush"} <= context.masked


async def test_a_workflow_runs_to_its_end(context):
    states = {
        "x1": [None, "RUNNING", "RETRYING_AFTER_ERROR", "COMPLETED"],
        "x2": ["FAILED"],
        "slow": ["RUNNING"] * 1000,
    }
    asked = []

    def service(request):
        if request.method == "POST":
            asked.append((request.path, request.json))
            return Answered({"execution_id": request.json.get("execution_id")})
        if (name := request.path.rpartition("/")[2]) == "odd":
            return Answered({"result": {"a": 1}})
        times = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:00:01.500Z"}
        return Answered({"status": states[name].pop(0), "result": {"a": 1}, "error": "too bad", **times})

    with serving(service) as wire:
        run = {"type": f"{MISTRAL}.RunWorkflow", "apiKey": "k", "baseUrl": wire.url, "pollInterval": "PT0.01S"}
        run |= {"workflowIdentifier": "sum up"}
        done = await context.run(**run, executionId="x1", deploymentName="d", input={"text": "t"})
        assert done.model_dump() == {
            "executionId": "x1",
            "status": "COMPLETED",
            "result": '{"a": 1}',
            "startTime": "2026-01-01T00:00:00Z",
            "endTime": "2026-01-01T00:00:01.500Z",
            "totalDurationMs": 1500,
        }
        body = {"input": {"text": "t"}, "wait_for_result": False, "deployment_name": "d", "execution_id": "x1"}
        assert asked == [("/workflows/sum up/execute", body)]
        with pytest.raises(TaskFailed, match="x2 ended as FAILED: too bad"):
            await context.run(**run, executionId="x2")
        with pytest.raises(TaskFailed, match=r"does not say how the execution odd stands\..*Check `baseUrl`"):
            await context.run(**run, executionId="odd")
        assert (await context.run(**run, executionId="slow", wait=False)).status == "RUNNING"
        with pytest.raises(TaskFailed, match="slow did not end within"):
            await context.run(**run, executionId="slow", waitTimeout="PT0.05S")
        killed = asyncio.ensure_future(context.run(**run, executionId="slow"))
        while len(states["slow"]) > 900:
            await asyncio.sleep(0.005)
        killed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killed
        with pytest.raises(TaskFailed, match="without an execution"):
            await context.run(**run)


async def test_events_start_executions_one_a_look(context, monkeypatch):
    events, pages = [], {}

    def event(number, kind="WorkflowExecutionCompleted", name="w"):
        about = {"event_type": kind, "workflow_name": name, "timestamp": number}
        return {"workflow_execution_id": f"e{number}", **about}

    def service(request):
        assert request.path == "/workflows/events/list"
        cursor = request.query.get("cursor")
        return Answered({"events": events if cursor is None else pages[cursor][0], "next_cursor": pages[cursor][1]})

    with serving(service) as wire:
        declared = {"id": "t", "type": f"{MISTRAL}.WorkflowEvents", "apiKey": "k", "baseUrl": wire.url}
        declared |= {"workflowName": "w"}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})

        async def look():
            seen = await trigger.poll(context)
            assert isinstance(seen, Look)
            context.memory = json.loads(json.dumps(seen.memory))
            return seen.found and seen.found.workflowExecId

        events.append(event(0))
        pages[None] = (events, None)
        assert [await look(), await look()] == [None, None]  # those of before, also where there is no cursor yet
        events.append(event(1))
        assert [await look(), await look()] == ["e1", None]
        pages[None] = (events, "c1")
        page = [event(2), event(3, name="other"), event(4, "WorkflowExecutionStarted"), event(5)]
        pages["c1"] = (page, "c2")
        pages["c2"] = ([event(6)], "c2")
        assert [await look() for _ in range(7)] == [None, "e2", "e5", None, "e6", None, None]
        context.memory = {}
        assert [await look() for _ in range(3)] == [None] * 3  # those of before, on whatever page
        monkeypatch.setattr(mistral, "PAGES", 1)
        context.memory = {}
        assert await look() is None
        assert context.memory == {"cursor": "c1"}  # the next look goes on there
        assert [await look() for _ in range(3)] == [None] * 3
        assert context.memory == {"cursor": "c2", "done": 1}
        context.memory = {"cursor": "c1", "done": 0}
        found = (await trigger.poll(context)).found
        assert (found.eventType, found.workflowName, found.eventTimestamp) == ("WorkflowExecutionCompleted", "w", 2)
        assert json.loads(found.attributes) == event(2)
