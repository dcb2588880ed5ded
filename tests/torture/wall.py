"""A clock on the wall of the real process that we can move while it lives: a library that is loaded before all others.

Only that clock is ours: the monotonic one, by which loops, locks and sleeps wait, stays the machine's, and so do the
times of files. That is what happens when somebody sets a clock. (libfaketime can do that, too, but with the 0.9.10 of
Debian 12 every `sleep` of Python 3.11 and later fails once the monotonic clock is left alone.)
"""

import os
import shutil
import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
MISSING = (
    "" if sys.platform == "linux" and shutil.which("cc") else "It takes Linux and a C compiler: `apt install gcc`."
)
MICRO = timedelta(microseconds=1)


class Wall:
    """The clock of a process and its children."""

    def __init__(self, folder: Path, start: datetime) -> None:
        self._library = folder / "wall.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE)], check=True)
        self._file = folder / "wall"
        self._ahead = start - datetime.now(UTC)
        self._file.write_bytes(self._kept())

    def now(self) -> datetime:
        """What it shows."""
        return datetime.now(UTC) + self._ahead

    def move(self, by: timedelta) -> None:
        """Set it ahead, or back."""
        self._ahead += by
        file = os.open(self._file, os.O_WRONLY)  # in place: it is mapped
        os.pwrite(file, self._kept(), 0)
        os.close(file)

    def _kept(self) -> bytes:
        return struct.pack("q", self._ahead // MICRO)

    @property
    def env(self) -> dict[str, str]:
        """What goes by this clock has in its environment."""
        return {"LD_PRELOAD": str(self._library), "WALL_CLOCK": str(self._file)}
