"""The routes that are open to everybody: static files, sign-in; and Slack's signed requests."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response

from bot.conversation import Person
from bot.desk import FrontDesk
from bot.web import views
from bot.web.gate import COOKIE, TOKEN, Gate, is_token
from bot.web.multipart import form_of
from bot.web.requests import (
    HEADERS,
    barred,
    caller,
    known_as,
    refusal,
    safe_back,
    told,
    turned_away,
    with_cookie,
)
from engine.core.execution import Execution
from engine.core.request_triggers import Spoken
from engine.errors import EngineError, NotFound
from engine.runtime import Engine
from engine.runtime.execution_json import execution_json
from engine.store import chat_audit, chat_receipts, visits
from engine.store.chat_audit import Deed
from engine.store.database import Unit
from engine.tasks.core.trigger.webhook import Webhook

routes = APIRouter()
STATIC = Path(__file__).parent / "static"
WEBHOOK_WAIT = 600.0  # seconds; longer than any caller we know keeps a request open
NOT_YOURS = (
    "This link is somebody else's, or was used in another browser. Nothing was shown, and this is on record.",
    "Type `/flow web` in your chat for one of your own. If this is yours and you are signed in here under another "
    "name, sign out first, or link the two accounts with `/flow link`.",
)
GONE = ("This link is wrong, used or too old.", "Type `/flow web` in your chat for a new one.")
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@routes.get("/static/{name}", name="static_file")
async def static_file(name: str) -> Response:
    """A style sheet, script or picture of the page itself."""
    file = STATIC / name
    if file.suffix not in KINDS or file.parent != STATIC or not file.is_file():
        return PlainTextResponse("not here\n", 404)
    return FileResponse(file, media_type=KINDS[file.suffix], headers={"X-Content-Type-Options": "nosniff"})


@routes.get("/sign-in", name="sign_in_page")
async def sign_in_page(request: Request) -> Response:
    """The page that asks for a token."""
    who = caller(request)
    gate: Gate = request.app.state.gate
    back = safe_back(request.query_params.get("back"))
    page = views.page("sign_in.html", csrf=gate.csrf(who.session), back=back, wrong="wrong" in request.query_params)
    return with_cookie(request, HTMLResponse(page, headers=HEADERS), who.session, fresh=True)


@routes.post("/sign-in", name="sign_in")
async def sign_in(request: Request) -> Response:
    """Exchange a token for a signed-in browser."""
    gate: Gate = request.app.state.gate
    form = await request.form()
    name = gate.token_name(str(form.get("token") or ""))
    if name is None:
        back = quote(safe_back(form.get("back")), safe="/")
        return RedirectResponse(f"/sign-in?wrong&back={back}", 303, headers=HEADERS)
    engine: Engine = request.app.state.engine
    deed = Deed(engine.clock.now(), f"{TOKEN}{name}", name, "web", "sign in", "")
    await engine.database.transact(lambda unit: chat_audit.record(unit.connection, deed))
    response = RedirectResponse(safe_back(form.get("back")), 303, headers=HEADERS)
    return with_cookie(request, response, gate.new_session(f"{TOKEN}{name}"), fresh=True)


@routes.get("/in/{code}", name="visit_page")
async def visit_page(request: Request, code: str) -> Response:
    """What a link from chat opens: who would be signed in, and the button that does it. Looking uses nothing up."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    found = await engine.database.read(lambda connection: visits.waiting(connection, code, now))
    if refused := await _not_theirs(request, code, found.account if found else None):
        return refused
    if found is None:
        return refusal(404, *GONE)
    known = await engine.database.read(lambda connection: chat_receipts.who(connection, {found.account}))
    name = known[found.account].name if found.account in known else found.account
    who, gate = caller(request), request.app.state.gate
    page = views.page("visit.html", csrf=gate.csrf(who.session), name=name, account=found.account)
    return with_cookie(request, HTMLResponse(page, headers=HEADERS), who.session, who.fresh)


async def _not_theirs(request: Request, code: str, account: str | None) -> Response | None:
    """The refusal of a browser that is somebody else's, or that comes second: it is on record. None: let it go on."""
    desk: FrontDesk = request.app.state.desk
    engine, who = desk.engine, caller(request)
    now = engine.clock.now()
    owner = account or await engine.database.read(lambda connection: visits.used(connection, code, now))
    if owner is None or (account and not who.session.person):
        return None
    if who.session.person and who.person.id in (await desk.office.eligibility.identities.of(owner)).accounts:
        return None
    person = who.person if who.session.person else Person("", "", "web")
    await desk.tell_on(person, "", "a one-time link", owner)
    return refusal(403, *NOT_YOURS)


