"""What a model wrote, made fit to be shown: it is data, however it reads. Pure."""

import re

from bot.commands.references import short
from bot.conversation import Action, Notice
from bot.texts import code, fenced, literal, shorten
from engine.store.chat_explanations import Explanation

MAX_ANSWER = 2400  # characters; it was asked for 150 words
MAX_ADDRESS = 200
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_BULLET = re.compile(r"^\s*[-*+\u2022]\s+")
_HEADING = re.compile(r"^\s*#{1,6}\s+")
_MARKED = re.compile(
    r"`([^`\n]+)`|((?:[a-z][a-z0-9+.-]*://|mailto:|tel:|www\.)[^\s<>`\"']*[^\s<>`\"'.,;:!?)\]*])", re.IGNORECASE
)
_STRONG = re.compile(r"\*\*|__")


def bounded(text: str) -> str:
    """A model's answer as it is kept: without what can't be seen, at most so long; "" when it says nothing."""
    return shorten(_UNSEEN.sub("", text.replace("\r\n", "\n")).strip(), MAX_ANSWER)


def as_markdown(text: str) -> str:
    """The answer in our Markdown: its points, names in code marks, blocks of code, and all else literally. An address
    stands in code marks, so that it leads nowhere: whoever wrote the log may have wanted it there."""
    lines: list[str] = []
    block: list[str] | None = None
    for line in text.split("\n"):
        if _FENCE.match(line):
            if block is None:
                block = []
            else:
                lines += [fenced(block)] if block else []
                block = None
        elif block is not None:
            block.append(line)
        elif _BULLET.match(line):
            lines.append(f"- {_inline(_BULLET.sub('', line))}")
        elif line.strip() or (lines and lines[-1]):
            lines.append(_inline(_HEADING.sub("", line.strip())))
    if block:
        lines.append(fenced(block))
    return "\n".join(lines).strip()


def _inline(line: str) -> str:
    made, at = [], 0
    for found in _MARKED.finditer(line):
        made += [_literal(line[at : found.start()]), code(found[1] or found[2], MAX_ADDRESS)]
        at = found.end()
    return "".join([*made, _literal(line[at:])])


def _literal(text: str) -> str:
    return literal(_STRONG.sub("", text))


def explained(one: Explanation, flow_id: str, *actions: Action) -> Notice:
    """The explanation as everybody sees it who may see the log: marked as what it is."""
    head = f"**Why run {code(short(one.execution_id))} of {code(flow_id)} failed**, as a model sees it:"
    return Notice("info", f"{head}\n\n{as_markdown(one.text)}\n\n{by(one.model)}", actions)


def by(model: str) -> str:
    """Who wrote it, and what that is worth."""
    return f"Written by the model {code(model)} from the log and the flow. It may be wrong: check before you act on it."


def unexplained(one: Explanation, flow_id: str, *actions: Action) -> Notice:
    """Why there is no explanation."""
    head = f"Run {code(short(one.execution_id))} of {code(flow_id)} could not be explained:"
    return Notice("warning", f"{head} {one.text}", actions)


def asking(one: Explanation, flow_id: str) -> Notice:
    """What is said at once."""
    what = f"Asking {code(one.model)} why run {code(short(one.execution_id))} of {code(flow_id)} failed."
    return Notice("info", f"{what} The answer comes to you here, and stands on the page of the run.")
