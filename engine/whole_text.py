"""Text that UTF-8 can write. JSON from elsewhere may hold half of a character, `"\\ud83d"`, which it can't: a question
mark stands there, as in Java."""


def writable(text: str) -> str:
    """The text without halves of characters."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
