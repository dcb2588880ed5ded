"""Slack's JSON made into Commands, Clicks and Submissions. Pure; the only place that knows how Slack writes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from bot.conversation import Click, Command, MessageRef, Person, Room
from bot.slack.answers import SentFile, sent_file
from bot.slack.forms import Ticket, read_ticket

Json = Mapping[str, Any]
_MARKUP = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")
_IGNORED = frozenset({"", "file_share", "thread_broadcast"})  # subtypes of messages that people wrote


@dataclass(frozen=True, slots=True)
class Asked:
    """Something a person did, with what is needed to answer it."""

    person: Person
    room: Room
    receipt: str
    trigger_id: str | None = None
    answer_url: str | None = None
    message: MessageRef | None = None
    is_ephemeral: bool = False
    files: tuple[SentFile, ...] = ()
    view_id: str | None = None  # the modal it happened in
    card: str = ""  # the message whose button opened that modal


@dataclass(frozen=True, slots=True)
class Pressed:
    """One pressed button."""

    asked: Asked
    action_id: str
    value: str = ""

    def click(self) -> Click:
        """For the desk."""
        asked = self.asked
        return Click(self.action_id, asked.person, asked.room, asked.receipt, asked.message, asked.answer_url)


@dataclass(frozen=True, slots=True)
class Sent:
    """A filled view of ours."""

    asked: Asked
    ticket: Ticket
    view_id: str
    state: Json = field(default_factory=dict)
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Searched:
    """What was typed into a menu that asks us for its choices."""

    form_id: str
    index: int
    typed: str


def command_of(asked: Asked, text: str) -> Command:
    """For the desk; attachments are added once they are fetched."""
    return Command(text, asked.person, asked.room, asked.receipt, answer_url=asked.answer_url)


def unescape(text: str) -> str:
    """What the person typed: addresses bare, mentions as `<@U1>` and `<#C1>`, entities undone."""

    def bare(found: re.Match[str]) -> str:
        inner = found[1]
        if inner.startswith(("@", "#", "!")):
            return f"\x00{inner}\x01"
        if inner.startswith(("mailto:", "tel:")):
            return found[2] or inner.partition(":")[2]
        return inner

    marked = _MARKUP.sub(bare, text.replace("\x00", "").replace("\x01", ""))
    plain = marked.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return plain.replace("\x00", "<").replace("\x01", ">")


def person(user: Json) -> Person:
    """A user object of an interaction; `name` is the best Slack sent along."""
    name = user.get("name") or user.get("username") or user.get("id")
    workspace = str(user.get("team_id") or "")
    return Person(f"slack:{user['id']}", str(name), "slack", f"<@{user['id']}>", workspace=workspace)


def _direct(channel: str, name: Any = "") -> bool:
    return channel.startswith("D") or name == "directmessage"


def _team(body: Json) -> str:
    team = body.get("team") or {}
    return str(body.get("team_id") or (team.get("id") if isinstance(team, Mapping) else team) or "")


def slash(body: Json) -> tuple[Asked, str]:
    """`/flow …`: who asked what, where."""
    who = person({"id": body["user_id"], "name": body.get("user_name"), "team_id": body.get("team_id")})
    channel = str(body.get("channel_id") or body["user_id"])
    room = Room(
        "slack",
        channel,
        body.get("thread_ts"),
        str(body.get("team_id", "")),
        _direct(channel, body.get("channel_name")),
    )
    trigger = str(body["trigger_id"])
    asked = Asked(who, room, f"slack:command:{trigger}", trigger, body.get("response_url"))
    return asked, unescape(str(body.get("text") or "")).strip()


def action(body: Json) -> Pressed:
    """The first pressed element of a block_actions payload."""
    pressed = body["actions"][0]
    action_id = str(pressed["action_id"])
    who = person(body["user"])
    container = body.get("container") or {}
    view = body.get("view") or {}
    ticket = read_ticket(str(view.get("private_metadata") or ""))
    channel = str((body.get("channel") or {}).get("id") or container.get("channel_id") or "")
    message_ts = container.get("message_ts") or (body.get("message") or {}).get("ts")
    thread = container.get("thread_ts") or (body.get("message") or {}).get("thread_ts")
    team = _team(body)
    if channel:
        room = Room("slack", channel, thread, team, _direct(channel))
    elif ticket:
        room = ticket.origin.room
    else:  # App Home: the conversation with this person
        room = Room("slack", str(body["user"]["id"]), None, team, is_direct=True)
    ref = MessageRef("slack", channel, str(message_ts), thread, team) if channel and message_ts else None
    receipt = f"slack:action:{body.get('trigger_id', '')}:{pressed.get('action_ts', '')}:{action_id}"
    asked = Asked(
        who,
        room,
        receipt,
        body.get("trigger_id"),
        body.get("response_url") or (ticket.origin.answer_url if ticket else None),
        ref,
        bool(container.get("is_ephemeral")),
        view_id=str(view["id"]) if ticket and view.get("type") == "modal" else None,
        card=ticket.origin.card if ticket else "" if container.get("is_ephemeral") else str(message_ts or ""),
    )
    return Pressed(asked, action_id, str(pressed.get("value") or ""))


def submission(body: Json) -> Sent | None:
    """A view_submission of one of our forms; None when the view carries no ticket of ours."""
    view = body["view"]
    ticket = read_ticket(str(view.get("private_metadata") or ""))
    if ticket is None:
        return None
    origin = ticket.origin
    receipt = f"slack:view:{view['id']}:{view.get('hash', '')}"
    who, trigger = person(body["user"]), body.get("trigger_id")
    asked = Asked(who, origin.room, receipt, trigger, origin.answer_url, card=origin.card)
    return Sent(asked, ticket, str(view["id"]), (view.get("state") or {}).get("values") or {})


def changed(body: Json) -> Sent | None:
    """An answer in a form of ours on which other fields depend; None when something else was pressed."""
    is_answer = re.fullmatch(r"f:\d{1,6}", str(body["actions"][0]["action_id"]), re.ASCII) is not None
    return standing(body) if is_answer else None


def standing(body: Json) -> Sent | None:
    """What stands in a form of ours while something is pressed in it; None when that is elsewhere."""
    view = body.get("view") or {}
    ticket = read_ticket(str(view.get("private_metadata") or ""))
    if ticket is None:
        return None
    origin = ticket.origin
    asked = Asked(person(body["user"]), origin.room, "", None, origin.answer_url, card=origin.card)
    state = (view.get("state") or {}).get("values") or {}
    return Sent(asked, ticket, str(view["id"]), state, str(view.get("hash") or ""))


def search(body: Json) -> Searched | None:
    """What was typed into a menu of a form; None when it is none of ours."""
    ticket = read_ticket(str((body.get("view") or {}).get("private_metadata") or ""))
    found = re.fullmatch(r"f:(\d{1,6})", str(body.get("action_id", "")), re.ASCII)
    if ticket is None or found is None:
        return None
    return Searched(ticket.form_id, int(found[1]), str(body.get("value") or ""))


def shortcut(body: Json) -> Asked:
    """A global shortcut, or one on a message."""
    who = person(body["user"])
    channel = str((body.get("channel") or {}).get("id") or "")
    team = _team(body)
    written = body.get("message") or {}
    if channel:
        room = Room("slack", channel, written.get("thread_ts"), team, _direct(channel))
    else:
        room = Room("slack", str(body["user"]["id"]), None, team, is_direct=True)
    trigger = str(body["trigger_id"])
    files = tuple(sent_file(file) for file in written.get("files") or ())
    return Asked(who, room, f"slack:shortcut:{trigger}", trigger, body.get("response_url"), files=files)


def message_text(body: Json) -> str:
    """The text of the message a shortcut was used on."""
    return unescape(str((body.get("message") or {}).get("text") or ""))


def mention(body: Json, bot_user: str) -> tuple[Asked, str] | None:
    """`@parley …` in a channel or any message in a direct conversation; None when it is not for us."""
    event = body["event"]
    channel = str(event.get("channel") or "")
    is_direct = event.get("channel_type") == "im" or channel.startswith("D")
    user = event.get("user")
    if not user or user == bot_user or event.get("bot_id") or str(event.get("subtype") or "") not in _IGNORED:
        return None
    if is_direct != (event.get("type") == "message"):
        return None  # a mention in a direct conversation comes twice, as message and as app_mention
    text = str(event.get("text") or "")
    before, at, after = text.partition(f"<@{bot_user}>")
    spoken = after if at else before
    team = str(body.get("team_id") or event.get("team") or "")
    room = Room("slack", channel, event.get("thread_ts"), team, is_direct)
    url = private_address(channel, str(user), event.get("thread_ts"), is_direct=is_direct)
    files = tuple(sent_file(file) for file in event.get("files") or ())
    who = person({"id": user, "team_id": event.get("user_team") or event.get("team")})
    asked = Asked(who, room, f"slack:event:{body['event_id']}", None, url, files=files)
    return asked, unescape(spoken).lstrip(" :,\n\t").rstrip()


def home_opened(body: Json) -> Asked | None:
    """Somebody opened our App Home; None for its messages tab."""
    event = body["event"]
    if event.get("tab") != "home":
        return None
    user = str(event["user"])
    room = Room("slack", user, None, str(body.get("team_id") or ""), is_direct=True)
    return Asked(person({"id": user}), room, f"slack:event:{body['event_id']}")


PRIVATE = "slack"  # scheme of addresses made up by us, for where Slack gives none


def private_address(channel: str, user: str, thread: str | None, *, is_direct: bool) -> str:
    """Where somebody can still be answered privately when Slack gave no address."""
    said = {"user": user, **({"thread": thread} if thread else {}), **({"direct": "1"} if is_direct else {})}
    return f"{PRIVATE}://{channel}?{urlencode(said)}"


def read_private_address(address: str) -> tuple[Room, str] | None:
    """The room and the user of such an address; None when Slack gave it."""
    parts = urlsplit(address)
    if parts.scheme != PRIVATE:
        return None
    said = dict(parse_qsl(parts.query))
    return Room("slack", parts.netloc, said.get("thread"), "", "direct" in said), said.get("user", "")
