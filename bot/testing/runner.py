"""Runs the cases of a test file on the real engine, in a store of their own, with a clock that can jump."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Literal

import yaml

from bot.testing.cases import Assertion, Case, Suite, TaskFixture, judge, misfits, with_fixtures
from bot.written_flows import WrittenFlow, WrittenFlows
from engine.clock import ShiftedClock
from engine.core.execution import Execution, Origin
from engine.core.flow_source import load
from engine.core.yaml_text import plain
from engine.errors import EngineError, FlowInvalid, InputInvalid, NameMissing, NotFound, TaskFailed
from engine.expressions import Services, render
from engine.files import FileStore
from engine.plugin import ChatPost
from engine.runtime import Engine
from engine.settings import Settings
from engine.tasks import catalogue

LONGEST = 60.0  # seconds of real time a case may take
JUMPS = 1_000  # timers that may come due in one case


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one case went: no `problems`, and it passed."""

    suite: str
    case: str
    problems: tuple[str, ...] = ()
    skipped: bool = False
    seconds: float = 0.0


class Recorder:
    """A ChatPort that writes messages down."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def post(self, post: ChatPost) -> str:
        """Keep the text."""
        self.messages.append(post.text or str((post.body or {}).get("text") or (post.body or {}).get("content") or ""))
        return str(len(self.messages))

    async def call(self, platform: Literal["slack"], method: str, given: Mapping[str, str]) -> Mapping[str, Any]:
        """There is no platform in a test; a fixture says what the task gives."""
        raise TaskFailed(f"No test talks to {platform}.", fix="Give the task a fixture in the test.")

    def origin_channel(self, execution_id: str) -> tuple[str, str] | None:
        """Every run of a test was started from the same room."""
        return ("web", "test")


async def run_suite(suite: Suite, flows: WrittenFlows) -> list[Verdict]:
    """A verdict for each case; NotFound when the flow is in no folder."""
    tested = flows.find(suite.namespace, suite.flow_id)
    if tested is None:
        for file, error in flows.unread(suite.flow_id):
            line = error.problems[0].line if error.problems else 1
            raise FlowInvalid(f"{file}:{line}: {error.message}", fix=f"Test {suite.id} is about this flow.")
        raise NotFound(
            f"Test {suite.id} is about {suite.namespace}/{suite.flow_id}, which is in none of the flow folders.",
            fix="Give its folder with --flows.",
        )
    verdicts = []
    for case in suite.test_cases:
        if suite.disabled or case.disabled:
            verdicts.append(Verdict(suite.id, case.id, skipped=True))
            continue
        began = time.monotonic()
        problems = await _run(suite, case, tested, flows)
        verdicts.append(Verdict(suite.id, case.id, tuple(problems), seconds=time.monotonic() - began))
    return verdicts


async def _run(suite: Suite, case: Case, tested: WrittenFlow, flows: WrittenFlows) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="parley-test-") as name:
        folder = Path(name)
        settings = Settings(data=folder, flows=())
        clock = ShiftedClock(case.now.replace(tzinfo=case.now.tzinfo or UTC) if case.now else None)
        chat = Recorder()
        try:
            flow = load(
                tested.said.placed, catalogue(), file=str(tested.file), globals_defaults=settings.plugin_defaults
            )
            if problems := list(misfits(case, flow)):
                return problems
            seen = _Fixtures(suite, case, folder, clock)
            document = with_fixtures(plain(tested.document), {one.id: one for one in seen.tasks()})
        except EngineError as error:
            return [str(error)]
        engine = await Engine.open(settings, clock=clock, chat=chat)
        try:
            await engine.start(watch=False, schedules=False)
            for neighbour, _ in flows.needed(document):
                await _deploy(engine, neighbour)
            await engine.deploy(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
            return await _play(engine, suite, case, chat, seen, clock)
        except InputInvalid as error:
            return [f"{wrong.input}: {wrong.message}" for wrong in error.problems]
        except (EngineError, TimeoutError) as error:
            return [str(error) or f"It did not end within {LONGEST:g} s."]
        finally:
            await engine.stop(1)


class _Fixtures:
    """What a case starts from, its templates rendered: `files` by name, `now()`, `fileURI()`."""

    def __init__(self, suite: Suite, case: Case, folder: Path, clock: ShiftedClock) -> None:
        self._fixtures = case.fixtures
        self._folder = folder
        store = FileStore(folder / "files")
        files = {}
        for name, content in case.fixtures.files.items():
            files[name] = store.put_namespace_file(suite.namespace, name, content.encode())
            (folder / Path(name).name).write_text(content, encoding="utf-8")
        self._variables = {"files": files, "flow": {"id": suite.flow_id, "namespace": suite.namespace}}
        self._services = Services(now=clock.now, zone=UTC)

    def tasks(self) -> Iterator[TaskFixture]:
        """Stand-ins for tasks."""
        for one in self._fixtures.tasks:
            yield one.model_copy(update={"outputs": self._rendered(one.outputs)})

    def inputs(self) -> Mapping[str, Any]:
        """What the flow is given; `file:///name` is a file of the fixtures."""
        return {
            key: str(self._folder / Path(value[8:]).name) if _is_file(value) else value
            for key, value in self._rendered(self._fixtures.inputs).items()
        }

    def origin(self) -> Origin | None:
        """The trigger that is said to have started it; what expressions see stands in `variables`, or beside its id."""
        if self._fixtures.trigger is None:
            return None
        given = dict(self._rendered(self._fixtures.trigger))
        name, kind = str(given.get("id", "test")), str(given.get("type", "test"))
        variables = given["variables"] if isinstance(given.get("variables"), dict) else given
        return Origin(name, kind, variables)

    def _rendered(self, value: Any) -> Any:
        return render(value, self._variables, self._services)


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("file:///")


async def _deploy(engine: Engine, flow: WrittenFlow) -> None:
    try:
        await engine.deploy(flow.said.text)
    except FlowInvalid:
        return  # whoever calls it is told that it is not there


async def _play(
    engine: Engine, suite: Suite, case: Case, chat: Recorder, seen: _Fixtures, clock: ShiftedClock
) -> list[str]:
    execution = await engine.create(
        suite.namespace, suite.flow_id, seen.inputs(), started_by="test", origin=seen.origin()
    )
    execution, problems = await _to_its_end(engine, case, execution, clock)
    wanted = case.expect.state
    if wanted is not None and execution.state != wanted:
        problems.append(f"the run must end {wanted}, and ended {execution.state}{await _why(engine, execution)}")
    elif wanted is None and execution.state == "FAILED":
        problems.append(f"the run FAILED{await _why(engine, execution)}; write expect.state: FAILED if it should")
    if unsaid := _unsaid(case.expect.messages, chat.messages):
        problems.append(f"{unsaid}{await _why(engine, execution)}")
    for assertion in case.assertions:
        problem = await _judged(engine, execution, assertion)
        if problem is not None:
            problems.append(problem)
    return problems


def _unsaid(wanted: Sequence[str], said: Sequence[str]) -> str:
    left = iter(said)
    for text in wanted:
        if not any(text in one for one in left):
            return f"no message (in this order) says {text!r}; said were {list(said)!r}"
    return ""


async def _judged(engine: Engine, execution: Execution, assertion: Assertion) -> str | None:
    """Why an assertion does not hold of a run; a name that is not there counts as null."""
    run_id = None
    if assertion.task_id is not None:
        run_id = next((key for key, run in execution.task_runs.items() if run.task_id == assertion.task_id), None)
        if run_id is None:
            return assertion.error_message or f"{assertion.value}: the task {assertion.task_id!r} was never started"
    asks_for_null = assertion.is_null is not None or assertion.is_not_null is not None
    try:
        got = await engine.render(execution.id, assertion.value, run_id)
    except NameMissing as error:
        if not asks_for_null or assertion.operands:
            return assertion.error_message or f"{assertion.value}: {error}"
        got = None
    except EngineError as error:
        return assertion.error_message or f"{assertion.value}: {error}"
    try:
        meant = {name: await engine.render(execution.id, one, run_id) for name, one in assertion.operands.items()}
    except EngineError as error:
        return f"{assertion.value}: {error}"
    return judge(assertion, got, meant)


async def _to_its_end(
    engine: Engine, case: Case, execution: Execution, clock: ShiftedClock
) -> tuple[Execution, list[str]]:
    """Answer pauses and let timers come due until nothing more happens."""
    answers = {name: list(given) if isinstance(given, tuple) else [given] for name, given in case.answers.items()}
    for _ in range(JUMPS):
        await _rest(engine)
        execution = await engine.execution(execution.id)
        if execution.state.is_terminal:
            unasked = ", ".join(name for name, left in answers.items() if left)
            return execution, [f"the case has an answer for {unasked}, which never asked"] if unasked else []
        waiting = await engine.pauses(execution_id=execution.id)
        answered = next((pause for pause in waiting if answers.get(pause.task_id)), None)
        if answered is not None:
            given = answers[answered.task_id].pop(0)
            await engine.resume(execution.id, given, by="test", task_run_id=answered.task_run_id, local_files=True)
            continue
        if not (due := engine.timers.due()):
            names = ", ".join(pause.task_id for pause in waiting) or "something"
            return execution, [f"{names} waits, and the case has no answer for it"]
        clock.jump_to(due[0][0] + timedelta(milliseconds=1))
    said = f"it still waits after {JUMPS} timers, when its clock says {clock.now():%Y-%m-%d %H:%M} UTC"
    return execution, [f"{said}; give what it waits for a fixture that ends it"]


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
