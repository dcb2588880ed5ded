"""What a script says: lines for the log, and `::{…}::` lines that carry outputs, metrics and log entries."""

import codecs
import json
import re
import sys
from typing import Any, get_args

from engine.plugin import Level, RunContext
from engine.tasks.metrics import record
from engine.tasks.runners import Stream

MARKED = re.compile(r"^::(\{.*\})::$", re.DOTALL)
MAX_LINE = 1 << 20  # a longer line is told in pieces
SWITCHED: dict[str, Level] = {"##kestra:log:debug##": "DEBUG", "##kestra:log:info##": "INFO"}  # of what follows
LEVELS: dict[Stream, Level] = {"stdout": "INFO", "stderr": "ERROR"}


class ScriptOutput:
    """Collects a script's output as it comes; `variables` is what it handed on."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.variables: dict[str, Any] = {}
        self.left = context.settings.scripts.max_output
        self._rests: dict[Stream, str] = {"stdout": "", "stderr": ""}
        decoder = codecs.getincrementaldecoder("utf-8")
        self._levels = dict(LEVELS)
        self._decoders = {name: decoder("replace") for name in self._rests}

    def hear(self, block: bytes, stream: Stream) -> None:
        """Take a piece of output, cut anywhere."""
        text = self._rests[stream] + self._decoders[stream].decode(block)
        *lines, rest = text.split("\n")
        while len(rest) > MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._rests[stream] = rest
        for line in lines:
            self.line(line.removesuffix("\r"), stream)

    def end(self) -> None:
        """Take what is left as last lines."""
        for stream in self._rests:
            if rest := self._rests[stream] + self._decoders[stream].decode(b"", final=True):
                self.line(rest, stream)
            self._rests[stream] = ""

    def line(self, line: str, stream: Stream) -> None:
        """One whole line."""
        if marked := MARKED.match(line.strip()):
            self._read(marked[1])
        elif stream == "stdout" and line.strip() in SWITCHED:
            self._levels[stream] = SWITCHED[line.strip()]
        elif line.strip():
            if len(line) == MAX_LINE and line.startswith("::{"):
                said = (
                    f"Outputs in a line of more than {MAX_LINE:,} characters are not read; write large data in a file."
                )
                self.context.log(said, "WARN")
            self._log(line, self._levels[stream])

    def _log(self, line: str, level: Level) -> None:
        if self.left < 0:
            return
        self.left -= len(line)
        if self.left < 0:
            limit = self.context.settings.scripts.max_output
            said = f"The script wrote more than {limit:,} characters (`scripts.max_output`); the rest is not kept."
            self.context.log(said, "WARN")
            return
        self.context.log(line, level)

    def _read(self, text: str) -> None:
        try:
            said = json.loads(text, parse_constant=_refused)
        except (ValueError, RecursionError) as error:  # also numbers too long, and lists too deep, to be read
            self.context.log(f"Invalid outputs: {error}: {text[:200]}", "WARN")
            return
        outputs = said.get("outputs")
        if isinstance(outputs, dict):
            self.variables.update(outputs)
        for metric in _maps(said.get("metrics")):
            self._metric(metric)
        for entry in _maps(said.get("logs")):
            level = str(entry.get("level", "INFO")).upper()
            self._log(str(entry.get("message", "")), level if level in get_args(Level) else "INFO")  # type: ignore[arg-type]

    def _metric(self, metric: dict[str, Any]) -> None:
        kind, name, value = str(metric.get("type", "counter")), metric.get("name"), metric.get("value")
        if (
            not name
            or isinstance(value, bool)
            or not isinstance(value, int | float)
            or not abs(value) <= sys.float_info.max
            or kind not in ("counter", "timer", "gauge")
        ):
            self.context.log(f"Invalid metric: {metric}", "WARN")
            return
        tags = metric.get("tags")
        record(self.context, kind, str(name), float(value), tags if isinstance(tags, dict) else None)  # type: ignore[arg-type]


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")


def _maps(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
