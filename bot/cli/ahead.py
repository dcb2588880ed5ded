"""What an answer leads to, in a terminal: the tasks that follow, and the files they change, whole."""

from rich.console import Console

from bot.approvals.answering import shape_of
from bot.approvals.outlook import Estimates, outlook
from bot.approvals.policy import rule_for
from bot.forms.questions import fields_of
from bot.office import Questions
from bot.settings import BotSettings
from bot.texts import bare
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.flowable import PausingTask
from engine.core.task import Task
from engine.runtime import Engine
from engine.store.pauses import PauseRow


def asking(engine: Engine, flow: Flow, execution: Execution, pause: PauseRow) -> Task:
    """The task that asks, as it asks in this execution."""
    task, run = engine.flows.task(flow, pause.task_id), execution.task_runs.get(pause.task_run_id)
    return task.asking(run.rendered) if isinstance(task, PausingTask) and run is not None else task


async def show_outlook(
    engine: Engine, flow: Flow, execution: Execution, pause: PauseRow, settings: BotSettings, console: Console
) -> None:
    """Print what a card in chat shows of it."""
    task = asking(engine, flow, execution, pause)
    inputs = tuple(getattr(task, "on_resume", None) or ())
    fields = fields_of(inputs, await engine.check_answers(pause.id, {})) if inputs else ()
    shape, quick = shape_of(task, fields, quick=True)
    asked = Questions(inputs, fields, shape, quick=quick)
    known = await Estimates(engine, settings.prices).of(pause, flow, asked)
    rule = rule_for(settings.approvals, f"{pause.namespace}/{pause.flow_id}", pause.task_id)
    found = await outlook(engine, pause, flow, asked, known, rule.cost)
    lines = [f"{fact.label}: {bare(fact.value)}" for fact in (*found.steps, *found.takes)]
    said = found.changes[:-2] if found.enclosed else found.changes  # the part of the diff, and where the whole is
    lines += [part[4:-4] if part.startswith("```") else bare(part) for part in said]
    for line in [*lines, *(one.text for one in found.enclosed)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
