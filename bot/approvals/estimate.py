"""How long it takes and what it costs to go on from a question, by how it went before. Pure.

A stretch is what ran from an answer up to the next question, or to the end of the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import Any, Literal

from bot.approvals.prices import NO_PRICES, Prices, kind_of
from bot.cards.forecast import ENOUGH, WORTH_TELLING, worked
from bot.cards.outline import places
from bot.cards.parts import elapsed
from bot.conversation import Fact
from bot.texts import listed, plain
from engine.core.execution import Histories
from engine.core.flow import Flow
from engine.core.property import has_template
from engine.core.state import State
from engine.core.task import Task
from engine.plugin import RunnableTask
from engine.store.precedents import Precedent, Recorded, Stage
from engine.tallies import DIRECTIONS
from engine.tasks import aliases

WELL = frozenset({State.SUCCESS, State.WARNING})
SMALLEST = Decimal("0.0001")  # money that is told by its amount
MAX_NAMES = 3
End = Literal["question", "end", "failure", "stop"]


@dataclass(frozen=True, slots=True)
class Tariff:
    """What the tasks of some flows, as they are now, and the models they ask cost."""

    prices: Prices = NO_PRICES
    flows: Mapping[Stage, Flow] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)  # models that are asked instead of others

    @property
    def currency(self) -> str:
        """In which the prices are; "" without any."""
        return self.prices.currency if self.prices else ""

    def tasks(self) -> dict[tuple[Stage, str], tuple[Task, Flow]]:
        """Every task by where it stands."""
        every = ((stage, flow, place.task) for stage, flow in self.flows.items() for place in places(flow))
        return {(stage, task.id): (task, flow) for stage, flow, task in every}


@dataclass(frozen=True, slots=True)
class Spent:
    """What one stretch used. `price` is None where nothing of it has one."""

    tokens: tuple[int, int] = (0, 0)
    models: tuple[str, ...] = ()
    price: Decimal | None = None
    unpriced: frozenset[str] = frozenset()  # models without a price; "" for one that nobody knows


@dataclass(frozen=True, slots=True)
class Stretch:
    """One earlier stretch. `spent` is None where too much was recorded to be read."""

    revision: int
    seconds: float
    end: End
    spent: Spent | None = None
    until: datetime | None = None  # when it was over


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the next stretch will take and cost, as a rule."""

    stretches: tuple[Stretch, ...] = ()  # that went well
    failures: int = 0
    currency: str = ""  # "" without prices
    under_way: int = 0


NOTHING_KNOWN = Estimate()


def estimate(
    past: Sequence[Precedent], found: Mapping[str, Stretch], revision: int, answer: Mapping[str, Any], currency: str
) -> Estimate:
    """By those times that were answered so, and what came of them: of the same revision where they are enough."""
    so = [one for one in past if all(one.answers.get(name) == value for name, value in answer.items())]
    every = [found[one.pause_id] for one in so if one.pause_id in found]
    same = [one for one in every if one.revision == revision]
    told = same if sum(one.end in ("end", "question") for one in same) >= ENOUGH else every
    well = tuple(one for one in told if one.end in ("end", "question"))
    failures = sum(one.end == "failure" for one in told)
    return Estimate(well, failures, currency, under_way=len(so) - len(every))


def stretches(
    past: Sequence[Precedent], asked: datetime, tariff: Tariff, known: Mapping[str, Stretch]
) -> dict[str, Stretch]:
    """What came of each time, by its pause, but of those that were under way when it was `asked` now. What is `known`
    of one, of which nothing was read again, stays so for good."""
    tasks = tariff.tasks()
    found = {one.pause_id: known.get(one.pause_id) or _stretch(one, asked, tariff, tasks) for one in past}
    return {name: one for name, one in found.items() if one is not None and (one.until is None or one.until <= asked)}


def _stretch(
    one: Precedent, asked: datetime, tariff: Tariff, tasks: Mapping[tuple[Stage, str], tuple[Task, Flow]]
) -> Stretch | None:
    ends = ((state, at) for state, at in one.histories if state.is_terminal and one.since <= at <= asked)
    state, until = next(ends, (None, one.until))
    end: End = "end" if state in WELL else "failure" if state is State.FAILED else "stop"
    if one.until is not None and (until is None or one.until <= until):
        until, end = one.until, "question"
    if until is None:
        return None
    if end in ("failure", "stop"):
        return Stretch(one.revision, 0.0, end, until=until)
    spent = _spent(one, until, tariff, tasks)
    return Stretch(one.revision, _within(one.histories, one.since, until), end, spent, until)


def _within(histories: Histories, since: datetime, until: datetime) -> float:
    """Seconds worked between two moments."""
    clipped = tuple((state, max(at, since)) for state, at in histories if at < until)
    return worked(clipped, until) if clipped else 0.0


