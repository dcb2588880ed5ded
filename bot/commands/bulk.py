"""`/flow bulk`: the same to many runs, shown first; then each by itself, with its own permission, audit and receipt."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot import documents
from bot.asking import Asking, Parts
from bot.cards.parts import STATE_WORDS
from bot.commands import run_changes
from bot.commands import runs as run_commands
from bot.commands.grammar import Line, Text
from bot.commands.manual import usage
from bot.commands.references import Unresolved, guess, refused, short
from bot.commands.spoken_times import read_date, read_datetime
from bot.conversation import Confirm, FieldErrors, Notice, Reply
from bot.forms.drafts import Draft
from bot.office import zone_of
from bot.people.permissions import Asked
from bot.people.roles import Deed
from bot.texts import answer, code, plain
from engine.core.execution import Execution
from engine.core.state import State
from engine.errors import EngineError, NotFound
from engine.plugin import Selection
from engine.runtime.corrections import Rule, any_, ended, going_on, only
from engine.store import chat_drafts, chat_receipts, records
from engine.store.records import Standing

MOST = 200
NAMED = 10  # runs that are named before and after
PURPOSE = "bulk"
Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something done to runs: to those in which states, with which permission, and how to one of them."""

    fits: Rule
    deed: Deed
    do: Callable[[Parts, Asking, Execution, Arguments], Awaitable[Reply]]
    word: str  # `12 runs will be …`
    danger: bool = False


def _waiting(standing: Standing) -> str | None:
    return None if standing.state in (State.CREATED, State.QUEUED) else "waits for no date and no turn"


async def _mark(parts: Parts, asking: Asking, execution: Execution, given: Arguments) -> Reply:
    return await run_changes.marked(parts, asking, execution, State(given["state"]))


OPERATIONS: Mapping[str, Operation] = {
    "kill": Operation(going_on, "kill", lambda p, a, e, _: run_commands.stop(p, a, e), "stopped", danger=True),
    "pause": Operation(only(State.RUNNING), "hold", lambda p, a, e, _: run_changes.hold(p, a, e), "paused"),
    "resume": Operation(only(State.PAUSED), "hold", lambda p, a, e, _: run_changes.let_go(p, a, e), "let go on"),
    "restart": Operation(only(State.FAILED), "run", lambda p, a, e, _: run_commands.retry(p, a, e), "restarted"),
    "replay": Operation(any_, "run", lambda p, a, e, _: run_commands.again(p, a, e), "run again as new runs"),
    "force": Operation(_waiting, "manage", lambda p, a, e, _: run_changes.begin_now(p, a, e), "begun now"),
    "mark": Operation(ended, "manage", _mark, "marked"),
    "labels": Operation(
        ended, "manage", lambda p, a, e, given: run_changes.labelled(p, a, e, given["labels"]), "labelled"
    ),
    "delete": Operation(ended, "manage", lambda p, a, e, _: run_changes.deleted(p, a, e), "deleted", danger=True),
}


