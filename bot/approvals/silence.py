"""What silence means by policy: said to the engine of every process, since any of them may open a pause."""

from collections.abc import Sequence

from bot.approvals.policy import ApprovalRule, rule_for
from engine.core.execution import Execution
from engine.core.flowable import Behavior
from engine.core.inputs import Resolved
from engine.errors import Refused
from engine.runtime.doorkeeper import Admission, Ending
from engine.store.pauses import PauseRow

BEHAVIORS: dict[str, Behavior | None] = {"resume": "RESUME", "fail": "FAIL", "cancel": "CANCEL", "wait": None}


def ending(rules: Sequence[ApprovalRule], namespace: str, flow_id: str, task_id: str) -> Ending | None:
    """How a pause ends that nobody answers; None: as its flow says. Pure."""
    said = rule_for(rules, f"{namespace}/{flow_id}", task_id).on_timeout
    return None if said == "flow" else Ending(BEHAVIORS[said])


class Silence:
    """The doorkeeper of a process without chat and page: it knows how pauses end, and takes no answers."""

    def __init__(self, rules: Sequence[ApprovalRule]) -> None:
        self.rules = tuple(rules)

    async def admit(self, pause: PauseRow, execution: Execution, resolved: Resolved, by: str) -> Admission:
        """Refused: answers belong to the process that people talk to."""
        raise Refused("This process takes no answers.", fix="Answer in chat, on the page, or by the bot's API.")

    def ending(self, namespace: str, flow_id: str, task_id: str) -> Ending | None:
        """What the policy says silence means."""
        return ending(self.rules, namespace, flow_id, task_id)
