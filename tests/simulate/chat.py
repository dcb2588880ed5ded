"""People and platforms: what somebody presses, on the path every decision takes: receipt, pause, who, values, one
transaction, the cards.

What `bot` decides without an engine is called as it is (shapes of questions, plans of an answer, ids of buttons,
permissions); what it does in a transaction is done here with the rows of the simulated store.
"""

from typing import TYPE_CHECKING, Any
from zlib import crc32

from bot.approvals import answering
from bot.conversation import Person, Room
from bot.forms import questions as forms
from bot.links import ActionIds
from bot.people.permissions import Asked
from bot.texts import Answer, answer
from engine.core import events as e
from engine.core.execution import Execution
from engine.core.executor import check_restart, find_task, replayed, task_state_changed
from engine.core.inputs import resolve
from engine.core.state import State
from engine.errors import EngineError
from engine.store.pauses import PauseRow
from tests.simulate.scenes import PEOPLE, Deed
from tests.simulate.store import Card, Receipt
from tests.simulate.work import path_of

if TYPE_CHECKING:
    from tests.simulate.process import Process
    from tests.simulate.world import World

IDS = ActionIds(b"simulated")
VERBS = {"approve": "ap", "reject": "rj", "killed by card": "kl"}


def person_of(deed: Deed) -> Person:
    """Who does a deed."""
    id_, name, platform = PEOPLE[deed.who]
    return Person(id_, name, platform)  # type: ignore[arg-type]


class SomeMayNot:
    """A policy: Bob decides only some pauses."""

    def refuse(self, asked: Asked) -> Answer | None:
        if asked.person.name == "Bob" and crc32(asked.task_id.encode()) % 4 == 0:
            return answer("E20", approvers="Ann")
        return None

    def describe(self) -> str:
        return "Bob may not decide everything."


