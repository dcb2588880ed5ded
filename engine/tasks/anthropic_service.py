"""Anthropic's Messages API: one call, its refusal in a sentence."""

import asyncio
import json
import ssl
from datetime import timedelta
from typing import Any

from engine.plugin import RunContext, TaskFailed
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.openai_service import HINTS, LONGER
from engine.tasks.outbound import send

API = "https://api.anthropic.com"


async def ask(
    context: RunContext,
    api_key: str,
    base_url: str | None,
    body: dict[str, Any],
    tls: ssl.SSLContext | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The service's answer as it came; TaskFailed when it refuses."""
    context.mask(api_key)
    provider = context.settings.provider("anthropic")
    url, headers = address(context, base_url, "messages"), headers or signed(api_key)
    limit = context.time_limit or provider.timeout
    patience = Timeouts(read_idle_timeout=timedelta(seconds=limit))
    options = HttpOptions(retry_on_status_codes=(429, 529), timeout=patience)
    try:
        async with asyncio.timeout(limit):
            answer = await send(context, "POST", url, options=options, headers=headers, tls=tls, json=body)
    except TimeoutError as error:
        raise TaskFailed(
            f"Anthropic did not answer within {limit:g} s.", fix=LONGER.format(service="anthropic")
        ) from error
    try:
        found = json.loads(answer.text)
    except json.JSONDecodeError as error:
        raise TaskFailed(
            f"Anthropic answered {answer.code} with no JSON: {answer.text[:200]!r}.", fix="Check `baseUrl`."
        ) from error
    if answer.code >= 400:
        said = (found.get("error") or {}).get("message") or answer.text[:500]
        raise TaskFailed(f"Anthropic answered {answer.code}: {said}", fix=HINTS.get(answer.code, ""))
    return dict(found)


def address(context: RunContext, base_url: str | None, path: str) -> str:
    """Where something is at the service."""
    base = base_url or context.settings.provider("anthropic").base_url or API
    return f"{base.rstrip('/').removesuffix('/v1')}/v1/{path}"


def signed(api_key: str) -> dict[str, str]:
    """The headers that say who asks, and in which version."""
    return {"x-api-key": api_key, "anthropic-version": "2023-06-01"}


def text_of(answer: dict[str, Any]) -> str:
    """What the model said."""
    blocks = answer.get("content") or []
    return "".join(block.get("text", "") for block in blocks if block.get("type") == "text")
