"""Filters on texts."""

import re
import unicodedata
from collections.abc import Callable

from engine.expressions import regexes
from engine.expressions.allowance import excerpt, follow, spend
from engine.expressions.failures import fail, kind
from engine.expressions.limits import MAX_TEXT
from engine.expressions.operations import FILTERS
from engine.expressions.printing import java_text, measure
from engine.expressions.values import Value, is_list, is_map

TextWork = Callable[[str], str]
_FOREIGN = re.compile(r"[^\x00-\x7f]")


def text_of(value: Value, name: str) -> str:
    """The value, which must be a text."""
    if not isinstance(value, str):
        fail(f"{name!r} takes a text, not {kind(value)}.", "Make a text of it first: `'' ~ value`.")
    return value


def amount_of(value: Value, name: str, argument: str) -> int:
    """An argument that counts something."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        fail(f"{name!r} takes an integer from 0 for {argument!r}, not {excerpt(java_text(value), 40)!r}.")
    return value


@FILTERS.add("upper")
def upper(value: Value) -> Value:
    """`{{ 'abc' | upper }}` → ABC."""
    return None if value is None else follow(java_text(value), str.upper)


@FILTERS.add("lower")
def lower(value: Value) -> Value:
    """`{{ 'ABC' | lower }}` → abc."""
    return None if value is None else follow(java_text(value), str.lower)


@FILTERS.add("capitalize")
def capitalize(value: Value) -> Value:
    """The first letter in upper case, the rest as it is."""
    if value is None:
        return None
    text = text_of(value, "capitalize")
    start = len(text) - len(text.lstrip())
    return text[:start] + _raised(text[start : start + 1]) + text[start + 1 :]


def _raised(char: str) -> str:
    """A letter in title case; as in Java one letter stays one, so `ß` is kept."""
    title = char.title()
    return title if len(title) == 1 else char


@FILTERS.add("title")
def title(value: Value) -> Value:
    """Every word's first letter in upper case, the rest as it is."""
    if value is None:
        return None
    text = text_of(value, "title")
    spend(len(text) >> 2)
    return re.sub(r"(?:^|(?<=\s))\S", lambda found: _raised(found[0]), text)


@FILTERS.add("trim")
def trim(value: Value) -> Value:
    """Without blanks and control characters at both ends."""
    return None if value is None else text_of(value, "trim").strip("".join(map(chr, range(0x21))))


@FILTERS.add("abbreviate", "length")
def abbreviate(value: Value, length: Value) -> Value:
    """`{{ 'this is a long sentence.' | abbreviate(7) }}` → this...; a text of just that length is cut, too."""
    if value is None:
        return None
    text, size = text_of(value, "abbreviate"), amount_of(length, "abbreviate", "length")
    if len(text) < size or len(text) <= 3:
        return text
    return text[:size] if size <= 3 else f"{text[: size - 3]}..."


@FILTERS.add("nl2br")
def nl2br(value: Value) -> Value:
    """Line breaks as `<br />`."""
    if value is None:
        return None
    text = text_of(value, "nl2br")
    spend(len(text) >> 4)
    if text.count("\n") * 6 + text.count("\r") * 6 + len(text) > MAX_TEXT:
        fail(f"'nl2br' makes a text of more than {MAX_TEXT:,} characters.")
    return re.sub(r"\r\n|\n|\r", "<br />", text)


@FILTERS.add("split", "delimiter", "limit", limit=0)
def split(value: Value, delimiter: Value, limit: Value) -> Value:
    """`{{ 'a,b' | split(',') }}` → ["a","b"]; the delimiter is a regular expression."""
    if value is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool):
        fail(f"'split' takes an integer for 'limit', not {kind(limit)}.")
    return regexes.split(text_of(value, "split"), text_of(delimiter, "split"), limit)