class Chat:
    """The desk of one life of the bot."""

    def __init__(self, world: "World", process: "Process") -> None:
        self.world = world
        self.process = process
        self.store = world.store
        self.permissions = SomeMayNot()
        self.running: set[str] = set()  # deliveries being answered

    def recover(self) -> None:
        """After a start: cards are looked at again, deliveries that were cut off are carried on with."""
        for execution_id in dict.fromkeys(pause.execution_id for pause in self.store.pauses.values()):
            self.look_at(execution_id)
        for card in self.store.cards.values():
            self.process.ready[f"draw {card.id}"] = lambda card=card: self._draw(card)  # type: ignore[misc]
        for receipt in self.store.receipts.values():
            if receipt.answer is None:
                self._handle(receipt)

    # --- deliveries
    def hear(self, number: int, copy: int) -> None:
        """A platform delivers what somebody did; the same thing may come again."""
        deed = self.world.deeds[number]
        key = f"{PEOPLE[deed.who][2]}:{number}"
        known = self.store.receipts.get(key)
        if known is not None and known.answer is not None:
            self.world.laws.answered(number, known.answer)
            return
        if key in self.running:
            return
        if known is None:
            known = self.store.receipts[key] = Receipt(key, number)
        self._handle(known)

    def _handle(self, receipt: Receipt) -> None:
        self.running.add(receipt.key)
        deed = self.world.deeds[receipt.deed]
        step = self._judge if deed.what in VERBS else self._order
        self.process.ready[f"judge {receipt.key}"] = lambda: step(receipt, deed)

    def _reply(self, receipt: Receipt, said: str) -> None:
        def finish() -> None:
            if receipt.answer is None:
                receipt.answer = said
            self.running.discard(receipt.key)
            self.world.laws.answered(receipt.deed, receipt.answer)

        self.process.ready[f"answer {receipt.key}"] = finish

    # --- deciding a pause
    def _judge(self, receipt: Receipt, deed: Deed) -> None:
        pause = self.world.pause_meant(receipt.deed)
        if pause is None:
            self._reply(receipt, "Nothing waits.")
            return
        pressed = IDS.read(IDS(VERBS[deed.what], pause.id))
        if pressed is None or not pressed.is_ours or pressed.target != pause.id:
            raise AssertionError("A button of ours was not recognised.")
        execution = self.store.executions[pause.execution_id]
        if refusal := self._refuse(pause, execution, deed):
            self._reply(receipt, refusal)
            return
        fields, inputs = self.world.questions(execution, pause)
        shape = answering.shape(fields)
        action = "kill" if pressed.verb == "kl" else deed.what
        plan: Any = answering.plan(shape, fields, action, {}, may_type_secrets=True)
        if isinstance(plan, answering.Ask):  # the form it opens is filled and sent
            given = {**plan.fixed, "approve": deed.what == "approve"}
            plan = answering.plan(shape, fields, action, given, was_asked=True)
        if isinstance(plan, answering.Kill):
            self.process.ready[f"settle {receipt.key}"] = lambda: self._settle(receipt, deed, pause, None)
            return
        resolved = resolve(inputs, plan.given, self.world.render_input)
        if resolved.problems:
            self._reply(receipt, "The values do not fit.")
            return
        values = dict(resolved.values)
        self.process.ready[f"settle {receipt.key}"] = lambda: self._settle(receipt, deed, pause, values)

    def _refuse(self, pause: PauseRow, execution: Execution, deed: Deed) -> str | None:
        if pause.state != "WAITING":
            return "Too late."
        if pause.deadline is not None and pause.deadline <= self.world.now:
            return "Nobody answered in time."
        room = Room(PEOPLE[deed.who][2], "C1")  # type: ignore[arg-type]
        asked = Asked("decide", person_of(deed), room, f"{pause.namespace}/{pause.flow_id}", pause.task_id)
        denied = None if deed.who < 0 else self.permissions.refuse(asked)
        return None if denied is None else denied.notice().text

    def _settle(self, receipt: Receipt, deed: Deed, pause: PauseRow, values: dict[str, Any] | None) -> None:
        """The one transaction: compare-and-set, event, audit, stale cards, the answer."""
        store, now, by = self.store, self.world.now, PEOPLE[deed.who][0]
        event: e.Event
        if values is not None:
            won = store.decide(pause.id, "RESUMED", by, now, values) is not None
            event, dedupe = e.Resumed(now, pause.task_run_id, values, by), f"resume:{pause.id}"
        else:
            won = store.decide(pause.id, "KILLED", by, now) is not None
            event, dedupe = e.KillAsked(now, by), None
        posted = store.post(pause.execution_id, event, dedupe) if won else None
        if posted is None:
            self._reply(receipt, "Too late.")
            return
        store.audit.append((pause.id, by, deed.what))
        store.touch(pause.id)
        receipt.answer = "Done."
        self.running.discard(receipt.key)
        self.world.laws.decided(pause.id, by)
        self.process.effect(lambda: self.process.post_stored(posted))
        self.process.effect(lambda: self.look_at(pause.execution_id))
        self._reply(receipt, "Done.")

    # --- what people do to whole executions
    def _order(self, receipt: Receipt, deed: Deed) -> None:
        """One transaction each, with the receipt in it."""
        execution = self.world.execution_meant(receipt.deed)
        by = PEOPLE[deed.who][0]
        event, refusal = self._asked(execution, deed, by)
        if refusal:
            self._reply(receipt, refusal)
            return
        receipt.answer = "Done."
        if event is None:
            self._replay(execution, receipt.deed, by)
        else:
            posted = self.store.post(execution.id, event, receipt.key)
            if posted is not None:
                self.process.effect(lambda: self.process.post_stored(posted))
        self._reply(receipt, "Done.")

    def _asked(self, execution: Execution, deed: Deed, by: str) -> tuple[e.Event | None, str]:
        now = self.world.now
        match deed.what:
            case "kill":
                return e.KillAsked(now, by), "It has ended." if execution.state.is_terminal else ""
            case "spare":
                return e.KillAsked(now, by, cascade=False), "It has ended." if execution.state.is_terminal else ""
            case "correct":
                return self._corrected(execution, deed, by)
            case "hold":
                return e.PauseAsked(now, by), "" if execution.state is State.RUNNING else "It does not run."
            case "release":
                return e.Resumed(now, None, by=by), "" if execution.held else "It is not held."
            case "restart":
                try:
                    check_restart(execution)
                except EngineError as error:
                    return None, str(error)
                return e.RestartAsked(now, by), ""
        return None, "" if execution.state.is_terminal else "It is still under way."

    def _corrected(self, execution: Execution, deed: Deed, by: str) -> tuple[e.Event | None, str]:
        """Some task run is to have ended otherwise."""
        runs = sorted(execution.task_runs.values(), key=lambda run: path_of(execution, run))
        if not runs:
            return None, "It has no task runs."
        run, now = runs[int(deed.at * 1000) % len(runs)], self.world.now
        to = (State.SUCCESS, State.FAILED, State.WARNING)[deed.which % 3]
        try:
            task_state_changed(self.world.flow(execution), execution, run.id, to, now)
        except EngineError as error:
            return None, str(error)
        return e.TaskStateAsked(now, run.id, to, by), ""

    def _replay(self, execution: Execution, number: int, by: str) -> None:
        world = self.world
        runs = sorted(execution.task_runs.values(), key=lambda run: path_of(execution, run))
        chosen = runs[number % len(runs)].id if runs and number % 2 else None
        new_id = world.new_id(f"{world.names[execution.id]}^{number}")
        new = replayed(world.flow(execution), execution, new_id, world.now, from_task_run=chosen, by=by)
        begun = self.store.create(new, world.now)
        self.process.effect(lambda: self.process.post(new.id, e.Started(self.world.now), drops=begun.id))

    # --- cards
    def look_at(self, execution_id: str) -> None:
        """An execution changed: which cards are wanted or stale."""
        mine = [pause for pause in self.store.pauses.values() if pause.execution_id == execution_id]
        if mine:
            self.process.ready[f"look {execution_id}"] = lambda: self._look(execution_id)

    def _look(self, execution_id: str) -> None:
        for pause in [pause for pause in self.store.pauses.values() if pause.execution_id == execution_id]:
            card = self.store.cards.get(f"M{pause.id}")
            if card is None:
                card = self.store.cards[f"M{pause.id}"] = Card(f"M{pause.id}", pause.id)
            elif pause.state != "WAITING" and card.shows != pause.state:
                card.wanted += 1
            if card.wanted != card.shown:
                self.process.ready[f"draw {card.id}"] = lambda card=card: self._draw(card)  # type: ignore[misc]

    def _draw(self, card: Card) -> None:
        """Send what the table says is wanted and not yet shown."""
        wanted = card.wanted
        card.shows = self.store.pauses[card.pause_id].state

        def noted() -> None:
            card.shown = max(card.shown, wanted)
            if card.shown < card.wanted:
                self.process.ready[f"draw {card.id}"] = lambda: self._draw(card)

        self.process.ready[f"note {card.id}"] = noted


def questions(execution: Execution, pause: PauseRow, world: "World") -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Fields and inputs of a pause."""
    task = find_task(world.flow(execution), pause.task_id)
    inputs = tuple(getattr(task, "on_resume", None) or ())
    if not inputs:
        return (), ()
    return forms.fields_of(inputs, resolve(inputs, {}, world.render_input)), inputs
