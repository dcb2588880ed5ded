"""Plays many seeds, on as many processes as asked for."""

import gc
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from tests.simulate.histories import History, drawn, played
from tests.simulate.plants import PLANTS
from tests.simulate.world import World

CHUNK = 50


def world_of(plant: str) -> type[World]:
    """The world, with or without a planted bug."""
    return PLANTS[plant].world() if plant else World


def play(seeds: range, plant: str) -> list[History]:
    """Those of some seeds that break a law."""
    with ExitStack() as stack:
        stack.callback(gc.collect)
        stack.callback(gc.enable)
        gc.disable()  # a fifth of the time
        if plant:
            stack.enter_context(PLANTS[plant].core())
        world = world_of(plant)
        histories = (drawn(seed, world, plant) for seed in seeds)
        return [history for history in histories if history.law]


@contextmanager
def player(store: str, plant: str) -> Iterator[Callable[[History], History]]:
    """What plays a history as it is written."""
    if store != "memory":
        from tests.simulate.bots import opened  # the whole bot: heavy, and only needed here

        with opened(store) as live:
            yield live
        return
    with PLANTS[plant].core() if plant else nullcontext():
        yield lambda history: played(history, world_of(plant))


def _chunk(given: tuple[range, str, str]) -> tuple[int, list[History]]:
    seeds, plant, store = given
    if store == "memory":
        return len(seeds), play(seeds, plant)
    return next(_over(store, [seeds]))


def _over(store: str, chunks: Iterable[range]) -> Iterator[tuple[int, list[History]]]:
    """Play chunks over one store, opened once."""
    from tests.simulate.bots import drawn_over  # as above

    with player(store, "") as live:
        for seeds in chunks:
            histories = [live(drawn_over(seed, store)) for seed in seeds]
            yield len(seeds), [history for history in histories if history.law]


def results(seeds: range, plant: str, store: str, jobs: int) -> Iterator[tuple[int, list[History]]]:
    """How many seeds were played and which of them broke a law, chunk by chunk."""
    chunks = [(seeds[at : at + CHUNK], plant, store) for at in range(0, len(seeds), CHUNK)]
    if jobs == 1:
        yield from map(_chunk, chunks) if store == "memory" else _over(store, [chunk for chunk, *_ in chunks])
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(chunks))) as pool:
        yield from pool.imap_unordered(_chunk, chunks)
