"""One thing found in a flow, before lines and columns are known."""

from dataclasses import dataclass

from engine.core.yaml_text import Path


class Breach(ValueError):
    """A rule that a part breaks as a whole: where inside of it that is told, and what to do."""

    def __init__(self, message: str, at: Path = (), fix: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at a path. `missing` names a property that ought to be there; `line` and `column` count inside
    the text at the path when the place is known that exactly."""

    path: Path
    message: str
    code: str
    severity: str = "error"
    suggestion: str = ""
    missing: str = ""
    line: int = 0
    column: int = 0
