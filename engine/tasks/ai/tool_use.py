"""A conversation in which the model may have tools used before it answers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from engine.errors import EngineError
from engine.plugin import RunContext, TaskFailed
from engine.tasks.ai.conversation import Call, Described, Offer, Said, Turn, within_budget
from engine.tasks.ai.tool import Tool

MOST_CALLS = 20
MAX_RESULT = 100_000  # characters of a tool's answer that the model gets

Ask = Callable[[Sequence[Turn], Sequence[Described]], Awaitable[Said]]
Offered = Mapping[str, Offer]


@asynccontextmanager
async def offered(context: RunContext, tools: Sequence[Any]) -> AsyncIterator[Offered]:
    """The tools by the names the model sees, open as long as it lasts.

    TaskFailed when one is no tool or two have the same name.
    """
    found: dict[str, Offer] = {}
    async with AsyncExitStack() as held:
        for tool in tools:
            if not isinstance(tool, Tool):
                raise TaskFailed(f"{tool.type!r} is not a tool.", fix="Use one of `io.kestra.plugin.ai.tool`.")
            for offer in await tool.offers(context, held):
                if offer.described.name in found:
                    raise TaskFailed(f"Two tools are called {offer.described.name}.", fix="Leave one out.")
                found[offer.described.name] = offer
        yield found


async def conversation(
    ask: Ask,
    context: RunContext,
    turns: list[Turn],
    tools: Offered,
    most: int = MOST_CALLS,
    budget: int | None = None,
) -> tuple[Said, list[dict[str, Any]], list[dict[str, Any]]]:
    """The last answer (with the tokens of all), each use of a tool, and what was said in between."""
    described = [offer.described for offer in tools.values()]
    done: list[dict[str, Any]] = []
    between: list[dict[str, Any]] = []
    tokens_in = tokens_out = 0
    while True:
        said = await ask(turns, described)
        tokens_in, tokens_out = tokens_in + said.input_tokens, tokens_out + said.output_tokens
        within_budget(tokens_in + tokens_out, budget, goes_on=bool(said.calls))
        if not said.calls:
            return replace(said, input_tokens=tokens_in, output_tokens=tokens_out), done, between
        if len(done) + len(said.calls) > most:
            raise TaskFailed(
                f"The agent wanted to use tools more than {most} times.",
                fix="Make the prompt clearer, or raise `maxSequentialToolsInvocations`.",
                outputs={"toolExecutions": done},
            )
        turns.append(Turn("assistant", said.text, said.calls, raw=said.raw))
        between.append({"completion": said.text, "toolExecutionRequests": [_asked(call) for call in said.calls]})
        for call in said.calls:
            result = await _used(context, tools, call, len(done))
            done.append({**_asked(call), "result": result})
            turns.append(Turn("tool", result, answers=call))


async def _used(context: RunContext, tools: Offered, call: Call, number: int) -> str:
    """What a tool says; also its failure, so that the model may try something else."""
    if call.name not in tools:
        return f"Error: there is no tool {call.name!r}; there are {', '.join(tools) or 'none'}."
    context.metric("ai.agent.tool.calls", 1, tool=call.name)
    try:
        return (await tools[call.name].use(call, number))[:MAX_RESULT]
    except EngineError as error:
        context.log(f"The tool {call.name} failed: {error}", "WARN")
        return f"Error: {error}"


def _asked(call: Call) -> dict[str, Any]:
    return {"requestId": call.id, "requestName": call.name, "requestArguments": dict(call.arguments)}
