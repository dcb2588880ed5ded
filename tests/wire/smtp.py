"""A mail server that keeps what it is given; only plain SMTP, in a thread."""

import base64
import email
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP

import pytest


class MailServer:
    """`messages` in the order they came; `recipients` of each; `password` of `ann` when somebody must sign in."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.password = "right"
        self.tls: ssl.SSLContext | None = None  # with it sessions may become safe
        service = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(ssl.SSLError):  # who sends mail does not trust us
                    service.talk(self)

            def setup(self) -> None:
                self.request = getattr(self, "connection", self.request)
                super().setup()

            def finish(self) -> None:
                super().finish()
                self.request.close()

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def sign_in(self, session: socketserver.StreamRequestHandler, how: str, said: str) -> None:
        given = base64.b64decode(said).decode()
        if how == "XOAUTH2" and given != f"user=ann\1auth=Bearer {self.password}\1\1":
            session.wfile.write(b"334 " + base64.b64encode(b'{"status":"401"}') + b"\r\n")
            session.rfile.readline()
            session.wfile.write(b"535 Token refused\r\n")
            return
        good = how == "XOAUTH2" or given.split("\0")[1:] == ["ann", self.password]
        session.wfile.write(b"235 Welcome\r\n" if good else b"535 Wrong password\r\n")

    def talk(self, session: socketserver.StreamRequestHandler) -> None:
        def say(line: str) -> None:
            session.wfile.write(line.encode() + b"\r\n")

        say("220 mail.test")
        to: list[str] = []
        while line := session.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    say("250-mail.test")
                    if self.tls and not isinstance(session.connection, ssl.SSLSocket):
                        say("250-STARTTLS")
                    say("250 AUTH PLAIN XOAUTH2")
                case "STARTTLS" if self.tls:
                    say("220 Go ahead")
                    session.connection = self.tls.wrap_socket(session.connection, server_side=True)
                    session.setup()
                case "AUTH":
                    self.sign_in(session, *rest.split(" "))
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    refused = address.startswith("nobody@")
                    to += [] if refused else [address]
                    say("550 No such user" if refused else "250 OK")
                case "DATA":
                    say("354 Go ahead")
                    lines = []
                    while (text := session.rfile.readline()) != b".\r\n":
                        lines.append(text.removeprefix(b".") if text.startswith(b"..") else text)
                    found = email.message_from_bytes(b"".join(lines), policy=SMTP)
                    self.messages.append(found)  # type: ignore[arg-type]
                    self.recipients.append(to)
                    to = []
                    say("250 Kept")
                case "QUIT":
                    say("221 Bye")
                    return
                case _:
                    say("250 OK")


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """The server, running."""
    service = MailServer()
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.server.shutdown()
        service.server.server_close()
        thread.join(5)
