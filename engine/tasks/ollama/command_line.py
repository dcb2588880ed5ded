"""Reads `ollama run gemma3:1b "…" > out.txt` without a shell: what an expression holds stays one argument. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

SPECIAL = frozenset("|&;()$`*?#!~[]{}\n")  # an unquoted one means the text wants a real shell
ESCAPABLE = frozenset('"\\$`')
KNOWN = frozenset({"run", "pull", "list", "ls", "ps", "show", "rm"})


class NeedsShell(Exception):
    """The command uses something only a shell understands."""


@dataclass(frozen=True, slots=True)
class OllamaCommand:
    """One call of the command line; every text is a template of its own, to be rendered once and used as it is."""

    verb: str
    arguments: tuple[str, ...] = ()
    flags: dict[str, str] = field(default_factory=dict)
    output: str | None = None
    appends: bool = False
    input: str | None = None


def parse(command: str) -> OllamaCommand:
    """The call a command's template describes; NeedsShell when a shell has to read it."""
    words = list(_words(command))
    output = given = None
    appends = False
    plain: list[str] = []
    at = 0
    while at < len(words):
        is_operator, text = words[at]
        if not is_operator:
            plain.append(text)
            at += 1
            continue
        if at + 1 >= len(words) or words[at + 1][0]:
            raise NeedsShell(f"`{text}` names no file")
        if text == "<":
            given = words[at + 1][1]
        else:
            output, appends = words[at + 1][1], text == ">>"
        at += 2
    if len(plain) < 2 or plain[0] != "ollama" or plain[1] not in KNOWN:
        raise NeedsShell("it is not a call of ollama")
    arguments, flags = _flags(plain[2:])
    if plain[1] == "run" and not arguments:
        raise NeedsShell("no model is named")
    return OllamaCommand("list" if plain[1] == "ls" else plain[1], arguments, flags, output, appends, given)


def _flags(words: list[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    flags: dict[str, str] = {}
    arguments: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("--"):
            arguments.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name in ("format", "keepalive") and not equals:
            if at >= len(words):
                raise NeedsShell(f"--{name} has no value")
            value = words[at]
            at += 1
        elif name not in ("format", "keepalive", "verbose", "insecure", "nowordwrap", "hidethinking", "think"):
            raise NeedsShell(f"--{name} is not known")
        flags[name] = value
    return tuple(arguments), flags


def _words(text: str) -> Iterator[tuple[bool, str]]:
    """(is an operator, text) in order; quotes and backslashes are resolved, expressions copied as they are."""
    text = text.strip()
    word: str | None = None
    at = 0
    while at < len(text):
        character = text[at]
        if character in " \t<>":
            if word is not None:
                yield False, word
            if character in "<>":
                operator = _operator(text, at, word)
                yield True, operator
                at += len(operator) - 1
            word, at = None, at + 1
            continue
        piece, at = _piece(text, at)
        word = (word or "") + piece
    if word is not None:
        yield False, word


def _operator(text: str, at: int, before: str | None) -> str:
    if text.startswith(("<<", ">&", ">|"), at) or (before is not None and before.isdigit() and text[at - 1].isdigit()):
        raise NeedsShell("it redirects in a way only a shell knows")
    return ">>" if text.startswith(">>", at) else text[at]


def _piece(text: str, at: int) -> tuple[str, int]:
    """The next piece of a word (an expression, a quoted text, an escaped or plain character), and where it ends."""
    character = text[at]
    if text.startswith("{%", at):
        raise NeedsShell("it has tags")
    if text.startswith("{{", at):
        end = expression_end(text, at)
        return text[at:end], end
    if character in "\"'":
        return _quoted(text, at)
    if character == "\\" and at + 1 < len(text):
        return ("" if text[at + 1] == "\n" else text[at + 1]), at + 2
    if character in SPECIAL:
        raise NeedsShell(f"`{character}` stands unquoted")
    return character, at + 1


def _quoted(text: str, start: int) -> tuple[str, int]:
    """What stands between a quote and its partner, and where it ends."""
    quote, inner, at = text[start], "", start + 1
    while at < len(text):
        character = text[at]
        if character == quote:
            return inner, at + 1
        if quote == '"' and character == "\\" and text[at + 1 : at + 2] in ESCAPABLE:
            piece, at = text[at + 1], at + 2
        elif quote == '"' and character in "$`":
            raise NeedsShell(f"`{character}` stands in double quotes")
        elif text.startswith(("{{", "{%"), at):
            piece, at = _piece(text, at)
        else:
            piece, at = character, at + 1
        inner += piece
    raise NeedsShell("a quote is not closed")


def expression_end(text: str, start: int) -> int:
    """Where the expression that begins with `{{` ends, past strings and maps inside it."""
    depth, quote, at = 0, "", start + 2
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character == "{":
            depth += 1
        elif character == "}":
            if depth == 0 and text.startswith("}}", at):
                return at + 2
            depth -= 1
        at += 1
    raise NeedsShell("an expression is not closed")
