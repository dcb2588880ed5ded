"""The page on which a pause is answered: its card, and the form of what it asks."""

from collections.abc import Sequence
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from bot.approvals import answering
from bot.cards.parts import rounds
from bot.conversation import Click, FieldErrors, Form, Submission
from bot.desk import FrontDesk
from bot.texts import shorten
from bot.web.pages import broken, form_again, refilled, room_of, seen_of, show, values_of
from bot.web.requests import HEADERS, caller, refusal, safe_back
from engine.errors import NotFound
from engine.runtime import Engine
from engine.store.pauses import PauseRow

routes = APIRouter()


def desk_of(request: Request) -> FrontDesk:
    """The desk of this instance."""
    found: FrontDesk = request.app.state.desk
    return found


@routes.get("/pauses/{pause_id}", name="pause")
async def show_pause(request: Request, pause_id: str) -> Response:
    """A pause's place is the page of its run."""
    engine: Engine = request.app.state.engine
    try:
        pause = await engine.pause_row(pause_id)
    except NotFound as error:
        return refusal(404, error.message, error.fix)
    return RedirectResponse(
        f"/ui/executions/{pause.namespace}/{pause.flow_id}/{pause.execution_id}#pause-{pause_id}", 303, headers=HEADERS
    )


@routes.post("/pauses/{pause_id}", name="answer_pause")
async def answer_pause(request: Request, pause_id: str) -> Response:
    """The form on a run's page was sent: opened and filled in one step, on the same path as every other answer."""
    given = await request.form()
    room, person = room_of(given), caller(request).person
    desk, back = desk_of(request), safe_back(given.get("back"))
    answer = f"web:{room.channel}:{person.id}"
    if unsure := caller(request).unsure:
        return await _again(request, pause_id, unsure)
    answering_it, seen = desk.office.ids("an", pause_id), seen_of(request, pause_id, given)
    opened = await desk.click(Click(answering_it, person, room, f"web:{uuid4()}", answer_url=answer, seen=seen))
    if why := broken(opened):
        return await _again(request, pause_id, why)
    if not isinstance(opened.body, Form):
        return await show(request, room, opened, back)
    values = await values_of(request, opened.body, given)
    sent = Submission(opened.body.id, values, person, room, f"web:{uuid4()}", answer_url=answer)
    result = await desk.submit(sent)
    if isinstance(result, FieldErrors):
        return form_again(request, room, result, back, values)
    if why := broken(result):
        return form_again(request, room, refilled(opened.body, values, why), back, values, status=503)
    return await show(request, room, result, back)


async def _again(request: Request, pause_id: str, why: str) -> Response:
    """The form as it was filled, with a sentence: it was not sent."""
    given, desk = await request.form(), desk_of(request)
    try:
        pause = await desk.engine.pause_row(pause_id)
    except NotFound as error:
        return refusal(404, error.message, error.fix)
    is_seen = await desk.sees(caller(request).person, f"{pause.namespace}/{pause.flow_id}")
    for form in await waiting_forms(desk, pause.execution_id):
        if is_seen and form.id == pause_id:
            values = await values_of(request, form, given)
            result, back = refilled(form, values, why), safe_back(given.get("back"))
            target, seen = f"/pauses/{pause_id}", str(given.get("seen") or "")
            return form_again(request, room_of(given), result, back, values, status=503, target=target, seen=seen)
    return refusal(503, why, "")


async def waiting_forms(desk: FrontDesk, execution_id: str) -> list[Form]:
    """A form for each pause of a run that waits and asks something."""
    found = []
    execution = await desk.engine.execution(execution_id)
    for pause in await desk.engine.pauses(execution_id=execution_id):
        asked = await desk.office.questions(pause, execution)
        fields = answering.answer_fields(asked.fields, quick=asked.quick)
        if fields:
            values = [desk.engine.masker.mask(one) for one in rounds(execution, pause.task_run_id)]
            found.append(Form(pause.id, _title(pause, values), "Send", fields))
    return found


def _title(pause: PauseRow, values: Sequence[str]) -> str:
    return f"Answer {pause.task_id}{' for ' if values else ''}{' / '.join(shorten(value, 40) for value in values)}"
