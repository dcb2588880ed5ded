"""Cards of runs and pauses as they stand now, drawn from the engine's rows each time."""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.approvals.answering import FORM
from bot.approvals.outlook import DECISIONS, Estimates, outlook
from bot.approvals.prospect import NOTHING, Outlook
from bot.approvals.votes import meter
from bot.cards import outline, parts
from bot.cards.forecast import Usual, usual
from bot.cards.log_lines import written
from bot.cards.pause_cards import Decided, PauseView, Voted, pause_card
from bot.cards.run_cards import EXCERPT, RunView, run_card
from bot.conversation import Card, FileRef, Platform
from bot.office import Office, Questions
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.property import has_template
from engine.core.state import State
from engine.store import chat_audit, chat_votes, durations
from engine.store.durations import PastRun
from engine.store.logs import LogLine
from engine.store.pauses import PauseRow

MAX_ERRORS = 200
REMEMBERED = timedelta(seconds=30)
MAX_FLOWS = 500


class Drawing:
    """Draws cards; two drawings of the same state are equal, whoever asks for them."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self._history: dict[tuple[str, str], tuple[datetime, list[PastRun]]] = {}
        self.estimates = Estimates(office.engine, office.prices)

    async def run(self, execution_id: str, version: int = 0) -> tuple[Card, bool]:
        """The card of a run, and whether it is over; NotFound."""
        office, engine = self.office, self.office.engine
        execution = self._shown(await engine.execution(execution_id))
        excerpt: tuple[str, ...] = ()
        if execution.state is State.FAILED:
            excerpt = written(await engine.logs(execution_id, limit=EXCERPT, last=True))
        waiting = await engine.pauses(execution_id=execution_id) if execution.state is State.PAUSED else []
        view = RunView(
            execution,
            await office.flow_of(execution),
            await self._name(execution.started_by),
            office.now(),
            await self._reasons(execution),
            tuple(pause.task_id for pause in waiting),
            version,
            Usual() if execution.state.is_terminal else usual(await self._past(execution), execution.revision),
            excerpt,
            office.explains(execution),
        )
        return run_card(view, office.ids, office.pages), execution.state.is_terminal

    async def _reasons(self, execution: Execution) -> tuple[tuple[str, str], ...]:
        """(task id, message) of what the log says of an end that is no success, latest last."""
        logs, state = self.office.engine.logs, execution.state
        lines: list[LogLine] = []
        if state in (State.FAILED, State.WARNING):
            level = "ERROR" if state is State.FAILED else "WARN"
            lines = await logs(execution.id, level=level, limit=MAX_ERRORS, last=True)
        if not lines and state in (State.FAILED, State.CANCELLED):  # a promise broken, nobody answered: the last word
            lines = [line for line in await logs(execution.id, limit=1, last=True) if line.level in ("WARN", "ERROR")]
        return tuple((line.task_id or "", line.message) for line in lines)

    async def _past(self, execution: Execution) -> list[PastRun]:
        """How earlier runs of its flow went; asked anew after a while only, however many cards are drawn."""
        key, now = (execution.namespace, execution.flow_id), self.office.now()
        known = self._history.get(key)
        if known is None or now - known[0] > REMEMBERED:
            if len(self._history) >= MAX_FLOWS:
                self._history.clear()
            known = (now, await self.office.engine.database.read(lambda c: durations.past(c, *key)))
            self._history[key] = known
        return known[1]

    async def pause(self, pause_id: str, version: int = 0) -> tuple[Card, bool]:
        """The card of a pause, and whether it is over; NotFound."""
        pause = await self.office.engine.pause_row(pause_id)
        return await self.pause_of(pause, version), pause.state != "WAITING"

    async def pause_of(self, pause: PauseRow, version: int = 0, *, may_type_secrets: bool = False) -> Card:
        """The card of a pause whose row is at hand; where secrets may be typed it is answered by a form in place."""
        office = self.office
        execution = self._shown(await office.engine.execution(pause.execution_id))
        asked = await office.questions(pause, execution)
        flow = await office.flow_of(execution)
        place = outline.find(flow, pause.task_id) if flow else None
        run = pause.task_run_id
        template = outline.message_before(flow, pause.task_id) if flow else None
        message = outline.message_text(await office.render(execution, template, run)) if template else ""
        message = outline.shown_text(message, office.settings.public_url)
        view = PauseView(
            pause.id,
            pause.execution_id,
            pause.task_id,
            pause.namespace,
            pause.flow_id,
            pause.state,
            pause.created,
            execution.begun,
            await self._name(execution.started_by),
            asked.fields,
            FORM if may_type_secrets and asked.shape.kind == "secure" else asked.shape,
            await self._description(execution, place, run),
            office.engine.masker.mask(message),
            _images(execution),
            outline.continues_with(flow, pause.task_id) if flow else "",
            pause.deadline,
            pause.deadline_behavior,
            await self._decided(pause),
            pause.decided_at,
            asked.is_flow_gone,
            version,
            *await self._policy(pause, execution),
            outlook=await self._outlook(pause, flow, asked),
            rounds=tuple(parts.rounds(execution, run)),
            in_loop=flow is not None and outline.in_loop(flow, pause.task_id),
        )
        return pause_card(view, office.ids, office.pages)

    async def _policy(self, pause: PauseRow, execution: Execution) -> tuple[str, int, str, tuple[Voted, ...]]:
        """Who may decide, how many of them, and how far the vote is."""
        bench = await self.office.eligibility.bench(pause, execution)
        if bench.is_open:
            return "", 1, "", ()
        cast = await self.office.engine.database.read(lambda c: chat_votes.votes_on(c, pause.id))
        told = tuple(Voted(vote.name, vote.platform, vote.word) for vote in cast)
        who = bench.label
        if bench.delegations:
            names = await self.office.names({one.taker for one in bench.delegations})
            who = f"{who}; {bench.handed(names)}"
        return who, bench.rule.need, meter(cast, bench.rule), told

    async def _outlook(self, pause: PauseRow, flow: Flow | None, asked: Questions) -> Outlook:
        """What a yes leads to; nothing once it is decided."""
        if pause.state != "WAITING" or flow is None or asked.is_flow_gone:
            return NOTHING
        known, rule = await self.estimates.of(pause, flow, asked), self.office.eligibility.rule(pause)
        return await outlook(self.office.engine, pause, flow, asked, known, rule.cost)

    def _shown(self, execution: Execution) -> Execution:
        """Nothing secret reaches a card."""
        if not execution.outputs:
            return execution
        return replace(execution, outputs=self.office.engine.masker.mask_value(execution.outputs))

    async def _description(self, execution: Execution, place: outline.Place | None, task_run_id: str) -> str:
        """The question in the author's words; an expression in it is rendered as far as it can be."""
        written = (place.task.description or "") if place else ""
        if not has_template(written):
            return written
        return self.office.engine.masker.mask(str(await self.office.render(execution, written, task_run_id) or written))

    async def _name(self, person_id: str) -> str:
        if not person_id:
            return "the engine"
        return (await self.office.names({person_id}))[person_id]

    async def _decided(self, pause: PauseRow) -> Decided | None:
        """From the audit; a decision taken past the desk is known by the engine's row alone."""
        if pause.state in ("WAITING", "EXPIRED", "SUPERSEDED"):
            return None
        deed = await self.office.engine.database.read(
            lambda connection: chat_audit.last(connection, pause.id, DECISIONS)
        )
        if deed is not None:
            reason = str(deed.details.get("reason", ""))
            return Decided(deed.action, deed.name, deed.platform, deed.at, deed.details.get("values", {}), reason)
        if not pause.decided_by or pause.decided_at is None:
            return None
        action = "resume" if pause.state == "RESUMED" else "kill"
        platform = platform_of(pause.decided_by)
        return Decided(action, await self._name(pause.decided_by), platform, pause.decided_at, pause.inputs or {})

    async def pauses_of(self, execution_id: str, *, may_type_secrets: bool = False) -> list[Card]:
        """The cards of every pause a run has or had."""
        found = await self.office.engine.pauses(execution_id=execution_id, state=None)
        return [await self.pause_of(pause, may_type_secrets=may_type_secrets) for pause in found]


def platform_of(person_id: str) -> Platform:
    """The platform a person's id tells of; people of this machine and tokens come through the page or a terminal."""
    kind = person_id.partition(":")[0]
    kinds: dict[str, Platform] = {"slack": "slack", "discord": "discord", "web": "web", "token": "web"}
    return kinds.get(kind, "cli")


def _images(execution: Execution) -> tuple[FileRef, ...]:
    """Pictures of the latest task that has any."""
    for run in reversed(tuple(execution.task_runs.values())):
        if found := parts.files(run.outputs, images_only=True):
            return found
    return ()
