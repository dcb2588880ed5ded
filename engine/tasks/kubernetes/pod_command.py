"""Commands in a container that runs: the `exec` subresource of a pod, which speaks over a WebSocket.

The first byte of every message names its channel: 0 is what the command reads, 1 what it says, 2 its complaints, 3 the
`Status` in which the cluster says how it ended. `v4.channel.k8s.io`, which every cluster speaks, has no way to say that
there is nothing more to read, so a command must know by itself how much it reads.
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/ (RemoteCommand)
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.plugin import TaskFailed
from engine.tasks.address_guard import check_address, check_reached
from engine.tasks.kubernetes.cluster import SECONDS, Cluster
from engine.tasks.rest_service import HINTS

if TYPE_CHECKING:
    import aiohttp

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
READS, SAYS, COMPLAINS, ENDS = range(4)
BLOCK = 32 * 1024
TOLD = 1000  # bytes of complaints, and of an end that is no JSON, that are kept
LAST = 5.0  # seconds in which a cluster closes what has ended
NO_RIGHT = "Let the account `get` and `create` the resource `pods/exec`."


async def run_in(
    cluster: Cluster,
    pod: str,
    container: str,
    script: str,
    *,
    limit: float,
    given: Path | None = None,
    hear: Callable[[bytes], object] | None = None,
) -> None:
    """Run a script of `sh` in a container of the pod at the path `pod`, in `limit` seconds.

    It reads the file `given`; `hear` takes what it says. TaskFailed when it can't be run, or fails.
    """
    import aiohttp
    from yarl import URL

    asked: list[tuple[str, str | int | float | bool | None]] = [("container", container), ("stdout", "true")]
    asked += [("stderr", "true"), *([("stdin", "true")] if given else [])]
    asked += [("command", word) for word in ("sh", "-c", script)]
    request = cluster.client.build_request("GET", f"{pod}/exec", params=tuple(asked))
    settings = cluster.context.settings
    await check_address(request.url, settings)
    said = {name: value for name, value in request.headers.items() if name == "authorization"}
    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_elsewhere)
    try:
        async with (
            asyncio.timeout(limit),
            aiohttp.ClientSession(trace_configs=[tracing], timeout=aiohttp.ClientTimeout(connect=SECONDS)) as session,
            session.ws_connect(
                URL(str(request.url), encoded=True), headers=said, ssl=cluster.trust or True, protocols=PROTOCOLS
            ) as socket,
        ):
            check_reached(socket.get_extra_info("peername"), request.url.host, settings)
            sending = asyncio.create_task(_send(socket, given)) if given else None
            try:
                status, complaint = await _heard(socket, hear)
            finally:
                if sending:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
    except aiohttp.WSServerHandshakeError as error:
        fix = NO_RIGHT if error.status == 403 else HINTS.get(error.status, "")
        raise TaskFailed(f"Kubernetes answered {error.status} to a command in {container}.", fix=fix) from error
    except TimeoutError as error:
        raise TaskFailed(f"A command in {container} did not end within {limit:g} s.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise TaskFailed(f"No command could be run in {container}: {error}") from error
    if status is None:
        raise TaskFailed(f"The connection to {container} broke off.")
    if status.get("status") != "Success":
        why = complaint or status.get("message") or status
        raise TaskFailed(f"A command in {container} failed: {why}")


async def _elsewhere(*_: Any) -> None:
    raise TaskFailed("Kubernetes sends commands to another address.", fix="Give that one in `connection.masterUrl`.")


async def _send(socket: "aiohttp.ClientWebSocketResponse", given: Path) -> None:
    with given.open("rb") as file:
        while block := await asyncio.to_thread(file.read, BLOCK - 1):
            await socket.send_bytes(bytes([READS]) + block)


async def _heard(
    socket: "aiohttp.ClientWebSocketResponse", hear: Callable[[bytes], object] | None
) -> tuple[dict[str, Any] | None, str]:
    """The `Status`, None when the connection broke off before it, and what the command complained of."""
    from aiohttp import WSMsgType

    status: dict[str, Any] | None = None
    complaints = b""
    while True:
        try:
            message = await socket.receive(timeout=None if status is None else LAST)
        except TimeoutError:
            if status is None:
                raise
            break
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            break
        channel, content = data[:1], data[1:]
        if channel == bytes([SAYS]) and hear and content:
            hear(content)
        elif channel == bytes([COMPLAINS]):
            complaints = (complaints + content)[-TOLD:]
        elif channel == bytes([ENDS]) and content:
            status = _status(content)
    return status, complaints.decode("utf-8", "replace").strip()


def _status(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": content[:TOLD].decode("utf-8", "replace")}
