"""Runs a script for every row of a file, or once with variables: `_rows.py transform|eval SCRIPT SOURCE TARGET`."""

import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any


class Logger:
    """What scripts log with: `logger.info('{} rows', count)`."""

    def __getattr__(self, level: str) -> Callable[..., None]:
        def log(message: object, *values: object) -> None:
            text = str(message)
            for value in values:
                text = text.replace("{}", str(value), 1)
            line = {"level": {"warning": "WARN"}.get(level, level.upper()), "message": text}
            print("::" + json.dumps({"logs": [line]}) + "::", flush=True)  # noqa: T201 - how a script speaks to us

        return log


def told(value: object) -> str:
    """What stands in JSON for a value that JSON does not know."""
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


def transform(code: Any, source: Path, target: Path) -> None:
    """Each row as the script leaves it; `rows` in place of `row` for several, None for none."""
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            names: dict[str, Any] = {"row": json.loads(line), "rows": None, "logger": Logger()}
            exec(code, names)  # noqa: S102 - the flow's own script, in a process of its own
            kept = names["rows"]
            if kept is None:
                kept = [] if names["row"] is None else [names["row"]]
            out.writelines(json.dumps(one, ensure_ascii=False, default=told) + "\n" for one in kept)


def evaluate(code: Any, source: Path, target: Path) -> None:
    """What the script leaves in the variables that are asked for."""
    asked = json.loads(source.read_text(encoding="utf-8"))
    names = {**asked["variables"], "logger": Logger()}
    exec(code, names)  # noqa: S102 - as above
    found = {name: names.get(name) for name in asked["outputs"]}
    target.write_text(json.dumps(found, default=told), encoding="utf-8")


if __name__ == "__main__":
    kind, script, *files = sys.argv[1:]
    compiled = compile(Path(script).read_text(encoding="utf-8"), "script", "exec")
    {"transform": transform, "eval": evaluate}[kind](compiled, *map(Path, files))
