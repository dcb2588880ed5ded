"""What an operator may say about the conversation: the `chat` section of parley.yaml."""

import re
from typing import Any, Literal, get_args

from pydantic import Field, field_validator

from bot.conversation import Platform, Room
from engine.settings import Section

CardMode = Literal["off", "end", "card", "thread", "all"]
CARD_MODES = get_args(CardMode)
_ROOM = re.compile(r"(slack|discord|web):(\S+)")


class ChatSettings(Section):
    """Where cards go and what they offer."""

    public_url: str | None = Field(default=None, description="Address of the web page as people reach it; makes links.")
    default_rooms: tuple[str, ...] = Field(
        default=(), description="Rooms for the pauses of runs nobody started in chat, such as `slack:#ops`."
    )
    card: CardMode = Field(
        default="card",
        description="How a room without a mode of its own (`/flow settings card=\u2026`) shows runs. `card`: a message "
        "edited while the run goes on; `thread`: that, with questions, log and files in its thread; `all`: log and "
        "files in the thread, questions beside the card; `end`: a card at the end; `off`: none.",
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

    @field_validator("card", mode="before")
    @classmethod
    def _older_word(cls, card: Any) -> Any:
        return "card" if card == "live" else "off" if card is False else card  # YAML 1.1 reads `off` as false

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
