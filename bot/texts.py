"""What the desk says, by code: one place for every sentence, each of which says what to do next.

Values that people or flows supplied are put into code marks, shortened and kept on one line, so that a value can
neither draw links or mentions nor hide the rest of the sentence.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot.conversation import Action, Notice, Tone

TEXTS: dict[str, str] = {
    "E01": "I don't know {verb}. {guess} Try `/flow help`.",
    "E02": "No flow matches {x}. {closest} `/flow list` shows all you can run.",
    "E03": "{x} fits {n} flows: {list}. Add the namespace.",
    "E04": "You can't {do} {flow}. It needs {role}. Ask {owners}.",
    "E05": "{input} is required. {instead}",
    "E06": "{input}: {value} is not {what}. Example: {example}.",
    "E07": "{input} must be {bounds}; you gave {value}.",
    "E08": "{input}: {value} is not one of {choices}. {guess}",
    "no-choice": "{input}: there is nothing to choose from, for its list is empty now.",
    "E09": "{input}: I read {what}. {value} is neither.",
    "E10": "{input}: JSON breaks at line {l}, column {c}: {why}.",
    "E11": "{flow} has no input {name}. It has: {list}.",
    "E12": "The quote opened at character {n} is never closed.",
    "E13": "{file} is {size}; the limit here is {limit}. Upload it at {link}.",
    "E14": "Don't type secrets in chat. I did not use the value; please delete your message. {instead}",
    "E15": "Slack doesn't allow slash commands in threads. Write `@parley {text}` here.",
    "E16": "I'm not in {channel}. Invite me with `/invite @parley`, then try again. Your input is kept.",
    "unshown": "I can't show {what} in {channel}: {why}",
    "E17": "Run {id} is already {state}; nothing to {verb}.",
    "E18": "Step expired on this form, but your answers are saved. Press Continue.",
    "E19": "Chat is slowing me down ({platform}); {what} in about {s} s. What you asked for is not delayed by it.",
    "E20": "You can't decide this: it needs {approvers}. Ask one of them.",
    "E21": "Already {decided} by {who} {when} on {platform}. Nothing changed.",
    "E22": "You started this run, so someone else must approve it (four eyes). Ask {approver}.",
    "E23": "Your vote is counted: {k} of {n}. Waiting for {m} more. {others}",
    "E24": "This request ended at {time} ({why}); {outcome}. `/flow status {run}` shows the run.",
    "E25": "This card is out of date. {current}",
    "E26": "Something broke on my side (ref {id}). Your {what} was {counted}.",
    "E27": "You are sending more than {n} commands a minute. This one was not done; send it again in {s} s.",
    # Not errors of the list, but the same kind of sentence.
    "no-run": "No run matches {x}. {closest} `/flow status` shows your last one, `/flow list` what you can run.",
    "no-runs": "You have not started a run here yet. `/flow list` shows what you can run.",
    "many-runs": "{x} fits {n} runs: {list}. Type more of the id.",
    "flow-waits": "{flow} is a flow. Of its runs wait: {list}. Name one of them.",
    "no-pause": "{x} waits for no answer. `/flow pending` shows what does.",
    "many-pauses": "Run {x} waits for {n} answers: {list}. Name one of them.",
    "secret": "{what} asks for a secret ({names}), which is never typed in chat. {instead}",
    "secret-later": "this bot has no page to enter it on. Whoever runs the bot sets `web.public_url`, or answers with "
    "the command line.",
    "gone-pause": "I don't know this request: it may be another instance's. `/flow pending` shows what waits here.",
    "gone-flow": "The flow {flow} is no longer there, so its questions can't be drawn. {instead}",
    "unreached": "Your {what} was taken, but I could not bring you my answer. Ask again to see it; `/flow status` and "
    "`/flow pending` show how things stand.",
    "lost-file": "{file} was sent too long ago and is no longer kept. Send it again.",
    "gone-form": "This form is no longer kept. Start again with {command}.",
    "not-yours": "This form belongs to {who}. Start your own with {command}.",
    "handed": "You handed this decision to {who}. Nothing changed. `/flow delegate {run} me` takes it back.",
    "unsure": "I can't tell now whether you may decide this: {why} Nothing changed; press again in a minute.",
    "account-gone": "{platform} says that your account is not there any more, so you can do nothing here.",
    "account-unsure": "I can't tell now whether your account is still there: {why} Nothing was done, and what you "
    "typed in a form is kept. Try again in a minute.",
    "stranger": "You are from another company, so you can't {do} {flow} unless a role names you. "
    "Ask whoever keeps parley.yaml.",
    "own-edit": "You changed this flow last, so someone else must approve it (four eyes). Ask {approver}.",
    "unknown-editor": "Nobody can approve this now: who changed the flow last must not, and {why}. "
    "Commit the flow's file, or set `unknown_editor: allow` in `approvals`.",
    "refused": "{why}",
    "usage": "{what} Usage: {usage}",
}

_ADDRESS = re.compile(r"(https?://[^\s<>|`*\"\\^{}\[\]]{1,1000}[^\s<>|`*\"\\^{}\[\].,;:!?)'_~])")
_SIGNS = re.compile(
    r"([\\`*_\[\]<>~|#&]"
    r"|:(?!\d+:)(?=[\w+'-]{1,100}:)|(?<!\d):(?=\d+:)"  # what may be an emoji's name, and no time of day
    r"|@(?=everyone|here|channel))"
)
_OPENING = re.compile(r"^([ \t]*)([-+=]|\d{1,9}(?=[.)](?:\s|$)))", re.MULTILINE)
_BREAKS = re.compile(r"\s+")
_MARKED = re.compile(r"\\([!-/:-@\[-`{-~])|<(https?://[^\s<>]+)>|`([^`\n]*)`|\*\*|`")


@dataclass(frozen=True, slots=True)
class Answer:
    """A sentence and its code."""

    code: str
    text: str
    tone: Tone = "warning"

    def notice(self, *actions: Action) -> Notice:
        """The private answer that says it."""
        return Notice(self.tone, self.text, actions, self.code if self.code.startswith("E") else "")


def code(value: object, limit: int = 80) -> str:
    """A value inside code marks: on one line, at most `limit` characters, unable to end the marks."""
    text = _BREAKS.sub(" ", str(value)).replace("`", "\u02cb").strip()
    return f"`{shorten(text, limit)}`" if text else "an empty text"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis when something was cut; never inside a joined emoji."""
    if len(text) <= limit:
        return text
    end = limit - 1
    while end > 0 and (text[end] in "\u200d\ufe0f\u20e3" or _joins(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return text[:end].rstrip() + "\u2026"


def _joins(char: str) -> bool:
    """Combining marks and skin tones belong to the character before them."""
    return "\u0300" <= char <= "\u036f" or "\U0001f3fb" <= char <= "\U0001f3ff" or "\u20d0" <= char <= "\u20ff"


def plain(text: str, limit: int = 300) -> str:
    """Text from outside as literal Markdown, on one line: names, values, messages without format."""
    return literal(shorten(_BREAKS.sub(" ", text).strip(), limit))


def literal(text: str) -> str:
    """Text from outside as Markdown that every platform shows as it is, line by line; addresses link to themselves."""
    pieces = _ADDRESS.split(text)
    return "".join(f"<{piece}>" if index % 2 else _escaped(piece) for index, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    return _OPENING.sub(_kept, _SIGNS.sub(r"\\\1", text))


def _kept(found: re.Match[str]) -> str:
    """What would open a list or underline a heading."""
    blank, sign = found.groups()
    return f"{blank}\\{sign}" if sign in "-+=" else f"{blank}{sign}\\"


def fenced(lines: Iterable[str]) -> str:
    """Lines as they are, in a block of code that none of them can end."""
    return "\n".join(("```", *(line.replace("`", "\u02cb") for line in lines), "```"))


def bare(markdown: str) -> str:
    """A sentence of ours without its marks: for logs, programs and terminals."""
    return _MARKED.sub(lambda found: found[found.lastindex or 0] if found.lastindex else "", markdown)


def listed(values: Iterable[str], limit: int = 5) -> str:
    """`a`, `b` and 3 more."""
    every = list(values)
    shown = ", ".join(code(value) for value in every[:limit])
    more = len(every) - limit
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def did_you_mean(guesses: Iterable[str]) -> str:
    """`Did you mean x or y?`, "" without guesses."""
    shown = " or ".join(code(guess) for guess in guesses)
    return f"Did you mean {shown}?" if shown else ""


def answer(code_: str, /, tone: Tone = "warning", **values: object) -> Answer:
    """The sentence of a code with its values put in; blanks left by empty values are closed."""
    text = TEXTS[code_].format_map({name: str(value) for name, value in values.items()})
    return Answer(code_, _BREAKS.sub(" ", text).strip(), tone)
