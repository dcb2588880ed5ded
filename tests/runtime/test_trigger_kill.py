"""kill -9 while a trigger that remembers looks: every event starts one execution, and no event is forgotten."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

from engine.runtime import Engine
from engine.settings import Settings
from tests.shared import ROOT
from tests.wire.google import google_service

__all__ = ["google_service"]
MOMENTS = ["before:1", "after:1", "before:2", "after:2", "after:3", "before:4"]


async def test_no_event_is_lost_or_counted_twice(google_service, tmp_path):
    def somebody_adds_an_event() -> None:
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        id_ = f"event{len(google_service.events)}"
        google_service.events[id_] = {"id": id_, "status": "confirmed", "created": at, "updated": at}

    def live(day: int, moment: str) -> int:
        where = [str(tmp_path / "data"), google_service.url]
        command = [sys.executable, "-m", "tests.runtime.dying_trigger", *where, moment, str(day)]
        given = {**os.environ, "PARLEY_SECRET_GOOGLE_SA": google_service.service_account}
        done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (0, -9), done.stderr
        return done.returncode

    google_service.before_listing = somebody_adds_an_event
    assert [live(day, moment) for day, moment in enumerate(MOMENTS)] == [-9] * len(MOMENTS)
    assert live(len(MOMENTS), "never") == 0
    engine = await Engine.open(Settings(data=tmp_path / "data", flows=()))
    try:
        found = await engine.executions(limit=200)
    finally:
        await engine.database.close()
    started = Counter(event["id"] for one in found for event in one.origin.variables["events"])
    assert len(started) >= len(MOMENTS)
    assert started == Counter(google_service.events.keys())