@FILTERS.add("replace", "replace_pairs", "regexp", regexp=False)
def replace(value: Value, replace_pairs: Value, regexp: Value) -> Value:
    """`{{ 'a.b' | replace({'.': '-'}) }}` → a-b; inside maps and lists, too. `regexp=true` takes patterns and `$1`."""
    if not is_map(replace_pairs):
        fail(
            f"'replace' takes a map of texts and what to put there, not {kind(replace_pairs)}.", "`replace({'a': 'b'})`"
        )
    pairs = [(java_text(old), java_text(new)) for old, new in replace_pairs.items()]
    one = regexes.replace if regexp is True else _literally

    def work(text: str) -> str:
        for old, new in pairs:
            spend(1 + (len(text) >> 6))
            text = one(text, old, new)
        return text

    return each_text(value, work)


def _literally(text: str, old: str, new: str) -> str:
    if text.count(old) * len(new) + len(text) > MAX_TEXT:
        fail(f"Replacing makes a text of more than {MAX_TEXT:,} characters.")
    return text.replace(old, new)


def each_text(value: Value, work: TextWork) -> Value:
    """The value with `work` done on it as text, or on everything inside it; null stays null."""
    measure(value)
    room = MAX_TEXT

    def counted(text: str) -> str:
        nonlocal room
        made = work(text)
        room -= len(made)
        if room < 0:
            fail(f"A filter makes texts of more than {MAX_TEXT:,} characters.")
        return made

    def walk(found: Value) -> Value:
        if found is None:
            return None
        if is_map(found):
            return {counted(java_text(key)): walk(item) for key, item in found.items()}
        return [walk(item) for item in found] if is_list(found) else counted(java_text(found))

    return walk(value)


@FILTERS.add("escapeChar", "type")
def escape_char(value: Value, type: Value) -> Value:
    """`{{ "it's" | escapeChar('single') }}` → it\\'s; also `double` and `shell`."""
    ways = {"single": ("'", "\\'"), "double": ('"', '\\"'), "shell": ("'", "'\\''")}
    way = ways.get(type.lower()) if isinstance(type, str) else None
    if way is None:
        fail(f"'escapeChar' cannot escape for {java_text(type)!r}.", "Use 'single', 'double' or 'shell'.")
    return each_text(value, lambda text: _literally(text, *way))


def _indented(value: Value, amount: Value, prefix: Value, name: str, first: bool) -> Value:
    if value is None:
        return None
    text = java_text(value)
    if not text:
        return ""
    one, times = java_text(prefix), amount_of(amount, name, "amount")
    if len(one) * times > MAX_TEXT:
        fail(f"{name!r} makes a text of more than {MAX_TEXT:,} characters.")
    padding = one * times
    newline = next((mark for mark in ("\r\n", "\n", "\r") if mark in text), "\n")
    lines = re.split(r"\r\n|\n|\r", text)
    spend(len(lines))
    if len(lines) * len(padding) + len(text) > MAX_TEXT:
        fail(f"{name!r} makes a text of more than {MAX_TEXT:,} characters.")
    return (newline + padding if first else "") + (newline + padding).join(lines)


@FILTERS.add("indent", "amount", "prefix", prefix=" ")
def indent(value: Value, amount: Value, prefix: Value) -> Value:
    """All lines but the first moved to the right."""
    return _indented(value, amount, prefix, "indent", first=False)


@FILTERS.add("nindent", "amount", "prefix", prefix=" ")
def nindent(value: Value, amount: Value, prefix: Value) -> Value:
    """A new line, then all lines moved to the right."""
    return _indented(value, amount, prefix, "nindent", first=True)


@FILTERS.add("slugify")
def slugify(value: Value) -> Value:
    """`{{ 'Hello World!' | slugify }}` → hello-world."""
    if value is None:
        return None
    text = re.sub(r"\s", "-", text_of(value, "slugify"))
    spend(len(text) >> (3 if text.isascii() else 1))
    # Letter by letter: whole texts full of combining marks take very long to be put in order.
    text = _FOREIGN.sub(lambda found: unicodedata.normalize("NFD", found[0]), text)
    text = re.sub(r"[^\w-]", "", text, flags=re.ASCII).replace("_", "-")
    text = re.sub(r"-+", "-", text)
    return text.removeprefix("-").removesuffix("-").lower()


