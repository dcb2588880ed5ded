"""`io.kestra.plugin.ai.mcp`: tools of MCP servers, used without a model."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.ai import mcp_session
from engine.tasks.property_types import JsonMap, Text

PATIENCE = 60.0  # seconds a server may be silent when the task has no `timeout`


class McpTask(RunnableTask):
    """What a server is asked that is reached over HTTP."""

    url: Property[Text]
    transport: Property[Literal["STREAMABLE_HTTP", "SSE"]] = "STREAMABLE_HTTP"
    headers: Property[dict[str, Text]] = Field(default_factory=dict)
    log_requests: Property[bool] = Field(default=False, description="Log what the server is asked.")
    log_responses: Property[bool] = Field(default=False, description="Log what the server answers.")

    def session(self, context: RunContext) -> AbstractAsyncContextManager[mcp_session.Session]:
        """An open session; TaskFailed when the server can't be reached."""
        patience, older = context.time_limit or PATIENCE, self.transport == "SSE"
        return mcp_session.remote(context, self.url, self.headers, patience, older=older)

    def told(self, context: RunContext, asked: str, answer: object) -> None:
        """Log what was asked and answered, as far as that is wanted."""
        if self.log_requests:
            context.log(f"The MCP server was asked: {asked}")
        if self.log_responses:
            context.log(f"The MCP server answered: {json.dumps(answer, ensure_ascii=False, default=str)}")


class Called(Outputs):
    """What the tool gave."""

    result: str | None = None
    structuredContent: Any = None  # noqa: N815 - appears as written
    isError: bool = False  # noqa: N815
    errorMessage: str | None = None  # noqa: N815


class CallTool(McpTask):
    """Use one tool of an MCP server."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: add
type: io.kestra.plugin.ai.mcp.CallTool
url: https://mcp.example.com/mcp
headers:
  Authorization: "Bearer {{ secret('MCP_TOKEN') }}"
tool: add
arguments:
  a: 5
  b: 12
""",
    )
    type: Literal["io.kestra.plugin.ai.mcp.CallTool"]
    tool: Property[Text]
    arguments: Property[JsonMap] = Field(default_factory=dict)
    fail_on_tool_error: Property[bool] = Field(
        default=True, description="Without it, `isError` and `errorMessage` say what went wrong."
    )

    async def run(self, context: RunContext) -> Called:
        context.metric("mcp.tool.calls", 1, tool=self.tool)
        async with self.session(context) as session:
            try:
                answer = await session.called(self.tool, self.arguments)
            except mcp_session.CallRefused as error:
                if self.fail_on_tool_error:
                    raise
                answer = mcp_session.Answer(error.message, None, is_error=True)
        self.told(context, f"{self.tool} {json.dumps(self.arguments, ensure_ascii=False)}", answer.text)
        if not answer.is_error:
            return Called(result=answer.text, structuredContent=answer.structured)
        if self.fail_on_tool_error:
            raise TaskFailed(f"The tool {self.tool} failed: {answer.text}")
        context.log(f"The tool {self.tool} failed: {answer.text}", "WARN")
        return Called(result=answer.text, structuredContent=answer.structured, isError=True, errorMessage=answer.text)


class Listed(Outputs):
    """The tools, with their names, descriptions, and the JSON schemas of their arguments (`parameters`)."""

    tools: list[dict[str, Any]]
    count: int


class ListTools(McpTask):
    """List the tools of an MCP server."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tools
type: io.kestra.plugin.ai.mcp.ListTools
url: https://mcp.example.com/mcp
""",
    )
    type: Literal["io.kestra.plugin.ai.mcp.ListTools"]

    async def run(self, context: RunContext) -> Listed:
        async with self.session(context) as session:
            offers = [offer.described for offer in await session.offers()]
        tools = [{"name": one.name, "description": one.description, "parameters": dict(one.schema)} for one in offers]
        self.told(context, "which tools it has", tools)
        return Listed(tools=tools, count=len(tools))
