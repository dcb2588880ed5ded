"""What a room sees of runs: cards at once, at the end or with a thread, or only what must not be missed.

A room has a mode of its own or the one of parley.yaml, and may mute single flows for a time. Questions are shown
whatever the mode, and whoever started a run hears of its failure. A run that is not shown (yet) has a quiet row, so
that neither is forgotten when the process ends in between.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot import documents
from bot.cards.room_modes import below, mode_of, room_key, run_above
from bot.chat_settings import CardMode
from bot.commands.references import short
from bot.conversation import Notice, Room
from bot.office import Office
from bot.texts import code, plain
from engine.core.execution import Execution
from engine.core.executor import is_broken_off
from engine.core.state import State
from engine.store import chat_messages, chat_rooms
from engine.store.chat_messages import END, PROGRESS, Kind, Message
from engine.store.database import Unit

MAX_ERROR = 400


def posted_room(message: Message) -> Room:
    """Where a message lies: the thread it was posted in, or its channel while it is not posted."""
    room = documents.room(message.room)
    if message.message is None:
        return replace(room, thread=None) if run_above(room) else room
    return replace(room, thread=documents.message_ref(message.message).thread)


def want_card(
    unit: Unit, id_: str, kind: Kind, entity: str, execution_id: str, room: Room, now: datetime, *, quiet: bool = False
) -> bool:
    """Ask for a card in a room, inside somebody's transaction; False when the room has one."""
    document = documents.dump(room)
    place = documents.place(room)
    return chat_messages.want(
        unit.connection, id_, kind, entity, execution_id, place=place, room=document, now=now, is_quiet=quiet
    )


def show_run(unit: Unit, office: Office, execution: Execution, room: Room, now: datetime, *, quiet: bool) -> bool:
    """See to what a room is to see of a new run; whether its card follows now."""
    mode = "off" if quiet else mode_in(unit, office, execution, room, now)
    kind: Kind = "word" if mode == "off" else "run"
    is_quiet = mode in ("off", "end")
    want_card(unit, office.new_id(), kind, execution.id, execution.id, room, now, quiet=is_quiet)
    return not is_quiet


def mode_in(unit: Unit, office: Office, execution: Execution, room: Room, now: datetime) -> CardMode:
    """How a room shows a run; muted is off."""
    flow = f"{execution.namespace}/{execution.flow_id}"
    own, muted_until = chat_rooms.of_flow(unit.connection, room_key(room), flow, now)
    return "off" if muted_until is not None else mode_of(own, office.settings.card)


def follow(
    unit: Unit, office: Office, execution: Execution, shown: Sequence[Message], errors: Sequence[tuple[str, str]]
) -> None:
    """A run moved: its cards are stale; at its end the quiet ones are woken, threads get the log, a failure is told."""
    now, is_over = office.now(), execution.state.is_terminal
    for message in shown:
        room = documents.room(message.room)
        if message.kind == "word" and not is_over:
            chat_messages.rest(unit.connection, message.id)
        elif message.kind == "word":
            _tell_failure(unit, message, execution, failure(office, execution, errors), now)
        elif message.kind == "log" and is_over:
            chat_messages.touch(unit.connection, entity=message.entity, urgency=END, now=now)
        elif message.kind == "run" and message.state != "QUIET":
            urgency = END if is_over else PROGRESS
            chat_messages.touch(unit.connection, entity=message.entity, urgency=urgency, now=now)
        elif message.kind == "run" and is_over and mode_in(unit, office, execution, room, now) != "off":
            chat_messages.wake(unit.connection, message.id, now)
        elif message.kind == "run" and is_over:
            _tell_failure(unit, message, execution, failure(office, execution, errors), now)
        is_card = message.kind == "run" and message.state != "DEAD"
        if is_card and is_over and mode_in(unit, office, execution, room, now) in ("thread", "all"):
            thread = below(room, execution.id)
            want_card(unit, office.new_id(), "log", log_entity(execution.id), execution.id, thread, now)


def log_entity(execution_id: str) -> str:
    """What a message with a run's log is about: it changes apart from the card."""
    return f"{execution_id}:log"


def _tell_failure(unit: Unit, message: Message, execution: Execution, notice: Notice, now: datetime) -> None:
    """Once for each time the run ended; nothing when it ended well."""
    end = str(len(execution.histories))
    if not chat_messages.settle(unit.connection, message.id, end) or execution.state is not State.FAILED:
        return
    start = chat_messages.start_of(unit.connection, [execution.id]).get(execution.id)
    if start is not None:
        id_ = f"{execution.id}:failed:{end}"
        chat_messages.tell(unit.connection, id_, message.room, start.person, documents.dump(notice), now)


def failure(office: Office, execution: Execution, errors: Sequence[tuple[str, str]]) -> Notice:
    """What whoever started a run is told of its failure, where its card is not shown."""
    task, message = errors[-1] if errors else ("", "")
    why = f" at **{plain(task)}**" if task else ""
    text = f"Your run {code(short(execution.id))} of {code(execution.flow_id)} failed{why}."
    ids = office.ids
    again = {"rs": "Retry from here"} if is_broken_off(execution) else {"rp": "Replay"}
    verbs = {"lg": "Log", **({"ex": "Explain"} if office.explains(execution) else {}), **again}
    buttons = [ids.button(verb, execution.id, label) for verb, label in verbs.items()]
    said = f"{text} {plain(message, MAX_ERROR)}" if message else text
    return Notice("danger", said, (*buttons, ids.button("st", execution.id, "Show the run")))
