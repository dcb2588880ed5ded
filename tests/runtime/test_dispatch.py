"""The dispatcher's lanes and the timers, alone."""

import asyncio
from datetime import timedelta

from engine.clock import ShiftedClock
from engine.dispatch.inline import InlineDispatcher, Job, Timers
from engine.identifiers import Identifiers
from tests.runtime.conftest import START


class Bench:
    """A dispatcher whose jobs end when told."""

    def __init__(self, workers, share=None):
        self.began = []
        self.killed = []
        self.gates = {}
        self.dispatcher = InlineDispatcher(self.run, self.killed.append, workers, share)
        self.dispatcher.start()

    async def run(self, job):
        self.began.append(job.task_run_id)
        await self.gates.setdefault(job.task_run_id, asyncio.Event()).wait()

    async def end(self, name):
        self.gates.setdefault(name, asyncio.Event()).set()
        await self.turns()

    async def turns(self):
        for _ in range(5):
            await asyncio.sleep(0)


def job(name, lane="a"):
    return Job("E", name, 1, lane)


async def test_lanes_take_turns():
    bench = Bench(workers=1)
    for name in ("a1", "a2", "a3"):
        bench.dispatcher.offer(job(name, "a"))
    for name in ("b1", "b2"):
        bench.dispatcher.offer(job(name, "b"))
    await bench.turns()
    for name in ("a1", "a2", "b1", "a3", "b2"):
        await bench.end(name)
    assert sorted(bench.began[:3]) in (["a1", "a2", "b1"], ["a1", "b1", "b2"])
    assert bench.dispatcher.busy == 0


async def test_no_more_at_once_than_there_are_workers():
    bench = Bench(workers=2)
    for number in range(5):
        bench.dispatcher.offer(job(str(number)))
    await bench.turns()
    assert len(bench.began) == 2
    await bench.end(bench.began[0])
    assert len(bench.began) == 3


async def test_a_lane_whose_jobs_hang_leaves_room_for_others():
    bench = Bench(workers=4, share=3)
    for number in range(8):
        bench.dispatcher.offer(job(f"a{number}", "a"))
    await bench.turns()
    assert bench.began == ["a0", "a1", "a2"]
    for name in ("b1", "b2"):
        bench.dispatcher.offer(job(name, "b"))
    await bench.turns()
    assert bench.began[3:] == ["b1"]
    await bench.end("b1")
    assert bench.began[4:] == ["b2"]
    await bench.end("a1")  # as many as before, of whoever waits
    assert bench.began[5:] == ["a3"]
    bench.dispatcher.withdraw("a3")
    await bench.turns()
    assert bench.began[6:] == ["a4"]
    assert [one.task_run_id for one in bench.dispatcher.withdraw("a7")] == ["a7"]


async def test_the_same_attempt_is_not_taken_twice():
    bench = Bench(workers=2)
    for _ in range(3):
        bench.dispatcher.offer(job("x"))
    await bench.turns()
    assert bench.began == ["x"]
    await bench.end("x")


async def test_withdrawing_tells_of_everything_once():
    bench = Bench(workers=1)
    bench.dispatcher.offer(job("running"))
    await bench.turns()
    bench.dispatcher.offer(job("waiting"))
    assert bench.dispatcher.withdraw("waiting") == [job("waiting")]
    assert bench.dispatcher.withdraw("running") == []
    await bench.turns()
    assert bench.killed == [job("running")]
    assert bench.dispatcher.busy == 0


async def test_a_job_withdrawn_in_the_moment_it_begins_is_told_too():
    bench = Bench(workers=1)
    bench.dispatcher.offer(job("x"))  # its task exists but has not run a line
    bench.dispatcher.withdraw("x")
    await bench.turns()
    assert (bench.began, bench.killed) == ([], [job("x")])


async def test_stopping_says_nothing_so_that_jobs_run_again():
    bench = Bench(workers=1)
    bench.dispatcher.offer(job("x"))
    await bench.turns()
    await bench.dispatcher.stop(grace=0)
    assert bench.killed == []


async def test_timers_fire_in_order_move_and_are_forgotten():
    clock, fired = ShiftedClock(START), []
    timers = Timers(clock)
    timers.start()
    for key, minutes in (("late", 3), ("soon", 1), ("moved", 9), ("gone", 2)):
        timers.set(key, START + timedelta(minutes=minutes), lambda key=key: fired.append(key))
    timers.set("moved", START + timedelta(minutes=2), lambda: fired.append("moved"))
    timers.cancel("gone")
    assert [key for _, key in timers.due()] == ["soon", "moved", "late"]
    clock.jump(timedelta(minutes=5))
    async with asyncio.timeout(10):
        while len(fired) < 3:
            await asyncio.sleep(0)
    assert fired == ["soon", "moved", "late"]
    await timers.stop()


async def test_a_timer_whose_call_breaks_does_not_stop_the_others(caplog):
    clock, fired = ShiftedClock(START), []
    timers = Timers(clock)
    timers.start()
    timers.set("bad", START, lambda: 1 / 0)
    timers.set("good", START, lambda: fired.append("good"))
    async with asyncio.timeout(10):
        while not fired:
            await asyncio.sleep(0)
    assert "A timer's call failed: bad" in caplog.text
    await timers.stop()


def test_identifiers_sort_by_time_and_never_repeat():
    made = Identifiers()
    ids = [made.new(START + timedelta(milliseconds=number // 500)) for number in range(2000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 2000
    assert all(len(one) == 26 for one in ids)
