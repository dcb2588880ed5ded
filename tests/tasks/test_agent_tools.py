"""Tools of agents that are more than one call: MCP servers, each a real process, tasks, and other agents."""

import asyncio
import base64
import json
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from engine.errors import TaskFailed
from tests.tasks.context import TestContext, parsed
from tests.wire import mcp_server
from tests.wire.loopback import Answered, serving

AI = "io.kestra.plugin.ai"
SERVER = str(Path(mcp_server.__file__))


@pytest.fixture
def ask(context: TestContext, openai_service):
    """Runs an agent with tools; the model uses the first list of calls, then answers."""
    provider = {"type": f"{AI}.provider.OpenAI", "modelName": "m", "apiKey": "k", "baseUrl": openai_service.url}

    async def run(calls, *tools, context=context, **given):
        openai_service.replies.clear()
        openai_service.replies.extend([calls, "Done."])
        task = {"type": f"{AI}.agent.AIAgent", "provider": provider, "prompt": "Do it.", "tools": list(tools)}
        found = await context.run(**{**task, **given})
        return [execution["result"] for execution in found.toolExecutions]

    run.context, run.provider = context, provider  # type: ignore[attr-defined]
    run.functions = lambda: [tool["function"] for tool in openai_service.asked[0]["tools"]]  # type: ignore[attr-defined]
    return run


def stdio(how: str = "stdio", **more):
    return {"type": f"{AI}.tool.StdioMcpClient", "command": [sys.executable, SERVER, how], **more}


async def test_the_tools_of_a_process(ask, monkeypatch):
    monkeypatch.setenv("PARLEY_ENCRYPTION_KEY", "never shown")
    calls = [
        ("add", {"a": 2, "b": 40}),
        ("fail", {}),
        ("surroundings", {"name": "PARLEY_ENCRYPTION_KEY"}),
        ("surroundings", {"name": "CITY"}),
    ]
    added, failed, hidden, given = await ask(calls, stdio(env={"CITY": "Bern"}, logEvents=True))
    assert added == "2 + 40 = 42"
    assert failed.startswith("Error: ")
    assert "no ink" in failed
    assert hidden == f"None in {ask.context.working_dir}"
    assert given.startswith("Bern in ")
    assert ask.context.said("toolbox is up")
    add = next(function for function in ask.functions() if function["name"] == "add")
    assert (add["description"], add["parameters"]["required"]) == ("Add two numbers.", ["a", "b"])


async def test_only_the_tools_that_are_named(ask):
    assert await ask([("fail", {})], stdio(toolFilter=["add"])) == ["Error: there is no tool 'fail'; there are add."]


async def test_a_server_that_ends_in_a_call(ask):
    died, after = await ask([("die", {}), ("add", {"a": 1, "b": 1})], stdio())
    assert died.startswith("Error: The MCP server")
    assert after.startswith("Error: The MCP server")


async def test_a_server_that_does_not_start(ask):
    with pytest.raises(TaskFailed, match="could not be reached: toolbox: no license found"):
        await ask("x", stdio("broken"))
    with pytest.raises(TaskFailed, match=r"could not be reached: .*No such file"):
        await ask("x", {"type": f"{AI}.tool.StdioMcpClient", "command": ["/no/such/program"]})


async def test_a_server_that_is_silent(ask):
    silent = {"type": f"{AI}.tool.StdioMcpClient", "command": ["sleep", "60"], "timeout": "PT0.2S"}
    with pytest.raises(TaskFailed, match=r"silent for 0\.2 s"):
        await ask("x", silent)


