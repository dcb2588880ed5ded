"""`/flow run`, `list`, `show`: what there is and starting it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bot.asking import Asking, Parts, name_of
from bot.cards.parts import due, elapsed, utc
from bot.commands import loose_words, messages
from bot.commands.grammar import FromFile, Given, Json, Line, Text
from bot.commands.manual import usage
from bot.commands.references import rank, short
from bot.commands.spoken_times import read_coming
from bot.conversation import Action, Attachment, Card, Fact, FieldErrors, Listing, Notice, Reply, Row
from bot.forms.questions import takes_files
from bot.forms.values import TEXT_TYPES, FieldInvalid
from bot.links import flow_target
from bot.office import read_text
from bot.people.permissions import Asked
from bot.texts import answer, code, listed, plain, shorten
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.inputs import Input

PAGE = 10
PATIENCE = {"web": 20.0}  # seconds that `--wait` keeps somebody waiting: a page has to answer
WAIT = 600.0


async def run(parts: Parts, asking: Asking, line: Line) -> Reply | FieldErrors:
    """`run <flow> [k=v …] [--form] [--quiet] [--in=#channel] [--label=k:v] [--at=…]`."""
    if not line.words:
        if asking.attachments:
            return await messages.offer(parts, asking, await runnable(parts, asking))
        return await list_flows(parts, asking, line)
    flow = parts.flow(line.word(0))
    declared = {one.id: one for one in flow.inputs}
    line = spread(line, declared)
    if len(line.words) > 1:
        loose = loose_words.about([word.text for word in line.words[1:]], flow.id, list(declared))
        return Reply(answer("refused", why=loose).notice())
    unknown = [name for name in line.pairs if name not in declared]
    if unknown:
        has = listed(declared) if declared else "none at all"
        return Reply(answer("E11", flow=code(flow.id), name=code(unknown[0]), list=has).notice())
    secrets = [name for name in line.pairs if declared[name].type == "SECRET"]
    if secrets and not parts.office.reader(asking.person).may_type_secrets:
        return Reply(answer("E14", instead=f"`/flow run {flow.id}` shows the way to enter it.", tone="danger").notice())
    try:
        raw = await raw_pairs(line, declared, asking)
        options = _options(line, asking, parts)
    except FieldInvalid as error:
        return Reply(error.answer.notice())
    reply = await parts.starts.begin(
        flow, raw, asking.person, asking.room, asking.receipt, options, form="form" in line.flags
    )
    return await _ended(parts, asking, reply) if "wait" in line.flags else reply


async def _ended(parts: Parts, asking: Asking, reply: Reply | FieldErrors) -> Reply | FieldErrors:
    """With `--wait`: how the run ended, or what it waits for; what was started goes on whatever becomes of the wait."""
    engine = parts.office.engine
    started = await parts.made_by(asking.receipt)
    if started is None:
        return reply
    try:
        patience = PATIENCE.get(asking.person.platform, WAIT)
        await engine.wait(started, until="ended_or_paused", timeout=patience)
    except TimeoutError:
        return reply
    card, _ = await parts.drawing.run(started)
    return Reply(card)


async def runnable(parts: Parts, asking: Asking) -> list[Flow]:
    """The flows somebody may run."""
    every = [flow for flow in parts.office.engine.flows.list() if not flow.disabled]
    return [flow for flow in every if await may_run(parts, asking, flow)]


def spread(line: Line, declared: Mapping[str, Input]) -> Line:
    """The line with what is given for a whole form or object, as JSON, given for the inputs inside."""
    pairs = {name: one for key, given in line.pairs.items() for name, one in _spread(key, given, declared)}
    return replace(line, pairs=pairs)


def _spread(name: str, given: Given, declared: Mapping[str, Input]) -> Iterator[tuple[str, Given]]:
    whole = given.value if isinstance(given, Text | Json) else None
    if name in declared or not any(one.startswith(f"{name}.") for one in declared):
        whole = None
    elif isinstance(whole, str):
        try:
            whole = json.loads(whole)
        except (ValueError, RecursionError):
            whole = None
    if not isinstance(whole, Mapping):
        yield name, given
        return
    for key, item in whole.items():
        yield from _spread(f"{name}.{key}", Json(item), declared)


async def raw_pairs(line: Line, declared: Mapping[str, Input], asking: Asking) -> dict[str, Any]:
    """Pairs as raw values of fields; files become the attachments that came along, or their text for a text field."""
    raw: dict[str, Any] = {}
    by_name = {file.name.lower(): file for file in asking.attachments}
    for name, given in line.pairs.items():
        match given:
            case Text(value):
                raw[name] = value
            case Json(value):
                raw[name] = value
            case FromFile(wanted):
                is_list = declared[name].type == "ARRAY" and takes_files(declared[name])
                if is_list and wanted.lower() not in by_name:
                    raw[name] = [_sent(name, one.strip(), by_name) for one in wanted.split(",") if one.strip()]
                    continue
                file = _sent(name, wanted, by_name)
                if declared[name].type in TEXT_TYPES and not is_list:
                    try:
                        raw[name] = await read_text(file)
                    except (ValueError, OSError) as error:
                        raise FieldInvalid(answer("refused", why=f"{code(name)}: {plain(str(error))}.")) from error
                else:
                    raw[name] = [file] if is_list else file
    return raw


def _sent(name: str, wanted: str, by_name: Mapping[str, Attachment]) -> Attachment:
    """A file that came along with a command."""
    file = by_name.get(wanted.lower())
    if file is None:
        there = f"I see {listed(by_name)}." if by_name else "No file came with your message."
        why = f"{code(name)}: no file {code(wanted)}. {there} Send the file along with the command."
        raise FieldInvalid(answer("refused", why=why))
    return file


def _options(line: Line, asking: Asking, parts: Parts) -> dict[str, Any]:
    options: dict[str, Any] = {"quiet": "quiet" in line.flags}
    if where := line.flag("in"):
        options["in"] = where
    if label := line.flag("label"):
        pairs = [part.partition(":") for part in label.split(",")]
        if any(not key or not value for key, _, value in pairs):
            why = f"{code(label)} is no label. Write `--label=team:web`."
            raise FieldInvalid(answer("refused", why=why))
        options["labels"] = [[key, value] for key, _, value in pairs]
    if at := line.flag("at"):
        reader = parts.office.reader(asking.person)
        try:
            moment = read_coming(at, reader.now, reader.zone)
        except (ValueError, OverflowError) as error:
            what = 'moments as 2026-03-31T14:00Z (or "tomorrow 14:00")'
            raise FieldInvalid(answer("E09", input="`--at`", what=what, value=code(at))) from error
        options["at"] = moment.isoformat()
    return options


async def list_flows(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`list [text] [--ns=] [--page=]`: flows one may run, the often used first."""
    wanted, space = line.rest(0), line.flag("ns")
    flows = {name_of(flow).full: flow for flow in parts.office.engine.flows.list() if not flow.disabled}
    if space:
        flows = {name: flow for name, flow in flows.items() if f"{flow.namespace}.".startswith(f"{space}.")}
    flows = {name: flow for name, flow in flows.items() if await may_run(parts, asking, flow)}
    names = rank(wanted, flows, await parts.used(asking.person.id))
    if not names:
        return Reply(Notice("info", _nothing(parts, wanted or space)))
    page = max(line.number("page", 1), 1)
    shown = names[(page - 1) * PAGE : page * PAGE]
    rows = tuple(_row(parts, flows[name]) for name in shown)
    said = f" {wanted}" if wanted else ""
    more = f"list{said}{f' --ns={space}' if space else ''} --page={page + 1}" if page * PAGE < len(names) else ""
    note = f"{(page - 1) * PAGE + 1} to {(page - 1) * PAGE + len(shown)} of {len(names)}" if len(names) > PAGE else ""
    return Reply(Listing("Flows", rows, note, more))


