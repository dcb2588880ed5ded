"""What is remembered of executions is what was last written, whoever wrote it."""

from dataclasses import replace

import pytest

from engine.core.execution import Execution
from engine.core.state import State
from engine.runtime import memory
from engine.runtime.memory import Memory

OLD = Execution(id="E1", namespace="a", flow_id="f", revision=1, state=State.RUNNING, histories=(), version=1)
NEW = replace(OLD, version=2)


class Slow:
    """A database whose readers see what lay there when they began; `meanwhile` happens before they are back."""

    def __init__(self):
        self.there = OLD
        self.reads = 0
        self.meanwhile = lambda: None

    async def read(self, query):
        self.reads += 1
        seen = self.there
        self.meanwhile()
        return seen, None


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def known(slow):
    return Memory(slow, None)


async def test_what_was_read_is_not_read_again(known, slow):
    assert await known.current("E1") is OLD
    assert await known.current("E1") is OLD
    assert slow.reads == 1
    slow.there = NEW
    assert await known.current("E1", 2) is NEW  # who asks for more than is known gets it
    assert slow.reads == 2


@pytest.mark.parametrize(
    "written",
    [
        lambda known: known.heard("E1", 2),
        lambda known: known.moved("E1"),
        lambda known: known.drop("E1"),
        lambda known: known.forget(),
    ],
    ids=["by another", "by us", "to rest", "while nobody listened"],
)
async def test_what_was_read_while_it_was_written_is_not_remembered(known, slow, written):
    slow.meanwhile = lambda: written(known)
    assert await known.current("E1") is OLD
    slow.there, slow.meanwhile = NEW, lambda: None
    assert await known.current("E1") is NEW


async def test_what_another_wrote_is_known_no_more_what_we_wrote_last_is(known, slow):
    known.keep(NEW)
    known.heard("E1", 2)
    assert known.get("E1") is NEW
    known.heard("E1", 3)
    assert known.get("E1") is None


async def test_who_hears_nobody_believes_nothing_it_remembers(known, slow):
    known.keep(OLD)
    known.hears = lambda: False
    slow.there = NEW
    assert known.get("E1") is None
    assert await known.current("E1") is NEW


async def test_only_so_many_are_remembered_and_none_that_fall_to_others(known, slow, monkeypatch):
    monkeypatch.setattr(memory, "CACHED", 2)
    for key in ("E1", "E2", "E3"):
        known.keep(replace(OLD, id=key))
    known.owns = lambda key: False
    known.keep(replace(OLD, id="E4"))
    assert [key for key in ("E1", "E2", "E3", "E4") if known.get(key)] == ["E2", "E3"]