@pytest.fixture
async def serve_tools():
    """Starts the server over HTTP; its address."""
    started: list[subprocess.Popen[bytes]] = []

    async def start(how: str) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, SERVER, how, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        started.append(process)
        assert process.stderr is not None
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, process.stderr.readline):
            if b"running on" in line:
                break
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def test_a_server_over_http(ask, serve_tools):
    url = await serve_tools("streamable-http")
    tool = {"type": f"{AI}.tool.StreamableHttpMcpClient", "url": f"{url}/mcp", "headers": {"X-Team": "ops"}}
    assert await ask([("add", {"a": 1, "b": 2})], {**tool, "logRequests": True}) == ["1 + 2 = 3"]
    assert ask.context.said('The MCP server is asked: add {"a": 1, "b": 2}')
    assert not ask.context.said("The MCP server answers")
    await ask([("add", {"a": 1, "b": 2})], {**tool, "logResponses": True})
    assert ask.context.said(r"The MCP server answers: add 1 \+ 2 = 3")
    older = {"type": f"{AI}.tool.SseMcpClient", "sseUrl": f"{url}/mcp"}
    assert await ask([("add", {"a": 1, "b": 2})], older) == ["1 + 2 = 3"]
    (failed,) = await ask([("fail", {})], tool)
    assert "no ink" in failed


async def test_a_server_of_events(ask, serve_tools):
    url = await serve_tools("sse")
    tool = {"type": "io.kestra.plugin.langchain4j.tool.HttpMcpClient", "sseUrl": f"{url}/sse"}
    assert await ask([("add", {"a": 3, "b": 4})], tool) == ["3 + 4 = 7"]
    with pytest.raises(TaskFailed, match="could not be reached"):
        await ask("x", {"type": f"{AI}.tool.StreamableHttpMcpClient", "url": f"{url}/nothing"})


async def test_tools_without_a_model(context, serve_tools):
    url = await serve_tools("streamable-http")
    server = {"url": f"{url}/mcp", "headers": {"X-Team": "ops"}}
    listed = await context.run(type=f"{AI}.mcp.ListTools", **server)
    assert (listed.count, [tool["name"] for tool in listed.tools]) == (4, ["add", "surroundings", "fail", "die"])
    assert listed.tools[0]["description"] == "Add two numbers."
    assert listed.tools[0]["parameters"]["required"] == ["a", "b"]
    call = {"type": f"{AI}.mcp.CallTool", **server, "logRequests": True, "logResponses": True}
    done = await context.run(**call, tool="add", arguments={"a": "{{ 2 + 3 }}", "b": 12})
    assert (done.result, done.structuredContent) == ("5 + 12 = 17", {"result": "5 + 12 = 17"})
    assert (done.isError, done.errorMessage, context.metrics["mcp.tool.calls"]) == (False, None, 1)
    assert context.said('was asked: add {"a": "5", "b": 12}')
    assert context.said(r'answered: "5 \+ 12 = 17"')
    with pytest.raises(TaskFailed, match=r"The tool fail failed: .*no ink"):
        await context.run(**call, tool="fail")
    failed = await context.run(**call, tool="fail", failOnToolError=False)
    assert (failed.isError, failed.errorMessage) == (True, failed.result)
    assert "no ink" in failed.errorMessage
    assert context.said("The tool fail failed", "WARN")
    for given in ({"tool": "nothing"}, {"tool": "add", "arguments": {"a": 1}}):
        with pytest.raises(TaskFailed):
            await context.run(**call, **given)
        assert (await context.run(**call, **given, failOnToolError=False)).isError
    with pytest.raises(TaskFailed):
        await context.run(**call, tool="die", failOnToolError=False)
    older = {**server, "url": f"{await serve_tools('sse')}/sse", "transport": "SSE"}
    assert (await context.run(type=f"{AI}.mcp.ListTools", **older)).count == 4


async def test_flows_may_not_reach_metadata_services(ask):
    tool = {"type": f"{AI}.tool.StreamableHttpMcpClient", "url": "http://169.254.169.254/mcp"}
    with pytest.raises(TaskFailed, match="link-local"):
        await ask("x", tool)


