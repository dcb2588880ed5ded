"""A Slack workspace on loopback: Web API, Socket Mode, response addresses, files; and people who use it.

It knows nothing of our code: payloads are judged by `slack_rules`, people act by the rules of Slack's client.
"""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import WSMsgType, web

from tests.wire import slack_rules as rules
from tests.wire.slack_people import Window, Written, buttons, fill, find_button

Json = dict[str, Any]
Handle = Callable[[bytes, Mapping[str, str]], Awaitable[tuple[int, Mapping[str, str], bytes]]]
BOT, BOT_TOKEN, APP_TOKEN, TEAM = "U0BOT", "xoxb-wire", "xapp-wire", "T1"


@dataclass
class Refusal:
    """A scripted answer: an error name, a 429, or a connection that breaks after (`taken`) or before the work."""

    error: str = ""
    retry_after: int | None = None
    drops: bool = False
    taken: bool = False
    status: int = 200


@dataclass
class Channel:
    id: str
    name: str
    members: set[str]
    archived: bool = False
    private: bool = False


@dataclass
class Heard:
    """One event on its way to the app, and its acknowledgement."""

    kind: str
    payload: Json
    ack: Any = None
    seconds: float | None = None
    status: int = 200


@dataclass
class ResponseAddress:
    channel: str
    user: str
    message: Written | None = None
    uses: int = 0
    expired: bool = False


