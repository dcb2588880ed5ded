"""What must hold after the worst: pure functions from what clients were told and what the database says to sentences.

An empty list means that a promise was kept.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(slots=True)
class Told:
    """What the clients sent, and what they were told."""

    orders: list[int] = field(default_factory=list)  # creations that were sent, each once
    acknowledged: dict[int, str] = field(default_factory=dict)  # order → execution, for those that were answered
    answers: dict[str, list[str]] = field(default_factory=dict)  # execution → words that were sent as an answer
    accepted: dict[str, list[str]] = field(default_factory=dict)  # execution → words that were taken, said the server


@dataclass(frozen=True, slots=True)
class Ran:
    """An execution of the flow `order`, as the database has it."""

    id: str
    order: int
    state: str
    word: str | None  # what it handed on: the answer that its last task saw


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task run, and how many of its attempts are recorded as successful."""

    execution_id: str
    task_id: str
    value: str | None
    state: str
    successes: int


@dataclass(frozen=True, slots=True)
class Fire:
    """A date of a schedule."""

    trigger: str
    at: datetime
    execution_id: str | None


def nothing_lost(told: Told, ran: Sequence[Ran]) -> list[str]:
    """Every acknowledged creation is there under the id that was told, once, and all that is there ended well."""
    there = {one.id: one for one in ran}
    broken = [
        f"order {order} was acknowledged as {key} and is not there"
        for order, key in told.acknowledged.items()
        if key not in there or there[key].order != order
    ]
    for order, times in Counter(one.order for one in ran).items():
        if times > 1:
            broken.append(f"order {order} was sent once and made {times} executions")
    sent = set(told.orders)
    broken += [f"order {one.order} was never sent" for one in ran if one.order not in sent]
    return broken + [f"order {one.order} ended as {one.state}" for one in ran if one.state != "SUCCESS"]


def decided_once(
    told: Told, ran: Iterable[Ran], decisions: Mapping[str, Sequence[str]], marks: Iterable[str]
) -> list[str]:
    """One decision a pause: a word that somebody sent, the one that was accepted if one was, seen by all that follows.

    `decisions` maps an execution to the words of its decided pauses; marks are `<order> after <word>`.
    """
    seen: dict[int, set[str]] = {}
    for mark in marks:
        order, step, *rest = mark.split(" ")
        if step == "after":
            seen.setdefault(int(order), set()).add(" ".join(rest))
    broken = []
    for one in ran:
        words = list(decisions.get(one.id, ()))
        if len(words) != 1:
            broken.append(f"{one.id} has {len(words)} decisions")
            continue
        (word,) = words
        if word not in told.answers.get(one.id, ()):
            broken.append(f"{one.id} was decided with {word!r}, which nobody sent")
        if any(accepted != word for accepted in told.accepted.get(one.id, ())):
            broken.append(f"{one.id} took {told.accepted[one.id]}, said the server, and holds {word!r}")
        if one.word != word:
            broken.append(f"{one.id} was decided with {word!r} and handed on {one.word!r}")
        if seen.get(one.order, {word}) != {word}:
            broken.append(f"the task after the decision of {one.id} saw {sorted(seen[one.order])}")
    return broken


def fired_once(
    fires: Sequence[Fire], made: Mapping[str, Sequence[str]], steps: Mapping[str, timedelta], since: datetime,
    until: datetime,
) -> list[str]:  # fmt: skip
    """Each date between two moments has one row and one execution. `made`: trigger → executions that it started."""
    broken = []
    for trigger, step in steps.items():
        own = sorted((one for one in fires if one.trigger == trigger), key=lambda one: one.at)
        if not own or own[0].at > since + step or own[-1].at < until - step:
            span = f"{own[0].at:%H:%M:%S} to {own[-1].at:%H:%M:%S}" if own else "never"
            broken.append(f"{trigger} fired {span}; it was due from {since:%H:%M:%S} to {until:%H:%M:%S}")
        for before, after in itertools.pairwise(own):
            if after.at - before.at != step:
                broken.append(f"{trigger} has nothing between {before.at:%H:%M:%S} and {after.at:%H:%M:%S}")
        started = Counter(one.execution_id for one in own)
        broken += [f"{trigger} has a date without an execution"] * (None in started)
        broken += [f"{trigger} has two dates with {key}" for key, times in started.items() if key and times > 1]
        for key in set(made.get(trigger, ())) ^ {one for one in started if one}:
            broken.append(f"{trigger}: {key} is not one date's only execution")
    return broken


