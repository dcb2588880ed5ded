"""YAML: the `yaml` filter writes it, the function yaml() reads it."""

import json
import re

import yaml

from engine.expressions.allowance import spend
from engine.expressions.failures import fail, kind
from engine.expressions.limits import MAX_TEXT, MAX_YAML
from engine.expressions.operations import FILTERS, FUNCTIONS
from engine.expressions.printing import java_text, measure, scalar_text
from engine.expressions.values import Entry, Value, is_list, is_map

_WORD = re.compile(
    r"true|false|yes|no|on|off|y|n|null|~|[-+]?[0-9]*\.[0-9]+(?:e[-+]?[0-9]+)?|[-+]?\.(?:inf|nan)|[-+]?0x[0-9a-f]+",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"(?![-?:](?:\s|$))[^\s,\[\]{}#&*!|>'\"%@`](?:[^\n\t:#]++|:(?=\S)|(?<=\S)#)*+(?<!\s)")
_LOW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]")


@FILTERS.add("yaml", cost=20)
def yaml_of(value: Value) -> str:
    """`{{ {'a': [1, 2]} | yaml }}`: YAML text; items of lists are moved in by one blank, as in Kestra."""
    if value is None:
        return "null"
    measure(value)
    out: list[str] = []
    _write(value, "" if is_map(value) or is_list(value) else "  ", out)
    if sum(map(len, out)) > MAX_TEXT:
        fail(f"'yaml' makes a text of more than {MAX_TEXT:,} characters.")
    return "".join(out).removeprefix("\n")


def _write(value: Value, indent: str, out: list[str]) -> None:
    """Append the value; a container starts on a new line, and every value ends its last line."""
    if isinstance(value, Entry):
        value = {value.key: value.value}
    if is_map(value):
        value = {key: item for key, item in value.items() if item is not None}
    if is_map(value) and value:
        out.append("\n")
        for key, item in value.items():
            out.append(f"{indent}{_scalar(java_text(key), indent)}:")
            _write_after(item, indent + "  ", out, indent)
    elif is_list(value) and value:
        out.append("\n")
        for item in value:
            out.append(f"{indent} -")
            inner: list[str] = []
            _write_after(item, indent + "   ", inner, indent + "   ")
            text = "".join(inner)
            # The first line of a map or list stands behind the dash.
            out.append(" " + text[1:].lstrip(" ") if text.startswith("\n") else text)
    else:
        out.append(f"{_scalar(value, indent)}\n")


def _write_after(value: Value, indent: str, out: list[str], list_indent: str) -> None:
    if (is_map(value) or isinstance(value, Entry)) and value:
        _write(value, indent, out)
    elif is_list(value) and value:
        _write(value, list_indent, out)
    else:
        out.append(" ")
        _write(value, indent, out)


def _scalar(value: Value, indent: str) -> str:
    if is_map(value):
        return "{}"
    if is_list(value):
        return "[]"
    if value is None:
        return "null"
    if isinstance(value, (bool, int, float)):
        return scalar_text(value)
    text = java_text(value)
    if "\n" in text and not _LOW.search(text) and text.strip() and not text.startswith((" ", "\n")):
        keep = "" if re.search(r"[^\n]\n\Z", text) else "-" if not text.endswith("\n") else "+"
        lines = text.removesuffix("\n").split("\n")
        if len(lines) * len(indent) > MAX_TEXT:
            fail(f"'yaml' makes a text of more than {MAX_TEXT:,} characters.")
        spend(len(lines) * len(indent) >> 4)
        return f"|{keep}\n" + "\n".join(f"{indent}{line}" if line else "" for line in lines)
    if _PLAIN.fullmatch(text) and not _WORD.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Dates and times stay text, `yes` and `on` are booleans, no merge keys (they can grow without end)."""


_LEFT_OUT = {f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value", "merge", "int")}
_Loader.yaml_implicit_resolvers = {
    mark: [(tag, pattern) for tag, pattern in resolvers if tag not in _LEFT_OUT]
    for mark, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(  # without 12:30:00, which would be 45000
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18}|0x[0-9a-fA-F]{1,16})\Z"), list("-+0123456789")
)


@FUNCTIONS.add("yaml", "yaml")
def from_yaml(value: Value) -> Value:
    """`{{ yaml('foo: [1, 2]').foo }}`: the value a YAML text stands for."""
    if not isinstance(value, str) or not value.strip():
        fail(f"yaml() takes a text with something in it, not {kind(value)}.")
    if len(value) > MAX_YAML:
        fail(f"yaml() reads at most {MAX_YAML:,} characters.", "Use JSON and fromJson() for large documents.")
    spend(len(value))  # reading YAML is slow
    try:
        found = yaml.load(value, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer types
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        fail(f"yaml() was given text that is not YAML: {str(error).splitlines()[0][:200]}.")
    measure(found)  # aliases may make a short text into an endless value
    return found
