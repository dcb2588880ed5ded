"""`io.kestra.plugin.ai.provider.Fallback`: one provider after the other, until one answers."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.core.task import ByType
from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import aliases
from engine.tasks.ai.conversation import Configuration, Described, Said, Turn
from engine.tasks.ai.model_service import Provider
from engine.tasks.property_types import OptionalText

AnyProvider = Annotated[Provider, ByType("AnyTyped", "a provider of models", lambda: Provider)]
ANSWERED = re.compile(r" answered (\d{3})\b")
AWAY = re.compile(
    r"could not be reached|did not answer|was silent|Throttling|ServiceUnavailable|InternalServer|timed out"
)


class Fallback(Provider):
    """Ask the next provider when one is away, overloaded or broken; not when it refuses what it is asked."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.Fallback
providers:
  - type: io.kestra.plugin.ai.provider.OpenAI
    apiKey: "{{ secret('OPENAI_API_KEY') }}"
    modelName: gpt-5-mini
  - type: io.kestra.plugin.ai.provider.GoogleGemini
    apiKey: "{{ secret('GEMINI_API_KEY') }}"
    modelName: gemini-2.5-flash
""",
    )
    type: Literal["io.kestra.plugin.ai.provider.Fallback"]
    model_name: Property[OptionalText] = Field(default="", description="Each provider has its own.")  # type: ignore[assignment]
    providers: tuple[AnyProvider, ...] = Field(min_length=1)

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        for one in self.providers[:-1]:
            try:
                return await self._asked(one, context, turns, configuration, tools)
            except TaskFailed as error:
                if not is_passing(error):
                    raise
                context.log(f"{one.type.rpartition('.')[2]} gave no answer, the next is asked: {error.message}", "WARN")
        return await self._asked(self.providers[-1], context, turns, configuration, tools)

    async def _asked(
        self,
        one: Provider,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described],
    ) -> Said:
        said = await one.ask(context, turns, configuration, tools)
        return replace(said, model=said.model or aliases.model(one.model_name, context.settings.models))


def is_passing(error: TaskFailed) -> bool:
    """Whether another service may do better: this one is away, overloaded or broken."""
    if found := ANSWERED.search(error.message):
        return found[1] == "429" or found[1] >= "500"
    return bool(AWAY.search(error.message))
