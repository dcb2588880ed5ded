"""What the record of deeds says about a delivery: what came in, and that it was refused. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot import documents
from bot.commands.grammar import Line, LineInvalid, Text, parse, write
from bot.conversation import Click, Command, FieldErrors, Notice, Person, Reply, Submission
from bot.links import VERBS, ActionIds
from bot.texts import Answer, bare
from engine.store.chat_audit import Deed
from engine.store.chat_messages import Message

Event = Command | Click | Submission
OF_RUNS = frozenset(VERBS) - {
    "rn",
    "cn",
    "lt",
    "bk",
    "cx",
    "ls",
    "dl",
    "bu",
    "rv",
    "rm",
    "lo",
    "wh",
}  # buttons whose target is a run or a pause
HIDDEN = "******"
SAID = 2000  # characters of an answer


def heard(
    event: Event, document: Mapping[str, Any], key: str, ids: ActionIds, mask: Callable[[Any], Any], now: datetime
) -> Deed:
    """A delivery as it is recorded. `document` is the delivery without what was typed for secrets."""
    details: dict[str, Any] = {"room": documents.place(event.room)}
    entity = target_of(event, key, ids)
    match event:
        case Command():
            action = "command"
            details |= {"text": recorded(document["text"]), "files": [file.name for file in event.attachments]}
        case Submission():
            action = "form"
            details |= {"values": _without_paths(document["values"]), "page": event.page}
        case Click():
            action = "click"
            pressed = ids.read(event.action_id)
            details["button"] = VERBS[pressed.verb] if pressed else "unknown"
            details["message"] = documents.dump(event.message)
    person = event.person
    kept = {name: value for name, value in mask(details).items() if value not in ([], None)}
    return Deed(now, person.id, person.name, person.platform, action, entity, details=kept)


def recorded(text: str) -> str:
    """A command without the values in it: any may be a secret, and what came of it says what was given."""
    try:
        line = parse(text)
    except LineInvalid:
        return ""
    words = line.words[: {"kv": 3, "alias": 2}.get(line.verb, len(line.words))]
    return write(Line(line.verb, words, {name: Text(HIDDEN) for name in line.pairs}, line.flags))


def refused(event: Event, reply: Reply | FieldErrors, key: str, ids: ActionIds, now: datetime) -> Deed | None:
    """That a delivery had no effect, and why; None when the answer is none that refuses."""
    details: dict[str, Any]
    if isinstance(reply, FieldErrors):
        details = {"fields": sorted(reply.errors)}
    elif isinstance(reply.body, Notice) and reply.body.tone in ("warning", "danger"):
        details = {"code": reply.body.code, "text": reply.body.text[:SAID]}
    else:
        return None
    person = event.person
    entity = target_of(event, key, ids)
    return Deed(now, person.id, person.name, person.platform, "refused", entity, details=details)


def denied(person: Person, what: str, about: str, why: Answer, now: datetime, entity: str = "") -> Deed:
    """That somebody may not do something that came past the desk: by the API or the command line."""
    details = {"code": why.code, "text": bare(why.text)[:SAID], "what": what}
    return Deed(now, person.id, person.name, person.platform, "refused", entity, flow=about, details=details)


def posted(row: Message, reference: Mapping[str, Any], now: datetime) -> Deed:
    """That a card stands somewhere, and as which message."""
    details = {"card": row.kind, "message": dict(reference)}
    return Deed(now, "", "", row.platform, "posted", row.entity, row.execution_id, details=details)


def target_of(event: Event, key: str, ids: ActionIds) -> str:
    """What a delivery is about: the run or pause of a button, the form, else the delivery itself."""
    if isinstance(event, Submission):
        return event.form_id
    pressed = ids.read(event.action_id) if isinstance(event, Click) else None
    return pressed.target if pressed is not None and pressed.is_ours and pressed.verb in OF_RUNS else key


def _without_paths(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed; of a file only its name."""
    return {name: _named(value) for name, value in values.items()}


def _named(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("@attachment"), Mapping):
        return {"file": value["@attachment"].get("name")}
    return value
