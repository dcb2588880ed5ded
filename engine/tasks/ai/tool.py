"""`io.kestra.plugin.ai.tool`: what an agent may do."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Literal, cast

from pydantic import Field

from engine.core.task import AnyTyped
from engine.plugin import DeployedFlow, Outputs, Property, RunContext, RunnableTask, TaskFailed, Typed
from engine.tasks import catalogue
from engine.tasks.ai import mcp_session
from engine.tasks.ai.conversation import Call, Configuration, Described, Offer, correlation_of
from engine.tasks.ai.retriever import AnyRetriever, google, tavily
from engine.tasks.ai.task_tool import AskedTask, offer, one_call
from engine.tasks.core.namespace import Namespace
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList, pairs

TYPES = {"INT": "integer", "FLOAT": "number", "BOOL": "boolean", "BOOLEAN": "boolean", "JSON": "object"}
LISTS = frozenset({"ARRAY", "MULTISELECT", "TABLE"})
MAX_NAME = 64  # of a tool, at every service


class Tool(Typed, ABC):
    """Something a model may ask to be done."""

    noun = "a tool of an agent"
    stands_in = "`tools`"

    @abstractmethod
    async def offers(self, context: RunContext, held: AsyncExitStack) -> Sequence[Offer]:
        """What the model may use while `held` is open; TaskFailed when it is declared wrongly or out of reach."""


class SingleTool(Tool):
    """A tool that stands for itself alone."""

    async def offers(self, context: RunContext, held: AsyncExitStack) -> Sequence[Offer]:
        return [Offer(await self.describe(context), partial(self.use, context))]

    @abstractmethod
    async def describe(self, context: RunContext) -> Described:
        """The tool as the model sees it; TaskFailed when it is declared wrongly."""

    @abstractmethod
    async def use(self, context: RunContext, call: Call, number: int) -> str:
        """What the model is told about one call, the `number`th of the run; EngineError goes to the model as well."""


class KestraFlow(SingleTool):
    """Start a flow: the one that is named, or one the model chooses in a namespace (the own one unless named)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.KestraFlow
