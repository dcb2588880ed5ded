"""Runs engine cases through the Engine on a temporary SQLite file; only the clock is replaced."""

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from engine.clock import ShiftedClock
from engine.core.execution import Execution
from engine.core.state import State
from engine.runtime import Engine
from engine.settings import Settings

IGNORED = frozenset({"id", "kind", "source", "since", "derived", "note", "notes", "tags"})
PATIENCE = 30.0  # seconds a case may take
JUMPS = 3000


class Unlike(AssertionError):
    """The case does not hold; the text says what was expected and what came."""


class Trial:
    """One case on an engine of its own."""

    def __init__(self, engine: Engine, clock: ShiftedClock) -> None:
        self.engine = engine
        self.clock = clock
        self.names: dict[str, str] = {}

    async def deploy(self, document: Mapping[str, Any]) -> None:
        """Deploy a flow given as a mapping."""
        await self.engine.deploy(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True))

    async def start(
        self, document: Mapping[str, Any], inputs: Mapping[str, Any], labels: Mapping[str, Any]
    ) -> Execution:
        """Start an execution of a deployed flow."""
        given = tuple((key, str(value)) for key, value in labels.items())
        made = await self.engine.create(document["namespace"], document["id"], inputs, started_by="case", labels=given)
        self.names.setdefault("<execution.id>", made.id)
        self.names.setdefault("<root.execution.id>", made.id)
        self.names.setdefault("<original>", made.id)
        self.names[f"<{document['id']}.execution.id>"] = made.id
        return made

    async def quiet(self) -> None:
        """Wait until nothing is going on."""
        for _ in range(100_000):
            if not self.engine.is_busy:
                return
            await asyncio.sleep(0.002)
        raise Unlike("the engine never came to rest")

    async def settle(self, execution_id: str) -> Execution:
        """Let time pass until an execution neither runs nor retries; pauses stay open."""
        for _ in range(JUMPS):
            await self.quiet()
            execution = await self.engine.decider.current(execution_id)
            done = execution.state.is_terminal
            due = [(at, key) for at, key in self.engine.timers.due() if passes(key, done)]
            if not due:
                return execution
            self.clock.jump_to(due[0][0])
            await asyncio.sleep(0)
            while any(key == due[0][1] and at == due[0][0] for at, key in self.engine.timers.due()):
                await asyncio.sleep(0.001)
        raise Unlike("time never ended")

    async def pass_pause(self, execution_id: str) -> None:
        """Let time pass until the next timer of a pause fires, if there is one."""
        due = [(at, key) for at, key in self.engine.timers.due() if ":pause:" in key]
        if due:
            self.clock.jump_to(due[0][0])
            while due[0] in self.engine.timers.due():
                await asyncio.sleep(0.001)
        await self.settle(execution_id)

    def known(self, value: Any) -> Any:
        """An expected value with ids put in."""
        if isinstance(value, str):
            for name, actual in self.names.items():
                value = value.replace(name, actual)
            return value
        if isinstance(value, Mapping):
            return {self.known(key): self.known(item) for key, item in value.items()}
        return [self.known(item) for item in value] if isinstance(value, list) else value


def passes(timer: str, done: bool) -> bool:
    """Whether time is let pass for a timer without anybody asking."""
    return ":pause:" not in timer and not (done and ":sla:" in timer)


@asynccontextmanager
async def trial(start: datetime | None = None, **settings: Any):
    """A trial on a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="parley-case-") as folder:
        clock = ShiftedClock(start)
        given = Settings(data=Path(folder), flows=(Path(folder) / "flows",), **settings)
        engine = await Engine.open(given, clock=clock)
        try:
            await engine.start(watch=False)
            yield Trial(engine, clock)
        finally:
            await engine.stop(grace=0)


def expect(what: str, wanted: Any, came: Any) -> None:
    """Unlike unless two values are the same as JSON."""
    if wanted != came or (isinstance(wanted, bool) is not isinstance(came, bool)):
        raise Unlike(f"{what}: expected {wanted!r}, came {came!r}")


def only(mapping: Mapping[str, Any], where: str, known: Sequence[str]) -> None:
    """Unlike when a mapping has a field the runner does not know."""
    unknown = set(mapping) - set(known)
    if unknown:
        raise Unlike(f"{where} has fields this runner does not know: {', '.join(sorted(unknown))}")


async def run_case(case: Mapping[str, Any]) -> str | None:
    """What is wrong with a case, None when it holds."""
    from tests.conformance import engine_kinds  # they need this module

    runner: Callable[[Mapping[str, Any]], Awaitable[None]] | None = engine_kinds.KINDS.get(str(case.get("kind")))
    if runner is None:
        return f"the kind {case.get('kind')!r} is not known"
    try:
        async with asyncio.timeout(PATIENCE):
            await runner({key: value for key, value in case.items() if key not in IGNORED})
    except Unlike as error:
        return str(error)
    except TimeoutError:
        return f"took more than {PATIENCE:g} s"
    except Exception as error:  # noqa: BLE001 - a broken engine is a failed case
        return f"{type(error).__name__}: {error}"
    return None


def run_file(path: Path, skip_tags: frozenset[str], verbose: bool) -> tuple[int, int, int]:
    """Run the cases of a file: how many passed, failed, were skipped. One line for each that failed."""
    logging.getLogger("engine").setLevel(logging.CRITICAL)  # what a case provokes is no news
    return asyncio.run(_run_all(load_cases(path), skip_tags, verbose))


async def _run_all(
    cases: Sequence[Mapping[str, Any]], skip_tags: frozenset[str], verbose: bool
) -> tuple[int, int, int]:
    passed = failed = skipped = 0
    for case in cases:
        if skip_tags & set(case.get("tags", ())):
            skipped += 1
            continue
        problem = await run_case(case)
        passed, failed = passed + (problem is None), failed + (problem is not None)
        if problem is not None or verbose:
            print(f"{case.get('id')}: {problem or 'passed'}", flush=True)
    return passed, failed, skipped


def load_cases(path: Path) -> list[dict[str, Any]]:
    """The cases of a file."""
    document = yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return list(document["cases"])


def at(text: str) -> datetime:
    """A date of a case."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def just_before(moment: datetime) -> datetime:
    """A moment before a date at which nothing has fired for it."""
    return moment - timedelta(seconds=5)


__all__ = ["State", "Trial", "Unlike", "at", "expect", "just_before", "load_cases", "only", "run_case", "trial"]
