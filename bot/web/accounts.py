"""The API for which accounts count as one person's: who may see all of them and take one out, as in chat."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.asking import Asking, Parts
from bot.commands.linking import no_administrator, takes_out
from bot.commands.references import Unresolved
from bot.conversation import Notice, Reply
from bot.desk import FrontDesk
from bot.web.api import program_only
from bot.web.changes import answered
from bot.web.executions import engine_of
from bot.web.gate import Gate
from bot.web.requests import caller, told
from engine.store import chat_links

routes = APIRouter(prefix="/api/v1/links")


@routes.get("", name="links")
async def links(request: Request) -> Response:
    """The accounts that codes linked, those of one person together."""
    if (no := await _refused(request, "")) is not None:
        return no
    return told({"people": await engine_of(request).database.read(chat_links.people)})


@routes.delete("/{account:path}", name="unlink")
async def unlink(request: Request, account: str) -> Response:
    """Let an account stand for itself again: one's own, or another one by who manages all."""
    if (no := await _refused(request, account)) is not None:
        return no
    engine, person = engine_of(request), caller(request).person
    gone = await engine.database.transact(takes_out(person, account, engine.clock.now()))
    return told({"unlinked": gone})


async def _refused(request: Request, account: str) -> Response | None:
    """Why not; None for one's own account, for who manages all by a role, and where there are no roles for whoever
    holds the key of the data folder: the database is theirs."""
    if (stranger := program_only(request)) is not None:
        return stranger
    gate: Gate = request.app.state.gate
    desk: FrontDesk = request.app.state.desk
    person = caller(request).person
    if person.id == account or (desk.is_open and person == gate.local):
        return None

    async def look(parts: Parts, asking: Asking) -> Reply:
        if (denied := await no_administrator(parts, asking)) is not None:
            raise Unresolved(denied)
        return Reply(Notice("info", ""))

    status, text = await answered(request, look)
    return None if status < 400 else told({"error": text}, 403)