namespace: company.ops
flowId: restart_service
description: Restarts a service that does not answer.
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.KestraFlow"]
    namespace: Property[Namespace | None] = None
    flow_id: Property[OptionalText] = None
    description: Property[OptionalText] = None
    inputs: Property[JsonMap | None] = None
    labels: Property[Any] = None
    inherit_labels: Property[bool] = False
    schedule_date: Property[datetime | None] = None
    revision: Any = None
    kestra_url: Any = None
    auth: Any = None
    tenant_id: Any = None

    async def describe(self, context: RunContext) -> Described:
        flows = await self._flows(context)
        if self.flow_id is None:
            listed = "; ".join(f"{flow.id}: {flow.description}" if flow.description else flow.id for flow in flows)
            return Described(
                "kestra_flow",
                f"Starts a flow of the namespace {self._namespace(context)} and tells its execution. Flows: {listed}.",
                _object({"flowId": {"type": "string", "enum": [flow.id for flow in flows]}, **OPTIONS}, ["flowId"]),
            )
        flow = self._named(flows, self.flow_id)
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", f"kestra_flow_{flow.namespace}_{flow.id}")[:MAX_NAME]
        about = self.description or flow.description or "Starts this flow and tells its execution."
        return Described(name, about, _object({**OPTIONS, "inputs": input_schema(flow)}, []))

    async def use(self, context: RunContext, call: Call, number: int) -> str:
        flows = await self._flows(context)
        given = dict(call.arguments)
        flow = self._named(flows, self.flow_id or str(given.get("flowId", "")))
        inputs = {**(self.inputs or {}), **_map(given.get("inputs"), "inputs")}
        labels = {**self._inherited(context), **pairs(self.labels), **pairs(_map(given.get("labels"), "labels"))}
        labels = {name: value for name, value in labels.items() if not name.startswith("system.")}
        if correlation := correlation_of(context.variables):
            labels["system.correlationId"] = correlation
        if context.executions is None:
            raise TaskFailed("This run cannot start flows.", fix="Run the flow with `parley up`.")
        asked = json.dumps([flow.namespace, flow.id, inputs], sort_keys=True, default=str)
        mark = hashlib.sha256(asked.encode()).hexdigest()[:16]
        execution = await context.executions.start(
            flow.namespace,
            flow.id,
            inputs,
            by=f"flow:{context.namespace}.{context.flow_id}",
            labels=tuple(labels.items()),
            schedule_date=self._date(given.get("scheduleDate")),
            dedupe=f"agent:{context.task_run_id}:{context.attempt}:{number}:{mark}",
        )
        context.log(f"The agent started {flow.namespace}.{flow.id}: execution {execution}.")
        return json.dumps({"id": execution, "namespace": flow.namespace, "flowId": flow.id, "state": "CREATED"})

    def _namespace(self, context: RunContext) -> str:
        return self.namespace or context.namespace

    async def _flows(self, context: RunContext) -> Sequence[DeployedFlow]:
        if context.flows is None:
            raise TaskFailed("This run cannot reach the flows.", fix="Run the flow with `parley up`.")
        own = (context.namespace, context.flow_id)  # an agent that starts itself would never end
        found = [f for f in await context.flows.list(self._namespace(context)) if (f.namespace, f.id) != own]
        if not found:
            raise TaskFailed(f"There is no flow in {self._namespace(context)} for the agent to start.")
        return found

    def _named(self, flows: Sequence[DeployedFlow], flow_id: str) -> DeployedFlow:
        for flow in flows:
            if flow.id == flow_id:
                return flow
        raise TaskFailed(f"There is no flow {flow_id!r} that may be started here.", fix="Choose one of the list.")

    def _inherited(self, context: RunContext) -> dict[str, str]:
        labels = context.variables.get("labels") if self.inherit_labels else None
        return {str(k): str(v) for k, v in labels.items() if k != "system"} if isinstance(labels, Mapping) else {}

    def _date(self, given: Any) -> datetime | None:
        if not given:
            return self.schedule_date
        try:
            date = datetime.fromisoformat(str(given))
        except ValueError as error:
            raise TaskFailed(f"{given!r} is no date.", fix="Write it as 2030-01-31T09:00:00Z.") from error
        if date.tzinfo is None:
            raise TaskFailed(f"{given!r} has no time zone.", fix="Write it as 2030-01-31T09:00:00Z.")
        return date


class TavilyWebSearch(SingleTool):
    """Search the web through Tavily."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.TavilyWebSearch
apiKey: "{{ secret('TAVILY_API_KEY') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.TavilyWebSearch"]
    api_key: Property[Text]
    max_results: Property[int] = Field(default=5, ge=1, le=20)

    async def describe(self, context: RunContext) -> Described:
        wanted = {"query": {"type": "string", "description": "What to search for."}}
        return Described("web_search", "Searches the web and gives titles, addresses and extracts.", _object(wanted))

    async def use(self, context: RunContext, call: Call, number: int) -> str:
        return found_pages(await tavily(context, self.api_key, str(call.arguments.get("query", "")), self.max_results))


class GoogleCustomWebSearch(SingleTool):
    """Search the web through one's own search engine at Google."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.GoogleCustomWebSearch
apiKey: "{{ secret('GOOGLE_SEARCH_KEY') }}"
csi: "{{ secret('GOOGLE_SEARCH_ENGINE') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.GoogleCustomWebSearch"]
    api_key: Property[Text]
    csi: Property[Text]
    max_results: Property[int] = Field(default=5, ge=1, le=10)

    async def describe(self, context: RunContext) -> Described:
        wanted = {"query": {"type": "string", "description": "What to search for."}}
        return Described("google_search", "Searches the web and gives titles, addresses and extracts.", _object(wanted))

    async def use(self, context: RunContext, call: Call, number: int) -> str:
        question = str(call.arguments.get("query", ""))
        return found_pages(await google(context, self.api_key, self.csi, question, self.max_results))


