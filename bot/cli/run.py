"""`parley run`: one flow, here, with live progress; its pauses are answered at the prompt or by `--resume`."""

import asyncio
import getpass
import json
import sys
import tempfile
from collections.abc import Container, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.prompt import Confirm, Prompt
from rich.table import Table

from bot.audit import trail
from bot.cli.ahead import asking, show_outlook
from bot.cli.arguments import given_inputs, given_resumes
from bot.conversation import Person, Room
from bot.forms import questions
from bot.forms.examples import in_shell
from bot.settings import BotSettings, read_settings, shipped_flows
from bot.texts import bare
from bot.web.views import MARKS, duration_text
from bot.written_flows import WrittenFlows, only_flow
from engine.core import yaml_text
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.flow_calls import called_names
from engine.core.inputs import Input
from engine.core.inputs.declaration import spell
from engine.core.state import State
from engine.errors import FlowInvalid, InputInvalid, NotFound, Refused
from engine.runtime import Engine
from engine.runtime.execution_json import execution_json
from engine.store import chat_audit, commands
from engine.store.chat_audit import Deed
from engine.store.database import Unit
from engine.store.pauses import PauseRow

GOOD = frozenset({State.SUCCESS, State.WARNING})
UNDER_WAY = frozenset({State.CREATED, State.RUNNING, State.RESTARTED, State.RETRYING, State.KILLING})


def run_flow(
    flow: str, inputs: list[str], resumes: list[str], output: str, data: Path | None, flows: list[Path] | None
) -> None:
    """Run and exit: 0 when it ended well, 1 when not or when a pause stays unanswered, 2 for a wrong call."""
    if output not in ("text", "json"):
        sys.stderr.write(f"parley run: --output is text or json, not {output!r}.\n")
        sys.exit(2)
    console = Console(stderr=True)
    try:
        if data is None:
            with tempfile.TemporaryDirectory(prefix="parley-run-") as folder:
                status = asyncio.run(_run(flow, inputs, resumes, output, Path(folder), flows, console, is_kept=False))
        else:
            status = asyncio.run(_run(flow, inputs, resumes, output, data, flows, console, is_kept=True))
    except FlowInvalid as error:
        _print_problems(console, error, flow)
        status = 2
    except InputInvalid as error:
        for wrong in error.problems:
            console.print(f"{wrong.input}: {wrong.message}", markup=False, soft_wrap=True)
        console.print(error.fix or f"Give it with -i {error.problems[0].input}=…", markup=False, soft_wrap=True)
        status = 2
    sys.exit(status)


async def _run(
    name: str,
    inputs: list[str],
    resumes: list[str],
    output: str,
    data: Path,
    folders: list[Path] | None,
    console: Console,
    *,
    is_kept: bool,
) -> int:
    file = Path(name)
    beside = (file.resolve().parent,) if file.is_file() else ()
    shipped = (shipped_flows("demo"), shipped_flows("tour"))
    extra = tuple(folders or ())
    own = read_settings().flows if not beside and not extra else ()
    settings = read_settings(data=data, flows=())
    found = WrittenFlows(tuple(dict.fromkeys((*beside, *extra, *own, *shipped))))
    engine = await Engine.open(settings)
    try:
        await engine.start(watch=False, schedules=False)
        flow = await _flow(engine, name, found, console)
        answers, given = given_resumes(resumes), given_inputs(inputs)
        try:
            if is_kept:
                execution = await _on_record(engine, settings, flow, given)
            else:  # what is only tried out asks nobody and leaves no record
                execution = await engine.create(flow.namespace, flow.id, given, started_by=me().id)
        except InputInvalid as error:
            examples = [f"-i {one}" for one in _examples(error, flow.inputs)]
            error.fix = f"Give {'it' if len(examples) == 1 else 'them'} with {' '.join(examples)}"
            raise
        execution = await _follow(engine, flow, execution, answers, settings, console, output)
        if not is_kept and execution.state.is_terminal:
            await _let_others_end(engine, console)
        if output == "json":
            sys.stdout.write(json.dumps(execution_json(execution, engine.masker.mask), ensure_ascii=False) + "\n")
        else:
            await _print_end(engine, execution, console)
        return 0 if execution.state in GOOD else 1
    finally:
        await engine.stop()


def me() -> Person:
    """Who sits at this terminal."""
    user = getpass.getuser()
    return Person(f"cli:{user}", user, "cli")