async def test_a_task_is_run_with_what_the_model_gives(ask):
    with serving(lambda request: Answered({"id": 7}, 201)) as service:
        request = {
            "id": "ticket",
            "type": "io.kestra.plugin.core.http.Request",
            "description": "Opens a ticket.",
            "uri": f"{service.url}/tickets/{{{{ flow.id }}}}",
            "method": "POST",
            "body": "...",
            "headers": "...",
        }
        given = {"body": "{{ secret('KEY') }}", "headers": {"X-Team": "{{ flow.id }}"}}
        calls = [("kestra_task_ticket", given), ("kestra_task_ticket", {"body": "x"})]
        tool = {"type": f"{AI}.tool.KestraTask", "tasks": [request]}
        done, missing = await ask(calls, tool)
    assert json.loads(done)["code"] == 201
    assert missing == "Error: `headers` must be given."
    assert service.last.path == "/tickets/a_flow"  # the flow's own template
    assert service.last.body == b"{{ secret('KEY') }}"  # the model's are text
    assert service.last.headers["X-Team"] == "{{ flow.id }}"
    (function,) = ask.functions()
    assert function["name"] == "kestra_task_ticket"
    assert function["description"].startswith("Opens a ticket.")
    assert function["parameters"]["required"] == ["body", "headers"]
    assert function["parameters"]["properties"]["body"] == {"type": "string"}


async def test_what_is_required_is_asked_for_and_no_output_is_success(ask):
    log = {"id": "say", "type": "io.kestra.plugin.core.log.Log", "message": "..."}
    sleep = {"id": "rest", "type": "io.kestra.plugin.core.http.Request"}
    tool = {"type": f"{AI}.tool.KestraTask", "tasks": [log, sleep]}
    calls = [("kestra_task_say", {"message": "Hello!"}), ("kestra_task_rest", {"uri": ["no", "text"]})]
    said, refused = await ask(calls, tool)
    assert said == "Success"
    assert ask.context.said("^Hello!$")
    assert refused.startswith("Error: `uri`")
    assert [function["parameters"]["required"] for function in ask.functions()] == [["message"], ["uri"]]


async def test_a_search_engine_of_one_s_own(make_context, ask):
    item = {"title": "G", "link": "https://g.test", "snippet": "Foxes are quick."}
    with serving(lambda request: Answered({"items": [item]})) as google:
        context = make_context({"providers": {"google_search": {"base_url": google.url}}})
        tool = {"type": f"{AI}.tool.GoogleCustomWebSearch", "apiKey": "g", "csi": "e", "maxResults": 2}
        (result,) = await ask([("google_search", {"query": "foxes"})], tool, context=context)
        assert google.last.query == {"key": "g", "cx": "e", "q": "foxes", "num": "2"}
    assert json.loads(result) == [{"title": "G", "url": "https://g.test", "content": "Foxes are quick."}]


async def test_another_agent_is_a_tool(ask, openai_service):
    other = {
        "type": f"{AI}.tool.AIAgent",
        "name": "translator",
        "description": "Translates.",
        "systemMessage": "Into French, {{ flow.id }}.",
        "provider": ask.provider,
    }
    openai_service.replies.clear()
    openai_service.replies.extend([[("kestra_agent_translator", {"prompt": "{{ dog }}"})], "chien", "It is a chien."])
    task = {"type": f"{AI}.agent.AIAgent", "provider": ask.provider, "prompt": "Dog in French?", "tools": [other]}
    found = await ask.context.run(**task)
    assert (found.toolExecutions[0]["result"], found.textOutput) == ("chien", "It is a chien.")
    asked = openai_service.asked[1]["messages"]
    assert [message["content"] for message in asked] == ["Into French, a_flow.", "{{ dog }}"]


async def test_tasks_that_no_model_may_run(ask):
    pause = {"id": "wait", "type": "io.kestra.plugin.core.flow.Pause"}
    with pytest.raises(TaskFailed, match="not a task that does work"):
        await ask("x", {"type": f"{AI}.tool.KestraTask", "tasks": [pause]})
    late = {"id": "late", "type": "io.kestra.plugin.core.templating.TemplatedTask", "spec": "..."}
    with pytest.raises(TaskFailed, match="`spec` of `late` can't be left to the agent"):
        await ask("x", {"type": f"{AI}.tool.KestraTask", "tasks": [late]})
    with pytest.raises(ValueError, match="nothing_known"):
        parsed(
            type=f"{AI}.agent.AIAgent",
            provider=ask.provider,
            prompt="x",
            tools=[{"type": f"{AI}.tool.KestraTask", "tasks": [{"id": "x", "type": "nothing_known"}]}],
        )


