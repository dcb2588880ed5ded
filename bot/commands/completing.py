"""Choices for an argument while it is typed: only of what somebody may do or see, the fitting first."""

from collections.abc import Mapping

from bot.asking import Asking, Parts
from bot.commands import aliases
from bot.commands.references import rank, short
from bot.commands.verbs import usable
from bot.conversation import Option, Person, Room
from bot.people.permissions import Asked
from bot.people.roles import Deed

WAITING = 500
RECENT = 50


async def choices(
    parts: Parts, argument: str, typed: str, person: Person, room: Room, limit: int
) -> tuple[Option, ...]:
    """At most `limit` choices; none for an argument that is free text."""
    match argument:
        case "flow":
            return await _flows(parts, typed, person, room, limit)
        case "run":
            runs = await parts.office.engine.executions(limit=RECENT)
            flows = {f"{run.namespace}/{run.flow_id}" for run in runs}
            seen = await _allowed(parts, "see", person, room, flows)
            labels = {
                f"{short(run.id)} {run.flow_id} ({run.state.lower()})": run.id
                for run in runs
                if seen[f"{run.namespace}/{run.flow_id}"]
            }
        case "pause":
            waiting = await parts.office.engine.pauses(limit=WAITING)
            mine = await _allowed(parts, "decide", person, room, {f"{one.namespace}/{one.flow_id}" for one in waiting})
            labels = {
                f"{one.flow_id} {short(one.execution_id)} {one.task_id}": one.id
                for one in waiting
                if mine[f"{one.namespace}/{one.flow_id}"]
            }
        case "key":
            spaces = {flow.namespace for flow in parts.office.engine.flows.list()}
            open_ = await _allowed(parts, "kv", person, room, spaces)
            keys = [
                (one, key) for one in sorted(spaces) if open_[one] for key in await parts.office.engine.kv.keys(one)
            ]
            labels = {f"{space} {key}": key for space, key in keys}
        case "schedule":
            standing = parts.office.engine.schedules.occurrences.standing()
            seen = await _allowed(parts, "see", person, room, {f"{e.flow.namespace}/{e.flow.id}" for e in standing})
            labels = {e.key: e.key for e in standing if seen[f"{e.flow.namespace}/{e.flow.id}"]}
            # Where a schedule is added, or made up for, a flow is named.
            labels |= {one.value: one.value for one in await _flows(parts, typed, person, room, limit)}
        case "alias":
            found = await aliases.holding(parts, room, person.id)
            labels = {f"{one.name}: {one.command}"[:100]: one.name for one in found}
        case "topic":
            labels = {verb: verb for verb in sorted(await usable(parts, Asking(person, room, "")))}
            labels |= {one.value: one.value for one in await _flows(parts, typed, person, room, limit)}
        case _:
            return ()
    return tuple(Option(labels[label], label) for label in _fitting(typed, labels)[:limit])


def _fitting(typed: str, labels: Mapping[str, str]) -> list[str]:
    wanted = typed.strip().lower()
    return [label for label in labels if wanted in label.lower()]


async def _flows(parts: Parts, typed: str, person: Person, room: Room, limit: int) -> tuple[Option, ...]:
    names = [flow.full for flow in parts.office.flow_names()]
    best: list[Option] = []
    for name in rank(typed, names, await parts.used(person.id)):
        if len(best) == limit:
            break
        if await parts.office.permissions.refuse(Asked("run", person, room, name), fresh=False) is None:
            best.append(Option(name, name))
    return tuple(best)


async def _allowed(parts: Parts, deed: Deed, person: Person, room: Room, about: set[str]) -> dict[str, bool]:
    """By what is remembered of groups: whether somebody may do something, for each flow or namespace."""
    refuse = parts.office.permissions.refuse
    return {name: await refuse(Asked(deed, person, room, name), fresh=False) is None for name in about}
