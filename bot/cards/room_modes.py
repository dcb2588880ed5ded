"""How rooms show runs: modes, and rooms that are the thread of a card. Pure."""

from dataclasses import replace

from bot.chat_settings import CardMode
from bot.conversation import Room

BELOW = "below:"  # as a room's thread: the thread of the card of this run, which may not be posted yet


def room_key(room: Room) -> str:
    """A channel with its threads. Without the workspace: a shared channel is seen from several."""
    return f"{room.platform}:{room.channel}"


def below(room: Room, execution_id: str) -> Room:
    """The thread of a run's card in a room; a room that is a thread itself stays."""
    return room if room.thread else replace(room, thread=f"{BELOW}{execution_id}")


def run_above(room: Room) -> str:
    """The run whose card a room is the thread of, as long as that is not known better."""
    return (room.thread or "").removeprefix(BELOW) if (room.thread or "").startswith(BELOW) else ""


def mode_of(own: str | None, default: CardMode) -> CardMode:
    """A room's own mode, else the one of parley.yaml."""
    modes: dict[str, CardMode] = {"off": "off", "end": "end", "card": "card", "thread": "thread", "all": "all"}
    return modes.get(own or "", default)
