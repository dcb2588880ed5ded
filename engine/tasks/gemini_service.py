"""Gemini's API, and that of Vertex AI: the client, where it points, and its errors in sentences."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from engine.plugin import RunContext, TaskFailed
from engine.tasks.address_guard import check_address

if TYPE_CHECKING:
    from google.genai import Client

HINTS = {
    400: "Check the API key and the schema.",
    403: "Check what the API key may do.",
    404: "The model may be retired: name another, or map it in `models`.",
    429: "Too many requests, or the quota is used up: retry later or add `retry` to the task.",
}


@asynccontextmanager
async def connected(
    context: RunContext,
    api_key: str,
    model: str,
    base_url: str | None = None,
    tls: ssl.SSLContext | None = None,
    vertex: Mapping[str, str] | None = None,
) -> AsyncIterator["Client"]:
    """A client of Gemini; what it raises leaves as TaskFailed, which names the model.

    With `vertex` (`project` and `location`) the client is one of Vertex AI, and the key an access token.
    """
    genai, types, errors, http = await asyncio.to_thread(_sdk)
    provider = context.settings.provider("vertex" if vertex else "gemini")
    address = base_url or provider.base_url
    limit = context.time_limit or provider.timeout
    if address:
        await check_address(address, context.settings)
    context.mask(api_key)
    # our own: the SDK would take aiohttp where that is installed
    wire = http.AsyncClient(timeout=limit, verify=tls or True)
    options = types.HttpOptions(
        base_url=address,
        api_version="v1" if vertex else "v1beta",
        timeout=int(limit * 1000),
        httpx_async_client=wire,
    )
    if vertex:
        from google.oauth2.credentials import Credentials

        who = Credentials(api_key)  # type: ignore[no-untyped-call]
        client = genai.Client(vertexai=True, credentials=who, http_options=options, **vertex)
    else:
        client = genai.Client(api_key=api_key, http_options=options, vertexai=False)
    try:
        yield client
    except errors.APIError as error:
        raise TaskFailed(
            f"Gemini answered {error.code} for the model {model}: {error.message or error.status}",
            fix=HINTS.get(error.code, ""),
        ) from error
    except http.ReadTimeout as error:
        raise TaskFailed(
            f"Gemini did not answer within {limit:g} s for the model {model}.",
            fix="Give the task a longer `timeout`, or raise `providers.gemini.timeout`.",
        ) from error
    except (http.HTTPError, OSError) as error:
        where = address or "its public address"
        raise TaskFailed(
            f"Gemini could not be reached at {where}: {error or type(error).__name__}.", fix="Check the network."
        ) from error
    finally:
        client.close()
        await wire.aclose()


def _sdk() -> tuple[Any, Any, Any, Any]:
    import httpx2
    from google import genai
    from google.genai import errors, types

    return genai, types, errors, httpx2
