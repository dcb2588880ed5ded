"""A mailbox that speaks IMAP and POP3, in threads: mails by their number, as a server keeps them."""

import re
import socketserver
import threading
from collections.abc import Callable, Iterator

import pytest

Session = socketserver.StreamRequestHandler


class MailboxServer:
    """`mails` by UID; `validity` changes when the server numbers anew; `imap` and `pop` are ports."""

    def __init__(self) -> None:
        self.mails: dict[int, bytes] = {}
        self.validity = 7
        self.said: list[str] = []
        self.servers = [self._served(self.talk_imap), self._served(self.talk_pop)]
        self.imap, self.pop = (server.server_address[1] for server in self.servers)

    def put(self, text: str) -> int:
        id_ = max(self.mails, default=0) + 1
        self.mails[id_] = text.replace("\n", "\r\n").encode()
        return id_

    def _served(self, talk: Callable[[Session], None]) -> socketserver.ThreadingTCPServer:
        class Handler(Session):
            def handle(self) -> None:
                talk(self)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def _lines(self, session: Session) -> Iterator[str]:
        while line := session.rfile.readline().decode().strip():
            self.said.append(line)
            yield line

    def talk_imap(self, session: Session) -> None:
        def say(text: bytes | str) -> None:
            session.wfile.write((text if isinstance(text, bytes) else text.encode()) + b"\r\n")

        say("* OK mail.test")
        for line in self._lines(session):
            tag, _, rest = line.partition(" ")
            if refused := self._refused(rest):
                say(f"{tag} NO {refused}")
                continue
            for told in self._told(rest):
                say(told)
            say(f"{tag} OK done")
            if rest == "LOGOUT":
                return

    def _refused(self, asked: str) -> str:
        if asked.startswith("LOGIN") and '"right"' not in asked:
            return "[AUTHENTICATIONFAILED] Wrong password"
        if asked.startswith("SELECT"):
            return "Open it read-only: EXAMINE"
        return "No such folder" if asked.startswith("EXAMINE") and '"INBOX"' not in asked else ""

    def _told(self, asked: str) -> Iterator[bytes | str]:
        if asked == "CAPABILITY":
            yield "* CAPABILITY IMAP4rev1"
        elif asked == "LOGOUT":
            yield "* BYE"
        elif asked.startswith("EXAMINE"):
            yield f"* {len(self.mails)} EXISTS"
            yield f"* OK [UIDVALIDITY {self.validity}] valid"
        elif found := re.match(r"UID SEARCH UID (\d+):\*", asked):
            # `n:*` always holds the last mail, even when its number is lower than n.
            ids = sorted(self.mails)
            yield "* SEARCH " + " ".join(str(id_) for id_ in ids if id_ >= int(found[1]) or id_ == ids[-1])
        elif found := re.match(r"UID FETCH (\d+) \((\S+)\)", asked):
            yield from self._fetched(int(found[1]), found[2])

    def _fetched(self, id_: int, what: str) -> Iterator[bytes | str]:
        content = self.mails.get(id_)
        if content is None:
            return
        if what == "RFC822.SIZE":
            yield f"* 1 FETCH (UID {id_} RFC822.SIZE {len(content)})"
            return
        part = content if what == "BODY.PEEK[]" else content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        yield f"* 1 FETCH (UID {id_} BODY[] {{{len(part)}}}".encode() + b"\r\n" + part + b")"

    def talk_pop(self, session: Session) -> None:
        def say(*lines: str) -> None:
            session.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

        say("+OK mail.test")
        numbers = dict(enumerate(sorted(self.mails), 1))
        for line in self._lines(session):
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "PASS" if rest != "right":
                    say("-ERR Wrong password")
                case "UIDL":
                    say("+OK", *(f"{number} id-{id_}" for number, id_ in numbers.items()), ".")
                case "LIST":
                    say("+OK", *(f"{number} {len(self.mails[id_])}" for number, id_ in numbers.items()), ".")
                case "RETR":
                    text = self.mails[numbers[int(rest)]].decode()
                    say("+OK", *(f".{one}" if one.startswith(".") else one for one in text.splitlines()), ".")
                case "QUIT":
                    say("+OK")
                    return
                case _:
                    say("+OK")


@pytest.fixture
def mailbox() -> Iterator[MailboxServer]:
    """The servers, running."""
    service = MailboxServer()
    yield service
    for server in service.servers:
        server.shutdown()
        server.server_close()
