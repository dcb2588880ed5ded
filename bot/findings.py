"""What an examination of the set-up found."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "hint", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fix` says what to do; a hint is no fault."""

    name: str
    verdict: Verdict
    text: str
    fix: str = ""
