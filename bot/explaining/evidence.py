"""What is known of a failed run, gathered for the model."""

from bot.cards.log_lines import written
from bot.cards.outline import find
from bot.explaining.prompt import Failure
from engine.core.execution import Execution, TaskRun
from engine.errors import EngineError
from engine.failure import failed_task
from engine.runtime import Engine
from engine.store import flows

LINES = 200  # of the log, the last ones
LONGEST = 200_000  # characters of a flow's text that are looked at


async def failure_of(engine: Engine, execution: Execution) -> Failure:
    """The failure of a run as far as the store tells; it is not cleaned of secrets yet."""
    run = failed_task(execution.task_runs)
    errors = await engine.logs(execution.id, level="ERROR", limit=LINES, last=True)
    own = [line.message for line in errors if run is not None and line.task_run_id == run.id]
    lines = written(await engine.logs(execution.id, limit=LINES, last=True))
    source = await _source(engine, execution)
    return Failure(
        f"{execution.namespace}/{execution.flow_id}",
        run.task_id if run else "",
        await _type(engine, execution, run),
        (own or [line.message for line in errors] or [""])[-1],
        lines,
        source,
        max(len(run.attempts), 1) if run else 1,
    )


async def _source(engine: Engine, execution: Execution) -> str:
    which = (execution.namespace, execution.flow_id, execution.revision)
    row = await engine.database.read(lambda connection: flows.revision(connection, *which))
    return row.source[:LONGEST] if row else ""


async def _type(engine: Engine, execution: Execution, run: TaskRun | None) -> str:
    if run is None:
        return ""
    try:
        flow = await engine.flows.fetch(execution.namespace, execution.flow_id, execution.revision)
    except EngineError:
        return ""
    place = find(flow, run.task_id)
    return place.task.type if place else ""