class KestraTask(Tool):
    """Run tasks: the model fills in what is written as `...`, and required properties that are not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.KestraTask
tasks:
  - id: ticket
    type: io.kestra.plugin.core.http.Request
    uri: https://tickets.example.com/api/tickets
    method: POST
    body: "..."
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.KestraTask"]
    tasks: list[AskedTask] = Field(min_length=1, description="A tool each, called `kestra_task_` and its id.")

    async def offers(self, context: RunContext, held: AsyncExitStack) -> Sequence[Offer]:
        return [offer(context, task) for task in self.tasks]


class AIAgent(Tool):
    """Ask another agent, with instructions, a model and tools of its own."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.AIAgent
name: translator
description: Translates a text into French.
systemMessage: You translate what you are given into French, and say nothing else.
provider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-2.5-flash
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.AIAgent"]
    name: Property[Text] = Field(default="tool", description="Another one for each, when there are several.")
    description: Property[Text]
    system_message: Property[OptionalText] = None
    provider: AnyTyped
    configuration: Configuration = Field(default_factory=Configuration)
    tools: list[AnyTyped] = Field(default_factory=list)
    max_sequential_tools_invocations: Property[OptionalInteger] = None
    content_retrievers: list[AnyRetriever] = Field(default_factory=list)

    async def offers(self, context: RunContext, held: AsyncExitStack) -> Sequence[Offer]:
        wanted = {"prompt": {"type": "string", "description": "What to ask it."}}
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", f"kestra_agent_{self.name}")[:MAX_NAME]
        return [Offer(Described(name, self.description, _object(wanted)), partial(self._use, context))]

    async def _use(self, context: RunContext, call: Call, number: int) -> str:
        own = ("system_message", "provider", "configuration", "tools", "content_retrievers")
        given = {name: getattr(self, name) for name in (*own, "max_sequential_tools_invocations")}
        asked = str(call.arguments.get("prompt", ""))
        agent = {"id": "agent", "type": "io.kestra.plugin.ai.agent.AIAgent", "prompt": asked, **given}
        task = catalogue().resolve(agent).model_validate(agent, context={"rendered": True})
        answer = await cast("RunnableTask", task).run(one_call(context, number))
        said = cast("Outputs", answer).model_dump()
        return said["textOutput"] or json.dumps(said["jsonOutput"], ensure_ascii=False)


class McpTool(Tool):
    """The tools of an MCP server."""

    timeout: Property[timedelta] = Field(default=timedelta(minutes=1), description="For each answer of the server.")
    tool_filter: Property[TextList | None] = Field(default=None, description="Names of the tools to offer; else all.")

    async def offers(self, context: RunContext, held: AsyncExitStack) -> Sequence[Offer]:
        session = await held.enter_async_context(self.session(context))
        return await session.offers(self.tool_filter)

    @abstractmethod
    def session(self, context: RunContext) -> AbstractAsyncContextManager[mcp_session.Session]:
        """An open session; TaskFailed when the server can't be reached."""