async def may_run(parts: Parts, asking: Asking, flow: Flow) -> bool:
    """Whether somebody may run a flow with some values, by what is remembered of groups."""
    return await parts.starts.refuse(flow, asking.person, asking.room, fresh=False) is None


def _nothing(parts: Parts, wanted: str) -> str:
    if wanted:
        return f"No flow fits {code(wanted)}. `/flow list` shows all you can run."
    broken = len(parts.office.engine.flows.problems())
    hint = f" {broken} files have errors: run `parley validate`." if broken else ""
    return f"There are no flows yet. Put a YAML file into the flows folder.{hint}"


def _row(parts: Parts, flow: Flow) -> Row:
    asks = ", ".join(code(one.id) for one in flow.inputs[:5])
    about = plain((flow.description or "").strip().split("\n")[0], 120)
    text = " \u00b7 ".join(part for part in (about, f"asks for {asks}" if asks else "") if part)
    return Row(plain(name_of(flow).full), text, (_run_button(parts, flow),))


def _run_button(parts: Parts, flow: Flow) -> Action:
    return parts.office.ids.button("rn", flow_target(name_of(flow).full), "Run\u2026")


async def show(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`show <flow>`: what it asks for, when it runs by itself, its last runs."""
    if not line.words:
        return Reply(usage("show", "Which flow?"))
    return Reply(await shown(parts, asking, parts.flow(line.word(0))))


async def shown(parts: Parts, asking: Asking, flow: Flow) -> Card | Notice:
    """The card of a flow, for those who may see it."""
    asked = Asked("see", asking.person, asking.room, name_of(flow).full)
    denied = await parts.office.permissions.refuse(asked)
    return denied.notice() if denied else await flow_card(parts, flow)


async def flow_card(parts: Parts, flow: Flow) -> Card:
    """What a flow is, for people who might run it."""
    engine = parts.office.engine
    full = name_of(flow).full
    inputs = "\n".join(_input_line(one) for one in flow.inputs)
    body = "\n\n".join(part for part in (plain((flow.description or "").strip(), 1500), inputs) if part)
    facts = [Fact("Revision", str(flow.revision)), Fact("Tasks", ", ".join(code(task.id) for task in flow.tasks[:8]))]
    for trigger in flow.triggers:
        cron = getattr(trigger, "cron", None)
        about = f"at {code(cron)}" if cron else plain(trigger.type.rpartition(".")[2])
        facts.append(Fact(f"Trigger {shorten(str(getattr(trigger, 'id', '')), 40)}", about))
    now = parts.office.now()
    for execution in await engine.executions(namespace=flow.namespace, flow_id=flow.id, limit=3):
        ago = elapsed((now - execution.created).total_seconds())
        facts.append(Fact(f"Run {short(execution.id)}", f"{execution.state.lower()}, {ago} ago", at=None))
    actions = () if flow.disabled else (_run_button(parts, flow),)
    footer = "Disabled" if flow.disabled else f"Type: {plain(f'/flow run {flow.id}{_example(flow)}')}"
    return Card("post", full, "info", flow.id, code(flow.namespace), body, tuple(facts), actions=actions, footer=footer)


def _input_line(one: Input) -> str:
    needed = "" if one.required and one.defaults is None else " (optional)"
    default = f", default {code(one.defaults, 40)}" if one.defaults is not None and one.type != "SECRET" else ""
    about = f": {plain(one.description, 200)}" if one.description else ""
    return f"- **{plain(one.label, 60)}** {code(one.id)} {one.type}{needed}{default}{about}"


def _example(flow: Flow) -> str:
    needed = [
        one
        for one in flow.inputs
        if one.required and one.defaults is None and one.type != "SECRET" and not takes_files(one)
    ]
    return "".join(f" {one.id}=\u2026" for one in needed[:4])


async def my_runs(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`runs`: what I started lately; `runs <flow>`: the last ones of a flow, whoever or whatever started them."""
    if line.words:
        return await _runs_of(parts, asking, parts.flow(line.rest(0)))
    starts = await parts.my_runs(asking, PAGE)
    if not starts:
        return Reply(answer("no-runs", tone="info").notice())
    found = [await parts.office.engine.execution(start.execution_id) for start in starts]
    return Reply(Listing("My runs", tuple(_run_row(parts, one) for one in found)))


async def _runs_of(parts: Parts, asking: Asking, flow: Flow) -> Reply:
    asked = Asked("see", asking.person, asking.room, name_of(flow).full)
    if denied := await parts.office.permissions.refuse(asked):
        return Reply(denied.notice())
    found = await parts.office.engine.executions(namespace=flow.namespace, flow_id=flow.id, limit=PAGE)
    if not found:
        return Reply(Notice("info", f"{code(flow.id)} has not run yet. `/flow run {flow.id}` starts it."))
    return Reply(Listing(f"Runs of {flow.id}", tuple(_run_row(parts, one) for one in found)))


def _run_row(parts: Parts, execution: Execution) -> Row:
    label = plain(f"{execution.flow_id} {short(execution.id)}")
    about = [execution.state.lower(), utc(execution.created)]
    if date := due(execution):
        about.append(f"for {utc(date)}")
    return Row(label, " \u00b7 ".join(about), (parts.office.ids.button("st", execution.id, "Show"),))
