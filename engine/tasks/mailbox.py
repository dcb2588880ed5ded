"""Mailboxes by IMAP and POP3: what is new since the last look, and what a mail says. Blocks: call it in a thread."""

import imaplib
import poplib
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

MOST = 50  # mails one look hands on; more wait for the next
LARGEST = 10 * 1024 * 1024  # bytes of a mail that is read whole; of larger ones the head
SILENCE = 30.0  # seconds a server may be silent
PORTS = {("IMAP", True): 993, ("IMAP", False): 143, ("POP3", True): 995, ("POP3", False): 110}
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where mail lies, and who may read it."""

    protocol: str
    host: str
    port: int | None
    username: str
    password: str
    folder: str = "INBOX"
    tls: bool = True
    trusts_all: bool = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or PORTS[self.protocol, self.tls]

    def certificates(self) -> ssl.SSLContext:
        """How certificates are judged."""
        context = ssl.create_default_context()
        if self.trusts_all:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def new_mails(box: Mailbox, memory: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Mails that came since the last look, oldest first, and what to remember. What lies there at the first look is
    old. imaplib's and poplib's own errors, OSError."""
    return _by_imap(box, memory) if box.protocol == "IMAP" else _by_pop(box, memory)


def _by_imap(box: Mailbox, memory: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    host, port = box.address
    if box.tls:
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, port, ssl_context=box.certificates(), timeout=SILENCE)
    else:
        client = imaplib.IMAP4(host, port, timeout=SILENCE)
    with client:
        client.login(box.username, box.password)
        state, said = client.select(_quoted(box.folder), readonly=True)
        if state != "OK":
            raise imaplib.IMAP4.error(f"the folder {box.folder!r}: {_told(said)}")
        validity = _told(client.response("UIDVALIDITY")[1])
        same = memory.get("validity") == validity and "last" in memory
        last = int(memory["last"]) if same else 0
        _, found = client.uid("SEARCH", f"UID {last + 1}:*")
        ids = sorted(int(text) for text in (found[0] or b"").split() if int(text) > last)
        if not same:  # the first look, or the server has numbered its mails anew
            return [], {"validity": validity, "last": max(ids, default=0)}
        taken = ids[:MOST]
        mails = [described(content) for id_ in taken if (content := _fetched(client, id_)) is not None]
        return mails, {"validity": validity, "last": max(taken, default=last)}


def _fetched(client: imaplib.IMAP4, id_: int) -> bytes | None:
    """A mail, None when it is gone; of a huge one its head."""
    _, about = client.uid("FETCH", str(id_), "(RFC822.SIZE)")
    size = next((found for part in about if part and (found := _SIZE.search(_bytes(part)))), None)
    if size is None:
        return None
    what = "BODY.PEEK[]" if int(size[1]) <= LARGEST else "BODY.PEEK[HEADER]"
    _, parts = client.uid("FETCH", str(id_), f"({what})")
    return next((bytes(part[1]) for part in parts if isinstance(part, tuple)), None)


def _by_pop(box: Mailbox, memory: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    host, port = box.address
    if box.tls:
        client: poplib.POP3 = poplib.POP3_SSL(host, port, timeout=SILENCE, context=box.certificates())
    else:
        client = poplib.POP3(host, port, timeout=SILENCE)
    try:
        client.user(box.username)
        client.pass_(box.password)
        there = [line.decode("ascii", "replace").split(" ", 1) for line in client.uidl()[1]]
        ids = {id_: int(number) for number, id_ in there}
        if "seen" not in memory:
            return [], {"seen": sorted(ids)}
        old = set(memory["seen"]) & ids.keys()
        new = [id_ for id_ in ids if id_ not in old][:MOST]
        sizes = {int(line.split()[0]): int(line.split()[1]) for line in client.list()[1]}
        mails = []
        for id_ in new:
            number = ids[id_]
            lines = client.retr(number)[1] if sizes.get(number, 0) <= LARGEST else client.top(number, 0)[1]
            mails.append(described(b"\r\n".join(lines)))
        return mails, {"seen": sorted({*old, *new})}
    finally:
        client.quit()


def described(content: bytes) -> dict[str, Any]:
    """A mail as flows read it."""
    mail = message_from_bytes(content)
    senders = _addresses(mail, "From")
    return {
        "subject": _header(mail, "Subject"),
        "from": senders[0] if senders else None,
        "to": _addresses(mail, "To"),
        "cc": _addresses(mail, "Cc"),
        "bcc": _addresses(mail, "Bcc"),
        "date": _date(mail),
        "body": _body(mail),
        "messageId": _header(mail, "Message-ID"),
        "attachments": [_attachment(part) for part in mail.walk() if _is_attached(part)],
    }


def _header(mail: Message, name: str) -> str | None:
    found = mail.get(name)
    if found is None:
        return None
    text = " ".join(str(found).split())
    try:
        return str(make_header(decode_header(text)))
    except (UnicodeDecodeError, LookupError, HeaderParseError):
        return text


def _addresses(mail: Message, name: str) -> list[str]:
    found = [" ".join(str(text).split()) for text in mail.get_all(name) or []]
    return [address for _, address in getaddresses(found) if address]


def _date(mail: Message) -> str | None:
    try:
        return parsedate_to_datetime(str(mail["Date"])).isoformat() if mail["Date"] else None
    except (ValueError, TypeError):
        return None


def _body(mail: Message) -> str:
    """The text of a mail; its HTML when it has no other."""
    texts = [part for part in mail.walk() if part.get_content_maintype() == "text" and not _is_attached(part)]
    plain = [part for part in texts if part.get_content_subtype() == "plain"]
    return "\n".join(_decoded(part) for part in plain or texts).replace("\r\n", "\n")


def _decoded(part: Message) -> str:
    content = _content(part)
    try:
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:  # a charset nobody knows
        return content.decode("utf-8", "replace")


def _content(part: Message) -> bytes:
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else b""


def _is_attached(part: Message) -> bool:
    return not part.is_multipart() and (part.get_content_disposition() == "attachment" or bool(part.get_filename()))


def _attachment(part: Message) -> dict[str, Any]:
    name = part.get_filename()
    return {"filename": name, "contentType": part.get_content_type(), "size": len(_content(part))}


def _quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bytes(part: Any) -> bytes:
    return bytes(part[0]) if isinstance(part, tuple) else bytes(part)


def _told(said: Any) -> str:
    return next((one.decode("utf-8", "replace") for one in _flat(said) if one), "")


def _flat(said: Any) -> Iterator[bytes]:
    for one in said or ():
        if isinstance(one, bytes):
            yield one
