"""What Gemini answered: its texts, why it ended, and how safe it takes them to be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.plugin import RunContext

if TYPE_CHECKING:
    from google.genai.types import Candidate, GenerateContentResponse


def parts_of(answer: "GenerateContentResponse") -> list[Any]:
    """The parts of the first candidate."""
    first = answer.candidates[0] if answer.candidates else None
    return list(first.content.parts or []) if first is not None and first.content is not None else []


def text_of(answer: "GenerateContentResponse") -> str:
    """The text of the first candidate, without its thoughts."""
    return "".join(part.text for part in parts_of(answer) if part.text and not part.thought)


def reason_of(answer: "GenerateContentResponse") -> str | None:
    """Why the first candidate, or the question, came to its end; None when it is not said."""
    if answer.candidates and answer.candidates[0].finish_reason:
        return str(answer.candidates[0].finish_reason.value)
    blocked = answer.prompt_feedback.block_reason if answer.prompt_feedback else None
    return str(blocked.value) if blocked else None


def ratings_of(candidate: "Candidate") -> list[dict[str, Any]]:
    """How safe a candidate is taken to be: `category`, `probability` and `blocked`."""
    return [
        {
            "category": rating.category.value if rating.category else None,
            "probability": rating.probability.value if rating.probability else None,
            "blocked": bool(rating.blocked),
        }
        for rating in candidate.safety_ratings or []
    ]


def content_of(candidate: "Candidate") -> str:
    """The text of a candidate, without its thoughts."""
    found = (candidate.content.parts or []) if candidate.content else []
    return "".join(part.text for part in found if part.text and not part.thought)


def measure(context: RunContext, model: str, answers: Sequence["GenerateContentResponse"]) -> None:
    """Record the tokens of all calls."""
    for metric, field in (
        ("candidate.token.count", "candidates_token_count"),
        ("prompt.token.count", "prompt_token_count"),
        ("total.token.count", "total_token_count"),
    ):
        tokens = sum(getattr(answer.usage_metadata, field, None) or 0 for answer in answers)
        context.metric(metric, tokens, model=model)
