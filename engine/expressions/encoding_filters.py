"""Filters that encode, decode and digest."""

import base64
import binascii
import hashlib
import re
from urllib.parse import quote_plus, unquote_plus

from engine.expressions.allowance import follow, spend
from engine.expressions.failures import fail
from engine.expressions.limits import MAX_TEXT
from engine.expressions.operations import FILTERS
from engine.expressions.printing import java_text
from engine.expressions.text_filters import text_of
from engine.expressions.values import Value

_STRETCH = 100_000  # characters that are encoded at once
_HEX_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@FILTERS.add("base64encode")
def base64_encode(value: Value) -> Value:
    """UTF-8 bytes of the text as base64."""
    return None if value is None else follow(java_text(value), _as_base64)


def _as_base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


@FILTERS.add("base64decode")
def base64_decode(value: Value) -> Value:
    """The text that base64 stands for."""
    if value is None:
        return None
    text = text_of(value, "base64decode")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8", "replace")
    except binascii.Error as error:
        fail(f"'base64decode' was given a text that is not base64: {error}.")


@FILTERS.add("urlencode")
def url_encode(value: Value) -> Value:
    """As in a form: a blank is `+`."""
    if value is None:
        return None
    text = text_of(value, "urlencode")
    spend(len(text) >> 3)
    parts, room = [], MAX_TEXT
    for start in range(0, len(text), _STRETCH):
        one = text[start : start + _STRETCH].encode("utf-8", "replace")
        parts.append(quote_plus(one, safe="*").replace("~", "%7E"))
        room -= len(parts[-1])
        if room < 0:
            fail(f"'urlencode' makes a text of more than {MAX_TEXT:,} characters.")
    return "".join(parts)


@FILTERS.add("urldecode")
def url_decode(value: Value) -> Value:
    """What `urlencode` made, as text."""
    if value is None:
        return None
    text = text_of(value, "urldecode")
    if _HEX_ESCAPE.search(text):
        fail("'urldecode' found a % that two hexadecimal digits do not follow.")
    spend(len(text) >> 3)
    return unquote_plus(text)


def _digest(value: Value, name: str) -> Value:
    if value is None:
        return None
    return hashlib.new(name, text_of(value, name).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


@FILTERS.add("md5")
def md5(value: Value) -> Value:
    """MD5 as hexadecimal digits."""
    return _digest(value, "md5")


@FILTERS.add("sha1")
def sha1(value: Value) -> Value:
    """SHA-1 as hexadecimal digits."""
    return _digest(value, "sha1")


@FILTERS.add("sha256")
def sha256(value: Value) -> Value:
    """SHA-256 as hexadecimal digits."""
    return _digest(value, "sha256")


@FILTERS.add("sha512")
def sha512(value: Value) -> Value:
    """SHA-512 as hexadecimal digits."""
    return _digest(value, "sha512")
