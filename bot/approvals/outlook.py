"""What a yes leads to, asked of the engine: the tasks that follow, the files they change, what it takes and costs, and
how it went before."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bot.approvals import diffs, prospect
from bot.approvals.answering import decided_word, quick_values
from bot.approvals.estimate import Estimate, Stretch, Tariff, estimate, facts, stretches
from bot.approvals.prices import Prices
from bot.approvals.prospect import Outlook
from bot.cards import parts
from bot.conversation import Enclosure
from bot.office import Questions
from bot.texts import plain
from engine.core.flow import Flow
from engine.errors import EngineError
from engine.runtime import Engine
from engine.store import chat_audit, precedents
from engine.store.pauses import PauseRow
from engine.store.precedents import Stage
from engine.tallies import DIRECTIONS

MAX_PAUSES = 1000  # whose estimates are kept at hand
DECISIONS = frozenset({"approve", "reject", "answer", "choose", "kill", "resume"})


def yes_to(asked: Questions) -> Mapping[str, Any] | None:
    """What somebody gives who says yes; None when nobody knows."""
    if asked.shape.kind == "yes_no":
        return quick_values(asked.fields_for("approve"), asked.shape.key, True)
    return {} if asked.shape.kind == "plain" else None


class Estimates:
    """Knows what it takes and costs to go on from a question; every earlier run is read once."""

    def __init__(self, engine: Engine, prices: Prices) -> None:
        self.engine = engine
        self.prices = prices
        self._estimates: dict[str, Estimate] = {}
        self._stretches: dict[tuple[str, str, str, int], dict[str, Stretch]] = {}

    async def of(self, pause: PauseRow, flow: Flow, asked: Questions) -> Estimate:
        """It goes by what was over when the question was asked, so that it is the same for everybody who is asked,
        whenever they look."""
        known = self._estimates.get(pause.id)
        if known is None:
            if len(self._estimates) >= MAX_PAUSES:
                self._estimates.clear()
                self._stretches.clear()
            known = self._estimates[pause.id] = await self._made(pause, flow, asked)
        return known

    async def _made(self, pause: PauseRow, flow: Flow, asked: Questions) -> Estimate:
        engine, prices = self.engine, self.prices
        question = (pause.namespace, pause.flow_id, pause.task_id, flow.revision)
        known = self._stretches.get(question, {})
        await engine.logbook.flush()
        past = await engine.database.read(
            lambda c: precedents.before(c, pause, values=DIRECTIONS, with_tasks=bool(prices.tasks), known=known.keys())
        )
        own = Stage(pause.namespace, pause.flow_id)
        stages = {value.stage for one in past for value in one.recorded or ()}
        stages |= {ran.stage for one in past for ran in one.worked or ()}
        flows = {own: flow}
        for stage in stages - {own}:
            with suppress(EngineError):
                flows[stage] = engine.flows.get(stage.namespace, stage.flow_id)
        tariff = Tariff(prices, flows, engine.settings.models)
        found = await asyncio.to_thread(stretches, past, pause.created, tariff, known)
        latest = {one.pause_id for one in past}  # older ones are asked for no more
        self._stretches[question] = {name: one for name, one in known.items() if name in latest} | found
        answer = {asked.shape.key: True} if asked.shape.kind == "yes_no" else {}
        return estimate(past, found, flow.revision, answer, tariff.currency)


async def outlook(
    engine: Engine, pause: PauseRow, flow: Flow, asked: Questions, known: Estimate, cost: str = ""
) -> Outlook:
    """As it is now, after a yes where that can be told; `cost` is the policy's template. NotFound."""
    given = yes_to(asked)
    before = await engine.database.read(
        lambda c: chat_audit.previous(c, pause.namespace, pause.flow_id, pause.task_id, pause.id, DECISIONS)
    )
    last = ""
    if before is not None:
        where = parts.PLATFORMS.get(before.platform, before.platform)
        last = f"{decided_word(before.action)} by {plain(before.name, 60)} ({where}), {parts.utc(before.at)}"
    forks = prospect.forks(flow, pause.task_id)
    decided = dict(
        zip(forks, await engine.foresee(pause.id, given, list(forks.values())) if forks else (), strict=True)
    )
    every = prospect.following(flow, pause.task_id, prospect.MAX_WALK, decided)
    steps = every[: prospect.MAX_TASKS]
    *values, stated = await engine.foresee(pause.id, given, [*prospect.templates(steps), cost])
    foreseen = await engine.file_changes(pause.id, given, prospect.ahead(flow, pause.task_id, decided))
    changes, whole = await asyncio.to_thread(diffs.told, foreseen) if foreseen else ((), "")
    enclosed = (Enclosure(diffs.DOCUMENT, "Files that change", whole),) if whole else ()
    takes = facts(known, prospect.stated(stated, cost), goes_on=bool(steps))
    told = (*prospect.facts(steps, values), *prospect.rest(every))
    return Outlook(told, changes, enclosed, last, takes)
