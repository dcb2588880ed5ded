"""A process whose Loop has rounds that end before their tasks are through, and that dies by SIGKILL at a moment.

`python -m tests.runtime.dying_loop DATA LIMIT MOMENT HOURS` starts the flow `rounds` unless it was started before, and
answers and lets time pass until it has ended; its clock is HOURS ahead. First it prints the ids of the task runs that
had ended, and `passes` before it lets three hours pass. MOMENT: `before:N:M` dies in the M-th commit from the one on
that holds the end of the N-th round that was left, before it is on disk; `after:N:M` right after it, before anybody is
told (at the latest when all is done); `never`.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from sqlalchemy import event

from engine.clock import ShiftedClock
from engine.core.executor import advancing, pauses
from engine.core.executor.iterations import leave_iteration
from engine.core.property import Property
from engine.core.registry import Registry
from engine.core.state import State
from engine.plugin import Outputs, RunContext, RunnableTask
from engine.runtime import Engine
from engine.settings import Limits, Settings
from engine.tasks import _third_party, places, renamed
from tests.runtime.marks import marks
from tests.runtime.victim import OPEN, die

ROUNDS = ("exits", "stops", "denied", "late", "plain")
FLOW = """
id: rounds
namespace: company.team
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.Loop
    values: {values}
    concurrencyLimit: {limit}
    transmitFailed: {transmits}
    tasks:
      - {{id: begin, type: tests.Turn, text: "begin {{{{ item.value }}}}"}}
      - id: both
        type: io.kestra.plugin.core.flow.Parallel
        tasks:
          - id: slow
            type: tests.Turn
            runIf: "{{{{ ['exits', 'stops'] contains item.value }}}}"
            text: "slow {{{{ item.value }}}}"
            until: "go {{{{ item.value }}}}"
          - id: way
            type: io.kestra.plugin.core.flow.Sequential
            tasks:
              - id: leaves
                type: tests.Turn
                runIf: "{{{{ ['exits', 'stops'] contains item.value }}}}"
                text: "leaves {{{{ item.value }}}}"
                until: "runs {{{{ item.value }}}}"
              - id: exit
                type: io.kestra.plugin.core.execution.Exit
                runIf: "{{{{ ['exits', 'stops'] contains item.value }}}}"
                state: "{{{{ item.value == 'stops' ? 'KILLED' : 'CANCELED' }}}}"
              - {{id: ask, type: io.kestra.plugin.core.flow.Approval, runIf: "{{{{ item.value == 'denied' }}}}"}}
              - id: wait
                type: io.kestra.plugin.core.flow.Pause
                runIf: "{{{{ item.value == 'late' }}}}"
                pauseDuration: PT1H
                behavior: CANCEL
              - {{id: past, type: tests.Turn, text: "past {{{{ item.value }}}}"}}
      - {{id: next, type: tests.Turn, text: "next {{{{ item.value }}}}"}}
    finally:
      - {{id: tidy, type: tests.Turn, text: "tidy {{{{ item.value }}}}"}}
  - {{id: last, type: tests.Turn, text: last}}
"""


class Turn(RunnableTask):
    """Append `<task run> <text>` to `marks.txt`, and wait until a line there has the text `until`."""

    type: Literal["tests.Turn"]
    text: Property[str]
    until: Property[str] = ""

    async def run(self, context: RunContext) -> Outputs:
        data = Path(context.settings.data)
        mark(data, context.task_run_id, self.text)
        while self.until and all(line.partition(" ")[2] != self.until for line in marks(data)):
            await asyncio.sleep(0.01)
        return Outputs()


def mark(data: Path, who: str, text: str) -> None:
    """Add a line to the marks."""
    with (data / "marks.txt").open("a") as file:
        file.write(f"{who} {text}\n")


def dies_once_left(engine: Engine, moment: str) -> None:
    """Set the moment of death."""
    kind, number, commit = moment.split(":")
    left, commits = [int(number)], [int(commit)]

    def leaves(*given, **more):
        found = leave_iteration(*given, **more)
        left[0] -= found
        return found

    advancing.leave_iteration = pauses.leave_iteration = leaves

    def count() -> None:
        commits[0] -= left[0] <= 0
        if commits[0] == 0:
            die()

    if kind == "before":
        event.listen(engine.database._writer, "commit", lambda _connection: count())
        return
    tell = engine.database._tell

    def told(group: list) -> None:
        count()
        tell(group)

    engine.database._tell = told


async def nudge(engine: Engine, data: Path, execution_id: str) -> bool:
    """Do what the rounds wait for; whether only time is waited for."""
    waiting = await engine.pauses()
    execution = await engine.execution(execution_id)
    runs = {(one.task_id, name_of(execution.task_runs, one)): one for one in execution.task_runs.values()}
    seen = {line.partition(" ")[2] for line in marks(data)}
    for name in ROUNDS[:2]:
        slow, leaves = runs.get(("slow", name)), runs.get(("exit", name))
        if slow is not None and slow.state is State.RUNNING and f"runs {name}" not in seen:
            mark(data, "-", f"runs {name}")
        if leaves is not None and leaves.state is State.CANCELLED and f"go {name}" not in seen:
            mark(data, "-", f"go {name}")
    for pause in waiting:
        if execution.task_runs[pause.task_run_id].task_id == "ask":
            await engine.resume(execution_id, {"approve": False}, by="test", dedupe="no", task_run_id=pause.task_run_id)
    return [execution.task_runs[pause.task_run_id].task_id for pause in waiting] == ["wait"]


def name_of(runs, run) -> str:
    """The item of the round that a run is in, empty outside of it."""
    while run is not None and run.value is None:
        run = runs.get(run.parent_id)
    return ROUNDS[int(run.value)] if run is not None else ""


async def main(data: Path, limit: int, moment: str, hours: int) -> None:
    """Live until all has ended, or the moment comes."""
    clock = ShiftedClock(datetime.now(UTC) + timedelta(hours=hours))
    registry = Registry([Turn], places=places(), rename=renamed, plugins=_third_party)
    engine = await Engine.open(Settings(data=data, flows=(), limits=Limits(workers=4)), registry=registry, clock=clock)
    ended = [run.id for one in await engine.executions() for run in one.task_runs.values() if run.state.is_terminal]
    print(json.dumps(ended), flush=True)
    if moment != "never":
        dies_once_left(engine, moment)
    await engine.start(watch=False)
    await engine.deploy(FLOW.format(values=json.dumps(ROUNDS), limit=limit, transmits=json.dumps(limit == 0)))
    made = await engine.create("company.team", "rounds", {}, started_by="test", dedupe="the one")
    has_passed = False
    while engine.is_busy or await engine.executions(states=OPEN):
        if await nudge(engine, data, made.id) and not has_passed:
            has_passed = True
            print("passes", flush=True)
            clock.jump(timedelta(hours=3))
        await asyncio.sleep(0.01)
    if moment != "never":
        die()
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
