"""A service on the loopback address: requests are kept, a function answers. In a thread, so any client can call it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Received:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes
    parameters: dict[str, list[str]] = field(default_factory=dict)  # of the query, every value

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {key: values[-1] for key, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}

    @property
    def parts(self) -> dict[str, tuple[str | None, bytes]]:
        """Parts of a multipart body: name → file name and content."""
        head = b"Content-Type: " + self.headers["content-type"].encode() + b"\r\n\r\n"
        message = BytesParser(policy=HTTP).parsebytes(head + self.body)
        found = {}
        for part in message.iter_parts():  # type: ignore[attr-defined]
            name = part.get_param("name", header="content-disposition")
            found[str(name)] = (part.get_filename(), part.get_payload(decode=True))
        return found


@dataclass
class Answered:
    """What to answer. `chunks` are sent one by one, as a stream."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterator[bytes] | None = None

    def content(self) -> tuple[bytes, str]:
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        if isinstance(self.body, str):
            return self.body.encode(), "text/plain; charset=utf-8"
        return (b"" if self.body is None else json.dumps(self.body).encode()), "application/json"


Handler = Callable[[Received], Answered]


class Loopback:
    """A running service: `url`, and `requests` in the order they came."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[Received] = []
        service = self

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def answer(self) -> None:
                parts = urlsplit(self.path)
                every = parse_qs(parts.query, keep_blank_values=True)
                query = {key: values[-1] for key, values in every.items()}
                received = Received(self.command, unquote(parts.path), query, self.headers, self._body(), every)
                service.requests.append(received)
                answered = service.handler(received)
                content, kind = answered.content()
                self.send_response(answered.status)
                for name, value in {"Content-Type": kind, **answered.headers}.items():
                    self.send_header(name, value)
                if answered.chunks is not None:
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for chunk in answered.chunks:
                        self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")
                    return
                if answered.status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD" and answered.status != 204:
                    self.wfile.write(content)

            def _body(self) -> bytes:
                if self.headers.get("transfer-encoding", "").lower() == "chunked":
                    body = b""
                    while size := int(self.rfile.readline().strip() or b"0", 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                    return body
                return self.rfile.read(int(self.headers.get("content-length") or 0))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def last(self) -> Received:
        return self.requests[-1]


@contextmanager
def serving(handler: Handler) -> Iterator[Loopback]:
    """A service that answers until the block ends."""
    service = Loopback(handler)
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.server.shutdown()
        service.server.server_close()
        thread.join(5)
