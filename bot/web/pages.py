"""The room: what is typed, pressed and filled in goes to the desk; what comes back is shown in the room."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile

from bot.conversation import (
    Attachment,
    Click,
    Command,
    FieldErrors,
    Form,
    MessageRef,
    Notice,
    Reply,
    Room,
    Submission,
)
from bot.desk import FrontDesk
from bot.forms.questions import without_files
from bot.forms.uploads import Uploads
from bot.frontend import Desk
from bot.links import target_of
from bot.texts import bare
from bot.web import envelopes, views
from bot.web.requests import HEADERS, caller, html, refusal, safe_back, told, wants_fragment, while_in
from bot.web.room import LOBBY, ChatRoom
from engine.runtime import Engine

routes = APIRouter()
CHANGED = "The questions have changed meanwhile, so nothing was sent. Please look at them again."
NO_FORM = (
    "This form is not there any more, or it is somebody else's.",
    "Start again with the command or button that opened it.",
)
_OF_RUN = "status logs files watch unwatch kill pause resume restart replay force mark labels delete audit"
ARGUMENTS = {
    **dict.fromkeys(("run", "show", "revisions", "restore"), "flow"),
    **dict.fromkeys(_OF_RUN.split(), "run"),
    **dict.fromkeys(("approve", "reject", "answer", "snooze", "delegate"), "pause"),
    "help": "topic",
}
TRIES = ("/flow list", "/flow run order_lunch", "/flow run ship_release", "/flow run poster", "/flow run greet_team")
RUN_PAGES = "/ui/executions/"


def chat(request: Request) -> ChatRoom:
    """The room of this instance."""
    found: ChatRoom = request.app.state.room
    return found


def desk(request: Request) -> Desk:
    """The desk every front end reports to."""
    found = chat(request).desk
    if found is None:  # the page is up a moment before the desk
        raise RuntimeError("The room was opened before its desk.")
    return found


def said_to_us(text: str) -> str:
    """The command in what was typed: without `/flow` or `@parley` in front, which the room does not need."""
    word, _, rest = text.partition(" ")
    return rest.strip() if word.lower() in ("/flow", "@parley") else text


def room_of(form: Any) -> Room:
    """The channel a form was sent from."""
    return Room("web", str(form.get("channel") or LOBBY)[:80])


@routes.get("/", name="room")
async def show_room(request: Request) -> Response:
    """The chat room."""
    channel = (request.query_params.get("channel") or LOBBY)[:80]
    messages = await chat(request).messages(channel, caller(request).person)
    after = max((message.change for message in messages), default=0)
    return html(
        request,
        "room.html",
        title="Room",
        here="room",
        channel=channel,
        messages=messages,
        after=after,
        data=request.app.state.settings.data,
        tries=TRIES if request.app.state.demo else ("/flow list", "/flow help"),
    )


@routes.post("/say", name="say")
async def say(request: Request) -> Response:
    """Somebody typed something."""
    form = await request.form()
    room, who = room_of(form), caller(request).person
    text = str(form.get("text") or "").strip()
    if not text:
        return _done(request, room)
    front_desk: FrontDesk = request.app.state.desk
    await chat(request).say(who, await front_desk.storable(text, room, who), room.channel)
    receipt = f"web:{uuid4()}"
    command = Command(said_to_us(text), who, room, receipt, answer_url=f"web:{room.channel}:{who.id}")
    return await show(request, room, await desk(request).command(command))


@routes.post("/click", name="click")
async def click(request: Request) -> Response:
    """Somebody pressed a button."""
    form = await request.form()
    room, who = room_of(form), caller(request).person
    message = str(form.get("message") or "")
    ref = MessageRef("web", room.channel, message) if message else None
    action, answer = str(form.get("action") or ""), f"web:{room.channel}:{who.id}"
    seen = seen_of(request, target_of(action), form)
    pressed = Click(action, who, room, f"web:{uuid4()}", ref, answer_url=answer, seen=seen)
    return await show(request, room, await desk(request).click(pressed), back=safe_back(form.get("back")))


def seen_of(request: Request, entity: str, form: Any) -> str:
    """What this browser was told of a pause by the page it sent a form from."""
    seen: str = request.app.state.gate.was_shown(caller(request).session, entity, form.get("seen"))
    return seen


@routes.get("/form/{form_id}", name="form")
async def show_form(request: Request, form_id: str) -> Response:
    """A form as a page of its own."""
    form = await _own_form(request, form_id)
    if form is None:
        return refusal(404, *NO_FORM)
    back = safe_back(request.query_params.get("back"))
    return html(request, "form.html", title=form.title, form=form, channel=LOBBY, errors={}, back=back)


async def _own_form(request: Request, form_id: str) -> Form | None:
    front_desk: FrontDesk = request.app.state.desk
    return await front_desk.form_of(form_id, caller(request).person)


@routes.post("/form/{form_id}", name="submit")
async def submit(request: Request, form_id: str) -> Response:
    """Somebody filled a form."""
    given = await request.form()
    room, who = room_of(given), caller(request).person
    form = await _own_form(request, form_id)
    if form is None:
        return refusal(404, *NO_FORM)
    if given.get("shape") not in (None, views.shape(form)):
        return form_again(request, room, FieldErrors(form, {"": CHANGED}), safe_back(given.get("back")), {})
    values = await values_of(request, form, given)
    answer = f"web:{room.channel}:{who.id}"
    back = safe_back(given.get("back"))
    if unsure := caller(request).unsure:
        await request.app.state.desk.keep(form_id, values, who)
        form = await _own_form(request, form_id) or form
        return form_again(request, room, FieldErrors(form, {"": unsure}), back, values, status=503)
    result = await desk(request).submit(Submission(form_id, values, who, room, f"web:{uuid4()}", answer_url=answer))
    if isinstance(result, FieldErrors):
        return form_again(request, room, result, back, values)
    if why := broken(result):
        return form_again(request, room, refilled(form, values, why), back, values, status=503)
    return await show(request, room, result, back=back)


def broken(reply: Reply) -> str:
    """What somebody is told whose form was not counted since something broke; "" when nothing did."""
    return bare(reply.body.text) if isinstance(reply.body, Notice) and reply.body.code == "E26" else ""


def refilled(form: Form, values: Mapping[str, Any], why: str) -> FieldErrors:
    """A form as it was filled, with a sentence."""
    secret = {field.id for field in form.fields if field.type == "SECRET"}
    shown = {name: value for name, value in values.items() if name not in secret}
    return FieldErrors(replace(form, values={**form.values, **shown}), {"": why})


@routes.post("/form/{form_id}/keep", name="keep_form")
async def keep_form(request: Request, form_id: str) -> Response:
    """What stands in a form that is not sent yet: kept, should the page be closed."""
    given = await request.form()
    form = await _own_form(request, form_id)
    if form is not None and given.get("shape") == views.shape(form):
        values = await values_of(request, form, given)
        await request.app.state.desk.keep(form_id, without_files(values), caller(request).person)
    return Response(status_code=204, headers=HEADERS)


@routes.get("/complete", name="complete")
async def complete(request: Request) -> Response:
    """Lines that continue what is being typed."""
    text = request.query_params.get("text", "")[:400]
    room = Room("web", (request.query_params.get("channel") or LOBBY)[:80])
    words = text.split(" ")
    if len(words) not in (2, 3) or words[0] != "/flow":
        return told_list([])
    argument = "topic" if len(words) == 2 else ARGUMENTS.get(words[1], "")
    found = await desk(request).complete(argument, words[-1], caller(request).person.id, room, 12)
    return told_list([" ".join([*words[:-1], option.value]) for option in found])


@routes.get("/events", name="room_events")
async def room_events(request: Request) -> Response:
    """New and edited messages, as server-sent events."""
    channel = (request.query_params.get("channel") or LOBBY)[:80]
    who = caller(request)
    csrf = request.app.state.gate.csrf(who.session)
    after = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    since = int(after) if after.isascii() and after.isdecimal() and len(after) < 19 else 0

    async def stream() -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        async for message in while_in(request, chat(request).listen(channel, who.person, since)):
            if message is None:
                yield ": still here\n\n"
            else:
                yield event(message.change, {"id": message.id, "html": views.part("message", message, csrf)})

    return StreamingResponse(stream(), media_type="text/event-stream", headers=HEADERS)


def event(number: int, value: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"id: {number}\ndata: {json.dumps(value)}\n\n"


def told_list(values: list[str]) -> Response:
    """A JSON list."""
    return Response(json.dumps(values), media_type="application/json", headers=HEADERS)


async def values_of(request: Request, form: Form, given: Any) -> dict[str, Any]:
    """Raw values by field id. Fields go by position; a field that was not sent at all is left out."""
    values: dict[str, Any] = {}
    uploads: Uploads = request.app.state.uploads
    for index, field in enumerate(form.fields):
        sent = given.getlist(f"f:{index}")
        if not sent:
            continue
        if field.type == "FILE":
            files = [kept for one in sent if (kept := await _keep(one, uploads)) is not None]
            if files:
                values[field.id] = files if field.several else files[-1]
        elif field.type == "MULTISELECT" and not field.allow_custom:
            values[field.id] = [text for text in sent if text]
        else:
            values[field.id] = str(sent[-1]).replace("\r\n", "\n")
    engine: Engine = request.app.state.engine
    return {**values, **envelopes.opened(form, given, values, engine.vault, caller(request).session)}


async def _keep(upload: Any, uploads: Uploads) -> Attachment | None:
    if not isinstance(upload, UploadFile) or not upload.filename:
        return None
    name = Path(upload.filename.replace("\\", "/")).name or "file"
    return await uploads.keep(name, await upload.read(), upload.content_type or "application/octet-stream")


async def show(request: Request, room: Room, reply: Reply, back: str = "/") -> Response:
    """Draw the desk's answer: forms in place or on their own page, all else as a message in the room."""
    who = caller(request)
    if isinstance(reply.body, Form):
        form = reply.body
        if wants_fragment(request):
            csrf = request.app.state.gate.csrf(who.session)
            return told({"form": views.part("form", form, csrf, room.channel, {}, back)})
        return RedirectResponse(f"/form/{form.id}?back={back}", 303, headers=HEADERS)
    if not reply.replaces:  # a replaced card is edited for everybody by the outbox
        front_desk: FrontDesk = request.app.state.desk
        public = reply.public and front_desk.is_open  # with roles, what comes of it shows on cards to whom it may
        message = await chat(request).show(who.person, reply.body, room.channel, public=public)
    elif isinstance(reply.body, Notice):
        message = await chat(request).show(who.person, reply.body, room.channel, public=False)
    else:
        return _done(request, room, back)
    if isinstance(reply.body, Notice) and back.startswith(RUN_PAGES):  # who asked there is answered there, too
        back = f"{back.partition('?')[0]}?said={message.id}"
    return _done(request, room, back)


def form_again(
    request: Request,
    room: Room,
    result: FieldErrors,
    back: str,
    values: Mapping[str, Any],
    *,
    status: int = 422,
    target: str = "",
    seen: str = "",
) -> Response:
    """A refused form with what was typed, `values`, and why; `target` is where it is sent, unless by its id, `seen`
    what the page it stood on had shown."""
    session, engine = caller(request).session, request.app.state.engine
    sealed = envelopes.sealed(result.form, values, result.errors, engine.vault, session)
    if wants_fragment(request):
        csrf = request.app.state.gate.csrf(session)
        form = views.part("form", result.form, csrf, room.channel, result.errors, back, target, seen, sealed)
        return told({"form": form})
    names = {
        "title": result.form.title,
        "form": result.form,
        "errors": result.errors,
        "back": back,
        "target": target,
        "seen": seen,
        "envelopes": sealed,
    }
    return html(request, "form.html", status=status, channel=room.channel, **names)


def _done(request: Request, room: Room, back: str = "/") -> Response:
    if wants_fragment(request):
        return told({"ok": True, "go": back})
    target = back if back != "/" or room.channel == LOBBY else f"/?channel={room.channel}"
    return RedirectResponse(target, 303, headers=HEADERS)
