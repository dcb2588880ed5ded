"""Files that change, as people read them before they decide: a few words, a unified diff cut short, and all of it.
Pure. Names and contents come from anywhere: what would draw itself over other text is shown by its number."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
MAX_COMPARED = 4_000  # lines of a file that are compared line by line, and lines that differ in all files together


def diff(path: str, before: str | None, after: str | None) -> str:
    """How a text would change, as a unified diff in a block of code; "" when it would not. Cut where it is long."""
    if before == after:
        return ""
    body = _compared(_split(before), _split(after), Patience())
    return block("\n".join([*_head(path, before, after), *body]))


def block(text: str) -> str:
    """The beginning of a diff as a block of code that nothing in it can end."""
    lines = text.splitlines()
    cut = "\n".join(lines[:MAX_DIFF_LINES])[:MAX_DIFF].replace("```", "'''")
    return f"```\n{cut}{'' if is_short(text) else chr(10) + chr(0x2026)}\n```"


def is_short(text: str) -> bool:
    """Whether a diff fits on a card whole."""
    return len(text) <= MAX_DIFF and text.count("\n") < MAX_DIFF_LINES


def told(foreseen: Sequence[Foreseen]) -> tuple[tuple[str, ...], str]:
    """What a card says of the files that tasks would change, and the whole diff; "" when the card has all of it.

    May take a second of work: call it in a thread.
    """
    parts: list[str] = []
    whole: list[str] = []
    patience = Patience()
    for one in foreseen:
        task = code(one.task_id, 60)
        if one.problem:
            parts.append(f"{task} would fail: {plain(one.problem, 300)}")
        elif one.unknown is not None:
            parts.append(f"{task} changes files; which, is {_when(one.unknown)}.")
        for changes in one.changes if not one.problem and one.unknown is None else ():
            drawn = _drawn(one.task_id, changes, patience)
            parts.append(_summary(task, changes, drawn))
            whole += [drawn.text] if drawn.text else []
    text = "\n".join(whole)
    if not text:
        return tuple(parts), ""
    if is_short(text):
        return (*parts, block(text)), ""
    return (*parts, block(text), f"The whole of it is in {code(DOCUMENT)}."), text


@dataclass
class Patience:
    """How much is still compared line by line; what is more is shown as gone and come.

    Comparing costs by what lies between the first line that differs and the last: all else is nearly free.
    """

    left: int = MAX_COMPARED

    def allows(self, old: Sequence[str], new: Sequence[str]) -> bool:
        """Whether these two may be compared; then they count."""
        longest = max(len(old), len(new))
        if longest > MAX_COMPARED:
            return False
        same = _alike(old, new)
        same += _alike(old[same:][::-1], new[same:][::-1])
        if longest - same > self.left:
            return False
        self.left -= longest - same
        return True


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same from the beginning."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(old), len(new)))


@dataclass(frozen=True, slots=True)
class Drawn:
    """The diff of one place, and how many lines it adds and takes away."""

    text: str = ""
    added: int = 0
    removed: int = 0


def _when(unknown: Unknown) -> str:
    return f"known after {listed(unknown.tasks, 2)}" if unknown.tasks else "known when it runs"


def _summary(task: str, changes: Changes, drawn: Drawn) -> str:
    place = f"{code(changes.place, 200)}"
    count = len(changes.files)
    if not count:
        said = f"{task} changes nothing in {place}." if changes.is_told else f"{task} brings what {place} holds."
        return f"{said} {plain(changes.note, 300)}".strip()
    names = [_named(one) for one in changes.files[:MAX_NAMES]]
    more = f" and {count - MAX_NAMES} more" if count > MAX_NAMES else ""
    lines = f" (+{drawn.added} \u2212{drawn.removed} lines)" if drawn.added or drawn.removed else ""
    files = f"{count} file{'s' if count > 1 else ''}"
    return f"{task} changes {files} in {place}{lines}: {', '.join(names)}{more}. {plain(changes.note, 300)}".rstrip()


def _named(one: FileChange) -> str:
    word = "new " if one.before is None else "without " if one.after is None else ""
    return f"{word}{code(visible(one.path), 80)}"


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


def _compared(old: list[str], new: list[str], patience: Patience) -> list[str]:
    """The lines of a unified diff, without its head."""
    if patience.allows(old, new):
        return list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]
    return [f"@@ -1,{len(old)} +1,{len(new)} @@", *(f"-{line}" for line in old), *(f"+{line}" for line in new)]


def _head(path: str, before: str | None, after: str | None) -> list[str]:
    name = shorten(visible(path), MAX_NAME)
    return [
        f"--- a/{name}" if before is not None else "--- /dev/null",
        f"+++ b/{name}" if after is not None else "+++ /dev/null",
    ]


def _drawn(task_id: str, changes: Changes, patience: Patience) -> Drawn:
    if not changes.files:
        return Drawn()
    lines = [f"# {visible(task_id)}: {visible(changes.place)}"]
    added = removed = shown = size = 0
    for one in changes.files[:MAX_FILES]:
        texts = _texts(one)
        body = _compared(*texts, patience) if texts is not None else []
        counted = [line[:1] for line in body if not line.endswith(NO_END)]
        added, removed = added + counted.count("+"), removed + counted.count("-")
        if size <= MAX_WHOLE:
            piece = "\n".join(_file(one, body if texts is not None else None))
            size += len(piece)
            if size <= MAX_WHOLE:
                lines.append(piece)
                shown += 1
    if shown < len(changes.files):
        lines.append(f"# {len(changes.files) - shown} further files are not shown.")
    return Drawn("\n".join(lines), added, removed)


def _file(one: FileChange, body: Sequence[str] | None) -> Iterator[str]:
    """A file with the lines that differ; None when it is no text."""
    if body is not None:
        before_text, after_text = _sides(one)
        yield from _head(one.path, before_text, after_text)
        yield from body
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