class StdioMcpClient(McpTool):
    """Use the tools of an MCP server that runs as a process on this machine."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.StdioMcpClient
command: [docker, run, --rm, -i, mcp/time]
env:
  LOCAL_TIMEZONE: Europe/Berlin
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.StdioMcpClient"]
    command: Property[TextList]
    env: Property[dict[str, Text]] = Field(default_factory=dict)
    log_events: Property[bool] = Field(default=False, description="Log what the server writes to its error output.")

    def session(self, context: RunContext) -> AbstractAsyncContextManager[mcp_session.Session]:
        limit = self.timeout.total_seconds()
        return mcp_session.local(context, self.command, self.env, limit, told=self.log_events)


class HttpMcpTool(McpTool):
    """The tools of an MCP server that is reached over HTTP."""

    headers: Property[dict[str, Text]] = Field(default_factory=dict)
    log_requests: Property[bool] = Field(default=False, description="Log what the server is asked.")
    log_responses: Property[bool] = Field(default=False, description="Log what the server answers.")

    async def offers(self, context: RunContext, held: AsyncExitStack) -> Sequence[Offer]:
        return [replace(one, use=self._told(context, one)) for one in await super().offers(context, held)]

    def _told(self, context: RunContext, one: Offer) -> Callable[[Call, int], Awaitable[str]]:
        async def use(call: Call, number: int) -> str:
            if self.log_requests:
                context.log(f"The MCP server is asked: {call.name} {json.dumps(dict(call.arguments))}")
            answer = await one.use(call, number)
            if self.log_responses:
                context.log(f"The MCP server answers: {call.name} {answer}")
            return answer

        return use


class SseMcpClient(HttpMcpTool):
    """Use the tools of an MCP server that answers by server-sent events, or by streamable HTTP at the same address."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.SseMcpClient
sseUrl: https://mcp.example.com/sse
headers:
  Authorization: "Bearer {{ secret('MCP_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.SseMcpClient", "io.kestra.plugin.ai.tool.HttpMcpClient"]
    sse_url: Property[Text]

    def session(self, context: RunContext) -> AbstractAsyncContextManager[mcp_session.Session]:
        limit = self.timeout.total_seconds()
        return mcp_session.remote(context, self.sse_url, self.headers, limit, older=True)


class StreamableHttpMcpClient(HttpMcpTool):
    """Use the tools of an MCP server that is reached by streamable HTTP."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.StreamableHttpMcpClient
url: https://mcp.example.com/mcp
timeout: PT5M
headers:
  Authorization: "Bearer {{ secret('MCP_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.StreamableHttpMcpClient"]
    url: Property[Text]

    def session(self, context: RunContext) -> AbstractAsyncContextManager[mcp_session.Session]:
        return mcp_session.remote(context, self.url, self.headers, self.timeout.total_seconds())


def found_pages(results: Sequence[Mapping[str, Any]]) -> str:
    """Pages as a model reads them."""
    kept = [{key: item.get(key) for key in ("title", "url", "content")} for item in results]
    return json.dumps(kept, ensure_ascii=False)


OPTIONS: dict[str, Any] = {
    "inputs": {"type": "object", "description": "Inputs of the flow by their ids."},
    "labels": {"type": "object", "description": "Labels of the execution.", "additionalProperties": {"type": "string"}},
    "scheduleDate": {"type": "string", "description": "When to start, ISO 8601 with a time zone; now when absent."},
}


def input_schema(flow: DeployedFlow) -> dict[str, Any]:
    """The JSON schema of a flow's inputs."""
    properties: dict[str, Any] = {}
    required = []
    for declared in flow.inputs:
        kind = str(declared.get("type", "STRING"))
        schema: dict[str, Any] = (
            {"type": "array", "items": {}} if kind in LISTS else {"type": TYPES.get(kind, "string")}
        )
        if kind == "SELECT" and isinstance(values := declared.get("values"), list):
            schema["enum"] = [str(one.get("value") if isinstance(one, Mapping) else one) for one in values]
        about = declared.get("description") or declared.get("displayName") or ""
        if schema["type"] == "string" and kind not in ("STRING", "SELECT"):
            about = f"{about} ({kind})".strip()
        properties[str(declared["id"])] = {**schema, "description": str(about)} if about else schema
        if declared.get("required", True) and declared.get("defaults") is None:
            required.append(str(declared["id"]))
    return _object(properties, required)


def _object(properties: Mapping[str, Any], required: Sequence[str] | None = None) -> dict[str, Any]:
    wanted = list(properties) if required is None else list(required)
    return {"type": "object", "properties": dict(properties), "required": wanted}


def _map(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TaskFailed(f"`{name}` is not a map.", fix="Give names and values.")
    return {str(key): item for key, item in value.items()}
