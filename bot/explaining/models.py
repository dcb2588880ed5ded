"""Asking the model that the settings name, by the same clients as the tasks that ask models. It is given no tools."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog

from bot.explaining.section import ExplainSection
from engine.errors import EngineError, ExpressionFailed, SettingInvalid, TaskFailed
from engine.plugin import Level, RunContext
from engine.secrets import Masker, Secrets
from engine.settings import Settings
from engine.tallies import count_tokens
from engine.tasks.ai.conversation import Configuration, Turn

if TYPE_CHECKING:
    from engine.tasks.ai.model_service import Provider

log = structlog.get_logger("parley")
AGAIN = "Ask again in a moment."


class Unexplained(EngineError):
    """The model gave no answer; the sentence is for whoever asked."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that a provider of models needs of a task's context."""

    settings: Settings
    masker: Masker
    time_limit: float | None

    def mask(self, secret: str) -> None:
        """Never show this text."""
        self.masker.add(secret)

    def log(self, message: str, level: Level = "INFO") -> None:
        """Tell whoever runs the bot."""
        log.info("a model is asked", said=self.masker.mask(message), level=level)


async def ask(
    section: ExplainSection, settings: Settings, secrets: Secrets, masker: Masker, turns: Sequence[Turn]
) -> str:
    """What the model says; Unexplained says why it says nothing."""
    try:
        key = key_of(section, secrets)
    except SettingInvalid as error:
        raise Unexplained(error.message, fix=error.fix) from error
    around = cast("RunContext", Surroundings(settings, masker, section.timeout))
    try:
        async with asyncio.timeout(section.timeout):
            provider = await asyncio.to_thread(_provider, section, key)
            if section.provider == "ollama":
                await _is_there(section, around)
            said = await provider.ask(around, turns, Configuration(max_token=section.max_tokens))
    except TimeoutError as error:
        raise Unexplained(f"The model said nothing within {section.timeout:g} s.", fix=AGAIN) from error
    except TaskFailed as error:
        log.warning("a model could not be asked", reason=masker.mask(str(error)))
        raise _told(error, section, masker) from error
    count_tokens("input.token.count", said.input_tokens)
    count_tokens("output.token.count", said.output_tokens)
    if not said.text.strip():
        why = "it needs more tokens (`explain.max_tokens`)" if said.finished == "LENGTH" else "it answered with no text"
        raise Unexplained(f"The model had nothing to say: {why}.", fix=AGAIN)
    return said.text


def key_of(section: ExplainSection, secrets: Secrets) -> str:
    """The key that the settings name; SettingInvalid when there is none of that name, or none is named and one is
    needed."""
    if section.key is None:
        if section.provider == "google-genai" or (section.provider == "openai" and section.base_url is None):
            raise SettingInvalid(
                "No key for the model is named.", fix="Whoever keeps parley.yaml sets `explain.key` to a secret's name."
            )
        return "none"
    try:
        return secrets.get(section.key)
    except ExpressionFailed as error:
        if given := os.environ.get(section.key):
            return given
        raise SettingInvalid(
            f"There is no secret {section.key} for the model.",
            fix=f"Whoever runs the bot sets PARLEY_SECRET_{section.key.upper()} or {section.key}.",
        ) from error


def _provider(section: ExplainSection, key: str) -> "Provider":
    """The provider as a task would have it; its module is loaded now."""
    from engine.tasks.ai.provider import GoogleGemini, Ollama, OpenAI  # noqa: PLC0415 - only who asks needs them

    kinds: dict[str, type[Provider]] = {"openai": OpenAI, "google-genai": GoogleGemini, "ollama": Ollama}
    kind = kinds[section.provider]
    given = {"type": f"io.kestra.plugin.ai.provider.{kind.__name__}", "modelName": section.model}
    given |= {"baseUrl": section.base_url} if section.base_url else {}
    given |= {"apiKey": key} if section.provider != "ollama" else {}
    return kind.model_validate(given)


async def _is_there(section: ExplainSection, around: RunContext) -> None:
    """TaskFailed when Ollama lacks the model: nobody who presses a button waits while it is fetched."""
    from engine.tasks.aliases import model  # noqa: PLC0415 - as above
    from engine.tasks.ollama.client import models, server  # noqa: PLC0415

    async with models(around, server(around, section.base_url, None)) as found:
        await found.shown(model(section.model, around.settings.models))


def _told(error: TaskFailed, section: ExplainSection, masker: Masker) -> Unexplained:
    """What a service's refusal means for somebody in a chat; addresses and details stand in the log of the bot."""
    cause = error.__cause__
    status = getattr(cause, "status_code", None) or getattr(cause, "code", None)
    keeper = "Whoever keeps parley.yaml"
    if status in (401, 403) or (status == 400 and "api key" in error.message.lower()):
        return Unexplained(f"The model's service refuses our key ({status}).", fix=f"{keeper} checks `explain.key`.")
    if status == 404:
        return Unexplained(f"The service has no model {section.model} (404).", fix=f"{keeper} checks `explain.model`.")
    if status == 429:
        return Unexplained("The model's service takes no more questions now (429), or its quota is used up.", fix=AGAIN)
    if status == 402:
        return Unexplained("The account with the model's service has no balance left (402).")
    if isinstance(status, int) and status >= 500:
        return Unexplained(f"The model's service is in trouble ({status}).", fix=AGAIN)
    if isinstance(status, int):
        return Unexplained(
            f"The model's service refuses the question ({status}).", fix=f"{keeper} sees why in the log."
        )
    if "within" in error.message or "silent" in error.message:
        return Unexplained(f"The model said nothing within {section.timeout:g} s.", fix=AGAIN)
    return Unexplained("The model's service could not be reached.", fix=f"{AGAIN} `parley doctor` tells more.")
