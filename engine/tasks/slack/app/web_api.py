"""Slack's Web API for tasks: the task's own token, or the bot's connection."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.outbound import deliver
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalText, moment_from_text
from engine.tasks.rows import lines_of
from engine.tasks.slack.app.answers import Said

S = TypeVar("S", bound=Said)
BASE_URL = "https://slack.com/api"
PAGE = 200  # entries a page, as Slack recommends
HINTS = {
    "channel_not_found": "Check the channel; most methods take its id (C0123456789), not its name.",
    "invalid_channel": "Give the channel's id (C0123456789), not its name.",
    "not_in_channel": "Invite the app to the channel: /invite @app.",
    "invalid_auth": "Check the token.",
    "account_inactive": "Install the app again, and use its new token.",
    "token_revoked": "Install the app again, and use its new token.",
    "missing_scope": "Add the scope to the app and install it again.",
    "name_taken": "Choose another name.",
    "users_not_found": "Nobody has this address, or the app lacks the scope users:read.email.",
    "already_in_channel": "Name those who are not in the channel yet.",
    "cant_update_message": "An app changes its own messages only: use the token the message was posted with.",
    "cant_delete_message": "An app deletes its own messages only: use the token the message was posted with.",
    "user_not_in_channel": "Invite them to the channel first.",
    "is_archived": "Bring the channel back first: `conversations.Unarchive`.",
    "msg_too_long": "Shorten the text, or share it as a file: `files.Upload`.",
    "msg_blocks_too_long": "All blocks of a message together are too long: write less, or share a file.",
    "missing_recipient_user_id": "Give `recipientUserId`: in a channel Slack wants to know whom the message answers.",
    "missing_recipient_team_id": "Give `recipientTeamId`: in a channel Slack wants to know whom the message answers.",
    "message_not_in_streaming_state": "The message is finished. Begin another with `chats.StartStream`.",
    "time_in_past": "Give a moment in the future.",
    "time_too_far": "Slack takes messages for the next 120 days.",
}
_TIMESTAMP = re.compile(r"\d+(\.\d+)?")
_LEVEL = re.compile(r"^\[(ERROR|WARN)\] *")
_POINTER = re.compile(r"\[json-pointer:([^\]]*)\]")


class SlackTask(RunnableTask):
    """What every task of the app has."""

    token: Property[OptionalText] = Field(
        default=None, description="The app's bot token; without one the task acts as the bot that runs the flow."
    )

    async def call(
        self, context: RunContext, method: str, given: Mapping[str, Any], *, fine: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """What Slack answers to a method; TaskFailed when it refuses, but for refusals that are `fine`."""
        form = as_form(given)
        if self.token:
            context.mask(self.token)
            base = context.settings.provider("slack").base_url or BASE_URL
            answer = await deliver(
                context,
                f"{base.rstrip('/')}/{method}",
                service="Slack",
                headers={"Authorization": f"Bearer {self.token}"},
                data=form,
            )
            return self._heard(context, _parsed(answer.content, method), method, fine)
        if context.chat is None:
            raise TaskFailed(
                f"`{method}` needs a `token`, since no bot is connected to Slack here.",
                fix="Give the app's bot token: {{ secret('SLACK_BOT_TOKEN') }}.",
            )
        return self._heard(context, await context.chat.call("slack", method, form), method, fine)

    def _heard(
        self, context: RunContext, said: Mapping[str, Any], method: str, fine: tuple[str, ...]
    ) -> dict[str, Any]:
        found = judged(said, method, fine)
        for warning in warnings(found):
            context.log(f"Slack says to {method}: {warning}", "WARN")
        return found

    async def read(
        self,
        context: RunContext,
        taken: Callable[[Any, str], S],
        method: str,
        given: Mapping[str, Any],
        key: str | None = None,
    ) -> S:
        """What Slack says under one key of its answer to a method, without a key in all of it; TaskFailed."""
        said = await self.call(context, method, given)
        return taken(said if key is None else said.get(key), method)

    async def named(self, context: RunContext, method: str, given: Mapping[str, Any], key: str) -> str:
        """Slack's name for what it did; TaskFailed."""
        return name_in(await self.call(context, method, given), key, method)

    async def every(
        self, context: RunContext, method: str, given: Mapping[str, Any], key: str
    ) -> AsyncIterator[list[Any]]:
        """The entries of a list, page by page."""
        cursor, pages = "", Pages("Slack")
        while True:
            answer = await self.call(context, method, {"limit": PAGE, **given, "cursor": cursor or None})
            found, metadata = answer.get(key) or [], answer.get("response_metadata")
            if not isinstance(found, list):
                raise TaskFailed(f"Slack's answer to {method} can't be read: `{key}` is no list.")
            yield found
            cursor = pages.after(metadata.get("next_cursor")) if isinstance(metadata, Mapping) else ""
            if not cursor:
                return

    async def stored(
        self,
        context: RunContext,
        method: str,
        given: Mapping[str, Any],
        key: str,
        row: Callable[[Any, str], Mapping[str, Any]],
    ) -> "Stored":
        """Every entry of a list, as a file of what `row` makes of an entry and the method."""
        path = context.working_dir / f"{context.task_id}-{context.task_run_id}.jsonl".replace("/", "-")
        size = 0
        try:
            async for page in self.every(context, method, given, key):
                size += len(page)
                await asyncio.to_thread(_append, path, "".join(lines_of(row(entry, method) for entry in page)))
            uri = await context.files.put(path, f"{key}.jsonl")
        finally:
            path.unlink(missing_ok=True)
        context.metric("records", size)
        return Stored(uri=uri, size=size)


