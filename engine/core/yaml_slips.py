"""Text that is no YAML: what its author probably meant, where it stands, and how it is written."""

import re
from dataclasses import dataclass
from difflib import get_close_matches

QUOTE_TEMPLATE = 'YAML reads `{{ … }}` at the start of a value as a mapping; put it in quotes: "{{ … }}".'

QUOTE_TEXT = "A `: ` inside a text makes a mapping of it: put the whole value in quotes, {0}{1} {{{{ … }}}}{0}."
_UNQUOTED = re.compile(r"(?:: +|- +)(?P<template>\{\{)")
_TEXT_WITH_COLON = re.compile(r"\s*(?:- +)?[\w-]+: +(?P<text>[^\s\"'{\[|>#&*][^:{]*: +)\{\{")
_ITEM_WITH_COLON = re.compile(r"\s*- +(?P<text>(?=[^:{]*[\s\"'])[^\s\"'{\[|>#&*-][^{]*?: +\{\{.*)")
_TABBED = re.compile(r" *\t")
_NO_BLANK = re.compile(r"\s*(?:- +)?(?P<key>[A-Za-z][\w-]*):(?P<value>[^\s:/].*)")
_NO_BLANK_AFTER_DASH = re.compile(r"\s*-(?P<rest>[A-Za-z][\w-]*:)")
_KEYS = frozenset({"id", "type", "namespace", "description", "value", "message", "format", "cron", "key", "uri"})
_OF_FLOWS = re.compile(  # what begins in the first column of a flow
    r"- |(?:id|namespace|description|labels|inputs|outputs|variables|tasks|errors|finally|afterExecution|triggers|"
    r"pluginDefaults|taskDefaults|concurrency|retry|sla|checks|disabled|revision|extend):"
)
_WITH_VALUE = re.compile(r"""\s*(?:- +)?[\w.-]+:\s+(?![|>&{\["'#])\S""")
_OPEN = re.compile(r"[^#]*:\s*(?:#.*)?")
_BLOCK = re.compile(r".*:\s+[|>][+-]?\d?\s*$")
_CONTROL = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_ODD_BLANK = re.compile(r" *(?:- +)*(?P<blank>[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff])")
_BRACKETED = re.compile(r"""\s*(?:(?:- +)*[\w.-]+:\s+|- +)(?P<opens>["'\[{])""")
_WORDS = re.compile(r"\s*(?P<dash>- +)?(?P<key>[A-Za-z][\w-]*) +(?P<value>[\w./-]+)\s*")
_COLON_BEHIND = re.compile(r"\s*(?:- +)*[\w-]+:\s+[^\s\"'{\[|>#&*](?:[^:]|:(?!\s))*(?P<colon>:)\s*")
_ALIAS = re.compile(r"\*([\w-]+)")
_ANCHOR = re.compile(r"(?<![^\s\[{,])&([\w-]+)")
_LOOKS_LIKE = (  # what other programs write → what it is
    (re.compile(r"\s*(?:- +)*(?P<sign>[–—•·‐‑−])\s"), "`{}` is no `-`: an item begins with a plain `- `."),
    (re.compile(r"\s*(?:- +)*[\w-]+(?P<sign>[：﹕])"), "`{}` is no `:`: write a plain `:` and a blank."),
    (re.compile(r"\s*(?P<sign>//|/\*|<!--)"), "`{}` begins no comment here: write `#`."),
    (
        re.compile(r"\s*(?P<sign>```|~~~)"),
        "The fence of a block of Markdown is no part of the flow: leave the line out.",
    ),
)
_LANGUAGE = re.compile(r"(?i)ya?ml|copy( code)?|[\w.-]+\.ya?ml")  # what stands above a block on a page
_HEAD = re.compile(r".*:\s+(?P<sign>[|>])[+-]?\d?(?P<rest>[^\s\d#+-].*)")
_ODD_BEHIND = re.compile(r"\s*(?:- +)*[\w-]+:(?P<blank>[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff])")
_KEY = re.compile(r"\s*(?P<key>[A-Za-z][\w-]*):(?:\s|$)")
_DASHES = re.compile(r"\s*(?:- +)*")

