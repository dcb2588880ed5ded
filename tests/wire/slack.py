"""A Slack workspace on loopback, and the people who use it: they type, press, fill and send by the client's rules."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web

from tests.wire import slack_rules as rules
from tests.wire import slack_seeing as seeing
from tests.wire.slack_people import Heard, Refusal, Window, Written, buttons, fill, find_button
from tests.wire.slack_server import APP_TOKEN, BOT, BOT_TOKEN, TEAM, Handle, Json, Workspace

__all__ = ["APP_TOKEN", "BOT", "BOT_TOKEN", "FakeSlack", "Handle", "Heard", "Refusal", "slack"]


class FakeSlack(Workspace):
    """One workspace with people in it."""

    # What people see

    def private(self, user: str) -> list[Written]:
        return [one for one in self.messages if one.only == user and not one.deleted]

    def text(self, message: Written | Window) -> str:
        """All a reader sees of it."""
        return seeing.shown(message.payload if isinstance(message, Written) else message.view)

    def window(self, user: str = "U1") -> Window | None:
        """The modal somebody looks at."""
        return next((one for one in reversed(self.windows) if one.user == user and one.open), None)

    async def modal(self, user: str = "U1") -> Window:
        found: Window = await self.until(lambda: self.window(user), f"a modal for {user}")
        return found

    async def said(self, text: str, *, user: str | None = None, channel: str | None = None) -> Written:
        """A message that shows a text, once it is there."""

        def find() -> Written | None:
            return next((one for one in reversed(self.visible(channel, user)) if text in self.text(one)), None)

        found: Written = await self.until(find, f"a message with {text!r}")
        return found

    def called(self, method: str) -> list[Json]:
        return [body for name, body in self.calls if name == method]

    # What people do

    def expire_addresses(self) -> None:
        for one in self._addresses.values():
            one.expired = True

    def _who(self, user: str) -> Json:
        return {
            "team": {"id": TEAM, "domain": "wire"},
            "user": {
                "id": user,
                "username": self.users.get(user, user),
                "name": self.users.get(user, user),
                "team_id": self.teams.get(user, TEAM),
            },
            "api_app_id": "A1",
            "token": "verification",
        }

    def slash_payload(self, line: str, user: str = "U1", channel: str = "C1") -> Json:
        command, _, text = line.partition(" ")
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        name = self.channels[channel].name if channel in self.channels else "directmessage"
        return {
            "token": "verification",
            "team_id": self.teams.get(user, TEAM),
            "user_id": user,
            "user_name": self.users.get(user, user),
            "channel_id": channel,
            "channel_name": "privategroup" if channel.startswith("G") else name,
            "command": command,
            "text": text,
            "api_app_id": "A1",
            "trigger_id": self.trigger(user),
            "response_url": self.address(channel, user),
        }

    async def command(self, line: str, user: str = "U1", channel: str = "C1") -> Heard:
        """`/flow …`, typed by somebody."""
        return await self.deliver("slash_commands", self.slash_payload(line, user, channel))

    def press_payload(self, name: str, user: str = "U1", message: Written | None = None) -> Json:
        """A pressed button: of the message named, else of the newest thing the person sees that has one."""
        window = self.window(user)
        if message is None and window and (found := find_button(window.view["blocks"], name)):
            return self._view_press(window, *found)
        candidates = [message] if message else list(reversed(self.visible(user=user)))
        for one in candidates:
            if found := find_button(one.blocks, name):
                return self._message_press(one, *found, user)
        if user in self.homes and (found := find_button(self.homes[user].view["blocks"], name)):
            return self._view_press(self.homes[user], *found)
        there = [button["text"]["text"] for one in candidates for _, button in buttons(one.blocks)]
        raise AssertionError(f"{user} sees no button {name!r}; there are {there}")

    def _pressed(self, block: Json, element: Json) -> Json:
        pressed: Json = {key: element[key] for key in ("type", "action_id", "text", "value", "style") if key in element}
        return {**pressed, "block_id": block.get("block_id", "b"), "action_ts": f"{time.time():.6f}{self._next('')}"}

    def _message_press(self, one: Written, block: Json, element: Json, user: str) -> Json:
        container = {
            "type": "message",
            "message_ts": one.ts,
            "channel_id": one.channel,
            "is_ephemeral": one.only is not None,
            **({"thread_ts": one.thread} if one.thread else {}),
        }
        return {
            "type": "block_actions",
            **self._who(user),
            "container": container,
            "trigger_id": self.trigger(user),
            "channel": {"id": one.channel, "name": "ops"},
            **(
                {}
                if one.only
                else {"message": {"ts": one.ts, "text": one.payload.get("text", ""), "blocks": one.blocks}}
            ),
            "response_url": self.address(one.channel, user, one),
            "actions": [self._pressed(block, element)],
        }

    def _view_press(self, window: Window, block: Json, element: Json) -> Json:
        typed = fill(window, {}, self._suggested, whole=False) if window.inputs else {}
        view = {**window.view, "id": window.id, "hash": window.hash, "state": {"values": typed}}
        return {
            "type": "block_actions",
            **self._who(window.user),
            "container": {"type": "view", "view_id": window.id},
            "trigger_id": self.trigger(window.user),
            "view": view,
            "actions": [self._pressed(block, element)],
        }

    async def press(self, name: str, user: str = "U1", message: Written | None = None) -> Heard:
        return await self.deliver("interactive", self.press_payload(name, user, message))

    async def suggest(self, window: Window, name: str, typed: str) -> list[str]:
        """Type into a menu that asks the app; the labels it offers."""
        block = window.input(name)
        payload = {
            "type": "block_suggestion",
            **self._who(window.user),
            "container": {"type": "view", "view_id": window.id},
            "action_id": block["element"]["action_id"],
            "block_id": block["block_id"],
            "value": typed,
            "view": {**window.view, "id": window.id, "hash": window.hash},
        }
        heard = await self.deliver("interactive", payload)
        options = heard.ack["options"]
        assert len(options) <= 100, "Slack takes 100 suggestions"
        for number, option in enumerate(options):
            rules.check_option(option, f"options[{number}]")
        self._suggested.setdefault(block["block_id"], []).extend(options)
        return [option["text"]["text"] for option in options]

    async def choose(self, window: Window, name: str, value: Any) -> Heard:
        """Answer an input that tells the app at once."""
        block = window.input(name)
        assert block.get("dispatch_action"), f"{name!r} tells the app nothing until the form is sent"
        window.typed[block["block_id"]] = value
        payload = self._view_press(window, block, block["element"])
        payload["view"]["state"] = {"values": fill(window, {}, self._suggested, whole=False)}
        return await self.deliver("interactive", payload)

    def submit_payload(self, window: Window, answers: Json) -> Json:
        state = fill(window, answers, self._suggested)
        view = {**window.view, "id": window.id, "hash": window.hash, "state": {"values": state}}
        return {
            "type": "view_submission",
            **self._who(window.user),
            "trigger_id": self.trigger(window.user),
            "view": view,
        }

    async def fill(self, window: Window, answers: Json | None = None) -> Heard:
        """Fill a modal and send it; what the app answers happens to the modal."""
        heard = await self.deliver("interactive", self.submit_payload(window, answers or {}))
        await self.apply(window, heard.ack)
        return heard

    async def apply(self, window: Window, ack: Any) -> None:
        """What a submission's acknowledgement does to the modal."""
        window.errors = {}
        action = (ack or {}).get("response_action") if isinstance(ack, dict) else None
        if action == "errors":
            names = {block["block_id"] for block in window.inputs}
            assert ack["errors"]
            assert set(ack["errors"]) <= names, f"errors for {set(ack['errors']) - names}"
            assert all(text.strip() for text in ack["errors"].values())
            window.errors = ack["errors"]
        elif action == "update":
            rules.check_view(ack["view"])
            self._draw(window, ack["view"])
        else:
            window.open = False
        await self.changed()

    def file(self, name: str, content: bytes, media_type: str = "text/plain") -> Json:
        """A file somebody uploads into a form or a message."""
        id_ = self._next("F")
        self.contents[id_] = content
        url = f"{self.url}/files/{id_}/{name}"
        return {"id": id_, "name": name, "mimetype": media_type, "size": len(content), "url_private": url}

    async def shortcut(self, callback_id: str, user: str = "U1", message: Written | None = None, **more: Any) -> Heard:
        payload = {
            "type": "message_action" if message else "shortcut",
            "callback_id": callback_id,
            **self._who(user),
            "trigger_id": self.trigger(user),
            "action_ts": "1.0",
        }
        if message:
            written = {"ts": message.ts, "text": message.payload.get("text", ""), "user": message.user, **more}
            payload |= {"channel": {"id": message.channel}, "message": written, "message_ts": message.ts}
            payload["response_url"] = self.address(message.channel, user, message)
        return await self.deliver("interactive", payload)

    def event_payload(self, event: Json) -> Json:
        return {
            "token": "verification",
            "team_id": TEAM,
            "api_app_id": "A1",
            "type": "event_callback",
            "event_id": self._next("Ev"),
            "event_time": int(time.time()),
            "event": event,
            "authorizations": [{"team_id": TEAM, "user_id": BOT, "is_bot": True}],
        }

    async def mention(
        self, text: str, user: str = "U1", channel: str = "C1", thread: str | None = None, **more: Any
    ) -> Heard:
        event = {
            "type": "app_mention",
            "user": user,
            "text": f"<@{BOT}> {text}",
            "ts": self._next("9."),
            "channel": channel,
        }
        return await self.deliver(
            "events_api", self.event_payload(event | ({"thread_ts": thread} if thread else {}) | more)
        )

    async def direct(self, text: str, user: str = "U1", **more: Any) -> Heard:
        event = {
            "type": "message",
            "channel_type": "im",
            "user": user,
            "text": text,
            "channel": self.direct_channel(user),
        }
        return await self.deliver("events_api", self.event_payload({**event, "ts": self._next("9."), **more}))

    async def open_home(self, user: str = "U1") -> Heard:
        event = {"type": "app_home_opened", "user": user, "channel": self.direct_channel(user), "tab": "home"}
        return await self.deliver("events_api", self.event_payload(event))

    def write(self, text: str, user: str = "U1", channel: str = "C1") -> Written:
        """A message somebody writes to others."""
        one = Written(channel, self._next("1700000000."), {"text": text}, user)
        self.messages.append(one)
        return one

    def delete(self, message: Written) -> None:
        message.deleted = True

    # Events to the app

    async def deliver(self, kind: str, payload: Json, *, attempt: int = 0, acked_within: float = 3.0) -> Heard:
        """Send an event and wait for its acknowledgement, as long as Slack would."""
        heard = Heard(kind, payload)
        start = time.monotonic()
        if self.handle is not None:
            await self._deliver_http(heard, attempt)
        else:
            envelope = self._next("envelope-")
            self._waiting[envelope] = waiting = asyncio.get_running_loop().create_future()
            frame = {
                "envelope_id": envelope,
                "type": kind,
                "payload": payload,
                "accepts_response_payload": kind != "events_api",
                **({"retry_attempt": attempt, "retry_reason": "timeout"} if attempt else {}),
            }
            socket = await self.until(lambda: next((one for one in self._sockets if not one.closed), None), "a socket")
            await socket.send_str(json.dumps(frame))
            try:
                async with asyncio.timeout(acked_within):
                    heard.ack = await waiting
            except TimeoutError:
                self.unacked.append(heard)
                raise AssertionError(f"no acknowledgement in {acked_within} s for {kind}") from None
            finally:
                self._waiting.pop(envelope, None)
        heard.seconds = time.monotonic() - start
        return heard

    async def redeliver(self, heard: Heard) -> Heard:
        """The same event again, as Slack sends it when an acknowledgement got lost."""
        return await self.deliver(heard.kind, heard.payload, attempt=1)

    def sign(self, body: bytes, *, at: int | None = None) -> dict[str, str]:
        stamp = str(int(time.time()) if at is None else at)
        digest = hmac.new(
            self.signing_secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256
        ).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}

    def http_body(self, kind: str, payload: Json) -> tuple[bytes, str]:
        if kind == "events_api":
            return json.dumps(payload).encode(), "application/json"
        fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
        return urlencode(fields).encode(), "application/x-www-form-urlencoded"

    async def _deliver_http(self, heard: Heard, attempt: int) -> None:
        assert self.handle is not None
        body, media_type = self.http_body(heard.kind, heard.payload)
        headers = {"Content-Type": media_type, **self.sign(body)}
        if attempt:
            headers |= {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_timeout"}
        heard.status, _, answer = await self.handle(body, headers)
        assert heard.status == 200, f"{heard.status} {answer!r}"
        heard.ack = json.loads(answer) if answer.startswith(b"{") else None

    async def connected(self) -> None:
        """Wait until the app has a socket."""
        await self.until(lambda: any(not one.closed for one in self._sockets), "a socket")

    async def drop_sockets(self) -> None:
        """Cut every connection without a word."""
        for one in list(self._sockets):
            if one._req is not None and one._req.transport is not None:
                one._req.transport.abort()
        self._sockets.clear()

    async def refresh_sockets(self) -> None:
        """Ask the app to connect anew, as Slack does every few hours."""
        for one in list(self._sockets):
            await one.send_str(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))
            self._sockets.remove(one)


async def serve() -> AsyncIterator[FakeSlack]:
    """A workspace for one test."""
    fake = FakeSlack()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/api/{method}", fake.api)
    app.router.add_get("/link/", fake.link)
    app.router.add_post("/response/{id}", fake.response)
    app.router.add_post("/upload/{id}", fake.upload)
    app.router.add_get("/files/{id}/{name}", fake.download)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        for socket in list(fake._sockets):
            await socket.close()
        await runner.cleanup()


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    """A Slack workspace on loopback, with #ops (C1), #reviews (C2) and a private channel without the bot (G1)."""
    async for fake in serve():
        yield fake
