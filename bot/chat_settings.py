"""What an operator may say about the conversation: the `chat` section of parley.yaml."""

import re
from typing import Literal

from pydantic import Field, field_validator

from bot.conversation import Platform, Room
from engine.settings import Section

_ROOM = re.compile(r"(slack|discord|web):(\S+)")


class ChatSettings(Section):
    """Where cards go and what they offer."""

    public_url: str | None = Field(default=None, description="Address of the web page as people reach it; makes links.")
    default_rooms: tuple[str, ...] = Field(
        default=(), description="Rooms for the pauses of runs nobody started in chat, such as `slack:#ops`."
    )
    card: Literal["live", "end", "off"] = Field(
        default="live", description="Run cards: edited while the run goes on, only at its end, or none."
    )
    per_person: int = Field(
        default=600,
        ge=0,
        description="Commands of one person in a minute, a fifth of them at once; more is refused with a "
        "sentence. 0: no limit.",
    )
    quick_answer: bool = Field(
        default=True, description="Approve at once although a text is asked for as well; the text is then empty."
    )

    @field_validator("default_rooms")
    @classmethod
    def _rooms_have_a_platform(cls, rooms: tuple[str, ...]) -> tuple[str, ...]:
        for room in rooms:
            if not _ROOM.fullmatch(room):
                raise ValueError(f"{room!r} is no room: write slack:#channel, discord:<channel id> or web:<room>")
        return rooms

    @property
    def rooms(self) -> tuple[Room, ...]:
        """The default rooms, parsed."""
        return tuple(room_of(text) for text in self.default_rooms)


def room_of(text: str) -> Room:
    """`slack:#ops` as a room; ValueError when the platform is none of ours."""
    found = _ROOM.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no room: write slack:#channel, discord:<channel id> or web:<room>")
    platforms: dict[str, Platform] = {"slack": "slack", "discord": "discord", "web": "web"}
    return Room(platforms[found[1]], found[2])
