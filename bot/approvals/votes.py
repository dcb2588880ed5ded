"""Votes on a pause: which agree, and when they are enough. Pure."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.approvals.answering import Shape
from bot.approvals.policy import ApprovalRule
from bot.conversation import Field
from engine.store.chat_votes import Vote

NO = "no"


@dataclass(frozen=True, slots=True)
class Tally:
    """How a vote stands once it is counted: `agree` of the `need` that decide say the same, `differ` something else."""

    agree: int
    need: int
    differ: int = 0

    @property
    def is_decided(self) -> bool:
        """Whether that is enough."""
        return self.agree >= self.need


def ballot(made: Shape, fields: Sequence[Field], values: Mapping[str, Any] | None, key: bytes) -> str:
    """What somebody votes for: equal for answers that agree. `values` None: the run is to end.

    Beside a yes, a no or a choice plain texts are remarks, in which people may differ; in any other form every answer
    counts. Answers go in as a keyed digest: some are secret.
    """
    if values is None:
        return NO
    said, remarks = "yes", set[str]()
    if made.kind in ("yes_no", "choice"):
        remarks = {field.id for field in fields if field.type == "STRING"} | {made.key}
        answered = values.get(made.key)
        if answered is False:
            return NO
        said = "yes" if answered is True else f"choice:{answered}"[:100]
    rest = {field.id: values[field.id] for field in fields if field.id in values and field.id not in remarks}
    if not rest:
        return said
    text = json.dumps(rest, sort_keys=True, default=str).encode()
    return f"{said}:{hmac.new(key, text, hashlib.sha256).hexdigest()[:24]}"


def tally(votes: Sequence[Vote], mine: Vote, rule: ApprovalRule, same: Mapping[str, str]) -> Tally:
    """Count the votes that agree with one of them. `same`: voters that turned out to be one person, by who that is."""
    by_person = {same.get(vote.voter, vote.voter): vote for vote in sorted(votes, key=lambda vote: vote.at)}
    agree = sum(vote.ballot == mine.ballot for vote in by_person.values())
    need = 1 if mine.ballot == NO and rule.veto == "any" else rule.need
    return Tally(agree, need, len(by_person) - agree)


def meter(votes: Sequence[Vote], rule: ApprovalRule) -> str:
    """How far the side that leads has come: `1 of 2`."""
    counts: dict[str, int] = {}
    for vote in votes:
        counts[vote.ballot] = counts.get(vote.ballot, 0) + 1
    return f"{max(counts.values(), default=0)} of {rule.need}"
