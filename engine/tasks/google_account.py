"""Service accounts of Google: from the key in a flow, or the machine's own, to a token for one call."""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from engine.plugin import RunContext, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.threads import in_own_thread

KEY_ADVICE = "Store the whole content of the key file as secret."


def read_key(context: RunContext, service_account: str) -> dict[str, Any]:
    """The key of a service account, its parts masked; TaskFailed when the text is none."""
    context.mask(service_account)
    try:
        key = json.loads(service_account)
    except json.JSONDecodeError as error:
        raise TaskFailed(f"`serviceAccount` is not JSON ({error.msg}).", fix=KEY_ADVICE) from error
    if not isinstance(key, dict):
        raise TaskFailed("`serviceAccount` is not a key.", fix=KEY_ADVICE)
    context.mask(str(key.get("private_key", "")))
    return key


async def access_token(
    context: RunContext, service_account: str | None, scopes: Sequence[str], seconds: int = 120
) -> str:
    """An access token for the service account (or the machine's own default account); TaskFailed."""
    return (await granted(context, service_account, scopes, seconds))[0]


async def granted(
    context: RunContext, service_account: str | None, scopes: Sequence[str], seconds: int = 120
) -> tuple[str, datetime | None]:
    """An access token as above, and until when it holds."""
    key = read_key(context, service_account) if service_account else None
    if key is not None:
        await check_address(str(key.get("token_uri", "")), context.settings)
    token, until = await in_own_thread(partial(_fetch_token, key, list(scopes), seconds))
    context.mask(token)
    return token, until


def _fetch_token(key: dict[str, Any] | None, scopes: list[str], timeout: int) -> tuple[str, datetime | None]:
    """Fetch a token in a thread: google-auth blocks."""
    import google.auth
    import requests
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request
    from google.oauth2 import service_account

    logging.getLogger("google.auth").setLevel(logging.WARNING)  # it writes tokens at DEBUG
    try:
        with requests.Session() as session:
            if key is None:
                credentials, _ = google.auth.default(scopes=scopes)
            else:
                credentials = service_account.Credentials.from_service_account_info(key, scopes=scopes)  # type: ignore[no-untyped-call]
            credentials.refresh(partial(Request(session=session), timeout=timeout))  # type: ignore[no-untyped-call]
    except (GoogleAuthError, ValueError) as error:
        kind = "service account" if key is not None else "machine's default account"
        raise TaskFailed(
            f"Google gave no token for the {kind}: {error}",
            fix="Check the key in `serviceAccount`: the whole JSON file, of an account that still exists.",
        ) from error
    until: datetime | None = credentials.expiry  # without a zone
    return str(credentials.token), until.replace(tzinfo=UTC) if until else None
