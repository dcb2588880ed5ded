"""A `payload` or a `body` that is to be JSON, and is none whatever its templates give."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from engine.core.finding import Finding
from engine.core.property import marker
from engine.core.yaml_text import Path

TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
PLACES = re.compile(r'"(?:\{\{.*?\}\}|\\.|[^"\\])*+"|(?P<value>:\s*)?(?P<template>\{\{.*?\}\})', re.DOTALL)  # in JSON
TEXTS = re.compile(r'"(?:\\.|[^"\\])*+"', re.DOTALL)

SINGLE = re.compile(r"\s*(?=[\[{])(?:\[\s*)*(?:\{\s*)?'")  # where JSON has a name or a text, in quotes of another kind
DOUBLE = 'JSON has its names and texts in double quotes: `"…"`.'


def singly_quoted(path: Path, part: Any) -> Iterator[Finding]:
    """A body sent as JSON that begins as none does: `{'a': 1}`."""
    text, kind, headers = (getattr(part, name, None) for name in ("body", "content_type", "headers"))
    if not isinstance(text, str) or not isinstance(kind, str) or not SINGLE.match(text):
        return
    given = headers.items() if isinstance(headers, Mapping) else ()
    kind = next((value for name, value in given if str(name).lower() == "content-type"), kind)
    if (headers is None or isinstance(headers, Mapping)) and str(kind).lower().startswith("application/json"):
        message = "`body` is sent as JSON, and is none: it has `'…'`."
        yield Finding((*path, "body"), message, "payload", "warning", DOUBLE)


def broken(path: Path, part: Any) -> Iterator[Finding]:
    """A message in JSON that is none, whatever its templates give."""
    field = type(part).model_fields.get("payload")
    mark = marker(field) if field is not None else None
    text = getattr(part, "payload", None)
    if mark is None or mark.guard != "json" or not isinstance(text, str) or not text.strip():
        return
    if "{%" in text or "{#" in text or any("{" in one[2:] for one in TEMPLATE.findall(text)):  # whose end may be later
        return
    if (torn := _line_break(text)) is not None:
        line, column = text.count("\n", 0, torn) + 1, torn - text.rfind("\n", 0, torn)
        message = "`payload` is not JSON: a line ends inside a text."
        advice = "Close the text in the line where it begins, and write `\\n` for a line break."
        yield Finding((*path, "payload"), message, "payload", "warning", advice, "", line, column)
        return
    failed = []
    for value in ("0", "", '"a":0'):  # a text or a number, nothing, a part of a map
        try:
            json.loads(PLACES.sub(partial(_filled, value), text), strict=False)
        except json.JSONDecodeError as error:
            failed.append(error)
        else:
            return
    found = max(failed, key=lambda error: error.pos)
    message = f"`payload` is not JSON: {found.msg}."
    advice = DOUBLE if SINGLE.match(text) else ""
    yield Finding((*path, "payload"), message, "payload", "warning", advice, "", found.lineno, found.colno)


def _line_break(text: str) -> int | None:
    """Where a text of JSON begins that goes on in the next line, when that is all that is wrong."""
    flat = TEMPLATE.sub(lambda template: "0" * len(template[0]), text)
    try:
        json.loads(flat, strict=False)
    except json.JSONDecodeError:
        return None
    return next((found.start() for found in TEXTS.finditer(flat) if "\n" in found[0]), None)


def _filled(value: str, place: re.Match[str]) -> str:
    """A text or a template of JSON with that value, or with a number where no other would do."""
    if place["template"] is None:
        return TEMPLATE.sub(partial(_in_place_of, "0"), place[0])
    return TEMPLATE.sub(partial(_in_place_of, "0" if place["value"] else value), place[0])


def _in_place_of(value: str, template: re.Match[str]) -> str:
    """A value that takes as much place as a template."""
    return value + re.sub(r"[^\n]", " ", template[0][len(value) :])
