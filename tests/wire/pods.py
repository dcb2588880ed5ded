"""A Kubernetes cluster on loopback whose containers are processes of this machine.

A pod's volume is a folder, which a container that mounts it finds at `/kestra`. Commands come over a WebSocket, as the
`exec` subresource takes them, and are run by the machine's own `sh` and `tar`. Images are not looked at.
"""

import asyncio
import contextlib
import copy
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler

AT = "/kestra"


class Pods:
    """The cluster. `instead` is sent by commands in place of what they say, `refuses` is the status that answers them,
    `moved` the address they are sent to, and with `breaks` the connection ends before they do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.pods: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.commands: list[tuple[str, str]] = []  # of commands: container, script
        self.deleted: list[tuple[str, str | None]] = []  # with the period of grace
        self.instead: bytes | None = None
        self.refuses: int | None = None
        self.moved: str | None = None
        self.requests: list[web.BaseRequest] = []
        self.breaks = False
        self.said: dict[tuple[str, str], str] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}

    @contextlib.asynccontextmanager
    async def serving(self, trust: ssl.SSLContext | None = None) -> AsyncIterator["Pods"]:
        """The cluster while it answers."""

        @web.middleware
        async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.requests.append(request)
            return await handler(request)

        app = web.Application(middlewares=[noted])
        base = "/api/v1/namespaces/shop/pods"
        app.router.add_post(base, self._create)
        app.router.add_get(f"{base}/{{name}}", self._get)
        app.router.add_delete(f"{base}/{{name}}", self._delete)
        app.router.add_get(f"{base}/{{name}}/log", self._log)
        app.router.add_get(f"{base}/{{name}}/exec", self._exec)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust)
        await site.start()
        self.url = f"http{'s' if trust else ''}://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for life in self._lives.values():
                life.cancel()
            await asyncio.gather(*self._lives.values(), return_exceptions=True)
            await runner.cleanup()

    def start(self, pod: dict[str, Any]) -> None:
        """Let a pod live."""
        name = pod["metadata"]["name"]
        waits = [{"name": one["name"], "state": {"waiting": {}}} for one in pod["spec"]["containers"]]
        before = [{"name": one["name"], "state": {"waiting": {}}} for one in pod["spec"].get("initContainers", [])]
        pod["status"] = {"phase": "Pending", "initContainerStatuses": before, "containerStatuses": waits}
        self.pods[name] = pod
        self.volume(name).mkdir(parents=True)
        self._lives[name] = asyncio.create_task(self._live(pod))

    def volume(self, name: str) -> Path:
        """The folder that stands for a pod's volume."""
        return self.folder / name

    async def _live(self, pod: dict[str, Any]) -> None:
        status, spec = pod["status"], pod["spec"]
        for at, container in enumerate(spec.get("initContainers", [])):
            if await self._run(pod, container, status["initContainerStatuses"][at]):
                status["phase"] = "Failed"
                return
        status["phase"] = "Running"
        runs = [
            self._run(pod, container, status["containerStatuses"][at])
            for at, container in enumerate(spec["containers"])
        ]
        works = [asyncio.create_task(run) for run in runs]
        try:
            codes = await asyncio.gather(*works)
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)
        status["phase"] = "Failed" if any(codes) else "Succeeded"

    async def _run(self, pod: dict[str, Any], container: dict[str, Any], status: dict[str, Any]) -> int:
        words = [self._seen(pod, container, word) for word in container["command"]]
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
        )
        status["state"] = {"running": {}}
        try:
            said, _ = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()
        code = process.returncode or 0
        self.said[pod["metadata"]["name"], container["name"]] = said.decode()
        status["state"] = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
        return code

    def _seen(self, pod: dict[str, Any], container: dict[str, Any], word: str) -> str:
        volumes = {one["name"] for one in pod["spec"].get("volumes", [])}
        mounted = any(one["mountPath"] == AT and one["name"] in volumes for one in container.get("volumeMounts", []))
        return word.replace(AT, str(self.volume(pod["metadata"]["name"]))) if mounted else word

    async def _create(self, request: web.Request) -> web.Response:
        pod = await request.json()
        self.created.append(copy.deepcopy(pod))
        self.start(pod)
        return web.json_response(pod, status=201)

    def _pod(self, request: web.Request) -> dict[str, Any]:
        if (pod := self.pods.get(request.match_info["name"])) is None:
            raise web.HTTPNotFound(text=json.dumps({"message": "not found"}), content_type="application/json")
        return pod

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._pod(request))

    async def _delete(self, request: web.Request) -> web.Response:
        pod = self._pod(request)
        name = pod["metadata"]["name"]
        self.deleted.append((name, request.query.get("gracePeriodSeconds")))
        del self.pods[name]
        self.said = {key: text for key, text in self.said.items() if key[0] != name}
        if (life := self._lives.pop(name, None)) is not None:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            self.volume(name).rename(self.folder / f"{name}.{len(self.deleted)}")
        return web.json_response(pod)

    async def _log(self, request: web.Request) -> web.Response:
        pod, name = self._pod(request), request.query["container"]
        while pod["metadata"]["name"] in self.pods and (pod["metadata"]["name"], name) not in self.said:
            await asyncio.sleep(0.02)
        return web.Response(text=self.said.get((pod["metadata"]["name"], name), ""))

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        pod, name = self._pod(request), request.query["container"]
        status = pod["status"]
        states = {one["name"]: one["state"] for one in status["initContainerStatuses"] + status["containerStatuses"]}
        if self.refuses or "running" not in states[name]:
            return web.json_response({"message": f"container {name} is not running"}, status=self.refuses or 400)
        if self.moved:
            raise web.HTTPFound(self.moved)
        spec = pod["spec"]
        container = next(one for one in spec.get("initContainers", []) + spec["containers"] if one["name"] == name)
        words = request.query.getall("command")
        self.commands.append((name, words[-1]))
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        if socket.ws_protocol is None or self.breaks:
            await socket.close()
            return socket
        process = await asyncio.create_subprocess_exec(
            *[self._seen(pod, container, word) for word in words],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        works = [
            asyncio.create_task(self._feed(socket, process)),
            asyncio.create_task(self._pass(socket, 2, process.stderr)),
        ]
        try:
            await self._tell(socket, process, works[1])
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
        await socket.close()
        return socket

    async def _tell(
        self, socket: web.WebSocketResponse, process: asyncio.subprocess.Process, complaining: asyncio.Task[None]
    ) -> None:
        if self.instead is not None:
            await process.stdout.read()  # type: ignore[union-attr]
            for at in range(0, len(self.instead), 30_000):
                await socket.send_bytes(b"\x01" + self.instead[at : at + 30_000])
        else:
            await self._pass(socket, 1, process.stdout)
        await complaining
        code = await process.wait()
        causes = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
        bad = {"status": "Failure", "message": f"command terminated with exit code {code}", "details": causes}
        await socket.send_bytes(b"\x03" + json.dumps(bad if code else {"status": "Success"}).encode())

    async def _feed(self, socket: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY and message.data[:1] == b"\x00":
                process.stdin.write(message.data[1:])  # type: ignore[union-attr]
                await process.stdin.drain()  # type: ignore[union-attr]

    async def _pass(self, socket: web.WebSocketResponse, channel: int, stream: asyncio.StreamReader | None) -> None:
        while block := await stream.read(30_000):  # type: ignore[union-attr]
            await socket.send_bytes(bytes([channel]) + block)
