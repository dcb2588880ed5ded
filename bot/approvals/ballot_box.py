"""Where a vote is counted: in the transaction of the decision, under the lock of the pause. Every door leads here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot import tallies
from bot.approvals.policy import ApprovalRule
from bot.approvals.votes import Tally, tally
from engine.runtime.doorkeeper import Outcome
from engine.store import chat_audit, chat_messages, chat_votes
from engine.store.chat_audit import Deed
from engine.store.chat_messages import DECISION
from engine.store.chat_votes import Vote
from engine.store.database import Unit


@dataclass(slots=True)
class BallotBox:
    """One vote on its way. `deed` is what the audit says when it decides; `same` see `votes.tally`; `policy` names the
    entry of `approvals` by which it counts; `void` are votes of people who may not decide any more; the question was
    `asked` then."""

    rule: ApprovalRule
    vote: Vote
    deed: Deed
    same: Mapping[str, str]
    wake: Callable[[], None]
    policy: str = ""
    void: Sequence[Vote] = ()
    asked: datetime | None = None
    counted: Tally | None = None

    def cast(self, unit: Unit, now: datetime) -> Outcome:
        """Count it: whether it decides, waits for others, or the pause was over. A unit may run twice."""
        connection, vote = unit.connection, self.vote
        if chat_votes.lock(connection, vote.pause_id) != "WAITING":
            return "late"
        for one in self.void:
            chat_votes.withdraw(connection, vote.pause_id, [one.voter])
            chat_audit.record(connection, self._voided(one, now))
        chat_votes.cast(connection, vote)
        self.counted = tally(chat_votes.votes_on(connection, vote.pause_id), vote, self.rule, self.same)
        is_decided = self.counted.is_decided
        details = {**self.deed.details, **({} if is_decided else {"vote": self.deed.action})}
        if self.policy:
            details["policy"] = f"{self.policy}, {self.counted.agree} of {self.counted.need}"
        action = self.deed.action if is_decided else "vote"
        chat_audit.record(connection, _altered(self.deed, action, details))
        chat_messages.touch(connection, entity=vote.pause_id, urgency=DECISION, now=now)
        unit.after_commit(self.wake)
        if is_decided and self.asked is not None:
            waited = (now - self.asked).total_seconds()
            unit.after_commit(lambda: tallies.DECISION.observe(waited))
        return "decided" if is_decided else "counted"

    def _voided(self, one: Vote, now: datetime) -> Deed:
        deed = self.deed
        why = {"text": "may not decide any more"}
        return Deed(
            now, one.person, one.name, one.platform, "vote void", deed.entity, deed.execution_id, deed.flow, why
        )


def _altered(deed: Deed, action: str, details: Mapping[str, object]) -> Deed:
    return Deed(
        deed.at, deed.person, deed.name, deed.platform, action, deed.entity, deed.execution_id, deed.flow, details
    )
