"""What somebody is told who comes too late: who decided a pause, when and where, or that its time ran out."""

from collections.abc import Mapping
from typing import Any

from bot.approvals import answering
from bot.approvals.outlook import DECISIONS
from bot.audit import trail
from bot.cards import outline
from bot.cards.drawing import platform_of
from bot.cards.parts import PLATFORMS, STATE_WORDS, elapsed, for_reader
from bot.cards.pause_cards import outcome
from bot.commands.references import short
from bot.conversation import Person
from bot.office import Office
from bot.texts import Answer, answer, code, plain
from engine.store import chat_audit
from engine.store.pauses import PauseRow


class Lateness:
    """Tells latecomers how things stand."""

    def __init__(self, office: Office) -> None:
        self.office = office

    async def told(self, pause: PauseRow, person: Person) -> Answer:
        """E21 or E24: who ended a pause, when and where."""
        if pause.state == "EXPIRED":
            return await self.expired(pause, person)
        deed = await self.office.engine.database.read(
            lambda connection: chat_audit.last(connection, pause.id, DECISIONS)
        )
        now = self.office.now()
        if deed is not None:
            who, platform, when = deed.name, PLATFORMS.get(deed.platform, deed.platform), deed.at
            decided = answering.decided_word(deed.action, {"choice": _one_choice(deed.details)})
        elif pause.decided_by and pause.decided_at:
            names = await self.office.names({pause.decided_by})
            who, when = names[pause.decided_by], pause.decided_at
            platform = PLATFORMS[platform_of(pause.decided_by)]
            decided = "answered" if pause.state == "RESUMED" else "cancelled"
        else:
            execution = await self.office.engine.execution(pause.execution_id)
            state = STATE_WORDS[execution.state] if execution.state.is_terminal else "past this question"
            return answer("E17", id=code(short(execution.id)), state=state, verb="answer")
        ago = f"{elapsed((now - when).total_seconds())} ago ({for_reader(when, person)})"
        return answer("E21", decided=decided, who=f"**{plain(who, 80)}**", when=ago, platform=platform)

    async def on_record(self, execution_id: str, person: Person, task_run_id: str | None = None) -> Answer | None:
        """The same for a program that answers a run whose questions are over, or that of one task run, and it is
        recorded that it came; None when nobody was ever asked."""
        engine = self.office.engine
        asked = await engine.pauses(execution_id=execution_id, state=None)
        over = [one for one in asked if task_run_id in (None, one.task_run_id)]
        if not over:
            return None
        pause, said = over[-1], await self.told(over[-1], person)
        full, now = f"{pause.namespace}/{pause.flow_id}", self.office.now()
        deed = trail.denied(person, "answer", full, said, now, pause.id)
        await engine.database.transact(lambda unit: chat_audit.record(unit.connection, deed))
        return said

    async def expired(self, pause: PauseRow, person: Person) -> Answer:
        """E24: when the time ran out, and what the flow did then."""
        ended = pause.deadline or pause.decided_at or pause.created
        waited = round((ended - pause.created).total_seconds())  # the question is written a moment after its time began
        why = f"no answer in {elapsed(waited if waited < 600 else round(waited / 60) * 60)}"
        flow = await self.office.flow_of(await self.office.engine.execution(pause.execution_id))
        in_loop = flow is not None and outline.in_loop(flow, pause.task_id)
        then = outcome(pause.deadline_behavior, in_loop=in_loop) or "the flow decided"
        return answer("E24", time=for_reader(ended, person), why=why, outcome=then, run=short(pause.execution_id))


def _one_choice(details: Mapping[str, Any]) -> str:
    values = [value for value in details.get("values", {}).values() if isinstance(value, str) and value]
    return code(values[0]) if values else ""
