"""`io.kestra.plugin.ai.agent`: a model that may use tools before it answers."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.core.task import AnyTyped
from engine.plugin import Instead, Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.ai.a2a_tool import asked
from engine.tasks.ai.completion import Answer, CompletionTask, parsed_reply
from engine.tasks.ai.conversation import Said, Turn
from engine.tasks.ai.guardrails import Guardrails
from engine.tasks.ai.memory import Memory
from engine.tasks.ai.retriever import AnyRetriever, grounded
from engine.tasks.ai.tool_use import MOST_CALLS, conversation, offered
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.working_files import collect


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
    content_retrievers: list[AnyRetriever] = Field(default_factory=list, description="Asked every time.")
    guardrails: Guardrails = Field(default_factory=Guardrails)
    observability: Annotated[Any, Instead("")] = None

    async def run(self, context: RunContext) -> Answer:
        began = time.monotonic()
        if self.observability is not None:
            context.log("Nothing is sent to `observability`: the outputs and this log tell what the agent did.", "WARN")
        if violated := await self.guardrails.of_message(context, self.prompt):
            return self._answer(began, Said(""), violated=violated)
        memory = self._memory()
        past = await memory.recall(context) if memory else []
        question, sources = await grounded(context, self.content_retrievers, self.prompt)
        system = [Turn("system", self.system_message)] if self.system_message else []
        turns = [*system, *past, Turn("user", question)]
        most = self.max_sequential_tools_invocations or MOST_CALLS
        ask = partial(self.ask, context)
        async with offered(context, self.tools) as tools:
            said, done, between = await conversation(
                lambda t, d: ask(t, tools=d), context, turns, tools, most, self.budget
            )
        if violated := await self.guardrails.of_answer(context, said):
            return self._answer(began, said, done, between, violated=violated)
        parsed = parsed_reply(said.text) if self.configuration.wants_json else None
        if memory:
            await memory.keep(context, [*past, Turn("user", self.prompt), Turn("assistant", said.text)])
        files = await collect(context, self.output_files or [])
        return self._answer(began, said, done, between, parsed=parsed, files=files, sources=sources)

    def _answer(
        self,
        began: float,
        said: Said,
        done: Sequence[dict[str, Any]] = (),
        between: Sequence[dict[str, Any]] = (),
        *,
        parsed: Any = None,
        files: Mapping[str, str] | None = None,
        sources: Sequence[str] = (),
        violated: str | None = None,
    ) -> Answer:
        return Answer(
            textOutput=None if self.configuration.wants_json or violated else said.text,
            jsonOutput=parsed,
            tokenUsage=said.usage,
            finishReason=said.finished,
            toolExecutions=list(done),
            intermediateResponses=list(between),
            thinking=said.thinking,
            requestDuration=round((time.monotonic() - began) * 1000),
            outputFiles=dict(files or {}),
            sources=list(sources),
            guardrailViolated=violated is not None,
            guardrailViolationMessage=violated,
        )

    def _memory(self) -> Memory | None:
        if self.memory is not None and not isinstance(self.memory, Memory):
            raise TaskFailed(f"{self.memory.type!r} is not a memory.", fix="Use KestraKVStore.")
        return self.memory


class Told(Outputs):
    """What the agent said."""

    textOutput: str  # noqa: N815 - appears as written


class A2AClient(RunnableTask):
    """Ask an agent elsewhere by the protocol A2A, and wait for what it says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: translated
type: io.kestra.plugin.ai.agent.A2AClient
serverUrl: https://agents.example.com/translator
prompt: "Translate into French: {{ inputs.text }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.agent.A2AClient", "io.kestra.plugin.ai.agent.A2AAgent"]
    server_url: Property[Text]
    prompt: Property[Text]

    async def run(self, context: RunContext) -> Told:
        message_id = f"{context.task_run_id}-{context.attempt}"
        return Told(textOutput=await asked(context, self.server_url, self.prompt, message_id))