class Stored(Outputs):
    """A file with a row an entry, and how many there are."""

    uri: StoredUri
    size: int


def as_form(given: Mapping[str, Any]) -> dict[str, str]:
    """Arguments as every method takes them: lists and maps as JSON, nothing for what was not given."""
    return {key: _argument(value) for key, value in given.items() if value is not None}


def _argument(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def as_timestamp(text: str | None, name: str = "timestamp") -> str | None:
    """A moment as Slack names messages (1700000000.000100), given like that or as a date; TaskFailed."""
    if text is None or not text.strip():
        return None
    if _TIMESTAMP.fullmatch(text.strip()):
        return text.strip()
    try:
        moment = moment_from_text(text)
    except ValueError as error:
        raise TaskFailed(
            f"`{name}` {text!r} is neither a message's timestamp nor a date.",
            fix="Use {{ outputs.post.timestamp }}, or write 2026-12-01T08:55:00Z.",
        ) from error
    seconds = int(moment.timestamp())
    return f"{seconds}.{moment.microsecond:06d}" if moment.microsecond else str(seconds)


def judged(said: Mapping[str, Any], method: str, fine: tuple[str, ...] = ()) -> dict[str, Any]:
    """Slack's answer when it says `ok` or refuses for a reason that is fine; TaskFailed with its reason otherwise."""
    if said.get("ok"):
        return dict(said)
    reason = str(said.get("error") or "unknown_error")
    if reason in fine:
        return dict(said)
    fix = HINTS.get(reason, "")
    if reason == "missing_scope" and said.get("needed"):
        fix = f"Add the scope {said['needed']} to the app and install it again."
    reasons = "; ".join([*told(said), *([str(said["detail"])] if said.get("detail") else [])])
    raise TaskFailed(f"Slack refused {method}: {reason}{f' ({reasons}).' if reasons else ''}", fix=fix)


def name_in(said: Mapping[str, Any], key: str, method: str) -> str:
    """A name of Slack's in its answer to a method; TaskFailed without one."""
    if not isinstance(name := said.get(key), str) or not name:
        raise TaskFailed(f"Slack's answer to {method} has no `{key}`.")
    return name


def told(said: Mapping[str, Any]) -> list[str]:
    """What Slack says about a call in words: `must be less than 3001 characters at /blocks/0/text/text`."""
    metadata = said.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, Mapping) else None
    plain = [_LEVEL.sub("", str(message)) for message in (messages if isinstance(messages, list) else [])]
    return [_POINTER.sub(r"at \1", message) for message in plain]


def warnings(said: Mapping[str, Any]) -> list[str]:
    """What Slack warns of though it did what was asked, in words where it has some."""
    return told(said) or [name for name in str(said.get("warning") or "").split(",") if name]


def _parsed(content: bytes, method: str) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except json.JSONDecodeError as error:
        raise TaskFailed(f"Slack's answer to {method} is not JSON.") from error
    return said if isinstance(said, dict) else {}


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
