"""Who may pass: Host and Origin, sessions, tokens and the CSRF token. Decisions only; `pages.py` answers.

Every route asks the gate; a route is open only when its name stands in OPEN. Names, not paths, are compared, so a path
that happens to look like an open one stays shut.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bot.conversation import Person
from engine.key_files import kept_key

OPEN = frozenset({"health", "ready", "static_file", "sign_in_page", "sign_in", "visit_page", "visit"})
# The caller proves itself: by a signature, or by the key in the address.
SIGNED = frozenset({"slack_events", "webhook"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
SESSION_SECONDS = 14 * 24 * 3600
COOKIE = "parley_session"
TOKEN = "token:"  # noqa: S105 - what the ids of tokens begin with


@dataclass(frozen=True, slots=True)
class Session:
    """A browser: `nonce` ties CSRF tokens to it; `person` is the id of who signed in, empty until then."""

    nonce: str
    person: str = ""
    expires: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """What is allowed, for one instance.

    `local` is who the command line on this machine is, by its `api_token`; and, unless everybody `must_sign_in`, every
    request that brings nothing else (the page then listens on loopback only). `tokens` maps a token's name to its text.
    """

    key: bytes
    hosts: frozenset[str]
    local: Person | None
    tokens: Mapping[str, str]
    api_token: str = ""
    must_sign_in: bool = False

    def host_allowed(self, host: str | None) -> bool:
        """Whether a Host header names this instance; stops a page elsewhere from reaching it by DNS rebinding."""
        return bool(host) and _bare(str(host)) in self.hosts

    def origin_allowed(self, origin: str | None, fetch_site: str | None) -> bool:
        """Whether a changing request comes from our own pages (or from no browser at all)."""
        if origin in (None, ""):
            return fetch_site in (None, "", "same-origin", "none")
        return urlsplit(str(origin)).scheme in ("http", "https") and _bare(urlsplit(str(origin)).netloc) in self.hosts

    def csrf(self, session: Session) -> str:
        """The token that every form of this browser carries."""
        return self._mac(f"csrf:{session.nonce}:{session.person}")

    def csrf_matches(self, session: Session, given: str | None) -> bool:
        """Whether a form was made by us for this browser."""
        return hmac.compare_digest(self.csrf(session), given or "")

    def showed(self, session: Session, what: str, said: str) -> str:
        """What a form carries to tell which state of a thing this browser was shown."""
        return f"{said}.{self._mac(f'showed:{session.nonce}:{what}:{said}')}"

    def was_shown(self, session: Session, what: str, given: object) -> str:
        """That state; "" unless we wrote it there."""
        said = str(given or "").partition(".")[0]
        return said if hmac.compare_digest(self.showed(session, what, said), str(given or "")) else ""

    def new_session(self, person: str = "") -> Session:
        """A fresh browser session."""
        return Session(secrets.token_urlsafe(16), person, int(time.time()) + SESSION_SECONDS)

    def seal(self, session: Session) -> str:
        """The cookie's text."""
        body = base64.urlsafe_b64encode(json.dumps([session.nonce, session.person, session.expires]).encode()).decode()
        return f"{body}.{self._mac(body)}"

    def unseal(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None when it is forged, broken or too old."""
        body, _, mac = (cookie or "").partition(".")
        if not body or not hmac.compare_digest(self._mac(body), mac):
            return None
        nonce, person, expires = json.loads(base64.urlsafe_b64decode(body))
        return Session(nonce, person, expires) if expires > time.time() else None

    def token_name(self, token: str) -> str | None:
        """Whose token this is; compared in constant time."""
        found = None
        for name, known in self.tokens.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                found = name
        return found

    def person(self, session: Session | None, bearer: str | None, visitor: Person | None = None) -> Person | None:
        """Who is asking: a token in the header, a browser signed in with one or by a link from chat (`visitor`), or the
        local user where nobody else can reach the page."""
        if bearer is not None:
            if self.api_token and hmac.compare_digest(self.api_token.encode(), bearer.encode()) and self.local:
                return self.local
            name = self.token_name(bearer)
            return Person(f"{TOKEN}{name}", name, "web") if name else None
        if visitor is not None:
            return visitor
        name = session.person.removeprefix(TOKEN) if session is not None and is_token(session.person) else ""
        if name in self.tokens:
            return Person(f"{TOKEN}{name}", name, "web")
        return None if self.must_sign_in else self.local

    def _mac(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


def is_token(person: str) -> bool:
    """Whether the id of a session's person stands for a token, not for an account of a chat."""
    return person.startswith(TOKEN)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on cannot be reached from another machine."""
    return host in LOOPBACK or host.startswith("127.")


def private_key(path: Path, size: int = 32) -> bytes:
    """A key kept in a file only its owner can read; made on first use."""
    return bytes.fromhex(kept_key(path, lambda: secrets.token_hex(size)))


def _bare(netloc: str) -> str:
    """The host name of `host:port`, brackets of an IPv6 address kept."""
    if netloc.startswith("["):
        return netloc.partition("]")[0] + "]"
    return netloc.rpartition(":")[0].lower() if ":" in netloc else netloc.lower()
