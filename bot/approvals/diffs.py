"""Files that change, as people read them before they decide: a few words, a unified diff cut short, and all of it.
Pure. Names and contents come from anywhere: what would draw itself over other text is shown by its number."""

import difflib
from collections.abc import Iterator, Sequence

from bot.texts import code, listed, plain, shorten
from engine.runtime.foresight import Foreseen, Unknown
from engine.sight import Changes, FileChange

DOCUMENT = "changes.diff"
MAX_DIFF = 1200
MAX_DIFF_LINES = 24
MAX_NAMES = 8
MAX_NAME = 200
MAX_FILES = 500  # in the whole; further ones are counted
MAX_WHOLE = 256 * 1024
NO_END = "\\ No newline at end of file"
JOINER = "\u200d"  # makes one emoji of two
MAX_COMPARED = 4_000  # lines of a file that are compared line by line


def diff(path: str, before: str | None, after: str | None) -> str:
    """How a text would change, as a unified diff in a block of code; "" when it would not. Cut where it is long."""
    if before == after:
        return ""
    return block("\n".join(_lines(path, before, after)))


def block(text: str) -> str:
    """The beginning of a diff as a block of code that nothing in it can end."""
    lines = text.splitlines()
    cut = "\n".join(lines[:MAX_DIFF_LINES])[:MAX_DIFF].replace("```", "'''")
    return f"```\n{cut}{'' if is_short(text) else chr(10) + chr(0x2026)}\n```"


def is_short(text: str) -> bool:
    """Whether a diff fits on a card whole."""
    return len(text) <= MAX_DIFF and text.count("\n") < MAX_DIFF_LINES


def told(foreseen: Sequence[Foreseen]) -> tuple[tuple[str, ...], str]:
    """What a card says of the files that tasks would change, and the whole diff; "" when the card has all of it."""
    parts: list[str] = []
    whole: list[str] = []
    for one in foreseen:
        parts += _said(one)
        whole += [text for text in (_whole(one.task_id, changes) for changes in one.changes) if text]
    text = "\n".join(whole)
    if not text:
        return tuple(parts), ""
    if is_short(text):
        return (*parts, block(text)), ""
    return (*parts, block(text), f"The whole of it is in {code(DOCUMENT)}."), text


def _said(one: Foreseen) -> list[str]:
    task = code(one.task_id, 60)
    if one.problem:
        return [f"{task} would fail: {plain(one.problem, 300)}"]
    if one.unknown is not None:
        return [f"{task} changes files; which, is {_when(one.unknown)}."]
    return [_summary(task, changes) for changes in one.changes]


def _when(unknown: Unknown) -> str:
    return f"known after {listed(unknown.tasks, 2)}" if unknown.tasks else "known when it runs"


def _summary(task: str, changes: Changes) -> str:
    place = f"{code(changes.place, 200)}"
    count = len(changes.files)
    if not count:
        said = f"{task} changes nothing in {place}." if changes.is_told else f"{task} brings what {place} holds."
        return f"{said} {plain(changes.note, 300)}".strip()
    added, removed = map(sum, zip(*(_counts(one) for one in changes.files[:MAX_FILES]), strict=True))
    names = [_named(one) for one in changes.files[:MAX_NAMES]]
    more = f" and {count - MAX_NAMES} more" if count > MAX_NAMES else ""
    lines = f" (+{added} \u2212{removed} lines)" if added or removed else ""
    files = f"{count} file{'s' if count > 1 else ''}"
    return f"{task} changes {files} in {place}{lines}: {', '.join(names)}{more}. {plain(changes.note, 300)}".rstrip()


def _named(one: FileChange) -> str:
    word = "new " if one.before is None else "without " if one.after is None else ""
    return f"{word}{code(visible(one.path), 80)}"


def _counts(one: FileChange) -> tuple[int, int]:
    lines = _texts(one)
    if lines is None:
        return 0, 0
    body = list(_compared(*lines))
    told = [line for line in body if not line.endswith(NO_END)]
    return sum(line.startswith("+") for line in told), sum(line.startswith("-") for line in told)


def _texts(one: FileChange) -> tuple[list[str], list[str]] | None:
    """The lines of a file before and after; None when one of both is no text."""
    if (one.before and one.before.text is None) or (one.after and one.after.text is None):
        return None
    before, after = _sides(one)
    return _split(before), _split(after)


def _sides(one: FileChange) -> tuple[str | None, str | None]:
    return one.before.text if one.before else None, one.after.text if one.after else None


def _split(text: str | None) -> list[str]:
    if not text:
        return []
    lines = visible(text, keep="\n\t").split("\n")
    return lines[:-1] if not lines[-1] else [*lines, NO_END]


def _compared(old: list[str], new: list[str]) -> Iterator[str]:
    """The lines of a unified diff, without its head."""
    if len(old) > MAX_COMPARED or len(new) > MAX_COMPARED:
        yield f"@@ -1,{len(old)} +1,{len(new)} @@"
        yield from (f"-{line}" for line in old)
        yield from (f"+{line}" for line in new)
        return
    yield from list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]


def _lines(path: str, before: str | None, after: str | None) -> Iterator[str]:
    name = shorten(visible(path), MAX_NAME)
    yield f"--- a/{name}" if before is not None else "--- /dev/null"
    yield f"+++ b/{name}" if after is not None else "+++ /dev/null"
    yield from _compared(_split(before), _split(after))


def _whole(task_id: str, changes: Changes) -> str:
    if not changes.files:
        return ""
    lines = [f"# {visible(task_id)}: {visible(changes.place)}"]
    left = MAX_WHOLE
    for number, one in enumerate(changes.files):
        piece = "\n".join(_file(one))
        left -= len(piece)
        if left < 0 or number >= MAX_FILES:
            lines.append(f"# {len(changes.files) - number} further files are not shown.")
            break
        lines.append(piece)
    return "\n".join(lines)


def _file(one: FileChange) -> Iterator[str]:
    texts = _texts(one)
    if texts is not None:
        before_text, after_text = _sides(one)
        yield from _lines(one.path, before_text, after_text)
        if before_text == after_text:
            yield "What is hidden there differs."
        return
    name = shorten(visible(one.path), MAX_NAME)
    before = f"{one.before.size} bytes" if one.before else "not there"
    after = f"{one.after.size} bytes, SHA-256 {one.after.digest[:16]}" if one.after else "gone"
    yield f"Binary or long file {name}: {before} -> {after}"


def visible(text: str, keep: str = "") -> str:
    """The text with everything that has no looks of its own, or turns the direction of others, as `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in keep or one == JOINER or one.isprintable() else f"\\u{ord(one):04x}" for one in text)
