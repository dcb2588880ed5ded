"""The real program as a child process, as a stranger would start it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path


class Parley:
    """`parley …` running; `url` once it printed `ready URL`."""

    def __init__(
        self, arguments: Sequence[str], cwd: Path, env: dict[str, str] | None = None, program: Sequence[str] = ()
    ):
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "DISCORD_", "PARLEY_"))
        }
        self.process = subprocess.Popen(
            [*(program or (sys.executable, "-m", "bot")), *arguments],
            cwd=cwd,
            env={
                **clean,
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2])] if not program else []),
                **(env or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.printed: list[str] = []
        self._ready = threading.Event()
        self.url = ""
        self._readers = [
            threading.Thread(target=self._read_errors, daemon=True),
            threading.Thread(target=self._read_output, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_errors(self) -> None:
        assert self.process.stderr
        self.said.extend(self.process.stderr)

    def _read_output(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed.append(line)
            if line.startswith("ready "):
                self.url = line.split()[1]
                self._ready.set()
        self._ready.set()

    def ready(self, timeout: float = 30) -> str:
        """The page's address; an AssertionError with what it said when it did not come up."""
        assert self._ready.wait(timeout), "".join(self.said)
        assert self.url, "".join(self.said)
        return self.url

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Send a signal to this process and wait for its end; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return status
