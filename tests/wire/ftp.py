"""A real FTP server, in a thread: in the clear or over TLS, with or without the newer listing."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

with warnings.catch_warnings():  # it lives on what Python has left behind
    warnings.simplefilter("ignore")
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

PASSWORD = "s3cret"


class Implicit(TLS_FTPHandler):  # type: ignore[misc]
    """TLS before anything is said."""

    def handle(self) -> None:
        self.secure_connection(self.ssl_context)

    def handle_ssl_established(self) -> None:
        super().handle()


@contextmanager
def ftp(home: Path, *, certificate: Path | None = None, implicit: bool = False, listing: bool = True) -> Iterator[int]:
    """The port of a server that shows a folder to the user `shop`, and lets `guest` only read it."""
    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)
    known = DummyAuthorizer()
    known.add_user("shop", PASSWORD, str(home), perm="elradfmwMT")
    known.add_user("guest", PASSWORD, str(home), perm="elr")
    kind: Any = TLS_FTPHandler if certificate else FTPHandler
    commands = dict(FTPHandler.proto_cmds if not certificate else TLS_FTPHandler.proto_cmds)
    if not listing:
        del commands["MLSD"], commands["MLST"]
    given: dict[str, Any] = {"authorizer": known, "proto_cmds": commands}
    if certificate:
        given |= {"certfile": str(certificate), "tls_control_required": True, "tls_data_required": True}
    handler = type("Handler", (Implicit if implicit else kind,), given)
    loop = IOLoop()
    server = FTPServer(("127.0.0.1", 0), handler, ioloop=loop)
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            server.serve_forever(timeout=0.05, blocking=False, handle_exit=False)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.address[1]
    finally:
        stopping.set()
        thread.join(10)
        server.close_all()
