"""Discord's interaction and message JSON → what a person said. Values in, values out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bot.cards.graphemes import size
from bot.commands.grammar import quote
from bot.conversation import Attachment, Click, Command, MessageRef, Person, Room, Submission
from bot.discord.limits import CHOICE, MODAL_TEXT
from bot.discord.views.components import EPHEMERAL

Json = Mapping[str, Any]

_THREADS = frozenset({10, 11, 12})
_DIRECT = frozenset({1, 3})
_USER = 6  # the type of an option for a person
_WEBHOOK = re.compile(r"/webhooks/(\d+)/([^/?]+)$")
# Options that are arguments by their place, in this order; `inputs` is text as typed, the rest become flags.
_PLACES = (
    "action",
    "to",
    "namespace",
    "flow",
    "schedule",
    "run",
    "pause",
    "state",
    "revision",
    "name",
    "command",
    "code",
    "text",
    "topic",
    "key",
    "value",
    "task",
    "reason",
    "until",
    "colleague",
)
_TYPED = "inputs"
# Options that elsewhere stand in their place but are flags of these commands.
_FLAGS: Mapping[str, frozenset[str]] = {
    "mark": frozenset({"task"}),
    "bulk": frozenset({"flow", "state", "until"}),
}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file somebody sent along, still at Discord."""

    id: str
    name: str
    url: str
    size: int
    media_type: str


def person(interaction: Json) -> Person:
    """Who did it, with the roles Discord sent along."""
    member: Json = interaction.get("member") or {}
    user: Json = member.get("user") or interaction.get("user") or interaction.get("author") or {}
    name = member.get("nick") or user.get("global_name") or user.get("username") or "somebody"
    roles = tuple(str(role) for role in member.get("roles", ()))
    return Person(f"discord:{user['id']}", str(name), "discord", f"<@{user['id']}>", roles=roles)


def room(interaction: Json) -> Room:
    """Where it was: a channel, a thread below one, or a direct message."""
    channel: Json = interaction.get("channel") or {}
    channel_id = str(interaction.get("channel_id") or channel.get("id") or "")
    guild = str(interaction.get("guild_id") or "")
    if channel.get("type") in _THREADS and channel.get("parent_id"):
        return Room("discord", str(channel["parent_id"]), channel_id, guild)
    return Room("discord", channel_id, None, guild, is_direct=not guild or channel.get("type") in _DIRECT)


def answer_url(interaction: Json, base: str = "https://discord.com/api/v10") -> str:
    """Where an answer can still be sent for 15 minutes."""
    return f"{base}/webhooks/{interaction['application_id']}/{interaction['token']}"


def webhook(url: str) -> tuple[str, str] | None:
    """Application and token of an `answer_url`."""
    found = _WEBHOOK.search(urlsplit(url).path)
    return (found[1], found[2]) if found else None


def custom_id(interaction: Json) -> str:
    """The id of the pressed component or the filled modal; for a menu of actions, the chosen one."""
    data: Json = interaction.get("data") or {}
    return str(data.get("custom_id") or "")


def chosen(interaction: Json) -> list[str]:
    """What was chosen in a menu."""
    return [str(value) for value in (interaction.get("data") or {}).get("values", [])]


def source(interaction: Json) -> MessageRef | None:
    """The message that holds the pressed component."""
    message: Json = interaction.get("message") or {}
    if not message.get("id"):
        return None
    place = room(interaction)
    return MessageRef("discord", place.channel, str(message["id"]), place.thread, place.workspace)


def is_private(interaction: Json) -> bool:
    """Whether the message that holds the pressed component is seen by one person only."""
    return bool(int((interaction.get("message") or {}).get("flags") or 0) & EPHEMERAL)


def label(interaction: Json) -> str:
    """What stands on the pressed button."""
    wanted = custom_id(interaction)
    stack: list[Any] = list((interaction.get("message") or {}).get("components") or [])
    while stack:
        component = stack.pop()
        if component.get("custom_id") == wanted:
            return str(component.get("label") or "")
        stack += component.get("components") or []
        stack += [component["accessory"]] if component.get("accessory") else []
    return ""


def click(interaction: Json, action_id: str, base: str) -> Click:
    """A pressed action."""
    return Click(
        action_id,
        person(interaction),
        room(interaction),
        str(interaction["id"]),
        source(interaction),
        answer_url(interaction, base),
    )


