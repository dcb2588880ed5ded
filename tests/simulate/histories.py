"""A history: a scene and the steps taken in it, as JSON. Played again it breaks the same law, or none.

Every seed is two things. Even seeds: a calm run and a stormy one (crashes, deliveries repeated and reordered) that must
end in the same states. Odd seeds: a wild run (anything that may happen next happens, timers and tasks late and out of
order) that must keep the laws.
"""

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from tests.simulate.invariants import Broken, outcome
from tests.simulate.scenes import WIDE, Scene
from tests.simulate.world import World

Mode = Literal["storm", "wild"]
ENDED_OTHERWISE = "a run with crashes ends as one without"
NO_ERROR = "the core never breaks"


@dataclass(frozen=True)
class History:
    """What happened, step by step. `law` is the one that broke."""

    seed: int
    mode: Mode
    scene: Scene
    steps: tuple[str, ...] = ()
    law: str = ""
    detail: str = ""
    plant: str = ""
    store: str = "memory"

    def as_json(self) -> str:
        document = {
            "seed": self.seed,
            "mode": self.mode,
            "plant": self.plant,
            "store": self.store,
            "law": self.law,
            "detail": self.detail,
            "scene": self.scene.as_json(),
            "steps": list(self.steps),
        }
        return json.dumps(document, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "History":
        document = json.loads(text)
        scene = Scene.from_json(document["scene"])
        return cls(
            document["seed"], document["mode"], scene, tuple(document["steps"]), document["law"],
            document.get("detail", ""), document.get("plant", ""), document.get("store", "memory"),
        )  # fmt: skip


class Dice:
    """Draws what happens next."""

    def __init__(self, random: Random, mode: Mode) -> None:
        self.random = random
        self.mode = mode
        self.crashes = random.choice((0, 1, 2, 4, 8))
        self.crash_odds = random.choice((10, 25, 60))
        self.again_odds = random.choice((8, 20, 1000))
        self.disorder = random.choice((0.0, 0.0, 0.3, 1.0)) if mode == "storm" else random.choice((0.3, 1.0))
        self.haste = 0.0 if mode == "storm" else random.choice((0.0, 0.2, 0.5))

    def next(self, world: World) -> str | None:
        """The next step; None when nothing is left to do."""
        random, process = self.random, world.process
        if not process.ready and not process.later and not world.outside:
            return None
        if self.crashes and random.randrange(self.crash_odds) == 0:
            self.crashes -= 1
            return "crash"
        if world.past and random.randrange(self.again_odds) == 0:
            return f"again {len(world.past) - 1 - min(int(random.expovariate(0.1)), len(world.past) - 1)}"
        if process.ready and random.random() >= self.haste:
            if random.random() >= self.disorder:
                return next(iter(process.ready))
            return random.choice(tuple(process.ready))
        if self.mode == "storm" or not (process.later or world.outside):
            return world.next_in_order()
        timed = sorted((at, label) for label, (at, _) in world.waiting().items())
        return timed[min(int(random.expovariate(0.7)), len(timed) - 1)][1]


def played(history: History, world_kind: type[World] = World, dice: Dice | None = None) -> History:
    """A history played, with the dice or as it is written; the history as it went, with the law that broke."""
    taken: list[str] = []
    law = detail = ""
    try:
        ended = None
        if history.mode == "storm":
            calm = World(history.scene)
            calm.finish()
            ended = outcome(calm)
        world = world_kind(history.scene)
        if dice is not None:
            while (label := dice.next(world)) is not None:
                taken.append(label)
                world.step(label)
        else:
            taken = _followed(world, history)
        world.finish()
        if ended is not None:
            compare(ended, outcome(world))
    except Broken as broken:
        law, detail = broken.law, broken.detail
    except Exception as error:  # noqa: BLE001 - whatever the core raises is what we look for
        law, detail = NO_ERROR, f"{type(error).__name__}: {error} at {place_of(error)}"
    return replace(history, steps=tuple(taken if dice is not None else history.steps), law=law, detail=detail)


def place_of(error: BaseException) -> str:
    """File and line that an error came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"


def _followed(world: World, history: History) -> list[str]:
    """Take the steps that are written, as far as they are possible; time keeps its order in a storm."""
    for label in history.steps:
        if not world.can(label):
            continue
        is_timed = not label.startswith(("again ", "crash")) and label not in world.process.ready
        if history.mode == "storm" and is_timed and (world.process.ready or label != world.earliest()):
            continue
        world.step(label)
    return list(history.steps)


def compare(calm: dict[str, Any], stormy: dict[str, Any]) -> None:
    """Both ended in the same states; Broken names the first difference."""
    for name in (*calm, *stormy):
        if calm.get(name) != stormy.get(name):
            raise Broken(ENDED_OTHERWISE, _difference(name, calm.get(name), stormy.get(name)))


def _difference(name: str, one: Any, other: Any) -> str:
    if one is None or other is None:
        return f"{name} is {'not there' if other is None else 'there'} with crashes"
    if one[:2] != other[:2]:
        return f"{name}: {one[:2]} without, {other[:2]} with crashes"
    paths = [path for path in (*one[2], *other[2]) if one[2].get(path) != other[2].get(path)]
    return f"{name} {paths[0]}: {one[2].get(paths[0])} without, {other[2].get(paths[0])} with crashes"


def drawn(seed: int, world_kind: type[World] = World, plant: str = "") -> History:
    """The history of a seed, played."""
    random = Random(seed)
    mode: Mode = "storm" if seed % 2 == 0 else "wild"
    scene = Scene.drawn(random, ordered=mode == "storm", wide=seed >= WIDE)
    return played(History(seed, mode, scene, plant=plant), world_kind, Dice(random, mode))
