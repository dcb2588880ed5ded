"""`from kestra import Kestra`: hand outputs, metrics and log lines from a script to its flow."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


class Kestra:
    """Writes the lines the engine listens for."""

    @staticmethod
    def _send(said: Mapping[str, Any]) -> None:
        sys.stdout.write(f"::{json.dumps(said, default=str)}::\n")
        sys.stdout.flush()

    @staticmethod
    def _metric(name: str, kind: str, value: float, tags: Mapping[str, str] | None) -> None:
        Kestra._send({"metrics": [{"name": name, "type": kind, "value": value, "tags": tags or {}}]})

    @staticmethod
    def outputs(map_: Mapping[str, Any]) -> None:
        """Hand a map on as `outputs.<task>.vars`."""
        Kestra._send({"outputs": map_})

    @staticmethod
    def counter(name: str, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Count something."""
        Kestra._metric(name, "counter", value, tags)

    @staticmethod
    def gauge(name: str, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Record a value as it is now."""
        Kestra._metric(name, "gauge", value, tags)

    @staticmethod
    def timer(name: str, duration: float | Callable[[], Any], tags: Mapping[str, str] | None = None) -> None:
        """Record seconds, or call a function and record how long it took."""
        if callable(duration):
            started = time.time()
            duration()
            duration = time.time() - started
        Kestra._metric(name, "timer", duration, tags)

    @staticmethod
    def assets(map_: Mapping[str, Any]) -> None:
        """Name assets, for those who read them."""
        Kestra._send({"assets": map_})

    @staticmethod
    def logger() -> logging.Logger:
        """A logger whose levels arrive in the execution's log."""
        logger = logging.getLogger("Kestra")
        if not logger.handlers:
            handler = logging.StreamHandler(sys.stdout)
            handler.setFormatter(_Lines())
            logger.addHandler(handler)
            logger.setLevel(logging.DEBUG)
            logger.propagate = False
        return logger


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = {"WARNING": "WARN", "CRITICAL": "ERROR"}.get(record.levelname, record.levelname)
        return f"::{json.dumps({'logs': [{'level': level, 'message': super().format(record)}]})}::"
