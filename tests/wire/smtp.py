"""A mail server that keeps what it is given; only plain SMTP, in a thread."""

import base64
import email
import socketserver
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP

import pytest


class MailServer:
    """`messages` in the order they came; `recipients` of each; `password` of `ann` when somebody must sign in."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.password = "right"
        service = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                service.talk(self)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

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
                    say("250 AUTH PLAIN")
                case "AUTH":
                    given = base64.b64decode(rest.split(" ")[1]).split(b"\0")[1:]
                    good = given == [b"ann", self.password.encode()]
                    say("235 Welcome" if good else "535 Wrong password")
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
