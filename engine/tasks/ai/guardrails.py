"""Rules about what a model is asked and what it answers."""

from typing import Any, Literal

from pydantic import Field

from engine.plugin import LateProperty, Outputs, Part, RunContext
from engine.tasks.ai.conversation import Said
from engine.tasks.property_types import OptionalText, Text, is_true


class Guarded(Outputs):
    """What every answer of a model comes with."""

    tokenUsage: dict[str, int]  # noqa: N815 - appears as written
    finishReason: str  # noqa: N815
    guardrailViolated: bool = False  # noqa: N815
    guardrailViolationMessage: str | None = None  # noqa: N815


class Rule(Part):
    """An expression that must hold, and what to say when it does not."""

    expression: LateProperty[Text]
    message: OptionalText = None


class Guardrails(Part):
    """Rules about the message (`message`), and about the answer (`response`, `finishReason`, the tokens)."""

    input: list[Rule] = Field(default_factory=list)
    output: list[Rule] = Field(default_factory=list)

    async def of_message(self, context: RunContext, message: str) -> str | None:
        """What the first broken rule about the message says."""
        return await _broken(context, self.input, "Input", message=message)

    async def of_answer(self, context: RunContext, said: Said) -> str | None:
        """What the first broken rule about the answer says."""
        tokens = {"inputTokenCount": said.input_tokens, "outputTokenCount": said.output_tokens}
        return await _broken(context, self.output, "Output", response=said.text, finishReason=said.finished, **tokens)


async def _broken(context: RunContext, rules: list[Rule], kind: Literal["Input", "Output"], **seen: Any) -> str | None:
    for rule in rules:
        if not is_true(await context.render(rule.expression, **seen)):
            said = f"{kind} guardrail: {rule.message or rule.expression}"
            context.log(f"{said} (violated)", "WARN")
            return said
    return None
