"""Sizes written as text: `512Mb`, `10KiB`, `1GB`."""

import re

from engine.plugin import TaskFailed

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_bytes(text: str) -> int:
    """Bytes of a size; units are powers of 1024, whatever their case. TaskFailed when it is not one."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", str(text), re.IGNORECASE)
    if not found:
        raise TaskFailed(f"{text!r} is not a size.", fix="Write it as `512MB` or `10KB`.")
    return int(float(found[1]) * UNITS[found[2].lower()])
