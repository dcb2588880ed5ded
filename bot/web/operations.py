"""What people do to runs and flows from their pages: each button is a command, so roles, record and questions are those
of chat. What destroys is shown first, on a page of its own that works without script."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from bot.commands.grammar import Line, Text, Word, whole, write
from bot.commands.run_changes import ENDS
from bot.conversation import Click, Command, Form, Listing, Notice, Person, Reply, Room
from bot.desk import FrontDesk
from bot.people.roles import Deed
from bot.web.requests import HEADERS, caller, html, safe_back
from bot.web.room import LOBBY
from engine.core.execution import Execution
from engine.core.state import State

routes = APIRouter()


@dataclass(frozen=True, slots=True)
class Deedable:
    """One thing to be done to a run: the word of the command, what its button says, and what has to be given."""

    word: str
    label: str
    asks: str = ""  # the name of the field that is filled in beside the button
    choices: tuple[str, ...] = ()
    style: str = "neutral"

    @property
    def is_rare(self) -> bool:
        """Whether it is kept in the menu: what corrects a record, or destroys one."""
        return bool(self.asks) or self.word == "delete"


STOP = Deedable("kill", "Stop", style="danger")
MARK = Deedable("mark", "Count as", "state", ENDS)
DELETE = Deedable("delete", "Delete\u2026", style="danger")
EXPLAIN = Deedable("explain", "Explain")
_NEEDS: dict[str, Deed] = {
    "explain": "see",
    "kill": "kill",
    "pause": "hold",
    "resume": "hold",
    "restart": "run",
    "replay": "run",
}
BULK = ("kill", "pause", "resume", "restart", "replay", "force", "delete", *(f"mark {state}" for state in ENDS))


def offered(run: Execution) -> Sequence[Deedable]:
    """What can be done to a run in the state it is in. Pure."""
    if run.state.is_terminal and run.goes_on:
        return (STOP,)
    if run.state.is_terminal:
        restart = (Deedable("restart", "Retry what failed", style="primary"),) if run.state is State.FAILED else ()
        return (*restart, Deedable("replay", "Replay"), MARK, Deedable("labels", "Add label", "label"), DELETE)
    if run.held:
        return (Deedable("resume", "Go on", style="primary"), STOP)
    if run.state in (State.CREATED, State.QUEUED):
        return (Deedable("force", "Begin now"), STOP)
    return (Deedable("pause", "Pause"), STOP) if run.state is State.RUNNING else (STOP,)


async def allowed(desk: FrontDesk, person: Person, run: Execution) -> list[Deedable]:
    """Those of them that somebody may do."""
    found = []
    explains = (EXPLAIN,) if desk.office.explains(run) and await desk.explaining.of(run) is None else ()
    for one in (*offered(run), *explains):
        deed = _NEEDS.get(one.word, "manage")
        if await desk.may(deed, person, run):
            found.append(one)
    return found


@routes.post("/ui/executions/{execution_id}/do", name="do_to_execution")
async def do_to_execution(request: Request, execution_id: str) -> Response:
    """A button of a run's page."""
    form = await request.form()
    word, given = str(form.get("word") or ""), str(form.get("given") or "").strip()
    known = {"kill", "pause", "resume", "restart", "replay", "force", "mark", "labels", "delete", "explain"}
    back = safe_back(form.get("back"))
    if word not in known:
        return await _said(request, Notice("warning", "There is no such button."), back)
    words, pairs = [Word(execution_id)], {}
    if word == "labels":
        name, _, value = given.partition("=")
        pairs = {name.strip(): Text(value.strip())} if name.strip() and value.strip() else {}
    elif given:
        words.append(Word(given))
    said = await _command(request, write(Line(word, tuple(words), pairs)))
    if word == "explain" and isinstance(said.body, Notice) and said.body.tone == "info":  # the page shows it
        return RedirectResponse(back, 303, headers=HEADERS)
    return await _answer(request, said, "/ui/executions" if word == "delete" else back)


@routes.post("/ui/executions/bulk", name="do_to_executions")
async def do_to_executions(request: Request) -> Response:
    """The same to many runs, of a flow, in a state, since a day."""
    form = await request.form()
    what = str(form.get("what") or "")
    if what not in BULK:
        return await _said(request, Notice("warning", "There is no such choice."), "/ui/executions")
    fields = ("flow", "state", "since", "until")
    flags: dict[str, str | bool] = {name: text for name in fields if (text := str(form.get(name) or "").strip())}
    return await _done(
        request, write(Line("bulk", tuple(Word(one) for one in what.split()), {}, flags)), "/ui/executions"
    )


@routes.get("/ui/flows/{namespace}/{flow_id}/revisions", name="flow_revisions")
async def flow_revisions(request: Request, namespace: str, flow_id: str) -> Response:
    """Every text a flow had, each with a button that brings it back."""
    page = request.query_params.get("page") or "1"
    flags: dict[str, str | bool] = {"page": str(whole(page) or 1)}
    said = await _command(request, write(Line("revisions", (Word(f"{namespace}/{flow_id}"),), {}, flags)))
    if not isinstance(said.body, Listing):
        return await _answer(request, said, "/ui/flows")
    rows = [(row, row.title.rpartition(" ")[2]) for row in said.body.rows]
    names: dict[str, Any] = {"namespace": namespace, "flow_id": flow_id, "rows": rows, "page": int(str(flags["page"]))}
    return html(request, "revisions.html", title=f"{flow_id}: revisions", here="flows", more=said.body.more, **names)


@routes.post("/ui/flows/{namespace}/{flow_id}/restore", name="restore_flow")
async def restore_flow(request: Request, namespace: str, flow_id: str) -> Response:
    """The difference, and a button that makes an old text the newest again."""
    form = await request.form()
    revision = str(form.get("revision") or "")
    line = Line("restore", (Word(f"{namespace}/{flow_id}"), Word(revision)))
    return await _done(request, write(line), f"/ui/flows/{namespace}/{flow_id}/revisions")


@routes.post("/ui/press", name="press")
async def press(request: Request) -> Response:
    """A button below what was shown first."""
    form = await request.form()
    desk: FrontDesk = request.app.state.desk
    pressed = Click(str(form.get("action") or ""), caller(request).person, Room("web", LOBBY), f"web:{uuid4()}")
    return await _answer(request, await desk.click(pressed), safe_back(form.get("back")))


async def _command(request: Request, text: str) -> Reply:
    desk: FrontDesk = request.app.state.desk
    return await desk.command(Command(text, caller(request).person, Room("web", LOBBY), f"web:{uuid4()}"))


async def _done(request: Request, text: str, back: str) -> Response:
    return await _answer(request, await _command(request, text), back)


async def _answer(request: Request, said: Reply, back: str) -> Response:
    if isinstance(said.body, Form):
        return RedirectResponse(f"/form/{said.body.id}?back={back}", 303, headers=HEADERS)
    if isinstance(said.body, Notice):
        return await _said(request, said.body, back)
    return RedirectResponse(back, 303, headers=HEADERS)


async def _said(request: Request, notice: Notice, back: str) -> Response:
    names: dict[str, Any] = {"notice": notice, "channel": LOBBY, "back": back}
    status = 403 if notice.code == "E04" else 200
    title = "Sure?" if notice.actions else "That did not work" if notice.tone in ("warning", "danger") else "Done"
    return html(request, "answer.html", title=title, status=status, **names)
