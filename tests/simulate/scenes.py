"""A scene: flows, who starts them when, and what people will do. Drawn from a seed, kept as JSON."""

from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any, Literal

from tests.simulate.flows import Maker, WideMaker

What = Literal[
    "approve", "reject", "kill", "hold", "release", "restart", "replay", "killed by card", "spare", "correct"
]
WIDE = 1_000_000  # seeds from here on draw from more: loops that end early, states that are corrected, kills that spare
PEOPLE = (("slack:U1", "Ann", "slack"), ("discord:7", "Bob", "discord"), ("local:eve", "Eve", "web"))


@dataclass(frozen=True)
class Deed:
    """What somebody does at a time, to the n-th of what is there then. `copies`: how often the platform delivers it."""

    at: float
    who: int
    what: What
    which: int = 0
    copies: int = 1
    late: float = 0.0  # seconds until the next copy


@dataclass(frozen=True)
class Start:
    """An execution of the main flow."""

    at: float
    n: int


@dataclass(frozen=True)
class Scene:
    """What one simulation is about."""

    flows: tuple[dict[str, Any], ...]
    starts: tuple[Start, ...]
    deeds: tuple[Deed, ...] = field(default=())

    @classmethod
    def drawn(cls, random: Random, *, ordered: bool = False, wide: bool = False) -> "Scene":
        """A scene; `ordered`: nothing in it depends on the order of things that happen at the same time."""
        flows = tuple((WideMaker if wide else Maker)(random).flows())
        if ordered:
            for called in flows[1:]:
                called.pop("concurrency", None)
            flows = tuple(_evenly_retried(flow) for flow in flows)
        starts = tuple(
            Start(round(random.random() * 8, 3), random.randint(0, 5)) for _ in range(random.choice((1, 1, 2, 3)))
        )
        deeds = [_decision(random) for _ in range(random.choice((0, 1, 2, 4, 7)))]
        if random.randrange(2) == 0:
            deeds += [_order(random, wide=wide) for _ in range(random.choice((1, 1, 2, 4)))]
        return cls(flows, starts, tuple(sorted(deeds, key=lambda deed: deed.at)))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Scene":
        return cls(
            tuple(document["flows"]),
            tuple(Start(**one) for one in document["starts"]),
            tuple(Deed(**one) for one in document["deeds"]),
        )

    def with_flow(self, number: int, flow: dict[str, Any]) -> "Scene":
        flows = list(self.flows)
        flows[number] = flow
        return replace(self, flows=tuple(flows))


def _evenly_retried(part: Any) -> Any:
    """A flow whose random retries leave nothing to chance: how long one waits comes from the id of its task run, and
    of two that begin at the same time either may get the lower number."""
    if isinstance(part, dict):
        made = {key: _evenly_retried(value) for key, value in part.items()}
        return {**made, "maxInterval": made["minInterval"]} if "minInterval" in made else made
    return [_evenly_retried(one) for one in part] if isinstance(part, list | tuple) else part


def _moment(random: Random) -> float:
    return round(random.choice((random.random() * 10, random.random() * 40)), 4)


def _decision(random: Random) -> Deed:
    what: What = random.choice(("approve", "approve", "approve", "reject", "killed by card"))
    copies = random.choice((1, 1, 2, 3))
    late = round(random.choice((0.0, random.random(), random.random() * 20)), 4)
    return Deed(_moment(random), random.randrange(len(PEOPLE)), what, random.randrange(4), copies, late)


def _order(random: Random, *, wide: bool) -> Deed:
    what: What = random.choice(("kill", "hold", "hold", "release", "restart", "restart", "replay"))
    if wide and random.randrange(2):
        what = random.choice(("spare", "correct", "correct"))
    return Deed(_moment(random), random.randrange(len(PEOPLE)), what, random.randrange(4), random.choice((1, 1, 2)))
