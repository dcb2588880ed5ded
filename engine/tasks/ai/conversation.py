"""What is said between a flow and a model, whoever's model it is."""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from engine.plugin import Instead, Part, Property, TaskFailed
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalNumber, OptionalText


class ResponseFormat(Part):
    """What the answer must be."""

    type: Property[Literal["TEXT", "JSON"]] = "TEXT"
    json_schema: Property[JsonMap | None] = None
    json_schema_description: Property[OptionalText] = None
    strict_json: Property[bool] = False


class Configuration(Part):
    """How the model answers."""

    temperature: Property[OptionalNumber] = None
    top_k: Property[OptionalInteger] = None
    top_p: Property[OptionalNumber] = None
    seed: Property[OptionalInteger] = None
    max_token: Property[OptionalInteger] = None
    log_requests: Property[bool] = False
    log_responses: Property[bool] = False
    thinking_enabled: Property[bool | None] = None
    thinking_budget_tokens: Property[OptionalInteger] = None
    return_thinking: Property[bool | None] = None
    prompt_caching: Property[bool | None] = Field(default=None, description="Of the system message, by Anthropic.")
    max_cumulative_tokens: Property[Annotated[int, Field(ge=1)] | None] = Field(
        default=None, description="Of all that is asked and answered in one run; one that takes more fails."
    )
    chat_configuration: Annotated[Any, Instead("configuration", "and put what stands below it there")] = None
    response_format: ResponseFormat | None = None

    @property
    def wants_json(self) -> bool:
        """Whether the answer must be JSON; TaskFailed when a schema is given for text."""
        wanted = self.response_format or ResponseFormat()
        if wanted.type == "TEXT" and (wanted.json_schema or wanted.strict_json):
            raise TaskFailed("`jsonSchema` and `strictJson` need `responseFormat.type: JSON`.")
        return wanted.type == "JSON"

    @property
    def schema_(self) -> dict[str, Any] | None:
        """The schema of the answer, if there is one."""
        wanted = self.response_format or ResponseFormat()
        if wanted.json_schema is None or not wanted.json_schema_description:
            return wanted.json_schema
        return {"description": wanted.json_schema_description, **wanted.json_schema}


@dataclass(frozen=True, slots=True)
class Described:
    """A tool as the model sees it; `schema` is the JSON schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool the model wants to be used."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool that is ready. `use` gives what the model is told about one call, the n-th of the run; EngineError too."""

    described: Described
    use: Callable[[Call, int], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or another file that belongs to a message."""

    kind: str  # its MIME type
    data: bytes

    @property
    def encoded(self) -> str:
        """Its bytes as text."""
        return b64encode(self.data).decode()


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. Of the assistant with the calls it made; of a tool with the call it answers."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[Call, ...] = ()
    answers: Call | None = None
    raw: Any = None  # the message in the service's own form, where it has to be given back as it came
    media: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What a model answered."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0
    finished: str = "STOP"
    calls: tuple[Call, ...] = ()
    raw: Any = None
    thinking: str | None = None
    model: str = ""  # which answered, where that is not the one that was asked

    @property
    def usage(self) -> dict[str, int]:
        """The tokens, as outputs show them."""
        total = self.input_tokens + self.output_tokens
        return {
            "inputTokenCount": self.input_tokens,
            "outputTokenCount": self.output_tokens,
            "totalTokenCount": total,
        }


def within_budget(used: int, budget: int | None, *, goes_on: bool = False) -> None:
    """TaskFailed when a run took more tokens than it may, or all of them and it `goes_on`."""
    if budget is None or used < budget or (used == budget and not goes_on):
        return
    raise TaskFailed(
        f"The run took {used} tokens, and `maxCumulativeTokens` is {budget}.",
        fix="Raise `maxCumulativeTokens`, or ask for less.",
    )


def told(turns: Sequence[Turn]) -> str:
    """What a model is asked, for a line in the log."""
    shown = [
        {
            "role": turn.role,
            "content": turn.text,
            **(
                {"calls": [{"name": call.name, "arguments": call.arguments} for call in turn.calls]}
                if turn.calls
                else {}
            ),
            **({"media": [media.kind for media in turn.media]} if turn.media else {}),
        }
        for turn in turns
    ]
    return json.dumps(shown, ensure_ascii=False, default=str)


def json_demand(schema: Mapping[str, Any] | None) -> str:
    """What to tell a model that knows no schemas."""
    told = f" that follows this JSON schema: {json.dumps(schema)}" if schema else ""
    return f"Answer with one JSON document{told}, and nothing else."


def system_texts(turns: Sequence[Turn], configuration: Configuration) -> list[str]:
    """What a model that knows no schemas is told before it is asked."""
    texts = [turn.text for turn in turns if turn.role == "system"]
    return [*texts, json_demand(configuration.schema_)] if configuration.wants_json else texts


def parsed_arguments(text: str) -> dict[str, Any]:
    """Arguments a model wrote as JSON text; TaskFailed when they are no map."""
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise TaskFailed(f"The model called a tool with arguments that are not JSON: {text[:200]!r}.") from error
    if not isinstance(found, dict):
        raise TaskFailed(f"The model called a tool with arguments that are no map: {text[:200]!r}.")
    return found


def correlation_of(variables: Mapping[str, Any]) -> str | None:
    """The correlation id of the execution that an expression sees, if it has one."""
    labels = variables.get("labels")
    system = labels.get("system") if isinstance(labels, Mapping) else None
    return str(system["correlationId"]) if isinstance(system, Mapping) and system.get("correlationId") else None
