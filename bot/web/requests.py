"""One request as the pages see it: who asks, from which browser, and the ways to answer."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from bot.conversation import Person
from bot.people.standing import UNSURE, Standings
from bot.texts import Answer
from bot.web import views
from bot.web.gate import COOKIE, OPEN, SIGNED, Gate, Session, is_token
from engine.runtime import Engine
from engine.store import chat_receipts, visits
from engine.whole_text import writable

T = TypeVar("T")
WITH_SESSION = frozenset({"sign_in_page", "visit_page"})  # open to all, and yet they begin a session
ALWAYS = OPEN | {"sign_out"}  # also for somebody whose account is gone
READS = frozenset({"keep_form"})  # changes nothing but what its writer sees again
ASKS_AGAIN = frozenset({"submit", "answer_pause"})  # draw the form anew when they must not act on it
API = "/api/"
PROGRAMS = (API, "/events", "/metrics")  # asked by programs, which no sign-in page helps
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `fresh` says that the browser still has to be given its cookie; `bearer`, that it is a program;
    `unsure`, why it can't be told now whether the account is still there: nothing may be done then."""

    person: Person
    session: Session
    fresh: bool = False
    bearer: bool = False
    unsure: str = ""


class Stopped(Exception):
    """The gate refused; `response` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Wrong(Exception):
    """What a program sent can't be read; the text says what to send."""


async def let_in(request: Request) -> None:
    """The dependency of every route: refuses what may not pass, and leaves the Caller in `request.state.caller`."""
    gate: Gate = request.app.state.gate
    name = request.scope["route"].name
    if name in OPEN - WITH_SESSION and request.method in ("GET", "HEAD"):
        return
    if not gate.host_allowed(request.headers.get("host")):
        raise Stopped(
            refusal(421, "This page does not answer to that address.", "Set web.public_url to the address you use.")
        )
    if name in SIGNED:
        return
    header = request.headers.get("authorization", "")
    bearer = header[7:].strip() if header.lower().startswith("bearer ") else None
    known = gate.unseal(request.cookies.get(COOKIE))
    session = known or gate.new_session()
    if request.method not in ("GET", "HEAD") and bearer is None:
        await _check_form(request, gate, session)
    person = gate.person(session, bearer, await _visitor(request, session))
    if person is None and name not in OPEN:
        raise Stopped(_ask_to_sign_in(request, bearer))
    unsure = await _check_account(request, name, person) if person is not None and name not in ALWAYS else ""
    nobody = Person("nobody", "nobody", "web")
    request.state.caller = Caller(person or nobody, session, known is None, bearer is not None, unsure)


async def _check_account(request: Request, name: str, person: Person) -> str:
    """Stops whoever's account is gone, or can't be told to be there; the sentence for a form that says so itself."""
    changes = request.method not in ("GET", "HEAD") and name not in READS
    why = await barred(request, person, fresh=changes)
    if why is None:
        return ""
    if why.code == UNSURE and name in ASKS_AGAIN:
        return why.text
    raise Stopped(turned_away(why))


def turned_away(why: Answer) -> Response:
    """The page for somebody whose account is gone, or can't be told to be there."""
    if why.code == UNSURE:
        return refusal(503, why.text, "")
    return refusal(403, why.text, "Nothing was done. If you are back, type `/flow web` in your chat for a new link.")


async def barred(request: Request, person: Person, *, fresh: bool) -> Answer | None:
    """Why somebody may not go on, by their account; of one that is gone every visit ends, and it is on record."""
    standings: Standings = request.app.state.standings
    why = await standings.refuse(person, fresh=fresh)
    if why is not None and why.code != UNSURE:
        await standings.end_visits(person)
    return why


async def while_in(request: Request, events: AsyncGenerator[T | None, None]) -> AsyncIterator[T | None]:
    """What somebody is shown who keeps a page open, for as long as they are in; None: nothing but a sign of life. While
    it can't be told whether their account is there they see nothing new; then it ends, and the browser asks anew."""
    who, is_held = caller(request), False
    async with aclosing(events):
        async for event in events:
            if who.person.is_visiting and await _visitor(request, who.session) is None:
                return
            why = await barred(request, who.person, fresh=False)
            if why is None if is_held else why is not None and why.code != UNSURE:
                return
            is_held = why is not None
            yield None if is_held else event