async def _on_record(engine: Engine, settings: BotSettings, flow: Flow, given: dict[str, Any]) -> Execution:
    """Start it on a data folder, where roles and approvals of parley.yaml hold, whoever works on it, and where it is
    recorded who did or might not; Refused."""
    from bot.desk import FrontDesk
    from bot.people.accounts import Linked
    from bot.people.permissions import Asked

    who = Linked(engine.database, settings.people.known)
    rules, prices = settings.approvals, settings.prices
    desk = FrontDesk(engine, (), settings.chat, roles=settings.roles, approvals=rules, prices=prices, identities=who)
    await desk.prepare()
    person, full, now = me(), f"{flow.namespace}/{flow.id}", engine.clock.now()
    resolved = await engine.check_inputs(flow, given)
    asked = Asked("run", person, Room("cli", ""), full, values=resolved.flat)
    if denied := await desk.permissions.refuse(asked):
        no = trail.denied(person, "run", full, denied, now)
        await engine.database.transact(lambda unit: chat_audit.record(unit.connection, no))
        raise Refused(bare(denied.text))
    prepared = await engine.prepare(flow, resolved)
    values = engine.masker.mask_value(questions.masked(given, questions.secret_ids(flow.inputs)))

    def start(unit: Unit) -> Execution:
        made = engine.create_in(unit, prepared, started_by=person.id)
        details = {"inputs": values}
        deed = Deed(now, person.id, person.name, "cli", "run", made.id, made.id, full, details)
        chat_audit.record(unit.connection, deed)
        return made

    return await engine.database.transact(start)


