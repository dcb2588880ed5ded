"""Runs the cases of a test file on the real engine, in a store of their own, with a clock that can jump."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import yaml

from bot.testing.cases import CHECKS, Case, Suite, judge, with_fixtures
from engine.clock import ShiftedClock
from engine.core.execution import Execution, Origin
from engine.core.yaml_text import plain, read
from engine.errors import EngineError, InputInvalid
from engine.plugin import ChatPost
from engine.runtime import Engine
from engine.settings import Settings

LONGEST = 60.0  # seconds of real time a case may take
JUMPS = 200  # timers that may come due in one case


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one case went: no `problems`, and it passed."""

    suite: str
    case: str
    problems: tuple[str, ...] = ()
    skipped: bool = False


class Recorder:
    """A ChatPort that writes messages down."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def post(self, post: ChatPost) -> str:
        """Keep the text."""
        self.messages.append(post.text or str((post.body or {}).get("text") or (post.body or {}).get("content") or ""))
        return str(len(self.messages))

    def origin_channel(self, execution_id: str) -> tuple[str, str] | None:
        """Every run of a test was started from the same room."""
        return ("web", "test")


async def run_suite(suite: Suite, flow_text: str, folders: Sequence[Path]) -> list[Verdict]:
    """A verdict for each case."""
    return [await _run(suite, case, flow_text, folders) for case in suite.test_cases]


async def _run(suite: Suite, case: Case, flow_text: str, folders: Sequence[Path]) -> Verdict:
    if suite.disabled or case.disabled:
        return Verdict(suite.id, case.id, skipped=True)
    fixtures = {fixture.id: fixture for fixture in case.fixtures.tasks}
    document = with_fixtures(plain(read(flow_text)), fixtures)
    with tempfile.TemporaryDirectory(prefix="parley-test-") as folder:
        settings = Settings(data=Path(folder), flows=tuple(folders))
        clock = ShiftedClock(case.now.replace(tzinfo=case.now.tzinfo or UTC) if case.now else None)
        chat = Recorder()
        engine = await Engine.open(settings, clock=clock, chat=chat)
        try:
            await engine.start(watch=False, schedules=False)
            await engine.deploy(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
            problems = await _play(engine, suite, case, chat, Path(folder), clock)
        except InputInvalid as error:
            problems = [f"{wrong.input}: {wrong.message}" for wrong in error.problems]
        except (EngineError, TimeoutError) as error:
            problems = [str(error) or f"It did not end within {LONGEST:g} s."]
        finally:
            await engine.stop(1)
    return Verdict(suite.id, case.id, tuple(problems))


async def _play(
    engine: Engine, suite: Suite, case: Case, chat: Recorder, folder: Path, clock: ShiftedClock
) -> list[str]:
    for name, content in case.fixtures.files.items():
        (folder / Path(name).name).write_text(content, encoding="utf-8")
    given = {
        key: str(folder / Path(value[8:]).name) if isinstance(value, str) and value.startswith("file:///") else value
        for key, value in case.fixtures.inputs.items()
    }
    origin = Origin("test", "test", case.fixtures.trigger) if case.fixtures.trigger else None
    execution = await engine.create(suite.namespace, suite.flow_id, given, started_by="test", origin=origin)
    execution, problems = await _to_its_end(engine, case, execution, clock)
    wanted = case.expect.state
    if wanted is not None and execution.state != wanted:
        problems.append(f"the run must end {wanted}, and ended {execution.state}{await _why(engine, execution)}")
    elif wanted is None and execution.state == "FAILED":
        problems.append(f"the run FAILED{await _why(engine, execution)}; write expect.state: FAILED if it should")
    left = iter(chat.messages)
    for text in case.expect.messages:
        if not any(text in said for said in left):
            problems.append(f"no message (in this order) says {text!r}; said were {chat.messages!r}")
            break
    for assertion in case.assertions:
        operands = {name: getattr(assertion, name) for name in CHECKS if getattr(assertion, name) is not None}
        try:
            got = await engine.render(execution.id, assertion.value)
            meant = {name: await engine.render(execution.id, operand) for name, operand in operands.items()}
        except EngineError as error:
            problems.append(f"{assertion.value}: {error}")
            continue
        if (problem := judge(assertion, got, meant)) is not None:
            problems.append(problem)
    return problems


async def _to_its_end(
    engine: Engine, case: Case, execution: Execution, clock: ShiftedClock
) -> tuple[Execution, list[str]]:
    """Answer pauses and let timers come due until nothing more happens."""
    answers: dict[str, dict[str, Any]] = dict(case.answers)
    for _ in range(JUMPS):
        await _rest(engine)
        execution = await engine.execution(execution.id)
        if execution.state.is_terminal:
            return execution, []
        waiting = await engine.pauses(execution_id=execution.id)
        answered = next((pause for pause in waiting if pause.task_id in answers), None)
        if answered is not None:
            given = answers.pop(answered.task_id)
            await engine.resume(execution.id, given, by="test", task_run_id=answered.task_run_id)
            continue
        if not (due := engine.timers.due()):
            names = ", ".join(pause.task_id for pause in waiting) or "something"
            return execution, [f"{names} waits, and the case has no answer for it"]
        clock.jump_to(due[0][0] + timedelta(milliseconds=1))
    return execution, ["the run waits again and again"]


async def _rest(engine: Engine) -> None:
    """Until nothing goes on: idle for a few looks in a row, since one thing hands over to the next."""
    idle = 0
    async with asyncio.timeout(LONGEST):
        while idle < 5:
            await asyncio.sleep(0.004)
            idle = 0 if engine.is_busy else idle + 1


async def _why(engine: Engine, execution: Execution) -> str:
    lines = await engine.logs(execution.id, level="ERROR", limit=20)
    return f": {lines[-1].message}" if lines else ""