# What libyaml says → what to tell the author.
_SENTENCES = (
    (
        "mapping values are not allowed",
        "A `:` stands where YAML expects no key: put text that holds `: ` in quotes, and check the indentation.",
    ),
    ("could not find expected ':'", "A key without its `:`; write `key: value`, and put longer text in quotes."),
    (
        "did not find expected key",
        "A line does not fit here; look at its indentation, and at quotes in the lines before.",
    ),
    (
        "did not find expected '-' indicator",
        "A list item starts with `- `, at the same indentation as the items before.",
    ),
    ("while scanning an alias", "A `*` at the start of a value names an anchor; put the value in quotes."),
    ("while scanning an anchor", "An `&` at the start of a value begins an anchor; put the value in quotes."),
    ("found unexpected end of stream", "A quote is opened but never closed."),
    (
        "found undefined alias",
        "An alias (`*name`) names no anchor (`&name`); put text that starts with `*` in quotes.",
    ),
    ("found duplicate anchor", "Two anchors have the same name."),
    (
        "did not find expected ',' or '}'",
        "A `{` without its `}`, or a `,` is missing; put a value that starts with `{{` in quotes.",
    ),
    ("did not find expected ',' or ']'", "A `[` without its `]`, or a `,` is missing."),
    ("did not find expected node content", "A value is missing, or starts with a character that needs quotes."),
    (
        "block sequence entries are not allowed",
        "A list can't start in the same line as its key; put text that starts with `- ` in quotes.",
    ),
    (
        "comment or line break while scanning a block scalar",
        "A `>` or `|` at the start of a value begins a block of text; put the value in quotes.",
    ),
    ("hexdecimal number", 'A backslash in "…" starts an escape; write `\\\\`, or use single quotes.'),
    ("found unknown escape character", 'A backslash in "…" starts an escape; write `\\\\`, or use single quotes.'),
    ("expected <document start>", "The text ends before this line; look at its indentation."),
    ("did not find expected <document start>", "The text ends before this line; look at its indentation."),
    ("mapping keys are not allowed", "A `? ` at the start of a value begins a key; put the value in quotes."),
    ("control characters are not allowed", "A control character stands in the text; remove it."),
)
_OF_INDENTATION = ("did not find expected key", "did not find expected '-' indicator", "mapping values are not allowed")
_UNENDED = "found unexpected end of stream"
_OPENED = ("did not find expected ',' or", _UNENDED, "could not find expected ':'")
_NO_START = ("cannot start any token", "found character that cannot start")

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Slip:
    """One sentence, and where in the text it belongs; lines and columns from 1."""

    sentence: str
    line: int
    column: int


def slip(text: str, said: str, at: Place, opened: Place | None) -> Slip:
    """What to tell about what libyaml said at a place; `opened` is where it began to read what went wrong."""
    lines = text.split("\n")
    if opened is not None and any(one in said for one in _OPENED) and (at[0] != opened[0] or _UNENDED in said):
        at = opened
    line, column = at
    if (control := _CONTROL.search(text)) and "control characters" in said:
        before = text[: control.start()].split("\n")
        sentence = f"A control character (U+{ord(control[0]):04X}) stands in the text; remove it."
        return Slip(sentence, len(before), len(before[-1]) + 1)
    if found := _alias(lines, said, line, column) or _anchor(lines, said, line, column):
        return found
    if found := _above(lines, line) or _head(lines, said, line):
        return found
    numbers = [number for number in (_before(lines, line), line) if 0 < number <= len(lines)]
    for number in numbers:
        if found := _in_line(lines[number - 1], number, is_last=number == line):
            return found
    if found := _behind_value(lines, said, line, column) or _without_colon(lines, said, line, column):
        return found
    if found := _within_block(lines, said, line) or _unended(lines, said, line) or _indentation(lines, said, line):
        return found
    if any(one in said for one in _NO_START) and line <= len(lines) and column <= len(lines[line - 1]):
        sign = lines[line - 1][column - 1]
        if sign == "\t":
            return Slip("A tab stands where YAML wants blanks.", line, column)
        return Slip(
            f"A value can't start with {'a backtick' if sign == '`' else f'`{sign}`'}; put it in quotes.", line, column
        )
    sentence = next((ours for theirs, ours in _SENTENCES if theirs in said), f"This is not YAML: {said}.")
    return Slip(sentence, line, column)