def _spent(
    one: Precedent, until: datetime, tariff: Tariff, tasks: Mapping[tuple[Stage, str], tuple[Task, Flow]]
) -> Spent | None:
    if one.recorded is None or one.worked is None:
        return None
    used: dict[str, dict[str, int]] = {}
    for value in one.recorded:
        if one.since <= value.at <= until and value.value > 0:
            known = tasks.get((value.stage, value.task_id))
            by = used.setdefault(_model(value, known[0] if known else None, tariff), {"input": 0, "output": 0})
            by[DIRECTIONS[value.name]] += round(value.value)
    priced = {name: price for name in used if (price := tariff.prices.of_model(name)) is not None}
    costs = [price.of(used[name]["input"], used[name]["output"]) for name, price in priced.items()]
    for ran in one.worked:
        known = tasks.get((ran.stage, ran.task_id))
        if known and isinstance(known[0], RunnableTask) and one.since <= ran.histories[0][1] < until:
            rate = tariff.prices.of_task(kind_of(*known))
            costs += [rate.of(_within(ran.histories, one.since, until))] if rate else []
    unpriced = frozenset(used.keys() - priced.keys())
    tokens = (sum(by["input"] for by in used.values()), sum(by["output"] for by in used.values()))
    return Spent(tokens, tuple(sorted(used)), sum(costs, Decimal(0)) if costs else None, unpriced)


def _model(value: Recorded, task: Task | None, tariff: Tariff) -> str:
    """The model that used the tokens; older records don't say it, but the task may."""
    if named := value.tags.get("model"):
        return named
    asked = getattr(getattr(task, "provider", None), "model_name", None)
    asked = asked or getattr(task, "model", None) or getattr(task, "model_name", None)
    return aliases.model(asked, tariff.renamed) if isinstance(asked, str) and not has_template(asked) else ""


def facts(found: Estimate, stated: str = "", *, goes_on: bool = True) -> tuple[Fact, ...]:
    """A line for the time, and one for the cost where anything is known; `stated` is what the policy says it costs, in
    Markdown, and `goes_on` whether anything follows."""
    lines = []
    if found.stretches or found.failures or goes_on:
        lines.append(Fact("Takes", _takes(found), short=False))
    unknown = "not known yet" if found.currency and goes_on and not stated and not found.stretches else ""
    costs = [said for said in (stated, _costs(found), unknown) if said]
    if costs:
        lines.append(Fact("Costs", " \u00b7 ".join(costs), short=False))
    return tuple(lines)


def _takes(found: Estimate) -> str:
    times, failures = len(found.stretches), found.failures
    if not times:
        if failures:
            return f"not known: it failed on the way {_times(failures)} before"
        if found.under_way:
            return "not known yet: what went on from here before is still under way"
        return "not known yet: nobody went on from here before"
    seconds = [one.seconds for one in found.stretches]
    usual = median(seconds)
    said = f"about {elapsed(usual)}" if usual >= WORTH_TELLING else f"less than {WORTH_TELLING:g} s"
    ends = {one.end for one in found.stretches}
    if len(ends) == 1:
        said += " to the next question" if "question" in ends else " to the end of the run"
    longest = max(seconds)
    most = f", the longest {elapsed(longest)}" if times > 1 and longest >= max(2 * usual, WORTH_TELLING) else ""
    rests = f"median of the last {times} times{most}" if times > 1 else "as the one time before"
    return f"{said} ({rests})" + (f"; it failed on the way {_times(failures)} besides" if failures else "")


def _costs(found: Estimate) -> str:
    known = [one.spent for one in found.stretches if one.spent is not None]
    if not known:
        return "how much is not known: too much was recorded to add it up" if found.stretches else ""
    asked, answered = (round(median(one.tokens[side] for one in known)) for side in (0, 1))
    names = sorted({name for one in known for name in one.models if name})
    unpriced = sorted({name for one in known for name in one.unpriced if name})
    used = any(sum(one.tokens) for one in known)
    tokens = f"{asked:,} tokens read and {answered:,} written" if used else ""
    tokens += f" by {listed(names, MAX_NAMES)}" if used and names else ""
    if not found.currency:
        return f"about {tokens}" if tokens else ""
    priced = [one.price or Decimal(0) for one in known] if any(one.price is not None for one in known) else []
    said = f"about {money(median(priced), found.currency)}" if priced else ""
    if tokens:
        said = f"{said} ({tokens})" if said else f"about {tokens}"
    if unpriced or any("" in one.unpriced for one in known):
        said += f"; no price is set for {listed(unpriced, MAX_NAMES) if unpriced else 'the model'}"
    return said or "nothing that has a price"


def money(amount: Decimal, currency: str) -> str:
    """An amount as people read it: cents, or two digits of what is less."""
    unit = plain(currency, 12)
    if amount == 0:
        return f"0 {unit}"
    if amount < SMALLEST:
        return f"less than {SMALLEST} {unit}"
    places_ = Decimal("0.01") if amount >= 1 else Decimal(1).scaleb(max(amount.adjusted() - 1, -5))
    return f"{amount.quantize(places_, ROUND_HALF_UP):,f} {unit}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
