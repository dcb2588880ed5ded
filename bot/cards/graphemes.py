"""Cutting text where a reader sees a boundary: never inside an emoji, a flag, an accented letter or a syllable."""

import unicodedata
from collections.abc import Iterator

ELLIPSIS = "…"
_ZWJ = "\u200d"
# Marks that turn the direction of what follows; cut apart or left open they would reorder the rest of the message.
_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_CONTROLS = dict.fromkeys([*(code for code in range(0x20) if chr(code) not in "\n\t"), *range(0x7F, 0xA0)])
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_UNSAFE = {**_TURNS, **_CONTROLS, **_SURROGATES}


def clean(text: str) -> str:
    """Text that Discord takes and that cannot reorder its surroundings: no controls, no direction overrides."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_UNSAFE)


def paired(text: str) -> str:
    """Text without halves of a surrogate pair, which no platform takes."""
    return text.translate(_SURROGATES)


def is_blank(text: str) -> bool:
    """Whether a reader would see nothing."""
    return all(character.isspace() or unicodedata.category(character) in {"Cf", "Cc", "Mn"} for character in text)


def size(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def clusters(text: str) -> Iterator[str]:
    """What a reader takes for one character each."""
    start = 0
    flags = 0  # regional indicators seen in the current cluster
    for at in range(1, len(text) + 1):
        if at < len(text):
            flags = flags + 1 if _is_flag(text[at - 1]) else 0
            if _sticks(text[at - 1], text[at], flags):
                continue
        yield text[start:at]
        start, flags = at, 0


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _sticks(before: str, character: str, flags: int) -> bool:
    if character < "\u0300":
        return before == "\r" and character == "\n"
    if _is_flag(character):
        return flags % 2 == 1
    if (
        unicodedata.category(character) in {"Mn", "Me", "Mc"}
        or character in "\u200c\u200d\uff9e\uff9f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags of regional flags
    ):
        return before not in "\r\n"
    if before == _ZWJ:
        return True
    if unicodedata.combining(before) == 9 and unicodedata.category(character) == "Lo":
        return True  # a virama joins the next consonant
    if "\u1160" <= character <= "\u11ff":  # Hangul vowels and finals
        return "\u1100" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3"
    return False


def cut(text: str, limit: int) -> tuple[str, str]:
    """The front that fits into `limit` units, and the rest; both together are the text."""
    if size(text) <= limit:
        return text, ""
    used = at = 0
    for cluster in clusters(text):
        width = size(cluster)
        if used + width > limit:
            break
        used += width
        at += len(cluster)
    if at == 0 and limit > 1:  # one monstrous cluster: cut it all the same
        while used + size(text[at]) <= limit:
            used += size(text[at])
            at += 1
    return text[:at], text[at:]


def shorten(text: str, limit: int) -> str:
    """The text, or its front with an ellipsis, in `limit` units."""
    if size(text) <= limit:
        return text
    return cut(text, limit - 1)[0].rstrip() + ELLIPSIS


def line(text: str) -> str:
    """One clean line: labels and titles have no room for more."""
    return " ".join(clean(text).split())
