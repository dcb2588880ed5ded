"""Azure's Service Bus over HTTP: queues and subscriptions whose messages are locked, taken out or let go."""

import base64
import hashlib
import hmac
import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.loopback import Answered, Received, serving

KEY = "c2VjcmV0IGtleQ=="


class ServiceBus:
    """`waiting` by path; `locked` by the address of the lock; `topics`: topic → paths of its subscriptions."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[dict[str, Any]]] = {"/work": [], "/orders/subscriptions/flows": []}
        self.topics = {"/orders": ["/orders/subscriptions/flows"]}
        self.locked: dict[str, tuple[str, dict[str, Any]]] = {}
        self.url = ""
        self.number = 0

    @property
    def connection_string(self) -> str:
        return f"Endpoint={self.url}/;SharedAccessKeyName=flows;SharedAccessKey={KEY}"

    def answer(self, request: Received) -> Answered:
        if not self._is_signed(request.headers["Authorization"]):
            return Answered("<Error><Code>401</Code><Detail>InvalidSignature</Detail></Error>", 401)
        path = request.path
        if path in self.locked:
            queue, message = self.locked.pop(path)
            if request.method == "PUT":
                self.waiting[queue].insert(0, message)
            return Answered(b"", 200)
        if path.endswith("/messages/head"):
            return self._head(request, path.removesuffix("/messages/head"))
        queue = path.removesuffix("/messages")
        if path.endswith("/messages") and (queue in self.waiting or queue in self.topics):
            return self._sent(request, queue)
        return Answered(f"<Error><Code>404</Code><Detail>no such thing: {path}</Detail></Error>", 404)

    def _sent(self, request: Received, queue: str) -> Answered:
        self.number += 1
        own = {name: value for name, value in request.headers.items() if name.lower().startswith("x-own-")}
        about = {**json.loads(request.headers.get("BrokerProperties", "{}")), "SequenceNumber": self.number}
        message = {"body": request.body, "about": {"MessageId": f"m{self.number}", **about}, "own": own}
        for place in self.topics.get(queue, [queue]):
            self.waiting[place].append(message)
        return Answered(b"", 201)

    def _head(self, request: Received, queue: str) -> Answered:
        if queue not in self.waiting:
            return Answered("<Error><Code>404</Code></Error>", 404)
        until = time.monotonic() + min(float(request.query["timeout"]), 0.3)
        while not self.waiting[queue]:
            if time.monotonic() > until:
                return Answered(b"", 204)
            time.sleep(0.01)
        message = self.waiting[queue].pop(0)
        headers = {"BrokerProperties": json.dumps(message["about"])}
        if request.method == "DELETE":
            return Answered(message["body"], 200, headers)
        lock = f"{queue}/messages/{message['about']['SequenceNumber']}/lock-{time.monotonic_ns()}"
        self.locked[lock] = (queue, message)
        return Answered(message["body"], 201, {**headers, "Location": f"{self.url}{lock}"})

    def _is_signed(self, authorization: str) -> bool:
        kind, _, rest = authorization.partition(" ")
        given = dict(urllib.parse.parse_qsl(rest))
        if kind != "SharedAccessSignature" or given["skn"] != "flows" or int(given["se"]) < time.time():
            return False
        text = urllib.parse.quote_plus(given["sr"]) + "\n" + given["se"]
        wanted = base64.b64encode(hmac.digest(KEY.encode(), text.encode(), hashlib.sha256)).decode()
        return given["sig"] == wanted and self.url.startswith(given["sr"].rstrip("/"))


@pytest.fixture
def service_bus() -> Iterator[ServiceBus]:
    """The service, running."""
    bus = ServiceBus()
    with serving(bus.answer) as service:
        bus.url = service.url
        yield bus