@dataclass
class FakeSlack:
    """One workspace. `token_state`, `scripts` and channels may be changed by tests at any time."""

    url: str = ""
    token_error: str = ""
    trigger_life: float = 3.0
    may_read_history: bool = True
    signing_secret: str = "wire-secret"
    users: dict[str, str] = field(default_factory=lambda: {"U1": "ann", "U2": "bob", BOT: "parley"})
    groups: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: list[Written] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    homes: dict[str, Window] = field(default_factory=dict)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    refused: list[rules.SlackRefuses] = field(default_factory=list)
    scripts: dict[str, list[Refusal]] = field(default_factory=dict)
    unacked: list[Heard] = field(default_factory=list)
    handle: Handle | None = None  # set: events go by signed HTTP, else by Socket Mode
    uploads: dict[str, Json] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    _sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _waiting: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    _triggers: dict[str, tuple[str, float]] = field(default_factory=dict)
    _spent: set[str] = field(default_factory=set)
    _addresses: dict[str, ResponseAddress] = field(default_factory=dict)
    _suggested: dict[str, list[Json]] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _number: int = 0
    connections_opened: int = 0

    def __post_init__(self) -> None:
        for id_, name, members in (("C1", "ops", {"U1", "U2", BOT}), ("C2", "reviews", {"U1", "U2", BOT})):
            self.channels[id_] = Channel(id_, name, members)
        self.channels["G1"] = Channel("G1", "private", {"U1"}, private=True)

    # Waiting instead of sleeping

    async def changed(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, true: Callable[[], Any], what: str = "", seconds: float = 10.0) -> Any:
        """Wait for a condition; its value."""
        async with self._changed:
            try:
                async with asyncio.timeout(seconds):
                    while not (found := true()):
                        await self._changed.wait()
            except TimeoutError:
                calls = [name for name, _ in self.calls][-12:]
                raise AssertionError(f"never happened: {what or true}; calls {calls}; refused {self.refused}") from None
            return found

    def _next(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number:06d}"

    # What people see

    def visible(self, channel: str | None = None, user: str | None = None) -> list[Written]:
        """Messages that stand there, ephemeral ones only for their reader."""
        return [
            one
            for one in self.messages
            if not one.deleted
            and channel in (None, one.channel)
            and (one.only is None or user is None or one.only == user)
        ]

    def public(self, channel: str | None = None) -> list[Written]:
        return [one for one in self.visible(channel) if one.only is None]

    def private(self, user: str) -> list[Written]:
        return [one for one in self.messages if one.only == user and not one.deleted]

    def text(self, message: Written | Window) -> str:
        """All a reader sees of it."""
        return rules.shown(message.payload if isinstance(message, Written) else message.view)

    def window(self, user: str = "U1") -> Window | None:
        """The modal somebody looks at."""
        return next((one for one in reversed(self.windows) if one.user == user and one.open), None)

    async def modal(self, user: str = "U1") -> Window:
        return await self.until(lambda: self.window(user), f"a modal for {user}")

    async def said(self, text: str, *, user: str | None = None, channel: str | None = None) -> Written:
        """A message that shows a text, once it is there."""

        def find() -> Written | None:
            return next((one for one in reversed(self.visible(channel, user)) if text in self.text(one)), None)

        return await self.until(find, f"a message with {text!r}")

    def called(self, method: str) -> list[Json]:
        return [body for name, body in self.calls if name == method]

    # What people do

    def trigger(self, user: str) -> str:
        id_ = self._next("trigger.")
        self._triggers[id_] = (user, time.monotonic())
        return id_

    def address(self, channel: str, user: str, message: Written | None = None) -> str:
        id_ = self._next("R")
        self._addresses[id_] = ResponseAddress(channel, user, message)
        return f"{self.url}/response/{id_}"

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
                "team_id": TEAM,
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
            "team_id": TEAM,
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
        pressed = {key: element[key] for key in ("type", "action_id", "text", "value", "style") if key in element}
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
        view = {**window.view, "id": window.id, "hash": window.hash}
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
            assert ack["errors"] and set(ack["errors"]) <= names, f"errors for {set(ack['errors']) - names}"
            assert all(text.strip() for text in ack["errors"].values())
            window.errors = ack["errors"]
        elif action == "update":
            rules.check_view(ack["view"])
            self._draw(window, ack["view"])
        else:
            window.open = False
        await self.changed()

    def _draw(self, window: Window, view: Json) -> None:
        names = {block.get("block_id") for block in view["blocks"]}
        same = view["private_metadata"] == window.view.get("private_metadata") if "private_metadata" in view else False
        window.typed = {name: value for name, value in window.typed.items() if same and name in names}
        window.view, window.hash = view, self._next("h")

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

    def direct_channel(self, user: str) -> str:
        id_ = f"D{user}"
        self.channels.setdefault(id_, Channel(id_, "directmessage", {user, BOT}))
        return id_

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

    # Server side

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}}))
        self._sockets.append(socket)
        await self.changed()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                ack = json.loads(message.data)
                waiting = self._waiting.get(ack["envelope_id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(ack.get("payload"))
        if socket in self._sockets:
            self._sockets.remove(socket)
        return socket

    async def api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        body: Json = dict(request.query)
        if "json" in request.headers.get("Content-Type", ""):
            body |= await request.json()
        else:
            body |= {key: _decoded(str(value)) for key, value in (await request.post()).items()}
        self.calls.append((method, body))
        script = self.scripts.get(method) or []
        planned = script.pop(0) if script else Refusal()
        try:
            if planned.drops and not planned.taken:
                return _cut(request)
            if planned.retry_after is not None:
                headers = {"Retry-After": str(planned.retry_after)}
                return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
            if planned.error:
                return web.json_response({"ok": False, "error": planned.error}, status=planned.status)
            self._authorise(method, request)
            answer = getattr(self, "_" + re.sub(r"\W", "_", method), self._unknown)(body)
            if planned.drops:
                return _cut(request)
            return web.json_response({"ok": True, **answer}, headers={"x-oauth-scopes": "chat:write,commands"})
        except rules.SlackRefuses as error:
            self.refused.append(error)
            return web.json_response({"ok": False, "error": error.error, "detail": error.detail})
        finally:
            await self.changed()

    def _authorise(self, method: str, request: web.Request) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if self.token_error and method != "apps.connections.open":
            raise rules.SlackRefuses(self.token_error, method)
        if token != wanted:
            raise rules.SlackRefuses("invalid_auth" if token else "not_authed", method)

    def _unknown(self, body: Json) -> Json:
        raise rules.SlackRefuses("unknown_method", str(body)[:60])

    def _auth_test(self, body: Json) -> Json:
        return {"url": self.url, "team": "Wire", "user": "parley", "team_id": TEAM, "user_id": BOT, "bot_id": "B0BOT"}

    def _apps_connections_open(self, body: Json) -> Json:
        self.connections_opened += 1
        return {"url": self.url.replace("http://", "ws://") + f"/link/?ticket={self.connections_opened}"}

    def _users_info(self, body: Json) -> Json:
        if body["user"] not in self.users:
            raise rules.SlackRefuses("user_not_found", body["user"])
        name = self.users[body["user"]]
        return {"user": {"id": body["user"], "name": name, "profile": {"display_name": name}}}

    def _usergroups_list(self, body: Json) -> Json:
        found = [{"id": id_, "handle": handle, "users": users} for id_, (handle, users) in self.groups.items()]
        return {"usergroups": found}

    def _conversations_open(self, body: Json) -> Json:
        return {"channel": {"id": self.direct_channel(body["users"].split(",")[0])}}

    def _place(self, name: str) -> Channel:
        if name in self.users:
            name = self.direct_channel(name)
        found = self.channels.get(name)
        if found is None and name.startswith("#"):
            found = next((one for one in self.channels.values() if one.name == name[1:]), None)
        if found is None or (found.private and BOT not in found.members):
            raise rules.SlackRefuses("channel_not_found", name)
        if found.archived:
            raise rules.SlackRefuses("is_archived", name)
        if BOT not in found.members:
            raise rules.SlackRefuses("not_in_channel", name)
        return found

    def _thread(self, channel: str, thread: Any) -> None:
        if thread and not any(one.ts == thread and one.channel == channel for one in self.messages):
            raise rules.SlackRefuses("thread_not_found", str(thread))

    def _add(self, channel: str, body: Json, only: str | None = None) -> Written:
        content = {key: body[key] for key in ("text", "blocks", "attachments", "username") if body.get(key)}
        rules.check_message(content)
        one = Written(
            channel, self._next("1700000000."), content, BOT, body.get("thread_ts"), only, body.get("metadata")
        )
        one.pings = rules.pings(content)
        self.messages.append(one)
        return one

    def _chat_postMessage(self, body: Json) -> Json:
        channel = self._place(str(body["channel"]))
        self._thread(channel.id, body.get("thread_ts"))
        one = self._add(channel.id, body)
        return {"channel": channel.id, "ts": one.ts, "message": one.payload}

    def _chat_postEphemeral(self, body: Json) -> Json:
        channel = self._place(str(body["channel"]))
        if body["user"] not in channel.members:
            raise rules.SlackRefuses("user_not_in_channel", body["user"])
        return {"message_ts": self._add(channel.id, body, only=body["user"]).ts}

    def _chat_update(self, body: Json) -> Json:
        channel = self._place(str(body["channel"]))
        one = next((one for one in self.messages if (one.channel, one.ts) == (channel.id, body["ts"])), None)
        if one is None or one.deleted or one.only:
            raise rules.SlackRefuses("message_not_found", str(body["ts"]))
        if one.user != BOT:
            raise rules.SlackRefuses("cant_update_message", str(body["ts"]))
        content = {key: body[key] for key in ("text", "blocks") if body.get(key)}
        rules.check_message(content)
        one.payload, one.edits, one.pings = content, one.edits + 1, one.pings + rules.pings(content)
        return {"channel": channel.id, "ts": one.ts, "text": content.get("text", "")}

    def _history(self, found: list[Written]) -> Json:
        if not self.may_read_history:
            raise rules.SlackRefuses("missing_scope", "channels:history")
        return {
            "messages": [
                {
                    "ts": one.ts,
                    "user": one.user,
                    "text": one.payload.get("text", ""),
                    "files": one.files,
                    **({"metadata": one.metadata} if one.metadata else {}),
                }
                for one in found
            ]
        }

    def _conversations_history(self, body: Json) -> Json:
        channel = self._place(str(body["channel"]))
        return self._history([one for one in self.public(channel.id) if not one.thread])

    def _conversations_replies(self, body: Json) -> Json:
        channel = self._place(str(body["channel"]))
        return self._history([one for one in self.public(channel.id) if body["ts"] in (one.ts, one.thread)])

    def _take_trigger(self, id_: str) -> str:
        if id_ in self._spent:
            raise rules.SlackRefuses("exchanged_trigger_id", id_)
        if id_ not in self._triggers:
            raise rules.SlackRefuses("invalid_trigger_id", id_)
        user, at = self._triggers[id_]
        if time.monotonic() - at > self.trigger_life:
            raise rules.SlackRefuses("expired_trigger_id", id_)
        self._spent.add(id_)
        return user

    def _views_open(self, body: Json) -> Json:
        view = body["view"] if isinstance(body["view"], dict) else json.loads(body["view"])
        user = self._take_trigger(str(body["trigger_id"]))
        rules.check_view(view)
        window = Window(self._next("V"), view, user)
        self.windows.append(window)
        return {"view": {**view, "id": window.id, "hash": window.hash}}

    def _views_update(self, body: Json) -> Json:
        view = body["view"] if isinstance(body["view"], dict) else json.loads(body["view"])
        window = next((one for one in self.windows if one.id == body["view_id"] and one.open), None)
        if window is None:
            raise rules.SlackRefuses("not_found", str(body["view_id"]))
        rules.check_view(view)
        self._draw(window, view)
        return {"view": {**view, "id": window.id}}

    def _views_publish(self, body: Json) -> Json:
        view = body["view"] if isinstance(body["view"], dict) else json.loads(body["view"])
        rules.check_view(view)
        self.homes[body["user_id"]] = Window(self._next("V"), view, body["user_id"])
        return {"view": view}

    def _files_getUploadURLExternal(self, body: Json) -> Json:
        if int(body["length"]) < 1:
            raise rules.SlackRefuses("invalid_arguments", "length")
        id_ = self._next("F")
        self.uploads[id_] = {"id": id_, "name": body["filename"], "length": int(body["length"])}
        return {"upload_url": f"{self.url}/upload/{id_}", "file_id": id_}

    def _files_completeUploadExternal(self, body: Json) -> Json:
        files = body["files"] if isinstance(body["files"], list) else json.loads(body["files"])
        done = []
        for file in files:
            if file["id"] not in self.contents:
                raise rules.SlackRefuses("file_not_found", file["id"])
            done.append({"id": file["id"], "name": self.uploads[file["id"]]["name"], "title": file.get("title", "")})
        channel = self._place(str(body["channel_id"]))
        if channel.id != body["channel_id"]:
            raise rules.SlackRefuses("invalid_channel", str(body["channel_id"]))
        self._thread(channel.id, body.get("thread_ts"))
        one = Written(channel.id, self._next("1700000000."), {"text": ""}, BOT, body.get("thread_ts"), files=done)
        self.messages.append(one)
        return {"files": done}

    async def upload(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        content = await request.read()
        if len(content) != self.uploads[id_]["length"]:
            return web.Response(status=400, text="length")
        self.contents[id_] = content
        return web.Response(text="OK")

    async def download(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            return web.Response(text="<html>Sign in</html>", content_type="text/html")
        return web.Response(body=self.contents[request.match_info["id"]], content_type="application/octet-stream")

    async def response(self, request: web.Request) -> web.Response:
        address = self._addresses[request.match_info["id"]]
        body = await request.json()
        self.calls.append(("response_url", body))
        planned = (
            (self.scripts.get("response_url") or [Refusal()]).pop(0) if self.scripts.get("response_url") else Refusal()
        )
        address.uses += 1
        try:
            if planned.retry_after is not None:
                return web.Response(status=429, headers={"Retry-After": str(planned.retry_after)})
            if address.expired or address.uses > 5:
                return web.json_response(
                    {"ok": False, "error": "expired_url" if address.expired else "used_url"}, status=404
                )
            content = {key: body[key] for key in ("text", "blocks") if body.get(key)}
            rules.check_message(content)
            # Slack replaces by default when the address came with a message.
            if body.get("replace_original", address.message is not None) and address.message is not None:
                address.message.payload = content
                address.message.edits += 1
                address.message.pings += rules.pings(content)
            else:
                only = None if body.get("response_type") == "in_channel" else address.user
                self._add(address.channel, body, only=only)
            return web.Response(text="ok")
        except rules.SlackRefuses as error:
            self.refused.append(error)
            return web.json_response({"ok": False, "error": error.error}, status=400)
        finally:
            await self.changed()


def _decoded(text: str) -> Any:
    return json.loads(text) if text[:1] in "[{" else text


def _cut(request: web.Request) -> web.Response:
    """The connection breaks; nobody gets the response."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


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