def _in_line(line: str, number: int, *, is_last: bool) -> Slip | None:
    """What a single line gives away."""
    if is_last and (begun := _TEXT_WITH_COLON.match(line)):
        text = begun["text"].strip()
        return Slip(QUOTE_TEXT.format("'" if '"' in text else '"', text), number, begun.start("text") + 1)
    if is_last and (item := _ITEM_WITH_COLON.match(line)):
        quotes = next((sign for sign in "'\"" if sign not in item["text"]), "")
        how = f"put the whole text in quotes, {quotes}…{quotes}" if quotes else "write `- |`, and the text below it"
        return Slip(f"A `: ` inside a text makes a mapping of it: {how}.", number, item.start("text") + 1)
    if is_last and (unquoted := _UNQUOTED.search(line)):
        return Slip(QUOTE_TEMPLATE, number, unquoted.start("template") + 1)
    if tab := _TABBED.match(line):
        return Slip("A tab stands in the indentation; YAML wants blanks there.", number, tab.end())
    if odd := _ODD_BLANK.match(line):
        sentence = f"A special blank (U+{ord(odd['blank']):04X}) stands in the indentation; type plain blanks there."
        return Slip(sentence, number, odd.start("blank") + 1)
    if (close := _NO_BLANK.fullmatch(line)) and (is_last or close["key"] in _KEYS):
        meant = f"{close['key']}: {close['value']}"
        sentence = f"A blank is missing after the `:`; write `{meant if len(meant) < 80 else close['key'] + ': …'}`."
        return Slip(sentence, number, close.end("key") + 1)
    if odd := _ODD_BEHIND.match(line):
        sentence = f"A special blank (U+{ord(odd['blank']):04X}) stands behind the `:`; type a plain one there."
        return Slip(sentence, number, odd.start("blank") + 1)
    for looks, sentence in _LOOKS_LIKE:
        if alike := looks.match(line):
            return Slip(sentence.format(alike["sign"]), number, alike.start("sign") + 1)
    if close := _NO_BLANK_AFTER_DASH.match(line):
        return Slip(f"A blank is missing after the `-`; write `- {close['rest']} …`.", number, close.start("rest") + 1)
    return None


def _above(lines: list[str], line: int) -> Slip | None:
    """The name of a language, a file or a button that was copied with the flow below it."""
    first = next((number for number, one in enumerate(lines, 1) if one.strip()), 0)
    words = lines[first - 1].strip() if first else ""
    if line - first > 2 or not _LANGUAGE.fullmatch(words):
        return None
    return Slip(f"`{words}` was copied with the flow, and is no part of it: leave the line out.", first, 1)


def _head(lines: list[str], said: str, line: int) -> Slip | None:
    """`message: |\\`: something stands at what begins a block of text."""
    head = _HEAD.fullmatch(lines[line - 1]) if "block scalar" in said and line <= len(lines) else None
    if head is None:
        return None
    sentence = (
        f"Nothing stands behind the `{head['sign']}` that begins a block of text: leave `{head['rest'].strip()}` out."
    )
    return Slip(sentence, line, head.start("rest") + 1)


def _alias(lines: list[str], said: str, line: int, column: int) -> Slip | None:
    """`*name` without its `&name` above."""
    name = _ALIAS.match(lines[line - 1], column - 1) if "found undefined alias" in said else None
    if name is None:
        return None
    anchors = {found[1]: number for number, one in enumerate(lines, 1) for found in _ANCHOR.finditer(one)}
    near = get_close_matches(name[1], anchors, n=1)
    advice = f"did you mean `*{near[0]}`?" if near else "put text that starts with `*` in quotes."
    if name[1] in anchors:
        advice = f"`&{name[1]}` stands below, in line {anchors[name[1]]}: an anchor stands above its aliases."
    return Slip(f"The alias `*{name[1]}` names no anchor above it; {advice}", line, column)


def _anchor(lines: list[str], said: str, line: int, column: int) -> Slip | None:
    """`&name` for the second time."""
    name = _ANCHOR.match(lines[line - 1], column - 1) if "found duplicate anchor" in said else None
    if name is None:
        return None
    above = (number for number, one in enumerate(lines, 1) for found in _ANCHOR.finditer(one) if found[1] == name[1])
    said = f"The anchor `&{name[1]}` is given twice; it stands in line {next(above)} already. Rename one of them."
    return Slip(said, line, column)


