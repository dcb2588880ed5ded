"""Several processes on PostgreSQL, each on a machine whose clock goes wrong by minutes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.scenarios.fleet import Fleet
from tests.scenarios.test_fleet import leader_of, shell, successes
from tests.shared import part
from tests.torture.wall import MISSING, Wall

AHEAD, BEHIND = timedelta(minutes=7), timedelta(minutes=-4)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def fleet(tmp_path, new_postgres):
    part(not MISSING, "a clock that can be set for one process", MISSING)
    made = Fleet(tmp_path, new_postgres)
    yield made
    await made.stop()


async def start(fleet, role, off):
    """A process of a machine whose clock is off by so much."""
    folder = fleet.folder / f"clock-{len(list(fleet.folder.glob('clock-*')))}"
    folder.mkdir()
    return await fleet.start(role, env=Wall(folder, datetime.now(UTC) + off).env)


def moments(fleet, execution_id):
    """When an execution and its task runs changed their states, each by itself."""
    [(whole,)] = fleet.query("SELECT doc FROM execution WHERE id = %s", execution_id)
    runs = fleet.query("SELECT doc FROM task_run WHERE execution_id = %s", execution_id)
    histories = [json.loads(whole)["histories"], *(json.loads(doc)["h"] for (doc,) in runs)]
    return [[moment for _, moment in history] for history in histories]


@pytest.mark.parametrize(("bots", "workers"), [(BEHIND, AHEAD), (AHEAD, BEHIND)], ids=["worker ahead", "bot ahead"])
async def test_what_is_to_wait_waits_as_long_as_it_says_whoever_decides(fleet, bots, workers):
    again = "retry: {type: constant, interval: PT3S, maxAttempts: 5}"
    fails_once = f'test "$(grep -c "flaky begins" {fleet.folder / "marks"})" -gt 1'
    nap = "  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT3S}\n"
    fleet.flow("waits", f"tasks:\n{nap}" + shell(fleet, "flaky", fails_once, again))
    bot, _ = await asyncio.gather(start(fleet, "bot", bots), start(fleet, "worker", workers))
    began = asyncio.get_running_loop().time()
    made = await fleet.begin(bot, "waits")
    await fleet.until(lambda: fleet.states("waits")["SUCCESS"] == 1, "the end")
    assert asyncio.get_running_loop().time() - began >= 6
    assert all(history == sorted(history) for history in moments(fleet, made))


async def test_a_task_of_a_killed_worker_runs_again_at_once_though_the_leader_is_ahead(fleet):
    gate = fleet.folder / "gate"
    fleet.flow("long", "tasks:\n" + shell(fleet, "hard", f"while [ ! -e {gate} ]; do sleep 0.05; done"))
    bot = await start(fleet, "bot", AHEAD)
    first = await start(fleet, "worker", BEHIND)
    execution = await fleet.begin(bot, "long")
    await fleet.until(lambda: fleet.marks() == ["hard begins"], "the first attempt")
    await start(fleet, "worker", AHEAD)
    fleet.kill(first)
    await fleet.until(lambda: fleet.marks().count("hard begins") == 2, "the second attempt")
    gate.touch()
    await fleet.until(lambda: fleet.states("long")["SUCCESS"] == 1, "the end")
    assert successes(fleet, execution) == [("hard", "SUCCESS", 1)]


async def test_schedules_miss_no_date_when_another_leads_whose_clock_goes_otherwise(fleet):
    every_second = (
        "triggers:\n  - id: tick\n    type: io.kestra.plugin.core.trigger.Schedule\n"
        "    withSeconds: true\n    cron: '* * * * * *'\n"
    )
    fleet.flow("tick", "tasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: tick}\n" + every_second)
    await start(fleet, "bot", BEHIND)
    schedulers = {await start(fleet, "scheduler", off) for off in (AHEAD, BEHIND)}
    fires = "SELECT scheduled_at FROM trigger_fire ORDER BY 1"
    await fleet.until(lambda: len(fleet.query(fires)) >= 3, "three fires")
    leader = await fleet.until(lambda: leader_of(fleet), "a leader")
    fleet.kill(next(life for life in schedulers if life.process.pid == leader))
    at_death = len(fleet.query(fires))
    await fleet.until(lambda: len(fleet.query(fires)) >= at_death + 4, "fires of another leader")
    dates = [moment // 1_000_000 for (moment,) in fleet.query(fires)]
    assert dates == list(range(dates[0], dates[0] + len(dates)))
    [(shown,)] = fleet.query("SELECT clock_timestamp()")
    assert abs(EPOCH + timedelta(seconds=dates[-1]) - shown) < timedelta(minutes=1)
