"""What is given on the command line: `-i k=v`, `-i k:=json`, `-i k=@file`, `--resume TASK.k=v`, `--resume TASK`."""

import json
from pathlib import Path
from typing import Any

from engine.errors import SettingInvalid


def given_inputs(pairs: list[str]) -> dict[str, Any]:
    """Inputs by id; SettingInvalid names the pair that can't be read."""
    return dict(_pair(pair) for pair in pairs)


def given_resumes(pairs: list[str]) -> dict[str, dict[str, Any]]:
    """Answers by pause task id; a task's id alone answers a pause that asks nothing."""
    answers: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        if "=" not in pair and "." not in pair:
            answers.setdefault(pair, {})
            continue
        task, dot, rest = pair.partition(".")
        if not dot or "=" not in rest:
            fix = "Write --resume TASK.INPUT=VALUE, or --resume TASK where nothing is asked."
            raise SettingInvalid(f"--resume {pair} is no answer.", fix=fix)
        key, value = _pair(rest)
        answers.setdefault(task, {})[key] = value
    return answers


def _pair(pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals or not name.rstrip(":"):
        raise SettingInvalid(f"{pair!r} is no input.", fix="Write -i NAME=VALUE, -i NAME:=JSON or -i NAME=@FILE.")
    if name.endswith(":"):
        try:
            return name[:-1], json.loads(value)
        except ValueError as error:
            raise SettingInvalid(f"The value of {name[:-1]} is not JSON: {error}.", fix="Check its quotes.") from error
    if value.startswith("@"):
        file = Path(value[1:])
        if not file.is_file():
            raise SettingInvalid(f"There is no file {file}.", fix="Check the path.")
        return name, str(file.resolve())
    return name, value
