"""The servers of a Slack workspace on loopback: Web API, Socket Mode, response addresses, files.

They know nothing of our code: payloads are judged by `slack_rules`, with Slack's own error names.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.wire import slack_rules as rules
from tests.wire import slack_seeing as seeing
from tests.wire.slack_people import Channel, Heard, Refusal, ResponseAddress, Window, Written

Json = dict[str, Any]
Handle = Callable[[bytes, Mapping[str, str]], Awaitable[tuple[int, Mapping[str, str], bytes]]]
BOT, BOT_TOKEN, APP_TOKEN, TEAM = "U0BOT", "xoxb-wire", "xapp-wire", "T1"


@dataclass
class Workspace:
    """State and servers of one workspace; tests change channels, groups, `scripts` and `token_error` as they like."""

    url: str = ""
    token_error: str = ""
    scopes: str = "chat:write,commands"
    headers: dict[str, str] = field(default_factory=dict)
    trigger_life: float = 3.0
    may_read_history: bool = True
    signing_secret: str = "wire-secret"
    users: dict[str, str] = field(default_factory=lambda: {"U1": "ann", "U2": "bob", BOT: "parley"})
    teams: dict[str, str] = field(default_factory=dict)  # of users who are of another workspace
    deactivated: set[str] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)  # those of another company
    enterprise: str = ""
    groups: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: list[Written] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    homes: dict[str, Window] = field(default_factory=dict)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    refused: list[rules.SlackRefuses] = field(default_factory=list)
    scripts: dict[str, list[Refusal]] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)  # answers that wait, by the message they are about
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

    async def until(self, true: Callable[[], Any], what: str = "", seconds: float = 40.0) -> Any:
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

    def trigger(self, user: str) -> str:
        id_ = self._next("trigger.")
        self._triggers[id_] = (user, time.monotonic())
        return id_

    def address(self, channel: str, user: str, message: Written | None = None) -> str:
        id_ = self._next("R")
        self._addresses[id_] = ResponseAddress(channel, user, message)
        return f"{self.url}/response/{id_}"

    def direct_channel(self, user: str) -> str:
        id_ = f"D{user}"
        self.channels.setdefault(id_, Channel(id_, "directmessage", {user, BOT}))
        return id_

    def _draw(self, window: Window, view: Json) -> None:
        # The client keeps what was typed wherever block and action ids stay the same, whatever the view says.
        def ids(block: Json) -> tuple[str, str]:
            return block["block_id"], block["element"]["action_id"]

        names = {ids(block) for block in view["blocks"] if block["type"] == "input"}
        stay = {block["block_id"] for block in window.inputs if ids(block) in names}
        window.typed = {name: value for name, value in window.typed.items() if name in stay}
        window.view, window.hash = view, self._next("h")

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
            answer = getattr(self, _name_of(method), self._unknown)(body)
            if planned.drops:
                return _cut(request)
            if (event := self.held.get(str(body.get("ts")))) is not None:
                await self.changed()
                await event.wait()
            return web.json_response({"ok": True, **answer}, headers={"x-oauth-scopes": self.scopes, **self.headers})
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
        grid = {"enterprise_id": self.enterprise} if self.enterprise else {}
        about = {"url": self.url, "team": "Wire", "user": "parley", "team_id": TEAM, "user_id": BOT, "bot_id": "B0BOT"}
        return about | grid

    def _apps_connections_open(self, body: Json) -> Json:
        self.connections_opened += 1
        return {"url": self.url.replace("http://", "ws://") + f"/link/?ticket={self.connections_opened}"}

    def _users_info(self, body: Json) -> Json:
        if body["user"] not in self.users:
            raise rules.SlackRefuses("user_not_found", body["user"])
        name = self.users[body["user"]]
        profile = {"display_name": name} | ({"email": self.emails[body["user"]]} if body["user"] in self.emails else {})
        zone = "America/New_York"
        about = {"id": body["user"], "name": name, "tz": zone, "is_email_confirmed": True, "profile": profile}
        about |= {"team_id": self.teams.get(body["user"], TEAM), "is_stranger": body["user"] in self.strangers}
        return {"user": about | {"deleted": body["user"] in self.deactivated}}

    def _usergroups_users_list(self, body: Json) -> Json:
        if body["usergroup"] not in self.groups:
            raise rules.SlackRefuses("no_such_subteam", body["usergroup"])
        return {"users": list(self.groups[body["usergroup"]][1])}

    def _usergroups_list(self, body: Json) -> Json:
        found = [{"id": id_, "handle": handle, "users": users} for id_, (handle, users) in self.groups.items()]
        return {"usergroups": found}

    def _about(self, channel: Channel) -> Json:
        return {
            "id": channel.id,
            "name": channel.name,
            "is_private": channel.private,
            "is_archived": channel.archived,
            "is_member": BOT in channel.members,
        }

    def _conversations_info(self, body: Json) -> Json:
        found = self.channels.get(str(body["channel"]))
        if found is None or (found.private and BOT not in found.members):
            raise rules.SlackRefuses("channel_not_found", str(body["channel"]))
        return {"channel": self._about(found)}

    def _conversations_list(self, body: Json) -> Json:
        """Two a page, so that whoever reads must turn pages."""
        start = int(body.get("cursor") or 0)
        shown = [one for one in self.channels.values() if not one.private or BOT in one.members]
        more = str(start + 2) if start + 2 < len(shown) else ""
        page = [self._about(one) for one in shown[start : start + 2]]
        return {"channels": page, "response_metadata": {"next_cursor": more}}

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
        one.pings = seeing.pings(content)
        self.messages.append(one)
        return one

    def _chat_post_message(self, body: Json) -> Json:
        channel = self._place(str(body["channel"]))
        self._thread(channel.id, body.get("thread_ts"))
        one = self._add(channel.id, body)
        return {"channel": channel.id, "ts": one.ts, "message": one.payload}

    def _chat_post_ephemeral(self, body: Json) -> Json:
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
        one.payload, one.edits, one.pings = content, one.edits + 1, one.pings + seeing.pings(content)
        return {"channel": channel.id, "ts": one.ts, "text": content.get("text", "")}

    def _reactions_add(self, body: Json) -> Json:
        channel = self._place(str(body["channel"]))
        one = next((one for one in self.public(channel.id) if one.ts == body["timestamp"]), None)
        if one is None:
            raise rules.SlackRefuses("message_not_found", str(body["timestamp"]))
        if body["name"] in one.reactions:
            raise rules.SlackRefuses("already_reacted", body["name"])
        one.reactions.append(body["name"])
        return {}

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

    def _files_get_upload_urlexternal(self, body: Json) -> Json:
        if int(body["length"]) < 1:
            raise rules.SlackRefuses("invalid_arguments", "length")
        id_ = self._next("F")
        self.uploads[id_] = {"id": id_, "name": body["filename"], "length": int(body["length"])}
        return {"upload_url": f"{self.url}/upload/{id_}", "file_id": id_}

    def _files_complete_upload_external(self, body: Json) -> Json:
        files = body["files"] if isinstance(body["files"], list) else json.loads(body["files"])
        done = []
        for file in files:
            if file["id"] not in self.contents:
                raise rules.SlackRefuses("file_not_found", file["id"])
            done.append(
                {
                    "id": file["id"],
                    "name": self.uploads[file["id"]]["name"],
                    "title": file.get("title", ""),
                    "size": len(self.contents[file["id"]]),
                }
            )
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
                address.message.pings += seeing.pings(content)
            else:
                only = None if body.get("response_type") == "in_channel" else address.user
                self._add(address.channel, body, only=only)
            return web.Response(text="ok")
        except rules.SlackRefuses as error:
            self.refused.append(error)
            return web.json_response({"ok": False, "error": error.error}, status=400)
        finally:
            await self.changed()


def _name_of(method: str) -> str:
    """`chat.postMessage` is answered by `_chat_post_message`."""
    return "_" + re.sub(r"\W|(?<=[a-z])(?=[A-Z])", "_", method).lower()


def _decoded(text: str) -> Any:
    return json.loads(text) if text[:1] in "[{" else text


def _cut(request: web.Request) -> web.Response:
    """The connection breaks; nobody gets the response."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
