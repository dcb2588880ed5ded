"""The port through which whoever embeds the engine decides about pauses: who may answer one, and when it counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from engine.core.execution import Execution
from engine.core.flowable import Behavior
from engine.core.inputs import Resolved
from engine.store.database import Unit
from engine.store.pauses import PauseRow

Outcome = Literal["decided", "counted", "late"]


class Admission(Protocol):
    """One answer that may be given."""

    def cast(self, unit: Unit, now: datetime) -> Outcome:
        """Note it in the transaction of the answer: whether it decides, is one vote of several, or came too late."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of a pause nobody answers, whatever its flow says; None: it waits on."""

    behavior: Behavior | None


class Doorkeeper(Protocol):
    """Asked for every answer to a pause but those of flows themselves."""

    async def admit(self, pause: PauseRow, execution: Execution, resolved: Resolved, by: str) -> Admission:
        """Let an answer in; Refused says why not."""

    def ending(self, namespace: str, flow_id: str, task_id: str) -> Ending | None:
        """How a pause ends without an answer; None: as its flow says."""


@dataclass(slots=True)
class Door:
    """Where the doorkeeper stands, if there is one."""

    keeper: Doorkeeper | None = None
