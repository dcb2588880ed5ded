"""Functions that need nothing but their arguments: numbers, ranges, ids, encryption."""

import base64
import binascii
import os
import secrets
import time
import uuid as uuids
from functools import reduce
from typing import TYPE_CHECKING, Final

from engine.expressions.allowance import excerpt, spend
from engine.expressions.failures import fail, kind
from engine.expressions.frame import Frame
from engine.expressions.limits import MAX_CALLS
from engine.expressions.operations import FUNCTIONS, REST
from engine.expressions.operators import span
from engine.expressions.printing import java_text
from engine.expressions.values import Value, is_number

if TYPE_CHECKING:  # loaded by the first expression that encrypts
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NANO: Final = "_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MAX_ID: Final = 1_000
_NONCE: Final = 12


def _numbers(values: tuple[Value, ...], name: str) -> list[Value]:
    found = [value for value in values if value is not None]
    for value in found:
        if not is_number(value):
            fail(f"{name}() compares numbers, but one argument is {kind(value)}.", "Read texts with `| number` first.")
    return found


@FUNCTIONS.add("max", REST)
def max_(*values: Value) -> Value:
    """The largest number; null when there is none."""
    found = _numbers(values, "max")
    return reduce(lambda a, b: a if a >= b else b, found) if found else None


@FUNCTIONS.add("min", REST)
def min_(*values: Value) -> Value:
    """The smallest number; null when there is none."""
    found = _numbers(values, "min")
    return reduce(lambda a, b: a if a <= b else b, found) if found else None


@FUNCTIONS.add("range", "start", "end", "increment", increment=1)
def range_(start: Value, end: Value, increment: Value) -> list[Value]:
    """`range(1, 3)` → [1,2,3]; letters, too."""
    return span(start, end, 1 if increment is None else increment)


@FUNCTIONS.add("block", "name", contextual=True)
def block(frame: Frame, name: Value) -> str:
    """What a block of the template prints."""
    body = frame.blocks.get(name) if isinstance(name, str) else None
    if body is None:
        fail(f"There is no block {excerpt(java_text(name), 40)!r}.", "Define it with {% block name %}…{% endblock %}.")
    frame.calls += 1
    if frame.calls > MAX_CALLS:
        fail("Blocks print each other without end.")
    out: list[Value] = []
    recording, typed = frame.recording, frame.typed
    frame.recording = frame.typed = False
    try:
        body(frame, out)
    finally:
        frame.recording, frame.typed = recording, typed
        frame.calls -= 1
    return "".join(out)


@FUNCTIONS.add("parent")
def parent() -> Value:
    """Never works: templates do not extend others."""
    fail("parent() is not available: a template does not extend another.")


@FUNCTIONS.add("uuid", cost=20)
def uuid() -> str:
    """A new UUID that sorts by time."""
    stamp = time.time_ns() // 1_000_000
    value = (stamp << 80) | (0x7 << 76) | (secrets.randbits(12) << 64) | (0b10 << 62) | secrets.randbits(62)
    return str(uuids.UUID(int=value))


def _base62(value: int, length: int) -> str:
    found = ""
    for _ in range(length):
        value, digit = divmod(value, 62)
        found = _BASE62[digit] + found
    return found


@FUNCTIONS.add("id", cost=20)
def id_() -> str:
    """A new id of 22 letters and digits."""
    return _base62(secrets.randbits(128), 22)


@FUNCTIONS.add("ksuid", cost=20)
def ksuid() -> str:
    """A new id of 27 letters and digits that sorts by time."""
    return _base62(((int(time.time()) - 1_400_000_000) << 128) | secrets.randbits(128), 27)


@FUNCTIONS.add("nanoId", "length", "alphabet", length=21, alphabet=_NANO)
def nano_id(length: Value, alphabet: Value) -> str:
    """A new id of some length and alphabet."""
    size = 21 if length is None else length
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _MAX_ID:
        fail(f"nanoId() makes ids of 1 to {_MAX_ID} characters.")
    spend(size)
    letters = _NANO if alphabet is None else alphabet
    if not isinstance(letters, str) or not letters:
        fail("nanoId() takes a text as alphabet.")
    return "".join(secrets.choice(letters) for _ in range(size))


@FUNCTIONS.add("randomInt", "lower", "upper")
def random_int(lower: Value, upper: Value) -> int:
    """A random integer from `lower` to below `upper`; `lower` when both are the same."""
    for value in (lower, upper):
        if not isinstance(value, int) or isinstance(value, bool):
            fail(f"randomInt() takes integers, not {kind(value)}.")
    if upper < lower:
        fail("randomInt() needs an upper bound that is not below the lower one.")
    return int(lower + secrets.randbelow(max(upper - lower, 1)))


@FUNCTIONS.add("randomPort", contextual=True)
def random_port(frame: Frame) -> int:
    """A port that is free on this machine."""
    return int(frame.services.random_port())


def _cipher(key: Value, name: str) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    if not isinstance(key, str):
        fail(f"{name}() takes a base64 text as key, not {kind(key)}.")
    try:
        return AESGCM(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        fail(
            f"{name}() was given a key that is not 16, 24 or 32 bytes of base64."
        )  # the key itself stays out of errors


@FUNCTIONS.add("encrypt", "key", "plaintext", cost=20)
def encrypt(key: Value, plaintext: Value) -> Value:
    """AES-GCM of a text, as base64; nothing stays nothing."""
    if plaintext is None or plaintext == "":
        return plaintext
    nonce = os.urandom(_NONCE)
    return base64.b64encode(
        nonce + _cipher(key, "encrypt").encrypt(nonce, java_text(plaintext).encode(), None)
    ).decode()


@FUNCTIONS.add("decrypt", "key", "encrypted", cost=20)
def decrypt(key: Value, encrypted: Value) -> Value:
    """The text that encrypt() was given."""
    if encrypted is None or encrypted == "":
        return encrypted
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    if not isinstance(encrypted, str):
        fail(f"decrypt() takes a text, not {kind(encrypted)}.")
    cipher = _cipher(key, "decrypt")
    try:
        found = base64.b64decode(encrypted, validate=True)
        return cipher.decrypt(found[:_NONCE], found[_NONCE:], None).decode()
    except (binascii.Error, ValueError, InvalidTag):
        fail("decrypt() cannot read the text with this key.", "Check that encrypt() made it with the same key.")
