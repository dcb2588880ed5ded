"""A running bot for each test, and the services it calls."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.clock import Clock
from tests.seeds.rig import Bot, started, write_parley
from tests.seeds.variants import Variant
from tests.wire.discord_webhook import discord_webhook
from tests.wire.gemini import gemini_service
from tests.wire.git_http import git_host
from tests.wire.google import google_service
from tests.wire.ollama import ollama_service
from tests.wire.openai import openai_service
from tests.wire.slack_webhook import slack_webhook
from tests.wire.todoist import todoist

__all__ = [
    "discord_webhook",
    "gemini_service",
    "git_host",
    "google_service",
    "ollama_service",
    "openai_service",
    "slack_webhook",
    "todoist",
]

StartBot = Callable[..., Awaitable[Bot]]


@pytest.fixture
async def start_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StartBot]:
    """Starts the bot over one flow, with the settings of a parley.yaml and with secrets."""
    running: list[Bot] = []

    async def start(
        variant: Variant,
        settings: dict[str, Any] | None = None,
        secrets: dict[str, str] | None = None,
        clock: Clock | None = None,
        environment: dict[str, str] | None = None,
    ) -> Bot:
        write_parley(tmp_path, monkeypatch, variant, settings or {}, secrets or {}, environment or {})
        bot = await started(clock)
        running.append(bot)
        source = bot.engine.flows.source(variant.namespace, variant.id)
        assert source == variant.path.read_text("utf-8")  # byte for byte what the engine runs
        return bot

    yield start
    for bot in running:
        await bot.app.stop()
