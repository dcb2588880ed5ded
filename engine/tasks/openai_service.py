"""Services that speak OpenAI's API: the client, where it points, and its errors in sentences."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from engine.plugin import RunContext, TaskFailed
from engine.tasks import aliases
from engine.tasks.address_guard import check_address

if TYPE_CHECKING:
    import openai

HINTS = {
    401: "Check the API key.",
    403: "Check what the API key may do.",
    404: "Check the model's name and `baseUrl`; the operator can map retired names in `models`.",
    402: "The account has no balance left.",
    429: "Too many requests, or the quota is used up: retry later or add `retry` to the task.",
}
LONGER = "Give the task a longer `timeout`, or raise `providers.{service}.timeout`."


@dataclass(frozen=True, slots=True)
class AzureDeployments:
    """Models at Azure: each in a deployment, under a version of the API, for a key or a token of Entra."""

    api_version: str
    by_token: bool


@asynccontextmanager
async def connected(
    context: RunContext,
    service: str,
    api_key: str,
    base_url: str | None,
    default_url: str,
    wanted_limit: float | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    azure: AzureDeployments | None = None,
) -> AsyncIterator["openai.AsyncOpenAI"]:
    """A client of one service; what it raises leaves as TaskFailed.

    The task's own `baseUrl` wins over the operator's `providers.<service>.base_url`, that over the public address.
    An answer may take `wanted_limit` seconds, else as long as its task may, else what the operator's settings say.
    """
    sdk = await asyncio.to_thread(_sdk)
    provider = context.settings.provider(service)
    address = aliases.rewrite(base_url or provider.base_url or default_url, context.settings.urls)
    limit = wanted_limit or context.time_limit or provider.timeout
    await check_address(address, context.settings)
    context.mask(api_key)
    wire = sdk.DefaultAsyncHttpxClient(verify=tls) if tls else None
    try:
        settings = {"timeout": limit, "max_retries": 2, "http_client": wire}
        if azure is None:
            made = sdk.AsyncOpenAI(api_key=api_key, base_url=address, **settings)
        else:
            who = {"azure_ad_token": api_key} if azure.by_token else {"api_key": api_key}
            made = sdk.AsyncAzureOpenAI(azure_endpoint=address, api_version=azure.api_version, **who, **settings)
        async with made as client:
            yield client
    except sdk.APIStatusError as error:
        raise TaskFailed(
            f"{service} answered {error.status_code}: {_reason(error)}", fix=HINTS.get(error.status_code, "")
        ) from error
    except sdk.APITimeoutError as error:
        raise TaskFailed(
            f"{service} did not answer within {limit:g} s.",
            fix="Raise `clientTimeout`." if wanted_limit else LONGER.format(service=service),
        ) from error
    except (sdk.APIConnectionError, ssl.SSLError) as error:
        raise TaskFailed(
            f"{service} could not be reached at {address}: {error.__cause__ or error}.",
            fix="Check address and network.",
        ) from error
    except sdk.APIError as error:
        raise TaskFailed(f"{service} failed: {error.message}") from error


def _sdk() -> ModuleType:
    import openai

    return openai


def _reason(error: "openai.APIStatusError") -> str:
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict) and inner.get("message"):
            return str(inner["message"])[:1000]
    return (error.response.text or error.message)[:1000]
