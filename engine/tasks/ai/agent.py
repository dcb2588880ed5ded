"""`io.kestra.plugin.ai.agent`: a model that may use tools before it answers."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from engine.core.task import AnyTyped, Typed
from engine.errors import EngineError
from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks.ai.completion import CompletionTask, parsed_reply
from engine.tasks.ai.conversation import Call, Described, Said, Turn
from engine.tasks.ai.memory import KestraKVStore
from engine.tasks.ai.tool import Tool
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.working_files import collect

MOST_CALLS = 20
MAX_RESULT = 100_000  # characters of a tool's answer that the model gets


class AgentAnswer(Outputs):
    """The answer as text, or as JSON when that was asked for, and what was done on the way."""

    textOutput: str | None  # noqa: N815 - appears as written
    jsonOutput: Any  # noqa: N815
    tokenUsage: dict[str, int]  # noqa: N815
    finishReason: str  # noqa: N815
    toolExecutions: list[dict[str, Any]]  # noqa: N815
    intermediateResponses: list[dict[str, Any]]  # noqa: N815
    requestDuration: int  # noqa: N815
    outputFiles: dict[str, str]  # noqa: N815


class AIAgent(CompletionTask):
    """Let a model answer, and use tools as often as it needs to (within a limit) before it does."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: helper
type: io.kestra.plugin.ai.agent.AIAgent
provider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-2.5-flash
systemMessage: You help people to run the flows of their team.
prompt: "{{ inputs.question }}"
tools:
  - type: io.kestra.plugin.ai.tool.KestraFlow
    namespace: company.ops
    flowId: restart_service
    description: Restarts a service that does not answer.
memory:
  type: io.kestra.plugin.ai.memory.KestraKVStore
  memoryId: "{{ inputs.user }}"
maxSequentialToolsInvocations: 5
""",
    )
    type: Literal["io.kestra.plugin.ai.agent.AIAgent"]
    prompt: Property[Text]
    system_message: Property[OptionalText] = None
    tools: list[AnyTyped] = Field(default_factory=list)
    max_sequential_tools_invocations: Property[Annotated[int, Field(ge=1)] | None] = None
    memory: AnyTyped | None = None
    output_files: Property[TextList | None] = None
    content_retrievers: list[AnyTyped] = Field(default_factory=list, description="Not there yet; use a tool.")

    @field_validator("content_retrievers")
    @classmethod
    def _without_retrievers(cls, given: list[Typed]) -> list[Typed]:
        if given:
            raise ValueError("`contentRetrievers` are not there yet; give the agent a tool that looks things up")
        return given

    async def run(self, context: RunContext) -> AgentAnswer:
        began = time.monotonic()
        memory = self._memory()
        tools = await self._tools(context)
        past = await memory.recall(context) if memory else []
        system = [Turn("system", self.system_message)] if self.system_message else []
        turns = [*system, *past, Turn("user", self.prompt)]
        said, done, between = await self._conversation(context, turns, tools)
        parsed = parsed_reply(said.text) if self.configuration.wants_json else None
        if memory:
            await memory.keep(context, [*past, Turn("user", self.prompt), Turn("assistant", said.text)])
        return AgentAnswer(
            textOutput=None if self.configuration.wants_json else said.text,
            jsonOutput=parsed,
            tokenUsage=said.usage,
            finishReason=said.finished,
            toolExecutions=done,
            intermediateResponses=between,
            requestDuration=round((time.monotonic() - began) * 1000),
            outputFiles=await collect(context, self.output_files or []),
        )

    async def _conversation(
        self, context: RunContext, turns: list[Turn], tools: Mapping[str, tuple[Tool, Described]]
    ) -> tuple[Said, list[dict[str, Any]], list[dict[str, Any]]]:
        """The last answer (with the tokens of all), each use of a tool, and what was said in between."""
        most = self.max_sequential_tools_invocations or MOST_CALLS
        described = [seen for _, seen in tools.values()]
        done: list[dict[str, Any]] = []
        between: list[dict[str, Any]] = []
        tokens_in = tokens_out = 0
        while True:
            said = await self.ask(context, turns, tools=described)
            tokens_in, tokens_out = tokens_in + said.input_tokens, tokens_out + said.output_tokens
            if not said.calls:
                return Said(said.text, tokens_in, tokens_out, said.finished), done, between
            if len(done) + len(said.calls) > most:
                raise TaskFailed(
                    f"The agent wanted to use tools more than {most} times.",
                    fix="Make the prompt clearer, or raise `maxSequentialToolsInvocations`.",
                    outputs={"toolExecutions": done},
                )
            turns.append(Turn("assistant", said.text, said.calls, raw=said.raw))
            between.append({"completion": said.text, "toolExecutionRequests": [_asked(call) for call in said.calls]})
            for call in said.calls:
                result = await self._used(context, tools, call, len(done))
                done.append({**_asked(call), "result": result})
                turns.append(Turn("tool", result, answers=call))

    async def _used(
        self, context: RunContext, tools: Mapping[str, tuple[Tool, Described]], call: Call, number: int
    ) -> str:
        """What a tool says; also its failure, so that the model may try something else."""
        if call.name not in tools:
            return f"Error: there is no tool {call.name!r}; there are {', '.join(tools) or 'none'}."
        context.metric("ai.agent.tool.calls", 1, tool=call.name)
        try:
            return (await tools[call.name][0].use(context, call, number))[:MAX_RESULT]
        except EngineError as error:
            context.log(f"The tool {call.name} failed: {error}", "WARN")
            return f"Error: {error}"

    async def _tools(self, context: RunContext) -> dict[str, tuple[Tool, Described]]:
        found: dict[str, tuple[Tool, Described]] = {}
        for tool in self.tools:
            if not isinstance(tool, Tool):
                raise TaskFailed(f"{tool.type!r} is not a tool.", fix="Use KestraFlow or TavilyWebSearch.")
            described = await tool.describe(context)
            if described.name in found:
                raise TaskFailed(f"Two tools are called {described.name}.", fix="Leave one out.")
            found[described.name] = (tool, described)
        return found

    def _memory(self) -> KestraKVStore | None:
        if self.memory is not None and not isinstance(self.memory, KestraKVStore):
            raise TaskFailed(f"{self.memory.type!r} is not a memory.", fix="Use KestraKVStore.")
        return self.memory


def _asked(call: Call) -> dict[str, Any]:
    return {"requestId": call.id, "requestName": call.name, "requestArguments": dict(call.arguments)}
