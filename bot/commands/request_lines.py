"""A waiting request as one line of a list: what is asked, by whom and with what, since one may answer it from there."""

from bot.asking import Asking, Parts
from bot.cards.parts import elapsed, in_round, rounds
from bot.conversation import Card
from bot.forms.questions import secret_ids
from bot.people.permissions import Asked
from bot.texts import code, plain
from engine.core.execution import Execution
from engine.core.inputs import Input
from engine.store.pauses import PauseRow

LONGEST = 160
VALUE = 40
MOST = 5


async def request_line(parts: Parts, asking: Asking, pause: PauseRow, card: Card) -> str:
    """`Ship web to prod? · by Ann · env=prod · wait waits for 5 min · 2 h left`."""
    office = parts.office
    execution = await office.engine.execution(pause.execution_id)
    flow, full = await office.flow_of(execution), f"{pause.namespace}/{pause.flow_id}"
    may_see = await office.permissions.refuse(Asked("see", asking.person, asking.room, full), fresh=False) is None
    by = next((fact.value for fact in card.facts if fact.label == "Requested by"), "")
    now = office.now()
    label = office.engine.masker.mask(in_round(code(pause.task_id), rounds(execution, pause.task_run_id)))
    left = elapsed(max((pause.deadline - now).total_seconds(), 0)) if pause.deadline else ""
    told = (
        _question(card, pause),
        f"by {by}" if by else "",
        office.engine.masker.mask(_inputs(flow.inputs, execution)) if flow and may_see else "",
        f"{label} waits for {elapsed((now - pause.created).total_seconds())}",
        f"{left} left" if left else "",
    )
    return " \u00b7 ".join(part for part in told if part)


def _question(card: Card, pause: PauseRow) -> str:
    """What the author of the flow wrote as the question, or said just before it."""
    if not card.title.endswith(f": {pause.flow_id}"):
        return plain(card.title, LONGEST)
    first = next((line for line in card.body.splitlines() if line.strip()), "")
    return first.removeprefix("- ") if len(first) <= LONGEST else ""


def _inputs(declared: tuple[Input, ...], execution: Execution) -> str:
    """The plain values of the run; neither secrets nor files, nor what holds others."""
    kept = secret_ids(declared) | {one.id for one in declared if one.type == "FILE"}
    given = execution.inputs
    short = [one.id for one in declared if one.id not in kept and isinstance(given.get(one.id), str | int | float)]
    shown = [f"{plain(name, VALUE)}={plain(str(given[name]), VALUE)}" for name in short[:MOST] if given[name] != ""]
    return ", ".join(shown) + (" \u2026" if len(short) > MOST else "")
