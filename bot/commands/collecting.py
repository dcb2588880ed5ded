"""A text too long for a window: who typed it is asked whether its end is missing, and may send it as messages.

A window takes 3,000 characters in Slack and 4,000 in Discord. What comes as a message or a file goes into the form that
waits for it, and nothing is started before that form is sent.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bot import documents
from bot.asking import Asking, Parts
from bot.conversation import Action, Notice, Reply
from bot.forms.drafts import Draft
from bot.links import Pressed
from bot.office import read_text
from bot.texts import answer, code, listed, plain
from engine.store import chat_drafts
from engine.store.chat_drafts import StoredDraft
from engine.store.database import Unit

PURPOSE = "collect"
PATIENCE = timedelta(minutes=10)
DRAFTS = 20  # of one person, that are looked through for one that waits for a text
MOST = 1_000_000


async def question(parts: Parts, draft: Draft) -> Reply:
    """A form came with texts that fill their windows: whether that is all of them. What was typed is kept."""
    names = listed(draft.full)
    are, they = ("are", "their ends") if len(draft.full) > 1 else ("is", "its end")
    text = f"{names} {are} as long as a window takes, so {they} may be missing. Nothing is sent yet; all of it is kept."
    ids = parts.office.ids
    whole = replace(ids.button("wh", draft.id, "That is all of it"), style="primary")
    full = [asked for asked in await parts.drafts.fields(draft) if asked.id in draft.full]
    again = ids.button("cn", draft.id, "Open the form")
    return Reply(Notice("warning", text, (whole, *parts.drafts.longer(draft, full), again)))


async def send_whole(parts: Parts, asking: Asking, pressed: Pressed) -> Any:
    """*That is all of it*: the form goes on as it was sent."""
    draft = replace(await parts.own_draft(asking, pressed.target), full=())
    return await parts.send(asking, draft, draft.raw)


async def begin(parts: Parts, asking: Asking, pressed: Pressed) -> Reply:
    """*Longer text…*: from now on what this person writes to the bot goes into a field."""
    draft = await parts.own_draft(asking, pressed.target)
    if not 0 <= pressed.choice < len(draft.field_ids):
        return Reply(answer("gone-form", command="`/flow`").notice())
    name, until = draft.field_ids[pressed.choice], parts.office.now() + PATIENCE
    waiting = Draft(
        parts.office.new_id(),
        asking.person.id,
        PURPOSE,
        draft.flow,
        documents.dump(asking.room),
        target=draft.id,
        field_ids=(name,),
        options={"until": until.isoformat(), "got": []},
    )
    await parts.drafts.keep(waiting)
    away = "in a direct message, or with `@parley` in front here or in a thread here"
    text = (
        f"Write me the text for {code(name)} {'here' if asking.room.is_direct else away}: as text or as a text file, "
        "in as many messages as you like. I wait for 10 minutes, and nothing starts before you send the form."
    )
    return Reply(Notice("info", text, _buttons(parts, draft.id, waiting.id)))


def _buttons(parts: Parts, form: str, waiting: str) -> tuple[Action, ...]:
    ids = parts.office.ids
    return (replace(ids.button("cn", form, "Continue"), style="primary"), ids.button("cx", waiting, "No more text"))


async def waits(parts: Parts, asking: Asking) -> StoredDraft | None:
    """What waits for a text of this person in this place; the newest."""
    found = await parts.office.engine.database.read(lambda c: chat_drafts.of(c, asking.person.id, DRAFTS))
    waiting = (one for one in found if one.document.get("purpose") == PURPOSE)
    return next((one for one in waiting if _is_here(one.document, asking)), None)


def _is_here(document: Mapping[str, Any], asking: Asking) -> bool:
    room = documents.room(document["room"])
    return room.platform == asking.room.platform and (asking.room.is_direct or room.channel == asking.room.channel)


async def take(parts: Parts, asking: Asking, text: str, is_command: bool) -> Reply | None:
    """A message for a field that waits for it; None when none does, and the message is a command. When the time is
    over, only what is no command is told so."""
    found = await waits(parts, asking)
    if found is None:
        return None
    name, form = found.document["field_ids"][0], found.document["target"]
    if datetime.fromisoformat(found.document["options"]["until"]) < parts.office.now():
        await parts.office.engine.database.transact(lambda unit: chat_drafts.drop(unit.connection, found.id))
        if is_command:
            return None
        why = f"I waited 10 minutes for the text of {code(name)}. Ask for it again in its form, and send it once more."
        return Reply(answer("refused", why=why).notice(parts.office.ids.button("cn", form, "Continue")))
    pieces = [text] if text.strip() else []
    for file in asking.attachments:
        try:
            pieces.append(await read_text(file))
        except (ValueError, OSError) as error:
            return Reply(answer("refused", why=f"{code(file.name)}: {plain(str(error))}. Nothing was taken.").notice())
    size = await _put(parts, asking.receipt, found.id, form, name, pieces)
    if size is None:
        return Reply(answer("gone-form", command="`/flow`").notice())
    if size > MOST:
        why = f"{code(name)} would have {size:,} characters; {MOST:,} are taken. What came before is kept."
        return Reply(answer("refused", why=why).notice(*_buttons(parts, form, found.id)))
    told = f"{code(name)} has {size:,} characters now. Write more, or go on with the form."
    return Reply(Notice("success", told, _buttons(parts, form, found.id)))


async def _put(parts: Parts, receipt: str, waiting: str, form: str, name: str, pieces: list[str]) -> int | None:
    """The length of the field with a message more, once for each; the first takes the place of what was cut."""
    now = parts.office.now()

    def work(unit: Unit) -> int | None:
        mine, draft = chat_drafts.find(unit.connection, waiting), chat_drafts.find(unit.connection, form)
        if mine is None or draft is None:
            return None
        got = mine.document["options"]["got"]
        there = draft.document["raw"].get(name)
        before = there if isinstance(there, str) else ""
        if receipt in got:
            return len(before)
        whole = "\n".join([*([before] if got else []), *pieces])
        if not pieces or len(whole) > MOST:
            return len(whole) if pieces else len(before)
        full = [one for one in draft.document.get("full", ()) if one != name]
        raw = {**draft.document["raw"], name: whole}
        kept = {**draft.document, "raw": raw, "full": full, "errors": {}, "typed": True}
        options = {**mine.document["options"], "got": [*got, receipt]}
        chat_drafts.keep_on(unit.connection, form, kept, now)
        chat_drafts.keep_on(unit.connection, waiting, {**mine.document, "options": options}, now)
        return len(whole)

    return await parts.office.engine.database.transact(work)