async def closed_after(request: Request) -> AsyncIterator[None]:
    """The other dependency of every route: files that came with a form are closed once it is answered."""
    try:
        yield
    finally:
        await request.close()


async def _visitor(request: Request, session: Session) -> Person | None:
    """Who opened the page in this browser by a link from chat, as they are known there."""
    if not session.person or is_token(session.person):
        return None
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    account = await engine.database.read(lambda connection: visits.account_of(connection, session.nonce, now))
    if account is None or account != session.person:
        return None
    return await known_as(engine, account)


async def known_as(engine: Engine, account: str) -> Person:
    """An account of a chat, as its owner is known there, on the page."""
    known = (await engine.database.read(lambda connection: chat_receipts.who(connection, {account}))).get(account)
    if known is None:
        return Person(account, account.partition(":")[2], "web")
    return Person(account, known.name, "web", known.mention, known.zone)


async def _check_form(request: Request, gate: Gate, session: Session) -> None:
    if not gate.origin_allowed(request.headers.get("origin"), request.headers.get("sec-fetch-site")):
        raise Stopped(
            refusal(403, "This request came from another site, so nothing was done.", "Use the buttons on this page.")
        )
    form = await request.form()
    given = form.get("csrf")
    if not gate.csrf_matches(session, given if isinstance(given, str) else None):
        raise Stopped(refusal(403, "This page was open for too long, so nothing was done.", "Reload it and try again."))


def _ask_to_sign_in(request: Request, bearer: str | None) -> Response:
    if bearer is not None or request.method not in ("GET", "HEAD") or request.url.path.startswith(PROGRAMS):
        return refusal(
            401, "Sign in first.", "Open /sign-in in the browser, or send a token as `Authorization: Bearer …`."
        )
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = "" if request.method != "GET" or path == "/" else f"?back={quote(path, safe='/')}"
    return RedirectResponse(f"/sign-in{wanted}", 303, headers=HEADERS)


class Refusal(HTMLResponse):
    """Why not: a page for people; JSON, as all else there, for programs, who come by the paths of the API."""

    def __init__(self, status: int, text: str, fix: str) -> None:
        names = {"title": "That did not work", "text": text, "fix": fix, "person": Person("", "", "web"), "here": ""}
        super().__init__(views.page("message.html", **names), status, headers=HEADERS)
        self._said = f"{text} {fix}".strip()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whoever asked."""
        if str(scope["path"]).startswith(API):
            await told({"error": self._said}, self.status_code)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def refusal(status: int, text: str, fix: str) -> Response:
    """Says why not."""
    return Refusal(status, text, fix)


def caller(request: Request) -> Caller:
    """Who the gate let in."""
    found: Caller = request.state.caller
    return found


def html(request: Request, template: str, *, status: int = 200, **names: Any) -> Response:
    """A page for the caller, with its CSRF token, and its cookie when it has none yet."""
    gate: Gate = request.app.state.gate
    who = caller(request)
    signed_in = bool(who.session.person) and who.person.id == who.session.person
    names = {"person": who.person, "csrf": gate.csrf(who.session), "here": "", "signed_in": signed_in, **names}
    return with_cookie(
        request, HTMLResponse(views.page(template, **names), status, headers=HEADERS), who.session, who.fresh
    )


def with_cookie(request: Request, response: Response, session: Session, fresh: bool) -> Response:
    """Give the browser its session."""
    gate: Gate = request.app.state.gate
    if fresh:
        public = urlsplit(request.app.state.public_url or "")
        secure = request.url.scheme == "https" or (public.scheme == "https" and request.url.hostname == public.hostname)
        response.set_cookie(COOKIE, gate.seal(session), httponly=True, samesite="lax", secure=secure, path="/")
    return response


def told(value: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON answer for our own script."""
    text = writable(json.dumps(value, default=str, ensure_ascii=False))  # what a caller sent may hold half characters
    return JSONResponse(json.loads(text), status, headers=HEADERS)


def wants_fragment(request: Request) -> bool:
    """Whether our script asked, which draws the answer in place."""
    return request.headers.get("x-parley-fragment") == "1"


def safe_back(target: object) -> str:
    """A path of our own to go back to; anything else becomes the room."""
    text = str(target or "/")
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) else "/"