@FILTERS.add("startsWith", "value")
def starts_with(value: Value, prefix: Value) -> bool:
    """Whether the text begins with another."""
    return _some(value, "startsWith").startswith(java_text(prefix))


@FILTERS.add("endsWith", "value")
def ends_with(value: Value, suffix: Value) -> bool:
    """Whether the text ends with another."""
    return _some(value, "endsWith").endswith(java_text(suffix))


def _some(value: Value, name: str) -> str:
    if value is None:
        fail(f"{name!r} takes a text, not null.", "Guard it: `(x ?? '') | " + name + "(…)`.")
    return java_text(value)


@FILTERS.add("substringBefore", "separator")
def substring_before(value: Value, separator: Value) -> Value:
    """What stands before the first separator; all of it when there is none."""
    if value is None:
        return None
    text = _cut(value, separator, "substringBefore")
    return text.partition(separator)[0] if separator else ""


@FILTERS.add("substringAfter", "separator")
def substring_after(value: Value, separator: Value) -> Value:
    """What stands after the first separator; nothing when there is none."""
    if value is None:
        return None
    text = _cut(value, separator, "substringAfter")
    return text.partition(separator)[2] if separator else text


@FILTERS.add("substringBeforeLast", "separator")
def substring_before_last(value: Value, separator: Value) -> Value:
    """What stands before the last separator; all of it when there is none."""
    if value is None:
        return None
    text = _cut(value, separator, "substringBeforeLast")
    at = _last(text, separator)
    return text if at is None else text[:at]


@FILTERS.add("substringAfterLast", "separator")
def substring_after_last(value: Value, separator: Value) -> Value:
    """What stands after the last separator; nothing when there is none."""
    if value is None:
        return None
    text = _cut(value, separator, "substringAfterLast")
    at = _last(text, separator)
    return "" if at is None else text[at + len(separator) :]


def _last(text: str, separator: str) -> int | None:
    """Where the last separator begins. Both are turned round: Python's own way from the end may take for ever."""
    behind = text[::-1].find(separator[::-1]) if separator else -1
    return None if behind < 0 else len(text) - behind - len(separator)


def _cut(value: Value, separator: Value, name: str) -> str:
    if not isinstance(separator, str):
        fail(f"{name!r} takes a text as separator, not {kind(separator)}.")
    return java_text(value)


@FILTERS.add("regexMatch", "regex")
def regex_match(value: Value, regex: Value) -> bool:
    """Whether a regular expression matches anywhere in the text."""
    return value is not None and regexes.search(java_text(value), text_of(regex, "regexMatch")) is not None


@FILTERS.add("regexExtract", "regex", "group", group=0)
def regex_extract(value: Value, regex: Value, group: Value) -> Value:
    """The first match of a regular expression, or one of its groups; null when there is none."""
    if value is None:
        return None
    number = amount_of(group, "regexExtract", "group")
    expression = text_of(regex, "regexExtract")
    if number > regexes.compiled(expression).groups:
        fail(f"The regular expression {expression!r} has no group {number}.")
    found = regexes.search(java_text(value), expression)
    return found[number] if found else None


@FILTERS.add("regexReplace", "regex", "replacement")
def regex_replace(value: Value, regex: Value, replacement: Value) -> Value:
    """Every match of a regular expression replaced; `$1` stands for a group."""
    if value is None:
        return None
    return regexes.replace(java_text(value), text_of(regex, "regexReplace"), text_of(replacement, "regexReplace"))


@FILTERS.add("sh")
def sh(value: Value) -> Value:
    """Safe between single quotes of a shell command: `'` becomes `'\\''`."""
    return None if value is None else _literally(java_text(value), "'", "'\\''")


@FILTERS.add("condense")
def condense(value: Value) -> Value:
    """Without line breaks."""
    return None if value is None else java_text(value).replace("\r", "").replace("\n", "")
