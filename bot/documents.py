"""Conversation values as JSON documents and back, for receipts, drafts and messages that outlive the process. Pure."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter

from bot.conversation import (
    Attachment,
    Card,
    Click,
    Command,
    FieldErrors,
    Form,
    Listing,
    MessageRef,
    Notice,
    Reply,
    Room,
    Submission,
    Transcript,
)

T = TypeVar("T")
_BODIES: dict[str, type[Any]] = {kind.__name__: kind for kind in (Card, Form, Notice, Listing, Transcript)}
EVENTS: dict[str, type[Any]] = {"command": Command, "click": Click, "submission": Submission}
_FILE = "@attachment"


def dump(value: Any) -> Any:
    """A value of `bot.conversation` as JSON-able data."""
    if isinstance(value, Attachment):
        return {_FILE: {part.name: getattr(value, part.name) for part in fields(value)}}
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: dump(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): dump(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [dump(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def raw_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed into fields, with attachments made whole again."""
    return {key: _whole(item) for key, item in document.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {_FILE}:
        return Attachment(**value[_FILE])
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def load(kind: type[T], document: Mapping[str, Any]) -> T:
    """A document made by `dump` as a value of its class again."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    value: T = _ADAPTERS[kind].validate_python(document)
    return value


def event(kind: str, document: Mapping[str, Any]) -> Command | Click | Submission:
    """A delivery out of its receipt."""
    made = dict(document)
    if kind == "command":
        made["attachments"] = [item[_FILE] for item in made["attachments"]]
        return load(Command, made)
    if kind == "click":
        return load(Click, made)
    made["values"] = raw_values(made["values"])
    return load(Submission, made)


def dump_reply(reply: Reply | FieldErrors) -> dict[str, Any]:
    """An answer with the kind of its body, so that it can be told apart when read."""
    if isinstance(reply, FieldErrors):
        return {"kind": "FieldErrors", "form": dump(reply.form), "errors": dict(reply.errors)}
    return {"kind": type(reply.body).__name__, **dump(reply)}


def load_reply(document: Mapping[str, Any]) -> Reply | FieldErrors:
    """An answer as it was given the first time."""
    if document["kind"] == "FieldErrors":
        return FieldErrors(_form(document["form"]), document["errors"])
    kind = _BODIES[document["kind"]]
    body = _form(document["body"]) if kind is Form else load(kind, document["body"])
    card = document.get("card")
    return Reply(body, document["public"], document["replaces"], load(Card, card) if card else None)


def _form(document: Mapping[str, Any]) -> Form:
    return load(Form, {**document, "values": raw_values(document["values"])})


def room(document: Mapping[str, Any]) -> Room:
    """A room out of the store."""
    return load(Room, document)


def message_ref(document: Mapping[str, Any]) -> MessageRef:
    """A message reference out of the store."""
    return load(MessageRef, document)


def place(where: Room) -> str:
    """A room as one text: what makes two rooms the same place for a card."""
    return ":".join((where.platform, where.workspace, where.channel, where.thread or ""))


def public_place(where: Room) -> str:
    """The same for the record, in which it stays: a direct conversation is somebody's, so it is only called that."""
    return f"{where.platform}:{where.workspace}:direct:" if where.is_direct else place(replace(where, thread=None))
