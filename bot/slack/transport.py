"""Calls to Slack's Web API, response addresses and file downloads: one HTTP session, refusals as `Unreachable`."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.conversation import Attachment
from bot.frontend import Unreachable
from bot.slack.answers import SentFile
from bot.slack.refusals import refusal
from bot.tallies import RATE_LIMITS

Call = Callable[[AsyncWebClient], Awaitable[AsyncSlackResponse]]
_PATIENCE = 30.0  # the longest pause a person's answer waits for
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
R = TypeVar("R")


class FileRefused(Exception):
    """A file somebody sent can't be used; the message says why."""


def error_code(error: SlackApiError) -> str:
    """Slack's name for what went wrong."""
    answer: Any = error.response
    data = getattr(answer, "data", answer)
    return str(data.get("error") or "unknown") if isinstance(data, dict) else "unknown"


def as_unreachable(error: Exception, channel: str = "") -> Unreachable:
    """Any failure of a call as the one error front ends may raise."""
    if isinstance(error, SlackApiError):
        answer: Any = error.response
        status = getattr(answer, "status_code", 0)
        headers = getattr(answer, "headers", None) or {}
        data = getattr(answer, "data", None)
        if status == 429:
            return _slower(headers, channel)
        if not isinstance(data, dict) or status >= 500:
            return refusal("service_unavailable", channel)
        return refusal(error_code(error), channel, needed=str(data.get("needed") or ""))
    return Unreachable(f"Slack can't be reached ({type(error).__name__}).", retry_after=5.0)


def _slower(headers: Mapping[str, str], channel: str = "") -> Unreachable:
    """Slack's answer 429: counted, and to be tried again when it says."""
    RATE_LIMITS.add("slack")
    return refusal("ratelimited", channel, retry_after=_seconds(headers.get("Retry-After")))


def _seconds(text: Any) -> float:
    try:
        return max(0.0, float(text))
    except (TypeError, ValueError):
        return 30.0


class Transport:
    """One workspace's Web API."""

    def __init__(self, token: str, base_url: str, session: aiohttp.ClientSession) -> None:
        # No retry handlers: the SDK's own would post a message twice when only the answer to it got lost.
        self.client = AsyncWebClient(token=token, base_url=base_url, session=session, timeout=30, retry_handlers=[])
        self._token = token
        self._session = session
        self._base = urlsplit(base_url)

    async def call(self, doing: Call, channel: str = "") -> AsyncSlackResponse:
        """One call; Unreachable when Slack refuses or can't be reached."""
        try:
            return await doing(self.client)
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise as_unreachable(error, channel) from error

    async def ask(self, method: str, given: Mapping[str, str]) -> Mapping[str, Any]:
        """What Slack answers to any method, a refusal too; Unreachable when it can't be asked now."""
        try:
            answer = await self.client.api_call(method, data=dict(given))
        except SlackApiError as error:
            data = error.response.data
            if error.response.status_code == 200 and isinstance(data, dict):
                return data
            raise as_unreachable(error) from error
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise as_unreachable(error) from error
        return answer.data if isinstance(answer.data, dict) else {}

    async def patiently(self, doing: Call, channel: str = "") -> AsyncSlackResponse:
        """One call that waits out short pauses; for answers that no outbox repeats."""
        return await patient(lambda: self.call(doing, channel))

    async def upload(self, channel: str, thread: str | None, name: str, content: bytes, alt: str = "") -> None:
        """A file into a channel or thread. The SDK's `files_upload_v2` does the same calls, but writes the whole
        content at once, which stops the loop for as long as that takes."""
        whole = content or b"\n"  # Slack takes no empty files
        ticket = await self.patiently(
            lambda client: client.files_getUploadURLExternal(filename=name, length=len(whole), alt_txt=alt or None)
        )

        async def send() -> None:
            try:
                async with self._session.post(str(ticket["upload_url"]), data=io.BytesIO(whole)) as answer:
                    if answer.status != 200:
                        raise Unreachable(f"Slack refused the content of {name} ({answer.status}).")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise as_unreachable(error) from error

        await patient(send)
        files = [{"id": ticket["file_id"], "title": name}]
        await self.patiently(
            lambda client: client.files_completeUploadExternal(files=files, channel_id=channel, thread_ts=thread),
            channel,
        )

    async def respond(self, address: str, payload: dict[str, Any]) -> None:
        """Post to a `response_url`; Unreachable when it has expired."""

        async def once() -> None:
            try:
                async with self._session.post(
                    address, data=json.dumps(payload), headers={"content-type": "application/json; charset=utf-8"}
                ) as answer:
                    text = await answer.text()
                    if answer.status == 429:
                        raise _slower(answer.headers)
                    if answer.status >= 500:
                        raise refusal("service_unavailable")
                    if answer.status != 200 or (text.startswith("{") and not json.loads(text).get("ok", True)):
                        raise Unreachable(f"The time to answer there is over ({answer.status} {text[:80]}).")
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise as_unreachable(error) from error

        if not self._is_slack(address):
            raise Unreachable("The answer's address is not Slack's, so nothing was sent there.")
        await patient(once)

    def _is_slack(self, address: str) -> bool:
        """Whether tokens and answers may go there: Slack's own hosts, or the loopback server that stands for it."""
        parts = urlsplit(address)
        host = parts.hostname or ""
        if self._base.hostname in _LOOPBACK:
            return host in _LOOPBACK
        return parts.scheme == "https" and (host == "slack.com" or host.endswith((".slack.com", ".slack-files.com")))

    async def download(self, file: SentFile, folder: Path, limit: int) -> Attachment:
        """Fetch a file somebody sent; FileRefused when it is too large or can't be read."""
        limit_text = f"{limit / 1_048_576:g} MB"
        if file.size > limit:
            raise FileRefused(f"{file.name} is {file.size / 1_048_576:.1f} MB; the limit here is {limit_text}.")
        if not self._is_slack(file.url):
            raise FileRefused(f"{file.name} does not lie at Slack, so I did not fetch it. Upload it here instead.")
        content = bytearray()
        headers = {"authorization": f"Bearer {self._token}"}
        try:
            async with self._session.get(file.url, headers=headers, allow_redirects=False) as answer:
                is_page = answer.content_type == "text/html" and "html" not in file.media_type
                if answer.status != 200 or is_page:
                    raise FileRefused(f"Slack did not hand out {file.name}. The app may lack the scope files:read.")
                async for chunk in answer.content.iter_chunked(65_536):
                    content += chunk
                    if len(content) > limit:
                        raise FileRefused(f"{file.name} is larger than the limit of {limit_text}.")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise FileRefused(f"{file.name} could not be fetched from Slack. Try again.") from error
        path = await asyncio.to_thread(_save, folder, file, bytes(content))
        return Attachment(file.name, str(path), len(content), file.media_type)


def _save(folder: Path, file: SentFile, content: bytes) -> Path:
    """Under a name of our own: theirs may be a path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (file.id if file.id.isalnum() and file.id.isascii() else "file")
    path.write_bytes(content)
    return path


async def patient(doing: Callable[[], Awaitable[R]]) -> R:
    """Do it, waiting out up to three pauses that Slack asks for."""
    for _ in range(3):
        try:
            return await doing()
        except Unreachable as error:
            if error.retry_after is None or error.retry_after > _PATIENCE:
                raise
            await asyncio.sleep(error.retry_after)
    return await doing()
