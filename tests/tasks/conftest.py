"""Contexts for tests of single tasks."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.plugin import Settings
from tests.tasks.context import TestContext
from tests.wire.anthropic import anthropic_service
from tests.wire.discord_webhook import discord_webhook
from tests.wire.gemini import gemini_service
from tests.wire.git_http import git_host
from tests.wire.google import google_service
from tests.wire.ollama import ollama_service
from tests.wire.openai import openai_service
from tests.wire.redis import redis_server
from tests.wire.slack_webhook import slack_webhook
from tests.wire.todoist import todoist

__all__ = [
    "anthropic_service",
    "discord_webhook",
    "gemini_service",
    "git_host",
    "google_service",
    "ollama_service",
    "openai_service",
    "redis_server",
    "slack_webhook",
    "todoist",
]

MakeContext = Callable[..., TestContext]


@pytest.fixture
def young_heap() -> Iterator[None]:
    """What is there already is neither seen nor taken by `gc`: a test counts objects of its own, and quickly."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
async def make_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeContext]:
    """Makes a context: keyword `settings` holds settings, all else is what expressions see."""
    monkeypatch.chdir(tmp_path)  # no .env, no parley.yaml
    async with httpx.AsyncClient(trust_env=False) as client:

        def make(settings: dict[str, Any] | None = None, **variables: Any) -> TestContext:
            return TestContext(tmp_path, client, Settings(**(settings or {})), **variables)

        yield make


@pytest.fixture
def context(make_context: MakeContext) -> TestContext:
    """A context with plain settings."""
    return make_context()
