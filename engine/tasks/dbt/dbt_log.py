"""What dbt says while it runs: lines of JSON, told at their level, counted, and where it is wanted sent elsewhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal

from engine.errors import EngineError
from engine.plugin import Level, Part, Property, RunContext
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.outbound import send
from engine.tasks.property_types import Text
from engine.tasks.runners import Stream
from engine.tasks.script_output import ScriptOutput

LEVELS: dict[str, Level] = {"debug": "DEBUG", "info": "INFO", "warn": "WARN", "warning": "WARN", "error": "ERROR"}
MOST_ALERTS = 20
PATIENCE = timedelta(seconds=5)
OPTIONS = HttpOptions(timeout=Timeouts(connect_timeout=PATIENCE, read_idle_timeout=PATIENCE))


class AlertWebhook(Part):
    """Where warnings and errors go as they come."""

    url: Property[Text]
    level: Property[Literal["WARN", "ERROR"]] = "WARN"


class Alerts:
    """Posts each distinct warning or error of a run, at most 20 of them; what goes wrong with that harms nobody."""

    def __init__(self, context: RunContext, webhook: AlertWebhook) -> None:
        self._context, self._webhook = context, webhook
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._seen: set[tuple[str, ...]] = set()
        self._left_out = 0

    def note(self, level: Level, info: dict[str, Any], node: str | None) -> None:
        """Take one line, from any thread; one that is too mild, or known, is left out."""
        if level not in ("WARN", "ERROR") or (level == "WARN" and self._webhook.level == "ERROR"):
            return
        said, kind = self._context.hidden(str(info.get("msg") or "")), str(info.get("name") or "")
        key = (level, node) if node else (level, kind, said)
        if key in self._seen:
            return
        self._seen.add(key)
        if len(self._seen) > MOST_ALERTS:
            self._left_out += 1
            return
        context = self._context
        about = {"node": node, "type": kind, "msg": said, "ts": info.get("ts")}
        about |= {"namespace": context.namespace, "flowId": context.flow_id, "executionId": context.execution_id}
        about["taskId"] = context.task_id
        word = level.lower()
        text = f"{word} {node}: {said}" if node else f"{word}: {said}"
        alert = {"text": text, "level": word, **{name: value for name, value in about.items() if value}}
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, alert)

    async def send(self) -> None:
        """Post what comes until nothing more does."""
        while (alert := await self._waiting.get()) is not None:
            try:
                await send(self._context, "POST", self._webhook.url, options=OPTIONS, json=alert)
            except EngineError as error:  # which may hold the address, and that a key
                self._context.log(f"An alert was not sent: {type(error).__name__}.", "DEBUG")

    def end(self) -> None:
        """Nothing more comes."""
        if self._left_out:
            said = f"{self._left_out} more dbt warnings/errors suppressed"
            self._waiting.put_nowait({"text": said, "level": self._webhook.level.lower()})
        self._waiting.put_nowait(None)


@asynccontextmanager
async def alerting(context: RunContext, webhook: AlertWebhook | None) -> AsyncIterator[Alerts | None]:
    """Alerts that are sent as they come; those that are left at the end have five seconds more."""
    if webhook is None:
        yield None
        return
    context.mask(webhook.url)
    alerts = Alerts(context, webhook)
    sending = asyncio.create_task(alerts.send())
    try:
        yield alerts
    finally:
        await asyncio.sleep(0)  # lines of other threads
        alerts.end()
        await asyncio.wait([sending], timeout=PATIENCE.total_seconds())
        sending.cancel()


class DbtOutput(ScriptOutput):
    """Reads dbt's lines; what is no JSON of dbt stays as it is."""

    def __init__(self, context: RunContext, alerts: Alerts | None = None) -> None:
        super().__init__(context)
        self.is_warned = False
        self._alerts = alerts

    def line(self, line: str, stream: Stream) -> None:
        """One whole line."""
        found = _entry(line)
        if found is None:
            super().line(line, stream)
            return
        info, data = found
        level = LEVELS.get(str(info.get("level")).lower(), "ERROR")
        self.is_warned = self.is_warned or level == "WARN"
        if said := str(info.get("msg") or "").strip():
            self._log(said, level)
        stats = data.get("stats")
        for name, count in stats.items() if isinstance(stats, dict) else ():
            if isinstance(count, int) and not isinstance(count, bool):
                self.context.metric(f"log.stats.{name}", count)
        node = data.get("node_info")
        if self._alerts:
            name = node.get("unique_id") if isinstance(node, dict) else None
            self._alerts.note(level, info, str(name) if name else None)


def _entry(line: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What a line of dbt says and what about; None when it is none. Older dbt has both in one map."""
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    info = found.get("info", found) if isinstance(found, dict) else None
    if not isinstance(info, dict) or not isinstance(info.get("level"), str) or "msg" not in info:
        return None
    data = found.get("data")
    return info, data if isinstance(data, dict) else {}
