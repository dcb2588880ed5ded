"""How far the clock of this machine is from a service's, by the date of its answers."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bot.findings import Finding

REFUSED = 300.0  # seconds: Slack's signatures are refused beyond, and deadlines ring at the wrong time
NOTED = 30.0


def clock_of(service: str, date: str | None, now: datetime | None = None) -> list[Finding]:
    """Nothing when the clocks agree, or the answer bore no date."""
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return []
    off = ((now or datetime.now(UTC)) - theirs.astimezone(UTC)).total_seconds()
    if abs(off) <= NOTED:
        return []
    text = f"This machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} {service}'s."
    return [Finding("clock", "wrong" if abs(off) > REFUSED else "hint", text, "Set it by NTP (`timedatectl`).")]