@routes.post("/in/{code}", name="visit")
async def visit(request: Request, code: str) -> Response:
    """Sign the browser in as who was given the link."""
    engine: Engine = request.app.state.engine
    gate: Gate = request.app.state.gate
    now = engine.clock.now()
    waiting = await engine.database.read(lambda connection: visits.waiting(connection, code, now))
    if refused := await _not_theirs(request, code, waiting.account if waiting else None):
        return refused
    if waiting is not None and (why := await barred(request, await known_as(engine, waiting.account), fresh=True)):
        return turned_away(why)
    nonce = gate.new_session().nonce  # never the one the browser had: somebody else may know that

    def work(unit: Unit) -> visits.Link | None:
        found = visits.take(unit.connection, code, now)
        if found is not None:
            visits.end(unit.connection, caller(request).session.nonce)
            visits.begin(unit.connection, nonce, found.account, now)
            known = chat_receipts.who(unit.connection, {found.account}).get(found.account)
            name = known.name if known else found.account
            chat_audit.record(unit.connection, Deed(now, found.account, name, "web", "sign in", ""))
        return found

    found = await engine.database.transact(work)
    if found is None:
        return refusal(404, *GONE)
    session = replace(gate.new_session(found.account), nonce=nonce)
    response = RedirectResponse(safe_back(found.back), 303, headers=HEADERS)
    return with_cookie(request, response, session, fresh=True)


@routes.post("/sign-out", name="sign_out")
async def sign_out(request: Request) -> Response:
    """Forget the browser."""
    engine: Engine = request.app.state.engine
    who, now = caller(request), engine.clock.now()

    def work(unit: Unit) -> None:
        if visits.end(unit.connection, who.session.nonce) or is_token(who.session.person):
            person = who.person
            chat_audit.record(unit.connection, Deed(now, person.id, person.name, "web", "sign out", ""))

    await engine.database.transact(work)
    response = RedirectResponse("/sign-in", 303, headers=HEADERS)
    response.delete_cookie(COOKIE)
    return response


@routes.api_route(
    "/api/v1/executions/webhook/{namespace}/{flow_id}/{key}", methods=["GET", "POST", "PUT"], name="webhook"
)
async def webhook(request: Request, namespace: str, flow_id: str, key: str) -> Response:
    """Start an execution; the key in the address is the credential."""
    engine: Engine = request.app.state.engine
    if request.method == "GET" and not engine.settings.webhook_get:
        return told({"error": "Webhooks are not started by GET here. Send POST, or set webhooks.get: true."}, 405)
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name, []).append(value)
    parameters = {name: request.query_params.getlist(name) for name in request.query_params}
    raw = await request.body()
    body = raw.decode("utf-8", errors="replace")
    try:
        started = await engine.webhooks.fire(
            namespace,
            flow_id,
            key,
            body=body,
            raw=raw,
            headers=headers,
            parameters=parameters,
            form=form_of(request, raw),
        )
    except NotFound as error:
        return told({"error": str(error)}, 404)
    except EngineError as error:
        return told({"error": str(error)}, 422)
    if started is None:
        return Response(status_code=204)
    if isinstance(started, Spoken):
        return Response(started.text, started.status, HEADERS, "text/plain; charset=utf-8")
    trigger = await engine.webhooks.trigger_of(started)
    if trigger.is_silent:
        return Response("", 200, HEADERS, "text/plain; charset=utf-8")
    if isinstance(trigger, Webhook) and trigger.wait:
        return await _ended(engine, started)
    return told(execution_json(started, engine.masker.mask))


async def _ended(engine: Engine, started: Execution) -> Response:
    """The answer of a webhook that waits for its execution; 202 when that takes too long."""
    try:
        ended = await engine.wait(started.id, timeout=WEBHOOK_WAIT)
    except TimeoutError:
        return told(execution_json(started, engine.masker.mask), 202)
    try:
        reply = await engine.webhooks.reply(ended)
    except EngineError as error:
        return told({"error": engine.masker.mask(str(error))}, 500)
    if reply.content is None:
        return told(execution_json(ended, engine.masker.mask), reply.status)
    return Response(reply.content, reply.status, HEADERS, f"{reply.media}; charset=utf-8")


@routes.post("/slack/events", name="slack_events")
async def slack_events(request: Request) -> Response:
    """Slack's requests in HTTP mode; the Slack front end checks their signature."""
    handle = request.app.state.slack_handler
    if handle is None:
        return refusal(
            404, "Slack is not in HTTP mode here.", "Set SLACK_SIGNING_SECRET and leave SLACK_APP_TOKEN unset."
        )
    status, headers, body = await handle(await request.body(), dict(request.headers))
    return Response(body, status, headers)