async def test_an_agent_elsewhere_is_a_tool(ask):
    """It is asked by A2A: at once, after a while, and when it gives up."""
    heard = []

    def handle(request):
        if request.path == "/translator/.well-known/agent.json":
            return Answered({"name": "Translator", "url": f"{service.url}/a2a"})
        if request.path != "/a2a":
            return Answered({"message": "nothing here"}, 404)
        heard.append(request.json)
        asked, told = request.json, {"kind": "text", "text": "Bonjour"}
        word = asked["params"].get("message", {}).get("parts", [{}])[0].get("text")
        if word == "hello":
            result = {"kind": "message", "role": "agent", "messageId": "m", "parts": [told]}
        elif word == "slow":
            result = {"kind": "task", "id": "t1", "contextId": "c", "status": {"state": "working"}}
        elif word == "bad":
            status = {"state": "failed", "message": {"parts": [{"kind": "text", "text": "no dictionary"}]}}
            result = {"kind": "task", "id": "t2", "contextId": "c", "status": status}
        elif word == "odd":
            result = {"kind": "task", "status": "done", "artifacts": ["x", {"parts": "y"}, {"parts": ["z", told]}]}
        elif word == "odder":
            result = {"kind": "task", "status": {"state": "working"}}
        elif asked["method"] == "tasks/get" and asked["params"]["id"]:
            parts = [told, {"kind": "data", "data": {"n": 1}}]
            result = {"kind": "task", "id": "t1", "status": {"state": "completed"}, "artifacts": [{"parts": parts}]}
        else:
            return Answered({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32602, "message": "no prompt"}})
        return Answered({"jsonrpc": "2.0", "id": asked["id"], "result": result})

    with serving(handle) as service:
        about = {"name": "translator", "description": "Translates into French."}
        tool = {"type": f"{AI}.tool.A2AAgent", **about, "serverUrl": f"{service.url}/translator"}
        name = "kestra_a2a_agent_translator"
        calls = [(name, {"prompt": word}) for word in ("hello", "slow", "bad", "what")]
        said, later, failed, refused = await ask(calls, tool)
        assert (said, later) == ("Bonjour", 'Bonjour\n{"n": 1}')
        assert "gave up (failed). no dictionary" in failed
        assert "refused message/send: no prompt" in refused
        assert [one["method"] for one in heard] == ["message/send", "message/send", "tasks/get", *["message/send"] * 2]
        function = ask.functions()[0]
        assert (function["name"], function["description"]) == (name, "Translates into French.")
        (missing,) = await ask([(name, {"prompt": "x"})], {**tool, "serverUrl": f"{service.url}/nobody"})
        assert "There is no card of an agent" in missing
        task = {"type": f"{AI}.agent.A2AClient", "serverUrl": f"{service.url}/translator"}
        assert (await ask.context.run(**task, prompt="hello")).textOutput == "Bonjour"
        for word, why in (
            ("bad", r"gave up \(failed\). no dictionary"),
            ("odd", r"gave up \(\). Bonjour"),
            ("odder", "refused tasks/get"),
        ):
            with pytest.raises(TaskFailed, match=why):
                await ask.context.run(**task, prompt=word)


async def test_instructions_are_read_when_they_are_needed(ask):
    uri = await ask.context.files.put("Drain first. ü".encode(), "restart.md")
    skills = [
        {"name": "restart", "description": "How services restart.", "contentUri": uri},
        {
            "name": "mail",
            "description": "How we write.",
            "content": "Be brief.",
            "resources": [{"relativePath": "signature.txt", "content": "Ann"}],
        },
    ]
    tool = {"type": f"{AI}.tool.Skill", "skills": skills}
    text = {"skill_name": "mail", "relative_path": "signature.txt"}
    calls = [("activate_skill", {"skill_name": name}) for name in ("restart", "mail", "sing")]
    calls += [("read_skill_resource", text), ("read_skill_resource", {**text, "skill_name": "restart"})]
    restart, mail, unknown, signature, missing = await ask(calls, tool)
    assert restart == "Drain first. ü"
    assert mail == "Be brief.\n\nTexts that belong to it: signature.txt"
    assert unknown == "Error: There is no skill 'sing'; there are restart, mail."
    assert (signature, missing) == ("Ann", "Error: The skill restart has no text 'signature.txt'; it has none.")
    activate, read = ask.functions()
    assert "restart: How services restart.; mail: How we write." in activate["description"]
    assert "Drain first" not in json.dumps(activate)
    assert read["parameters"]["properties"]["relative_path"]["enum"] == ["signature.txt"]
    with pytest.raises(TaskFailed, match="either `content` or `contentUri`"):
        await ask("x", {**tool, "skills": [{**skills[0], "content": "both"}]})
    with pytest.raises(TaskFailed, match="Two skills have the same name"):
        await ask("x", {**tool, "skills": [skills[1], skills[1]]})


