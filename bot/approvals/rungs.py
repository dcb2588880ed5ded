"""What a policy wants done about a pause that nobody decides, and when. Pure."""

from datetime import datetime, timedelta

from bot.approvals.policy import ApprovalRule
from engine.store.chat_ladder import Rung
from engine.store.pauses import PauseRow


def steps_of(rule: ApprovalRule, pause: PauseRow) -> list[Rung]:
    """Reminders, new posts and escalations with their times: none in quiet hours."""

    def at(after: timedelta) -> datetime:
        when = pause.created + after
        return rule.quiet_hours.after(when) if rule.quiet_hours else when

    steps = [Rung(f"{pause.id}:remind:{n}", pause.id, "remind", at(after)) for n, after in enumerate(rule.remind)]
    steps += [Rung(f"{pause.id}:repost:{n}", pause.id, "repost", at(after)) for n, after in enumerate(rule.repost)]
    steps += [
        Rung(f"{pause.id}:escalate:{n}", pause.id, "escalate", at(one.after), detail={"to": list(one.to)})
        for n, one in enumerate(rule.escalate)
    ]
    return steps