def _behind_value(lines: list[str], said: str, line: int, column: int) -> Slip | None:
    """Text behind a value that has ended: `message: [draft] hello`, `message: 'a' b`."""
    begun = _BRACKETED.match(lines[line - 1]) if line <= len(lines) else None
    ended = "did not find expected key" in said or "did not find expected '-' indicator" in said
    if begun is None or not ended or column <= begun.end():
        return None
    before = lines[line - 1][: column - 1]
    if begun["opens"] == "'" and before.endswith("'") and before[:-1][-1:].isalpha():
        return Slip("A `'` inside of '…' is written `''`; or put the text in \"…\".", line, column - 1)
    if begun["opens"] == '"' and before.rstrip().endswith('"') and lines[line - 1].rstrip().endswith('"'):
        return Slip('A `"` inside of "…" is written `\\"`; or put the text in \'…\'.', line, len(before.rstrip()))
    sentence = f"The value that `{begun['opens']}` opens has ended before this; put the whole value in quotes."
    return Slip(sentence, line, column)


def _without_colon(lines: list[str], said: str, line: int, column: int) -> Slip | None:
    """A line above that should be a key with its value, and has no colon; or a value with one behind it."""
    if "mapping values are not allowed" in said and line <= len(lines):
        behind = _COLON_BEHIND.fullmatch(lines[line - 1])
        if behind and behind.start("colon") == column - 1:
            sentence = "The `:` at the end makes a key of the value: leave it out, or put the value in quotes."
            return Slip(sentence, line, column)
    above = _before(lines, line)
    word = _WORDS.fullmatch(lines[above - 1]) if above and "mapping values are not allowed" in said else None
    if word is None or _content(lines[above - 1]) != _indent(lines[line - 1]):
        return None
    if word["dash"] and word["key"] not in _KEYS:  # a text in a list
        return None
    return Slip(f"A `:` is missing; write `{word['key']}: {word['value']}`.", above, word.end("key") + 1)


def _unended(lines: list[str], said: str, line: int) -> Slip | None:
    """A bracket that is open where the text ends."""
    if "did not find expected node content" not in said or any(one.strip() for one in lines[line - 1 :]):
        return None
    last = _before(lines, len(lines) + 1)
    opened = max(lines[last - 1].rfind("["), lines[last - 1].rfind("{")) if last else -1
    if opened < 0:
        return None
    if (sign := lines[last - 1].find(" #", opened)) > 0:
        return Slip("Behind a blank a `#` begins a comment: put text that holds one in quotes.", last, sign + 2)
    return Slip(f"A `{lines[last - 1][opened]}` is opened but never closed.", last, opened + 1)


def _indentation(lines: list[str], said: str, line: int) -> Slip | None:
    """A line that begins in a column in which nothing it could belong to begins."""
    above = _before(lines, line)
    if not above or line > len(lines):
        return None
    begins, before = _indent(lines[line - 1]), lines[above - 1]
    if "could not find expected ':'" in said:
        if _BLOCK.fullmatch(before) and begins <= _content(before):
            return Slip("The text of a block is indented deeper than its key.", line, begins + 1)
        opened = _opener(lines, above)
        if opened and _BLOCK.fullmatch(lines[opened - 1]) and begins <= _content(lines[opened - 1]):
            sentence = (
                f"The text that line {opened} begins has ended before this line, which is not indented as deep; "
                f"if it belongs to the text, it begins in column {_indent(before) + 1}."
            )
            return Slip(sentence, line, begins + 1)
    if not any(one in said for one in _OF_INDENTATION):
        return None
    if "'-' indicator" in said and (found := _among_items(lines, line)):
        return found
    if begins > _content(before) and _WITH_VALUE.match(before):
        sentence = (
            "This line is indented deeper than the one above, which has a value already: "
            f"it begins in column {begins + 1}, and the one above in column {_content(before) + 1}."
        )
        return Slip(sentence, line, begins + 1)
    if begins == _content(before) and lines[line - 1].lstrip().startswith("- ") and _WITH_VALUE.match(before):
        sentence = "A list item stands among keys; it begins in the same column as the dashes of the items before."
        return Slip(sentence, line, begins + 1)
    if begins > _content(before) and _OPEN.fullmatch(before):
        return None  # the first line below an open key may begin anywhere deeper than it
    begun = _columns(lines, line)
    if lines[line - 1].lstrip().startswith("- "):  # another item begins where one does
        columns = {column for column in begun if _has_dash(lines[: line - 1], column)} or begun
    else:  # … and another key where one does
        columns = begun & {_content(one) for one in lines[: line - 1]}
    if columns and begins not in begun:
        least = min(abs(column - begins) for column in columns)
        nearest = " or ".join(str(column + 1) for column in sorted(columns) if abs(column - begins) == least)
        sentence = (
            f"This line begins in column {begins + 1}, in which nothing above it begins; "
            f"what belongs together begins in the same column, here probably {nearest}."
        )
        return Slip(sentence, line, begins + 1)
    return None


