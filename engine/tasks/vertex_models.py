"""Gemini models in a project of Google's cloud: what is asked, and what comes back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask
from engine.tasks import aliases, gemini_service
from engine.tasks.gcp_service import GcpConnected, Region
from engine.tasks.gemini_answers import content_of, measure
from engine.tasks.property_types import OptionalInteger, OptionalNumber, Text
from engine.tasks.rest_service import present

if TYPE_CHECKING:
    from google.genai.types import GenerateContentResponse


class Parameters(Part):
    """How the model is to choose its words; what is left out is as the model has it."""

    temperature: Property[OptionalNumber] = None
    max_output_tokens: Property[OptionalInteger] = None
    top_k: Property[OptionalInteger] = None
    top_p: Property[OptionalNumber] = None


class VertexTask(GcpConnected, RunnableTask):
    """Which model, and where it runs."""

    region: Property[Region]
    model_id: Property[Text] = "gemini-pro"
    parameters: Property[Parameters | None] = None

    @asynccontextmanager
    async def asking(self, context: RunContext) -> AsyncIterator["Asking"]:
        """A conversation with the model, measured when it is over; what Google refuses leaves as TaskFailed."""
        name = aliases.model(self.model_id, context.settings.models)
        if name != self.model_id:
            context.log(f"Asking {name} instead of {self.model_id}.")
        token = await self.token(context)
        vertex = {"project": self.project(context), "location": self.region}
        async with gemini_service.connected(context, token, name, vertex=vertex) as client:
            from google.genai import types

            chosen = self.parameters
            given = (
                present(
                    temperature=chosen.temperature,
                    max_output_tokens=chosen.max_output_tokens,
                    top_k=chosen.top_k,
                    top_p=chosen.top_p,
                )
                if chosen
                else {}
            )
            asked = Asking(client, name, types.GenerateContentConfig(**given))
            yield asked
        measure(context, name, asked.answers)


class Asking:
    """One model that is asked; `answers` holds what it said so far."""

    def __init__(self, client: Any, model: str, config: Any) -> None:
        self._client, self._model, self._config = client, model, config
        self.answers: list[GenerateContentResponse] = []

    async def ask(self, contents: Any) -> "GenerateContentResponse":
        """The answer to texts, files or a conversation."""
        answer: GenerateContentResponse = await self._client.aio.models.generate_content(
            model=self._model, contents=contents, config=self._config
        )
        self.answers.append(answer)
        return answer


class Prediction(Outputs):
    """One candidate: its text, whence it quotes, and how safe it is taken to be."""

    content: str
    citationMetadata: dict[str, Any]  # noqa: N815 - appears as written
    safetyAttributes: dict[str, Any]  # noqa: N815


class Predictions(Outputs):
    """The candidates of every answer."""

    predictions: list[Prediction]


def turn(role: str, text: str) -> dict[str, Any]:
    """One turn of a conversation, as the model is told it."""
    return {"role": role, "parts": [{"text": text}]}


def predicted(answers: Sequence["GenerateContentResponse"]) -> Predictions:
    """What all candidates of answers said."""
    found = []
    for answer in answers:
        for candidate in answer.candidates or []:
            quoted = candidate.citation_metadata.citations if candidate.citation_metadata else None
            ratings = candidate.safety_ratings or []
            found.append(
                Prediction(
                    content=content_of(candidate),
                    citationMetadata={"citations": [{"citations": [one.title or ""]} for one in quoted or []]},
                    safetyAttributes={
                        "scores": [rating.severity_score or 0.0 for rating in ratings],
                        "categories": [rating.category.value if rating.category else "" for rating in ratings],
                        "blocked": any(rating.blocked for rating in ratings),
                    },
                )
            )
    return Predictions(predictions=found)
