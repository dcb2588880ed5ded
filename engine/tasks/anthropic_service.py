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
    context: RunContext, api_key: str, base_url: str | None, body: dict[str, Any], tls: ssl.SSLContext | None = None
) -> dict[str, Any]:
    """The service's answer as it came; TaskFailed when it refuses."""
    context.mask(api_key)
    provider = context.settings.provider("anthropic")
    base = base_url or provider.base_url or API
    url = f"{base.rstrip('/').removesuffix('/v1')}/v1/messages"
    headers = {"x-api-key": api_key, "anthropic-version": "2023-06-01"}
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
        raise TaskFailed(f"Anthropic answered {answer.code} with no JSON: {answer.text[:200]!r}.") from error
    if answer.code >= 400:
        said = (found.get("error") or {}).get("message") or answer.text[:500]
        raise TaskFailed(f"Anthropic answered {answer.code}: {said}", fix=HINTS.get(answer.code, ""))
    return dict(found)


def text_of(answer: dict[str, Any]) -> str:
    """What the model said."""
    blocks = answer.get("content") or []
    return "".join(block.get("text", "") for block in blocks if block.get("type") == "text")