def fired_at(
    fires: Iterable[Fire], made: Mapping[str, Sequence[str]], due: Mapping[str, Collection[datetime]],
    since: datetime, until: datetime,
) -> list[str]:  # fmt: skip
    """Exactly these dates between two moments were taken, and each has one execution. `due`, `made`: by trigger."""
    taken: dict[str, list[Fire]] = {name: [] for name in due}
    for one in fires:
        taken[one.trigger].append(one)
    broken = []
    for trigger, own in taken.items():
        times = Counter(one.at for one in own if since < one.at <= until)
        broken += [f"{trigger} missed {at.isoformat()}" for at in due[trigger] if at not in times]
        for at, count in times.items():
            if at not in due[trigger]:
                broken.append(f"{trigger} fired at {at.isoformat()}, which is no date of it")
            if count > 1:
                broken.append(f"{trigger} fired {count} times at {at.isoformat()}")
        started = Counter(one.execution_id for one in own)
        broken += [f"{trigger} has {count} dates with {key}" for key, count in started.items() if count > 1]
        for key in set(made.get(trigger, ())) ^ set(started):
            broken.append(f"{trigger}: {key} is not one date's only execution")
    return broken


def in_their_time(moments: Sequence[datetime], lengths: Sequence[timedelta]) -> list[str]:
    """What waited did so for its length at least, as the clock on the wall showed it."""
    if len(moments) != len(lengths) + 1:
        return [f"it has {len(moments)} moments"]
    return [
        f"what takes {length} took {after - before}"
        for length, (before, after) in zip(lengths, itertools.pairwise(moments), strict=True)
        if after - before < length
    ]


def done_at_least_once(ran: Iterable[Ran], marks: Iterable[str]) -> list[str]:
    """Of every execution that ended well, each task left its mark."""
    left = {tuple(mark.split(" ")[:2]) for mark in marks}
    return [
        f"order {one.order} succeeded without {step}"
        for one in ran
        if one.state == "SUCCESS"
        for step in ("before", "after")
        if (str(one.order), step) not in left
    ]


def errands_end(
    begun: Mapping[str, str], killed: Collection[str], errands: Mapping[str, str], stuck: Mapping[str, str]
) -> list[str]:
    """What was begun is there; errands end well, and what is stuck by a kill, acknowledged or not.

    `begun`: execution → flow; `errands`, `stuck`: execution → state.
    """
    broken = [f"{flow} {key} was acknowledged and is not there" for key, flow in begun.items()
              if key not in (stuck if flow == "stuck" else errands)]  # fmt: skip
    broken += [f"errand {key} ended as {state}" for key, state in errands.items() if state != "SUCCESS"]
    broken += [
        f"{key} was {'killed, said the server, and' if key in killed else 'stuck, and'} is {state}"
        for key, state in stuck.items()
        if state != "KILLED"
    ]
    return broken


def recorded_once(
    rows: Iterable[TaskRow], killed: Collection[str] = (), ends: Mapping[str, str] | None = None
) -> list[str]:
    """Each task of an execution is in the books once, ended (well, unless it was killed, or `ends` tells another end of
    it), with at most one attempt that succeeded."""
    broken, ends = [], ends or {}
    places: Counter[tuple[str, str, str | None]] = Counter()
    for row in rows:
        places[(row.execution_id, row.task_id, row.value)] += 1
        if row.successes > 1:
            broken.append(f"{row.task_id} of {row.execution_id} succeeded {row.successes} times")
        if row.state != ends.get(row.task_id, "SUCCESS") and not (row.state == "KILLED" and row.execution_id in killed):
            broken.append(f"{row.task_id} of {row.execution_id} is {row.state}")
    return broken + [f"{task} of {key} is there {times} times" for (key, task, _), times in places.items() if times > 1]


def at_rest(commands: int, events: int) -> list[str]:
    """Nothing is left to be done or heard."""
    left = (("outbox", commands), ("inbox", events))
    return [f"{count} rows are left in the {name}" for name, count in left if count]