async def test_an_agent_elsewhere_stops_with_the_task(ask):
    loop, heard = asyncio.get_running_loop(), []

    def handle(request):
        if request.method == "GET":
            return Answered({"name": "Translator", "url": f"{service.url}/a2a"})
        heard.append((request.json["method"], request.json["params"].get("id")))
        if request.json["method"] == "tasks/get":
            loop.call_soon_threadsafe(running.cancel)
        work = {"kind": "task", "id": "t1", "contextId": "c", "status": {"state": "working"}}
        return Answered({"jsonrpc": "2.0", "id": request.json["id"], "result": work})

    with serving(handle) as service:
        about = {"name": "translator", "description": "Translates into French."}
        tool = {"type": f"{AI}.tool.A2AAgent", **about, "serverUrl": service.url}
        running = asyncio.ensure_future(ask([("kestra_a2a_agent_translator", {"prompt": "slow"})], tool))
        with pytest.raises(asyncio.CancelledError):
            await running
    assert heard == [("message/send", None), ("tasks/get", "t1"), ("tasks/cancel", "t1")]


async def test_code_runs_elsewhere(make_context, ask):
    def judged(request):
        assert (request.path, request.headers["x-rapidapi-key"]) == ("/submissions", "s3cret")
        assert request.query == {"base64_encoded": "true", "wait": "true", "fields": "*"}
        code = base64.b64decode(request.json["source_code"]).decode()
        assert request.json["language_id"] == 102
        if "nothing" in code:
            return Answered(None, 204)
        if "boom" in code:
            said = base64.b64encode(b"ReferenceError: boom is not defined\n").decode()
            return Answered({"status": {"id": 11, "description": "Runtime Error (NZEC)"}, "stderr": said})
        printed = base64.b64encode("42 €\n".encode()).decode() if "log" in code else None
        return Answered({"status": {"id": 3, "description": "Accepted"}, "stdout": printed})

    with serving(judged) as judge:
        context = make_context({"providers": {"judge0": {"base_url": judge.url}}})
        tool = {"type": f"{AI}.tool.CodeExecution", "apiKey": "s3cret"}
        codes = [{"javaScriptCode": code} for code in ("console.log(6 * 7 + ' €')", "6 * 7", "boom", "nothing")]
        calls = [("executeJavaScriptCode", given) for given in (*codes, {})]
        done, silent, failed, mute, empty = await ask(calls, tool, context=context)
    assert (done, failed) == ("42 €", "Error: Runtime Error (NZEC). ReferenceError: boom is not defined")
    assert "print the result" in silent
    assert mute == "Error: The code did not run."
    assert empty == "Error: `javaScriptCode` must be given."
    assert "s3cret" in context.masked


async def test_an_agent_elsewhere_that_takes_too_long_is_told_to_stop(ask, monkeypatch):
    monkeypatch.setattr("engine.tasks.ai.a2a_tool.LONGEST", timedelta(seconds=-1))
    heard = []

    def handle(request):
        if request.method == "GET":
            return Answered({"url": "/a2a"})
        heard.append((request.json["method"], request.json["params"].get("id")))
        return Answered({"result": {"kind": "task", "id": "t1", "status": {"state": "working"}}})

    with serving(handle) as service:
        task = {"type": f"{AI}.agent.A2AClient", "serverUrl": service.url, "prompt": "hello"}
        with pytest.raises(TaskFailed, match="did not answer within"):
            await ask.context.run(**task)
    assert heard == [("message/send", None), ("tasks/cancel", "t1")]
