"""Identifiers: 26 characters that sort by the time they were made (ULID, Crockford's alphabet)."""

import secrets
import threading
from datetime import datetime

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_BITS = 80


class Identifiers:
    """Makes identifiers; within one millisecond each is greater than the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._random = b""

    def new(self, now: datetime) -> str:
        """A new identifier for something made at `now`."""
        stamp = int(now.timestamp() * 1000) << RANDOM_BITS
        with self._lock:
            number = stamp | self._bits(RANDOM_BITS)
            if self._last >> RANDOM_BITS >= stamp >> RANDOM_BITS:
                number = self._last + 1 + self._bits(32)
            self._last = number
        return text_of(number)

    def _bits(self, count: int) -> int:
        """Random bits, asked of the system in large pieces because each question costs."""
        if len(self._random) < count // 8:
            self._random = secrets.token_bytes(4096)
        taken, self._random = self._random[: count // 8], self._random[count // 8 :]
        return int.from_bytes(taken, "big")


def text_of(number: int) -> str:
    """26 characters of a 128 bit number."""
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


_identifiers = Identifiers()
new_id = _identifiers.new