async def _flow(engine: Engine, name: str, folders: WrittenFlows, console: Console) -> Flow:
    """The flow that is asked for, deployed with those it calls; of other files in the folders nothing is said."""
    file = Path(name)
    if file.is_file():
        said = only_flow(file)
        flow = await engine.deploy(said.text, file=str(file), line=said.line)
        await _deploy_called(engine, yaml_text.read(said.text), folders, console)
        return flow
    if file.suffix in (".yaml", ".yml"):
        raise NotFound(f"There is no file {name}.", fix="Check the path.")
    namespace, _, flow_id = name.rpartition("/")
    if not namespace:
        raise NotFound(
            f"{name!r} is neither a file nor NAMESPACE/ID.", fix="Write for example `parley run tour/greet_team`."
        )
    written = folders.find(namespace, flow_id)
    if written is not None:
        flow = await engine.deploy(written.said.text, file=str(written.file), line=written.said.line)
        await _deploy_called(engine, written.document, folders, console)
        return flow
    if engine.flows.exists(namespace, flow_id):
        return engine.flows.get(namespace, flow_id)
    for where, unread in folders.unread(flow_id):
        _print_problems(console, unread, str(where))
    near = get_close_matches(name, [one.name for one in folders.every()], n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "Give its folder with --flows, or its file."
    raise NotFound(f"There is no flow {name}.", fix=hint)


async def _deploy_called(engine: Engine, document: Mapping[str, Any], folders: WrittenFlows, console: Console) -> None:
    """What the flow may start; where one of these can't be read, the reason is printed and the run goes on."""
    called = folders.needed(document)
    for one, by_name in called:
        try:
            await engine.deploy(one.said.text, file=str(one.file), line=one.said.line)
        except FlowInvalid as error:
            if by_name:
                _print_problems(console, error, str(one.file))
    for written in (document, *(one.document for one, _ in called)):
        for key in called_names(written):
            for where, unread in folders.unread(key[1]) if key is not None and not engine.flows.exists(*key) else ():
                _print_problems(console, unread, str(where))


def _print_problems(console: Console, error: FlowInvalid, file: str) -> None:
    for one in error.problems:
        text = f"{one.file or file}:{one.line}:{one.column} {one.message} {one.suggestion}".strip()
        console.print(text, markup=False, soft_wrap=True)
    if not error.problems:
        console.print(str(error), markup=False)


async def _follow(
    engine: Engine,
    flow: Flow,
    execution: Execution,
    answers: dict[str, dict[str, Any]],
    settings: BotSettings,
    console: Console,
    output: str,
) -> Execution:
    while True:
        execution, pauses = await _watch(engine, execution, answers, console)
        if not console.is_terminal:
            console.line()  # Live ends the last one only on a terminal
        if not pauses:
            return execution
        for pause in pauses:
            given = answers.pop(pause.task_id, None)
            if given is None:
                await show_outlook(engine, flow, execution, pause, settings, console)
            if given is None and not sys.stdin.isatty():
                asked = getattr(asking(engine, flow, execution, pause), "on_resume", ()) or ()
                words = [
                    f"--resume {pause.task_id}.{item.id}=…" for item in asked if item.required and item.defaults is None
                ]
                console.print(
                    f"{pause.task_id} waits for an answer, and there is no terminal to ask at. "
                    f"Answer it with {' '.join(words) or f'--resume {pause.task_id}'}.",
                    markup=False,
                    soft_wrap=True,
                )
                return execution
            await _answer(engine, flow, execution, pause, given, console)


async def _watch(
    engine: Engine, execution: Execution, answers: Container[str], console: Console
) -> tuple[Execution, list[PauseRow]]:
    """Draw the progress until nothing more is to come, also after its end and of what takes its place, or somebody is
    asked: then by which pauses."""
    with Live(progress(execution), console=console, refresh_per_second=8, transient=False) as live:
        async with engine.subscribe() as changes:
            stream = aiter(changes)
            while True:
                execution = await engine.execution(await _newest(engine, execution))
                live.update(progress(execution))
                if any(run.state is State.PAUSED for run in execution.task_runs.values()):
                    waiting = await engine.pauses(execution_id=execution.id)
                    if asking_now := [one for one in waiting if one.task_id in answers or await _asks(engine, one)]:
                        return execution, asking_now
                if not await engine.operations.goes_on(execution):
                    return execution, []
                try:
                    await asyncio.wait_for(anext(stream), 1)
                except TimeoutError:
                    continue


async def _let_others_end(engine: Engine, console: Console) -> None:
    """Wait for what the run started without waiting for it: with the folder that is thrown away it would be lost."""
    told: set[str] = set()
    async with engine.subscribe() as changes:
        stream = aiter(changes)
        while found := [one for one in await engine.executions(states=UNDER_WAY) if not _is_for_later(engine, one)]:
            for one in found:
                if one.id not in told:
                    console.print(f"{one.namespace}/{one.flow_id} goes on, which was started on the way.", markup=False)
                    told.add(one.id)
            try:
                await asyncio.wait_for(anext(stream), 1)
            except TimeoutError:
                continue


def _is_for_later(engine: Engine, execution: Execution) -> bool:
    return execution.schedule_date is not None and execution.schedule_date > engine.clock.now()


async def _newest(engine: Engine, execution: Execution) -> str:
    """The execution, or the one that took its place to try again."""
    if execution.state is not State.RETRIED:
        return execution.id
    return await engine.database.read(lambda c: commands.replacement_of(c, execution.id)) or execution.id


async def _asks(engine: Engine, pause: PauseRow) -> bool:
    """Whether a pause waits for somebody; one that asks nothing and goes on by itself only takes its time."""
    if pause.deadline is None or pause.deadline_behavior != "RESUME":
        return True
    return bool((await engine.answers.asked(pause))[0])


async def _answer(
    engine: Engine,
    flow: Flow,
    execution: Execution,
    pause: PauseRow,
    given: dict[str, Any] | None,
    console: Console,
) -> None:
    task = asking(engine, flow, execution, pause)
    asked = getattr(task, "on_resume", ()) or ()
    values = given if given is not None else {item.id: _ask(item, console) for item in asked}
    if given is None and not asked:
        Prompt.ask(f"{task.description or pause.task_id}: press Enter to continue", console=console)
    try:
        await engine.resume(execution.id, values, by=me().id, task_run_id=pause.task_run_id, local_files=True)
    except InputInvalid as error:
        for problem in error.problems:
            console.print(f"{problem.input}: {problem.message}", markup=False)
        if given is not None or not sys.stdin.isatty():
            examples = [f"--resume {pause.task_id}.{one}" for one in _examples(error, asked)]
            error.fix = f"Answer it with {' '.join(examples)}"
            raise
        await _answer(engine, flow, execution, pause, None, console)


def _examples(error: InputInvalid, declared: Sequence[Input]) -> list[str]:
    """The inputs that were refused, each with a value that would fit."""
    fields = {one.id: one for one in questions.fields_of(declared, ids=[problem.input for problem in error.problems])}
    names = dict.fromkeys(problem.input for problem in error.problems)
    return [in_shell(fields[name]) if name in fields else f"{name}=…" for name in names]


def _ask(item: Any, console: Console) -> Any:
    label = f"{item.heading}: {item.label}" if item.heading else item.label
    question = f"{label} ({item.description})" if item.description else label
    if item.type in ("BOOLEAN", "BOOL"):
        return Confirm.ask(question, console=console)
    return Prompt.ask(question, console=console, default="" if item.defaults is None else spell(item.defaults))


def progress(execution: Execution) -> Table:
    """The task runs so far, one a line."""
    table = Table.grid(padding=(0, 1))
    runs = list(execution.task_runs.values())
    for run in runs[-30:]:
        first, last = run.histories[0][1], run.histories[-1][1]
        value = f" [{run.value}]" if run.value is not None else ""
        took = duration_text(last - first) if run.state.is_terminal else "…"
        table.add_row(MARKS.get(run.state, "·"), f"{run.task_id}{value}".replace("[", r"\["), run.state, took)
    if len(runs) > 30:
        table.add_row("", f"… and {len(runs) - 30} earlier", "", "")
    return table


async def _print_end(engine: Engine, execution: Execution, console: Console) -> None:
    for line in await engine.logs(execution.id, level="INFO", limit=200):
        console.print(
            f"{line.at:%H:%M:%S} {line.level:5} {line.task_id or ''} {line.message}", markup=False, soft_wrap=True
        )
    console.print(f"{execution.namespace}/{execution.flow_id} ended {execution.state}.", markup=False)
    for key, value in (execution.outputs or {}).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        sys.stdout.write(f"{key}: {engine.masker.mask(text)}\n")
