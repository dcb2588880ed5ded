"""Discord on loopback sockets: its REST interface and its gateway, as strict as the real ones where the bot could err.

What it enforces: the 3 seconds and the single first response of an interaction, the 15 minutes of its token (`expire`),
nonces, rate limits with their headers, tokens; every request with a body goes before both judges (`problems`).
"""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.wire.discord_rules import walk
from tests.wire.discord_spec import judge
from tests.wire.discord_values import (
    ANN,
    APP,
    BOT,
    CHANNEL,
    EPOCH,
    GUILD,
    TOKEN,
    Call,
    Json,
    Rule,
    account,
    application,
    commands,
    guild,
    interaction,
    member,
    message,
    reply,
)  # fmt: skip

__all__ = ["ANN", "BOT", "CHANNEL", "GUILD", "TOKEN", "DiscordWire"]


@dataclass
class DiscordWire:
    """The fake; `async with DiscordWire() as wire` listens on a free port."""

    calls: list[Call] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    messages: dict[str, Json] = field(default_factory=dict)
    threads: dict[str, str] = field(default_factory=dict)  # name by the message they begin at
    files: dict[str, bytes] = field(default_factory=dict)
    sessions: list[Json] = field(default_factory=list)  # what IDENTIFY and RESUME said
    commands: list[Json] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)  # answers that wait, by a part of their path
    roles: dict[str, list[str]] = field(default_factory=dict)  # of people in the server, as they are now
    servers: list[Json] = field(default_factory=lambda: [{"id": GUILD, "name": "Team"}])
    app: Json = field(default_factory=application)
    guild: Json = field(default_factory=guild)
    shown_channels: dict[str, Json] = field(
        default_factory=lambda: {one["id"]: one for one in guild()["channels"]}  # that the bot may see
    )
    limit: int | None = None  # requests a bucket takes in `window` seconds
    window: float = 0.2
    base_url: str = ""
    gateway_url: str = ""
    _interactions: dict[str, Json] = field(default_factory=dict)
    _nonces: dict[tuple[str, str], str] = field(default_factory=dict)
    _buckets: dict[str, list[float]] = field(default_factory=dict)
    _sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _count: int = 0
    _sequence: int = 0
    _sent: list[tuple[int, str, Json]] = field(default_factory=list)

    async def __aenter__(self) -> "DiscordWire":
        self._changed = asyncio.Condition()
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/gateway/", self._gateway)
        app.router.add_get("/files/{name}", self._file)
        app.router.add_route("*", "/api/v10/{tail:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}/api/v10"
        self.files_url = f"http://127.0.0.1:{port}/files"
        self.gateway_url = f"ws://127.0.0.1:{port}/gateway/"
        return self

    async def __aexit__(self, *error: object) -> None:
        for socket in self._sockets:
            await socket.close()
        await self._runner.cleanup()

    # What tests ask for.

    async def until(self, happened: Callable[[], Any], within: float = 40) -> Any:
        """The first true value of `happened`, looked at whenever something arrives."""
        async with asyncio.timeout(within), self._changed:
            while not (value := happened()):
                await self._changed.wait()
            return value

    def bodies(self, method: str, path: str) -> list[Json]:
        """Bodies of the requests to paths that match."""
        return [call.json for call in self.calls if call.method == method and re.search(path, call.path)]

    def answer_with(
        self, method: str, path: str, status: int, body: Json, times: int = 1, headers: dict[str, str] | None = None
    ) -> None:
        """Answer the next requests that match with a refusal."""
        self.rules.append(Rule(method, path, status, body, headers or {}, times))

    def delete(self, message: str) -> None:
        """Somebody deletes a message."""
        del self.messages[message]

    def expire(self, interaction: str) -> None:
        """The 15 minutes of an interaction are over."""
        self._interactions[interaction]["expired"] = True

    async def responses(self, interaction: str, count: int = 1) -> list[Json]:
        """Everything said to an interaction: callbacks, follow-ups and edits, once there are `count`."""
        token = self._interactions[interaction]["token"]

        def said() -> list[Json] | None:
            found = [c.json for c in self.calls if f"/{token}" in c.path and 200 <= c.status < 300]
            return found if len(found) >= count else None

        return await self.until(said)

    async def told(self, interaction: str, text: str) -> str:
        """Everything said to an interaction, once a text is in it: at once, or later when Discord was told to wait."""
        token = self._interactions[interaction]["token"]

        def said() -> str | None:
            found = str([c.json for c in self.calls if f"/{token}" in c.path and 200 <= c.status < 300])
            return found if text in found else None

        return str(await self.until(said))

    async def opened(self, interaction: str) -> Json:
        """The modal that an interaction opens: at once, or by the button shown when Discord was told to wait."""
        (first, *_) = await self.responses(interaction)
        if first["type"] == 9:
            return first

        def button() -> tuple[str, str] | None:
            for one in reversed(list(self.messages.values())):
                for each in (each for part in one["components"] for each in walk(part)):
                    if each.get("label") == "Open the form":
                        return one["id"], each["custom_id"]
            return None

        return await self.opened(await self.click(*await self.until(button)))

    # What people do.

    async def slash(
        self, text: str, user: str = ANN, *, group: str = "flow", direct: bool = False, **options: Any
    ) -> str:
        """`/flow <subcommand>` with options; the id of the interaction."""
        types = {str: 3, bool: 5}
        given = [{"name": k, "type": types[type(v)], "value": v} for k, v in options.items()]
        data = {"id": "5", "name": group, "type": 1, "options": [{"name": text, "type": 1, "options": given}]}
        return await self.interact(2, data, user, direct=direct)

    async def click(
        self, message: str, custom_id: str, user: str = ANN, values: list[str] | None = None, *, direct: bool = False
    ) -> str:
        """A button, or a menu with `values`."""
        data: Json = {"custom_id": custom_id, "component_type": 3 if values else 2, "id": 3}
        if values:
            data["values"] = values
        return await self.interact(3, data, user, direct=direct, message=self.messages[message])

    async def fill(self, custom_id: str, values: dict[str, Any], user: str = ANN, **more: Any) -> str:
        """A modal that is submitted."""
        parts = [
            {"type": 18, "id": n, "component": {"type": 4, "id": 50 + n, "custom_id": key, "value": value}}
            for n, (key, value) in enumerate(values.items())
        ]
        return await self.interact(5, {"custom_id": custom_id, "components": parts}, user, **more)

    async def interact(self, kind: int, data: Json, user: str = ANN, *, direct: bool = False, **more: Any) -> str:
        """Any interaction; `direct`: in the conversation with the bot, outside of every server."""
        id_ = self.snowflake()
        token = f"token{id_}"
        source = more.get("message")
        self._interactions[id_] = {
            "token": token,
            "at": time.monotonic(),
            "kind": kind,
            "source": source,
            "first": None,
        }
        payload = {**interaction(id_, token, kind, data, user), **more}
        payload["member"]["roles"] = self.roles.get(user, payload["member"]["roles"])
        if direct:
            for name in ("member", "guild", "guild_id"):
                del payload[name]
            channel = {"id": "400", "type": 1, "recipients": []}
            payload |= {"user": account(user), "channel": channel, "channel_id": "400", "context": 1}
        await self.dispatch("INTERACTION_CREATE", payload)
        return id_

    async def say(self, content: str, user: str = ANN, mentions: bool = True) -> None:
        """A message in the channel."""
        found = self._message(content=content, author=account(user))
        found |= {"guild_id": GUILD, "mentions": [account(BOT, bot=True)] if mentions else []}
        await self.dispatch("MESSAGE_CREATE", found)

    # The gateway.

    async def dispatch(self, event: str, payload: Json) -> None:
        """An event to the connected bot; kept for a RESUME."""
        self._sequence += 1
        self._sent.append((self._sequence, event, payload))
        for socket in self._sockets:
            if not socket.closed:
                await socket.send_json({"op": 0, "t": event, "s": self._sequence, "d": payload})

    async def drop(self, code: int) -> None:
        """Close the connection."""
        for socket in self._sockets:
            await socket.close(code=code)
        self._sockets.clear()

    async def end_session(self) -> None:
        """Tell the bot that its session is lost (operation 9)."""
        for socket in self._sockets:
            await socket.send_json({"op": 9, "d": False})

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 41250}})
        async for received in socket:
            if received.type is not WSMsgType.TEXT:
                break
            frame = json.loads(received.data)
            if frame["op"] == 1:
                await socket.send_json({"op": 11})
            elif frame["op"] == 2:
                await self._identify(socket, frame["d"])
            elif frame["op"] == 6:
                await self._resume(socket, frame["d"])
            await self._notify()
        return socket

    async def _identify(self, socket: web.WebSocketResponse, data: Json) -> None:
        self.sessions.append({"kind": "identify", "intents": data["intents"]})
        if data["token"] != TOKEN:
            await socket.close(code=4004)
            return
        self._sockets.append(socket)
        self._sent.clear()
        ready = {
            "v": 10, "user": account(BOT, bot=True), "guilds": [{"id": GUILD, "unavailable": True}], "session_id": "s",
            "resume_gateway_url": self.gateway_url, "application": {"id": APP, "flags": 0},
        }  # fmt: skip
        await self.dispatch("READY", ready)
        await self.dispatch("GUILD_CREATE", guild())

    async def _resume(self, socket: web.WebSocketResponse, data: Json) -> None:
        self.sessions.append({"kind": "resume", "seq": data["seq"]})
        self._sockets.append(socket)
        for sequence, event, payload in self._sent:
            if sequence > data["seq"]:
                await socket.send_json({"op": 0, "t": event, "s": sequence, "d": payload})
        self._sequence += 1
        await socket.send_json({"op": 0, "t": "RESUMED", "s": self._sequence, "d": {}})

    # REST.

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["name"]])

    async def _rest(self, request: web.Request) -> web.Response:
        call = await self._read(request)
        self.calls.append(call)
        answer = self._refusal(call, request) or self._route(call)
        call.status = answer.status
        if call.json is not None and answer.status < 300:
            self.problems += [f"{call.method} {call.path}: {p}" for p in judge(call.method, call.path, call.json)]
        await self._notify()
        for part, event in self.held.items():
            if part in call.path:
                await event.wait()
        return answer

    async def _read(self, request: web.Request) -> Call:
        path = request.path.removeprefix("/api/v10")
        call = Call(request.method, path, None, {}, {})
        if request.content_type == "application/json":
            call.json = await request.json()
        elif request.content_type.startswith("multipart/"):
            async for part in await request.multipart():
                content = await part.read(decode=True)
                if part.name == "payload_json":
                    call.json = json.loads(content)
                else:
                    call.files[part.name], call.names[part.name] = content, part.filename
            self._check_files(call)
        return call

    def _check_files(self, call: Call) -> None:
        body = call.json.get("data", call.json)
        for item in body.get("attachments", []):
            if call.names.get(f"files[{item['id']}]") != item.get("filename"):
                self.problems.append(f"{call.path}: attachment {item} has no part of its own")

    def _refusal(self, call: Call, request: web.Request) -> web.Response | None:
        for rule in self.rules:
            if rule.method == call.method and re.search(rule.path, call.path) and rule.times > 0:
                rule.times -= 1
                return reply(rule.body, rule.status, rule.headers)
        if (
            not re.match(r"/(interactions|webhooks)/", call.path)
            and request.headers.get("Authorization") != f"Bot {TOKEN}"
        ):
            return reply({"message": "401: Unauthorized", "code": 0}, 401)
        return self._limited(call)

    def _limited(self, call: Call) -> web.Response | None:
        if self.limit is None or call.method not in ("POST", "PATCH"):
            return None
        now = time.monotonic()
        taken = self._buckets.setdefault(re.sub(r"/messages/\d+", "/messages/id", call.method + call.path), [])
        taken[:] = [at for at in taken if now - at < self.window]
        if len(taken) >= self.limit:
            after = self.window - (now - taken[0])
            body = {"message": "You are being rate limited.", "retry_after": after, "global": False}
            headers = {"Via": "1.1 google", "X-RateLimit-Scope": "user", **self._headers(0, after)}
            return reply(body, 429, headers)
        taken.append(now)
        return None

    def _headers(self, remaining: int, after: float) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset-After": f"{after:.3f}",
            "X-RateLimit-Reset": f"{time.time() + after:.3f}",
        }

    def _route(self, call: Call) -> web.Response:
        for method, pattern, handle in (
            ("GET", r"/users/@me", lambda call, found: reply(account(BOT, bot=True))),
            ("GET", r"/oauth2/applications/@me", lambda call, found: reply(self.app)),
            ("GET", r"/users/@me/guilds", lambda call, found: reply(self.servers)),
            ("GET", rf"/guilds/{GUILD}", lambda call, found: reply(self.guild)),
            ("GET", r"/channels/(\d+)", self._channel),
            ("PUT", r"/applications/(\d+)(?:/guilds/\d+)?/commands", self._sync),
            ("GET", rf"/guilds/{GUILD}/members/(\d+)", self._member),
            ("POST", r"/users/@me/channels", lambda call, found: reply({"id": "400", "type": 1, "recipients": []})),
            ("POST", r"/channels/(\d+)/messages", self._post),
            ("PATCH", r"/channels/(\d+)/messages/(\d+)", self._edit),
            ("POST", r"/channels/(\d+)/messages/(\d+)/threads", self._thread),
            ("POST", r"/interactions/(\d+)/([^/]+)/callback", self._callback),
            ("POST", r"/webhooks/(\d+)/([^/]+)", self._follow_up),
            ("PATCH", r"/webhooks/(\d+)/([^/]+)/messages/@original", self._edit_original),
        ):
            found = re.fullmatch(pattern, call.path)
            if method == call.method and found:
                return handle(call, found)
        return reply({"message": "404: Not Found", "code": 0}, 404)

    def _channel(self, call: Call, found: re.Match[str]) -> web.Response:
        if found[1] not in self.shown_channels:
            return reply({"message": "Missing Access", "code": 50001}, 403)
        return reply(self.shown_channels[found[1]])

    def _member(self, call: Call, found: re.Match[str]) -> web.Response:
        if found[1] not in self.roles:
            return reply({"message": "Unknown Member", "code": 10007}, 404)
        return reply(member(found[1], self.roles[found[1]]))

    def _sync(self, call: Call, found: re.Match[str]) -> web.Response:
        self.commands = call.json
        return reply(commands(call.json))

    def _message(self, **more: Any) -> Json:
        shown = {**message(self.snowflake()), **more}
        self.messages[shown["id"]] = shown
        return shown

    def _fill(self, shown: Json, body: Json, call: Call) -> Json:
        shown |= {key: body[key] for key in ("content", "components", "embeds", "flags") if body.get(key) is not None}
        if "attachments" in body:
            old = {item["id"]: item for item in shown["attachments"]}
            kept = [old[item["id"]] for item in body["attachments"] if item["id"] in old and "filename" not in item]
            new = [
                {"id": self.snowflake(), "filename": item["filename"], "size": len(call.files[f"files[{item['id']}]"]),
                 "url": f"{self.files_url}/x", "proxy_url": f"{self.files_url}/x"}
                for item in body["attachments"] if "filename" in item
            ]  # fmt: skip
            shown["attachments"] = kept + new
        return shown

    def _post(self, call: Call, found: re.Match[str]) -> web.Response:
        key = (found[1], str(call.json.get("nonce")))
        if call.json.get("enforce_nonce") and key in self._nonces:
            return reply(self.messages[self._nonces[key]])
        posted = self._fill(self._message(channel_id=found[1]), call.json, call)
        if call.json.get("enforce_nonce"):
            self._nonces[key] = posted["id"]
        return reply(posted)

    def _edit(self, call: Call, found: re.Match[str]) -> web.Response:
        if found[2] not in self.messages:
            return reply({"message": "Unknown Message", "code": 10008}, 404)
        return reply(self._fill(self.messages[found[2]], call.json, call))

    def _thread(self, call: Call, found: re.Match[str]) -> web.Response:
        if found[2] not in self.messages:
            return reply({"message": "Unknown Message", "code": 10008}, 404)
        if found[2] in self.threads:
            already = {"message": "A thread has already been created for this message", "code": 160004}
            return reply(already, 400)
        self.threads[found[2]] = call.json["name"]
        return reply({"id": found[2], "type": 11, "name": call.json["name"], "parent_id": found[1]}, 201)

    def _callback(self, call: Call, found: re.Match[str]) -> web.Response:
        known = self._interactions.get(found[1])
        if known is None or known["token"] != found[2] or time.monotonic() - known["at"] > 3:
            return reply({"message": "Unknown interaction", "code": 10062}, 404)
        if known["first"] is not None:
            return reply({"message": "Interaction has already been acknowledged.", "code": 40060}, 400)
        if call.json["type"] == 9 and known["kind"] == 5:
            return reply({"message": "A modal can't answer a modal", "code": 50035}, 400)
        known["first"] = call.json["type"]
        data = call.json.get("data") or {}
        if call.json["type"] == 4:
            known["message"] = self._fill(self._message(), data, call)
        elif call.json["type"] == 5:
            known["message"] = self._message(flags=data.get("flags", 0))
        elif call.json["type"] in (6, 7):
            known["message"] = self._fill(known["source"], data, call)
        return web.Response(status=204)

    def _by_token(self, token: str) -> Json | None:
        known = next((each for each in self._interactions.values() if each["token"] == token), None)
        return known if known and known["first"] is not None and not known.get("expired") else None

    def _follow_up(self, call: Call, found: re.Match[str]) -> web.Response:
        if self._by_token(found[2]) is None:
            return reply({"message": "Unknown Webhook", "code": 10015}, 404)
        return reply(self._fill(self._message(), call.json, call))

    def _edit_original(self, call: Call, found: re.Match[str]) -> web.Response:
        known = self._by_token(found[2])
        if known is None:
            return reply({"message": "Unknown Webhook", "code": 10015}, 404)
        return reply(self._fill(known["message"], call.json, call))

    def snowflake(self) -> str:
        """A fresh id whose time is now, as Discord's are."""
        self._count += 1
        return str((int(time.time() * 1000) - EPOCH << 22) + self._count)