async def bulk(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`bulk <what> [--flow=] [--ns=] [--state=] [--since=] [--until=]`: what it would be done to, and a button."""
    what = line.word(0).lower()
    operation = OPERATIONS.get(what)
    if operation is None:
        said = f"I don't know {code(what)}. {guess(what, OPERATIONS)}" if what else "What shall be done?"
        return Reply(usage("bulk", said.strip()))
    given = _arguments(what, line)
    chosen = _selection(parts, asking, line)
    found = await fitting(parts, asking, what, chosen)
    if not found.runs:
        return Reply(answer("refused", why=found.why_none(what), tone="info").notice())
    return await _shown(parts, asking, what, given, found)


@dataclass(frozen=True, slots=True)
class Fitting:
    """Of the runs that somebody means, those that something may be done to, MOST at most."""

    runs: Sequence[Execution]
    forbidden: int
    meant: int

    @property
    def left(self) -> int:
        """How many of those that are meant are left alone."""
        return self.meant - len(self.runs)

    def why_none(self, what: str) -> str:
        """Why it can be done to none."""
        if self.forbidden:
            return f"You may not {what} any of the {self.forbidden} runs that fit."
        if self.meant:
            return f"{self.meant} runs fit, but none is in a state for that."
        return "No run fits. `/flow help bulk` tells more."


async def fitting(parts: Parts, asking: Asking, what: str, chosen: Selection) -> Fitting:
    """The runs that one of OPERATIONS would be done to: in a state for it, and somebody may."""
    operation, engine = OPERATIONS[what], parts.office.engine
    ids = await engine.bulk.select(chosen)
    there = await engine.database.read(lambda c: records.standings(c, ids))
    fits = [one for one in ids if one in there and operation.fits(there[one]) is None]
    found, forbidden = await _allowed(parts, asking, operation, what, fits)
    return Fitting(found, len(forbidden), len(ids))


def _arguments(what: str, line: Line) -> dict[str, Any]:
    if what == "mark":
        to = line.word(1).upper()
        if to not in run_changes.ENDS:
            raise _usage(f"Which state? One of {', '.join(run_changes.ENDS)}.")
        return {"state": to}
    if what == "labels":
        if not line.pairs:
            raise _usage("Which labels? Write `name=value`.")
        return {"labels": {name: v.value if isinstance(v, Text) else str(v) for name, v in line.pairs.items()}}
    return {}


def _usage(what: str) -> Unresolved:
    return refused(usage("bulk", what).text)


def _selection(parts: Parts, asking: Asking, line: Line) -> Selection:
    if not line.flags:
        raise _usage("Say to which runs: by flow, namespace, state or time.")
    flow = parts.flow(line.flag("flow")) if line.flag("flow") else None
    states = []
    for word in line.flag("state").upper().split(","):
        if word and word not in State.__members__:
            raise _usage(f"{code(word)} is no state. {guess(word, State.__members__)}".strip())
        states += [State(word)] if word else []
    space = flow.namespace if flow else line.flag("ns") or None
    since, until = (_moment(parts, asking, line.flag(name), ends=name == "until") for name in ("since", "until"))
    return Selection(space, flow.id if flow else None, tuple(states), since, until, below=flow is None)


def _moment(parts: Parts, asking: Asking, text: str, *, ends: bool) -> datetime | None:
    """A day means its beginning, or its end for `until`."""
    if not text:
        return None
    zone, now = zone_of(asking.person.zone), parts.office.now()
    try:
        day = read_date(text, now.astimezone(zone).date()) + timedelta(days=1 if ends else 0)
        return datetime.combine(day, datetime.min.time(), zone)
    except ValueError:
        try:
            return read_datetime(text, now, zone)
        except (ValueError, OverflowError) as error:
            what = 'dates as 2026-03-31 (or "yesterday")'
            raise Unresolved(answer("E09", input="The time", what=what, value=code(text))) from error


async def _allowed(
    parts: Parts, asking: Asking, operation: Operation, what: str, ids: Sequence[str]
) -> tuple[list[Execution], list[Execution]]:
    """The runs that somebody may do it to, at most MOST, and those they may not."""
    may, may_not = list[Execution](), list[Execution]()
    for one in ids:
        if len(may) == MOST:
            break
        try:
            execution = await parts.office.engine.execution(one)
        except NotFound:
            continue
        if what == "resume" and not execution.held:
            continue  # it asks people; `approve --all` answers many
        flow = f"{execution.namespace}/{execution.flow_id}"
        inputs = execution.inputs if operation.deed == "run" else None
        asked = Asked(operation.deed, asking.person, asking.room, flow, "", execution.id, execution.started_by, inputs)
        denied = await parts.office.permissions.refuse(asked, fresh=False)
        (may if denied is None else may_not).append(execution)
    return may, may_not


async def _shown(parts: Parts, asking: Asking, what: str, given: Arguments, fit: Fitting) -> Reply:
    """What it will be done to; the button does it to exactly these."""
    operation, ids, found, left = OPERATIONS[what], parts.office.ids, fit.runs, fit.left
    draft = Draft(
        parts.office.new_id(),
        asking.person.id,
        PURPOSE,
        f"{found[0].namespace}/{found[0].flow_id}",
        documents.dump(asking.room),
        options={"what": what, "given": dict(given), "runs": [one.id for one in found]},
    )
    await parts.drafts.keep(draft)
    lines = [f"- {code(one.flow_id)} {code(short(one.id))}, {STATE_WORDS[one.state]}" for one in found[:NAMED]]
    if len(found) > NAMED:
        lines.append(f"- and {len(found) - NAMED} more")
    how = f" as {STATE_WORDS[State(given['state'])]}" if what == "mark" else ""
    rest = f"\n{left} further runs fit what you said but are left alone." if left else ""
    text = f"{_runs(len(found))} will be {operation.word}{how}:\n" + "\n".join(lines) + rest
    label = f"Yes, {what} {len(found)}"
    yes = replace(ids.button("bu", draft.id, label), style="danger" if operation.danger else "primary")
    if operation.danger:
        sure = Confirm(f"{label}?", "This can't be undone.", label, "Cancel")
        yes = replace(yes, confirm=sure)
    return Reply(Notice("paused", text, (yes, ids.button("cx", draft.id, "Cancel"))))


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


async def confirmed(parts: Parts, asking: Asking, target: str) -> Reply:
    """Do what was shown. What was done before the bot was cut off is not done again."""
    draft = await parts.shown(asking, target, PURPOSE, "`/flow bulk`")
    operation, given = OPERATIONS[draft.options["what"]], draft.options["given"]
    done, wrong = 0, list[str]()
    for one in draft.options["runs"]:
        problem = await _to_one(parts, asking, operation, one, given)
        done += problem is None
        wrong += [] if problem is None else [f"- {code(short(one))}: {problem}"]
    more = [f"- and {len(wrong) - NAMED} more"] if len(wrong) > NAMED else []
    text = "\n".join([f"{_runs(done)} {operation.word}.", *wrong[:NAMED], *more])
    reply = Reply(Notice("warning" if wrong else "success", text), public=True)

    def work(unit: Any) -> None:
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        chat_drafts.drop(unit.connection, draft.id)

    await parts.office.engine.database.transact(work)
    return reply


async def _to_one(
    parts: Parts, asking: Asking, operation: Operation, execution_id: str, given: Arguments
) -> str | None:
    """Do it to one run; why not, or None."""
    part = chat_receipts.part(asking.receipt, execution_id)
    try:
        reply: Reply | FieldErrors | None = await parts.answered(part)
        if reply is None:
            execution = await parts.office.engine.execution(execution_id)
            reply = await operation.do(parts, replace(asking, receipt=part), execution, given)
    except EngineError as error:
        return plain(error.message, 200)
    except Unresolved as error:
        return error.answer.text
    body = reply.body if isinstance(reply, Reply) else None
    known = await parts.answered(part)
    return None if known is not None else body.text if isinstance(body, Notice) else "it asks for more."