def _within_block(lines: list[str], said: str, line: int) -> Slip | None:
    """The first of several lines that end a block of text, which goes on below them."""
    opened = next((number for number in range(line - 1, 0, -1) if _BLOCK.fullmatch(lines[number - 1])), 0)
    told = [number for number in range(opened + 1, len(lines) + 1) if lines[number - 1].strip()]
    after = next((number for number in told if number > line), 0)
    if not opened or not after or not any(one in said for one in (_UNENDED, "could not find expected ':'")):
        return None
    begins = _indent(lines[told[0] - 1])
    ended = next((number for number in told if _indent(lines[number - 1]) < begins), line)
    column = _indent(lines[ended - 1])
    is_flow = column in _columns(lines, ended) and (column > 0 or _OF_FLOWS.match(lines[ended - 1]))
    if is_flow or ended >= line or _indent(lines[after - 1]) < begins:
        return None
    sentence = (
        f"The text that line {opened} begins has ended before this line, which is not indented as deep; "
        f"if it belongs to the text, it and those below begin in column {begins + 1}."
    )
    return Slip(sentence, ended, column + 1)


def _among_items(lines: list[str], line: int) -> Slip | None:
    """A key in the column of the dashes above it."""
    key, begins = _KEY.match(lines[line - 1]), _indent(lines[line - 1])
    number = _before(lines, line)
    while number and _indent(lines[number - 1]) > begins:
        number = _before(lines, number)
    item = lines[number - 1] if number else ""
    if key is None or _indent(item) != begins or _content(item) == begins:
        return None
    while number and _indent(lines[number - 1]) >= begins:
        number = _before(lines, number)
    holder = f", one of what holds the list in column {_content(lines[number - 1]) + 1}" if number else ""
    sentence = (
        f"`{key['key']}` begins in the column of the dashes above it: "
        f"a property of the last item begins in column {_content(item) + 1}{holder}."
    )
    return Slip(sentence, line, begins + 1)


def _before(lines: list[str], line: int) -> int:
    """The number of the last line above one that says something; 0 when there is none."""
    for number in range(min(line - 1, len(lines)), 0, -1):
        if (told := lines[number - 1].strip()) and not told.startswith("#"):
            return number
    return 0


def _opener(lines: list[str], number: int) -> int:
    """The number of the line that a line stands deeper than; 0 when there is none."""
    indent = _indent(lines[number - 1])
    while number and _indent(lines[number - 1]) >= indent:
        number = _before(lines, number)
    return number


def _columns(lines: list[str], line: int) -> set[int]:
    """The columns in which what is open above a line begins: keys, and the dashes of lists."""
    found: set[int] = set()
    least = 1 << 30
    number = _before(lines, line)
    while number:
        one = lines[number - 1]
        if _indent(one) < least:
            least = _indent(one)
            found |= {least, _content(one)}
        number = _before(lines, number)
    return found


def _has_dash(lines: list[str], column: int) -> bool:
    return any(one[column : column + 2] == "- " and not one[:column].strip() for one in lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _content(line: str) -> int:
    """The column in which the key of a line begins, behind its dashes."""
    found = _DASHES.match(line)
    return found.end() if found else 0