def command_text(interaction: Json) -> str:
    """A slash command as the text it stands for: `run company/hello name=Ann --form`."""
    data: Json = interaction.get("data") or {}
    options: Sequence[Json] = data.get("options") or []
    words: list[str] = []
    while options and options[0].get("type") in (1, 2):
        words.append(str(options[0]["name"]))
        options = options[0].get("options") or []
    given = {str(option["name"]): option for option in options}
    flags = _FLAGS.get(words[-1] if words else "", frozenset())
    places = [name for name in _PLACES if name not in flags]
    words += [quote(_said(given[name])) for name in places if name in given]
    typed = str(given[_TYPED]["value"]).strip() if _TYPED in given else ""
    for name, option in given.items():
        if name in places or name == _TYPED or option.get("type") == 11:
            continue
        value = option.get("value")
        if value is True:
            words.append(f"--{name}")
        elif value is not False:
            words.append(f"--{name}={quote(str(value))}")
    return " ".join([*words, *([typed] if typed else [])])


def _said(option: Json) -> str:
    """The value of an option as it is typed elsewhere: a person is mentioned."""
    value = str(option.get("value"))
    return f"<@{value}>" if option.get("type") == _USER else value


def command(interaction: Json, attachments: Sequence[Attachment], base: str, text: str | None = None) -> Command:
    """A slash command, or a command on a button."""
    return Command(
        command_text(interaction) if text is None else text,
        person(interaction),
        room(interaction),
        str(interaction["id"]),
        tuple(attachments),
        answer_url(interaction, base),
    )


def mention_text(content: str, bot_id: str) -> str:
    """The command in a message to the bot: without the mentions of it."""
    return re.sub(rf"<@[!&]?{re.escape(bot_id)}>", " ", content).strip()


def uploads(interaction: Json) -> dict[str, Upload]:
    """Files sent along with a command or a modal, by Discord's id."""
    resolved: Json = (interaction.get("data") or {}).get("resolved") or {}
    return {str(key): _upload(value) for key, value in (resolved.get("attachments") or {}).items()}


def target(interaction: Json) -> Json:
    """The message a message command was used on."""
    data: Json = interaction.get("data") or {}
    messages: Json = (data.get("resolved") or {}).get("messages") or {}
    found: Json = messages.get(str(data.get("target_id") or "")) or {}
    return found


def message_uploads(message: Json) -> dict[str, Upload]:
    """Files sent along with a message."""
    return {str(value["id"]): _upload(value) for value in message.get("attachments") or []}


def _upload(value: Json) -> Upload:
    return Upload(
        str(value["id"]),
        str(value.get("filename") or "file"),
        str(value.get("url") or ""),
        int(value.get("size") or 0),
        str(value.get("content_type") or "application/octet-stream"),
    )


def filled(interaction: Json) -> dict[str, str | bool | list[str]]:
    """What a modal brought, by the ids of its components."""
    values: dict[str, str | bool | list[str]] = {}
    stack: list[Any] = list((interaction.get("data") or {}).get("components") or [])
    while stack:
        component = stack.pop()
        name = component.get("custom_id")
        if isinstance(component.get("values"), list) and name:
            values[str(name)] = [str(value) for value in component["values"]]
        elif name and "value" in component:
            value = component["value"]
            values[str(name)] = value if isinstance(value, bool) else str(value) if value is not None else ""
        stack += component.get("components") or []
        stack += [component["component"]] if component.get("component") else []
    return values


def submission(
    interaction: Json, form_id: str, values: Mapping[str, Any], page: int, last: bool, base: str
) -> Submission:
    """A filled page of a form."""
    return Submission(
        form_id,
        values,
        person(interaction),
        room(interaction),
        str(interaction["id"]),
        page,
        last,
        answer_url(interaction, base),
        None if is_private(interaction) else source(interaction),
        tuple(name for name, text in values.items() if isinstance(text, str) and size(text) >= MODAL_TEXT),
    )


def choices(options: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Rows of an autocomplete: (label, value) pairs that Discord takes."""
    fitting = [(label or value, value) for label, value in options if value and size(value) <= CHOICE]
    return [{"name": label if size(label) <= CHOICE else value, "value": value} for label, value in fitting[:25]]
