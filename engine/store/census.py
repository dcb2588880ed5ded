"""How many there are of what is open: read by whoever watches, never by what runs."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from engine.core.state import State
from engine.store.chat_tables import messages, notices
from engine.store.tables import executions, pauses

OPEN = tuple(state.value for state in State if not state.is_terminal)


@dataclass(frozen=True, slots=True)
class Census:
    """What is open now."""

    executions: tuple[tuple[str, str, int], ...]  # namespace, state, how many
    pauses: tuple[tuple[str, int, datetime], ...]  # namespace, how many, since when the oldest waits
    outbox: tuple[tuple[str, str, int], ...]  # platform, `card` or `notice`, how many are not yet sent
    abandoned: tuple[tuple[str, int], ...]  # platform, cards that it will never take


def take(connection: Connection) -> Census:
    """Count; ended executions are not looked at, so that it costs what is open and not what is stored."""
    row, pause = executions.c, pauses.c
    running = select(row.namespace, row.state, func.count()).where(row.state.in_(OPEN))
    waiting = select(pause.namespace, func.count(), func.min(pause.created)).where(pause.state == "WAITING")
    behind = (messages.c.desired > messages.c.shown) & (messages.c.state != "DEAD")
    cards = select(messages.c.platform, func.count()).where(behind).group_by(messages.c.platform)
    sentences = select(notices.c.platform, func.count()).group_by(notices.c.platform)
    dead = select(messages.c.platform, func.count()).where(messages.c.state == "DEAD").group_by(messages.c.platform)
    return Census(
        tuple((space, state, n) for space, state, n in connection.execute(running.group_by(row.namespace, row.state))),
        tuple((space, n, since) for space, n, since in connection.execute(waiting.group_by(pause.namespace))),
        tuple((platform, "card", n) for platform, n in connection.execute(cards))
        + tuple((platform, "notice", n) for platform, n in connection.execute(sentences)),
        tuple((platform, n) for platform, n in connection.execute(dead)),
    )
