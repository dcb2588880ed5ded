"""`/flow watch`, `unwatch`, `files`: a run followed where somebody asks, and what it made."""

from dataclasses import replace

from bot import documents
from bot.asking import Asking, Parts
from bot.cards.parts import files as files_in
from bot.cards.parts import uris
from bot.cards.run_posts import want_card
from bot.commands.grammar import Line
from bot.commands.manual import usage
from bot.commands.references import short
from bot.commands.runs import refuse
from bot.conversation import Card, FileRef, Notice, Reply
from bot.texts import code, plain
from engine.core.execution import Execution
from engine.errors import EngineError
from engine.files import SCHEME, execution_folder
from engine.store import chat_messages, chat_receipts
from engine.store.database import Unit

ATTACHED = 8
NAMED = 40


async def watch(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`watch <run>`: its card is shown here and follows it."""
    if not line.words:
        return Reply(usage("watch", "Which run?"))
    if "stop" in line.flags:
        return await unwatch(parts, asking, line)
    execution = await parts.execution(line.word(0), asking)
    if refusal := await refuse(parts, asking, execution, "see"):
        return Reply(refusal)
    card_id, now, room = parts.office.new_id(), parts.office.now(), asking.room
    label = f"{code(short(execution.id))} of {code(execution.flow_id)}"
    fresh = Reply(Notice("success", f"Run {label} is followed here. `/flow unwatch {short(execution.id)}` ends that."))
    there = Reply(Notice("info", f"Run {label} is followed here already."))

    def work(unit: Unit) -> Reply:
        reply = fresh if want_card(unit, card_id, "run", execution.id, execution.id, room, now) else there
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        unit.after_commit(parts.starts.wake)
        return reply

    return await parts.office.engine.database.transact(work)


async def unwatch(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`unwatch <run>`: its card here changes no more."""
    if not line.words:
        return Reply(usage("watch", "Which run?"))
    execution = await parts.execution(line.word(0), asking)
    place, label = documents.place(asking.room), f"{code(short(execution.id))} of {code(execution.flow_id)}"
    done = Reply(Notice("success", f"Run {label} is no longer followed here."))
    none = Reply(Notice("info", f"Run {label} is not followed here."))

    def work(unit: Unit) -> Reply:
        reply = done if chat_messages.leave(unit.connection, execution.id, place) else none
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        return reply

    return await parts.office.engine.database.transact(work)


async def files(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`files <run>`: what it made, the results first."""
    if not line.words:
        return Reply(usage("files", "Which run?"))
    execution = await parts.execution(line.word(0), asking)
    if refusal := await refuse(parts, asking, execution, "see"):
        return Reply(refusal)
    found = [_sized(parts, one) for one in made(execution)]
    label = f"{execution.flow_id} {short(execution.id)}"
    if not found:
        return Reply(Notice("info", f"Run {code(short(execution.id))} of {code(execution.flow_id)} made no files."))
    lines = [f"- {plain(one.name, 120)}{f' ({_size(one.size)})' if one.size else ''}" for one in found[:NAMED]]
    if len(found) > NAMED:
        lines.append(f"- and {len(found) - NAMED} more")
    page = parts.office.pages.execution(execution.namespace, execution.flow_id, execution.id)
    link = f"\n[All of them on the page of the run]({page})" if page else ""
    attached = tuple(found[:ATTACHED])
    return Reply(
        Card("post", execution.id, "info", f"Files of {label}", body="\n".join(lines) + link, files=attached,
             fallback=f"{len(found)} files of {label}")
    )  # fmt: skip


def made(execution: Execution) -> tuple[FileRef, ...]:
    """Its own files that a run names in its outputs, then in those of its tasks: neither what it was given nor, however
    it came by the name, what belongs to others."""
    given = set(uris(dict(execution.inputs)))
    own = f"{SCHEME}/{execution_folder(execution.namespace, execution.flow_id, execution.id)}/"
    values = [execution.outputs or {}, *(run.outputs or {} for run in execution.task_runs.values())]
    every = files_in(values, images_only=False, limit=1000)
    return tuple(one for one in every if one.uri not in given and one.uri.startswith(own) and ".." not in one.uri)


def _sized(parts: Parts, one: FileRef) -> FileRef:
    try:
        return replace(one, size=parts.office.engine.files.path(one.uri).stat().st_size)
    except (EngineError, OSError):
        return one


def _size(count: int) -> str:
    return (
        f"{count} bytes"
        if count < 1024
        else f"{count / 1024:.1f} KB"
        if count < 1024**2
        else f"{count / 1024**2:.1f} MB"
    )
