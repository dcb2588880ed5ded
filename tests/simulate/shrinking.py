"""Makes a history that breaks a law as small as it can: fewer steps, fewer deeds, a smaller flow, the same law."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from tests.simulate.histories import NO_ERROR, History

PLAYS = 600  # how often a history is played before what is left is good enough
OPTIONAL = (
    "errors", "finally", "afterExecution", "retry", "concurrency", "outputs", "sla", "runIf", "timeout", "allowFailure",
    "allowWarning", "else", "defaults", "onPause", "onResume", "onWait", "onApprove", "onDeny", "pauseDuration",
    "behavior", "dependsOn", "disabled", "failOnMaxReached", "approveBehavior", "denyBehavior", "expireBehavior",
)  # fmt: skip
LISTS = ("tasks", "then", "else", "defaults", "errors", "finally", "afterExecution", "onWait", "onApprove", "onDeny")


def kind(history: History) -> tuple[str, str]:
    """What two histories share that show the same fault."""
    return history.law, history.detail.partition(":")[0] if history.law == NO_ERROR else ""


@dataclass
class Shrinker:
    """Tries smaller histories; keeps those that break the same law."""

    best: History
    play: Callable[[History], History]
    left: int = PLAYS

    def run(self) -> History:
        """The smallest history found."""
        before = None
        while before != (self.best.scene, self.best.steps) and self.left > 0:
            before = (self.best.scene, self.best.steps)
            self._steps()
            self._scenes()
        return self.best

    def _try(self, candidate: History) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        tried = self.play(candidate)
        if kind(tried) != kind(self.best):
            return False
        self.best = tried
        return True

    def _steps(self) -> None:
        if self.best.store != "memory":
            return  # its steps are when the bot dies, which the seed says
        if self.best.steps and self._try(replace(self.best, steps=())):
            return
        size = max(len(self.best.steps) // 2, 1)
        while size >= 1 and self.left > 0:
            at = 0
            while at < len(self.best.steps):
                steps = self.best.steps[:at] + self.best.steps[at + size :]
                if not self._try(replace(self.best, steps=steps)):
                    at += size
            size //= 2

    def _scenes(self) -> None:
        for drop in (_without_deeds, _without_starts):
            number = 0
            while (candidate := drop(self.best, number)) is not None:
                number += 0 if self._try(candidate) else 1
        for number in reversed(range(1, len(self.best.scene.flows))):
            flows = self.best.scene.flows[:number] + self.best.scene.flows[number + 1 :]
            self._try(replace(self.best, scene=replace(self.best.scene, flows=flows)))
        for number in range(len(self.best.scene.flows)):
            self._flow(number)

    def _flow(self, number: int) -> None:
        at = 0
        while self.left > 0:
            smaller = list(_smaller(self.best.scene.flows[number]))
            if at >= len(smaller):
                return
            scene = self.best.scene.with_flow(number, smaller[at])
            at += 0 if self._try(replace(self.best, scene=scene)) else 1


def _without_deeds(history: History, number: int) -> History | None:
    deeds = history.scene.deeds
    if number >= len(deeds):
        return None
    scene = replace(history.scene, deeds=deeds[:number] + deeds[number + 1 :])
    return replace(history, scene=scene, steps=_renumbered(history.steps, "deed ", number))


def _without_starts(history: History, number: int) -> History | None:
    starts = history.scene.starts
    if number >= len(starts) or len(starts) == 1:
        return None
    scene = replace(history.scene, starts=starts[:number] + starts[number + 1 :])
    return replace(history, scene=scene, steps=_renumbered(history.steps, "start ", number))


def _renumbered(steps: Sequence[str], prefix: str, gone: int) -> tuple[str, ...]:
    kept = []
    for step in steps:
        if step.startswith(prefix):
            number, dot, copy = step.removeprefix(prefix).partition(".")
            if int(number) == gone:
                continue
            if int(number) > gone:
                step = f"{prefix}{int(number) - 1}{dot}{copy}"
        kept.append(step)
    return tuple(kept)


Edit = Callable[[Any], None]


def _smaller(flow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The flow with one thing taken out, each in turn, large things first."""
    for path, edit in _edits(flow, ()):
        copy = deepcopy(flow)
        place = copy
        for step in path:
            place = place[step]
        edit(place)
        yield copy


def _edits(part: dict[str, Any], path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Edit]]:
    for name in OPTIONAL:
        if name in part:
            yield path, lambda place, name=name: place.pop(name)  # type: ignore[misc]
    for name, tasks in _lists(part):
        for number in range(len(tasks)):
            if len(tasks) > 1:
                yield path, lambda place, name=name, number=number: _at(place, name).pop(number)  # type: ignore[misc]
            inner = _inner(tasks[number])
            if inner and "task" not in tasks[number]:
                yield path, lambda place, name=name, number=number: _hoist(_at(place, name), number)  # type: ignore[misc]
        for number, task in enumerate(tasks):
            below = (*path, *name, number, *(("task",) if "task" in task else ()))
            yield from _edits(task.get("task", task), below)


def _lists(part: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], list[dict[str, Any]]]]:
    for name in LISTS:
        if isinstance(part.get(name), list):
            yield (name,), part[name]
    for case, tasks in (part.get("cases") or {}).items():
        yield ("cases", case), tasks


def _at(place: Any, name: tuple[Any, ...]) -> Any:
    for step in name:
        place = place[step]
    return place


def _inner(task: dict[str, Any]) -> list[dict[str, Any]]:
    return [one.get("task", one) for _, tasks in _lists(task.get("task", task)) for one in tasks]


def _hoist(tasks: list[dict[str, Any]], number: int) -> None:
    """A task that holds others makes room for them."""
    tasks[number : number + 1] = _inner(tasks[number])


def shrunk(history: History, play: Callable[[History], History], plays: int = PLAYS) -> History:
    """A history that breaks the same law when it is played, as small as so many tries make it."""
    return Shrinker(history, play, plays).run()
