"""Who may do what. One hook asks for every run, decision and kill, from whatever front end it comes."""

from dataclasses import dataclass
from typing import Literal, Protocol

from bot.conversation import Person, Room
from bot.texts import Answer

Deed = Literal["run", "decide", "kill", "see", "kv"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to do: with which flow, and for a decision with which pause of whose run."""

    deed: Deed
    person: Person
    room: Room
    flow: str  # namespace/id
    task_id: str = ""
    execution_id: str = ""
    started_by: str = ""


class Permissions(Protocol):
    """Decides; None means yes, an Answer (E04, E20, E22 …) says why not and whom to ask."""

    def refuse(self, asked: Asked) -> Answer | None: ...

    def describe(self) -> str:
        """One sentence for the start-up log."""


class Everybody:
    """No roles are set: whoever can talk to the bot in a room may run flows and decide there."""

    def refuse(self, asked: Asked) -> Answer | None:
        """Nobody is refused."""
        return None

    def describe(self) -> str:
        """One sentence for the start-up log."""
        return "No roles are set: everybody in a room with the bot may run flows, decide approvals and kill runs."
