"""What one process leaves half done or half known, another takes up: a lost connection or a death between two steps."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from engine.core.events import TaskEnded
from engine.core.state import State
from engine.dispatch.procrastinate import ProcrastinateDispatcher
from engine.errors import StoreFailed
from engine.runtime import Engine
from engine.store.postgres import PostgresDatabase
from tests.runtime.marks import registry
from tests.runtime.test_cluster import given
from tests.runtime.test_executions import until

ASK = """
id: f
namespace: company.team
tasks:
  - id: work
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: io.kestra.plugin.core.runner.Process}}
    commands: ['while [ ! -e {gate} ]; do sleep 0.05; done']
  - id: ask
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {{id: word, type: STRING}}
outputs:
  - {{id: word, type: STRING, value: "{{{{ outputs.ask.onResume.word }}}}"}}
"""
HELD = """
CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared(1234); RETURN NEW; END $$;
CREATE TRIGGER held BEFORE INSERT ON member FOR EACH ROW EXECUTE FUNCTION held();
"""
FREE = "DROP TRIGGER held ON member; DROP FUNCTION held()"


@pytest.fixture
async def bot_and_worker(tmp_path, postgres):
    """A process that decides and runs no task, and one that does both."""
    engines = []
    for name, role in (("bot", "bot"), ("other", "all")):
        engines.append(await Engine.open(given(tmp_path, postgres, name, role=role), registry=registry()))
        await engines[-1].start(watch=False)
    yield engines
    for engine in reversed(engines):
        await engine.stop(grace=0)


@pytest.fixture
def nobody_joins(postgres):
    """Holds up who wants to be a member, from `enter` until `leave`: who was cut off stays away so long."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP TRIGGER IF EXISTS held ON member; DROP FUNCTION IF EXISTS held()")
        connection.execute(HELD)
        connection.execute("SELECT pg_advisory_lock(1234)")
        yield connection
        connection.execute("SELECT pg_advisory_unlock_all()")
        connection.execute(FREE)


def cut_off(connection, engine):
    """End the connection by which a process is a member and hears the others; its writer and readers stay."""
    backend = engine.cluster.presence._connection.info.backend_pid
    assert connection.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,)).fetchone() == (True,)


async def test_who_was_cut_off_decides_from_what_lies_there_not_from_what_it_remembers(
    bot_and_worker, tmp_path, nobody_joins
):
    bot, other = bot_and_worker
    await until(lambda: all(len(engine.cluster.presence.members) == 2 for engine in bot_and_worker))
    gate = tmp_path / "gate"
    flow = await bot.deploy(ASK.format(gate=gate))
    await until(lambda: other.flows.exists(flow.namespace, flow.id))
    while not bot.cluster.owns((made := await bot.create(flow.namespace, flow.id, {}, started_by="ann")).id):
        await bot.kill(made.id, by="ann")
    begun = lambda: made.id + ".1" in other.dispatcher.running()  # noqa: E731
    await until(begun)
    assert (await bot.execution(made.id)).state is State.RUNNING
    cut_off(nobody_joins, bot)
    await until(lambda: other.cluster.owns(made.id))
    gate.touch()  # its end is decided upon by the other: the bot hears nothing of it
    assert (await other.wait(made.id, until="ended_or_paused", timeout=20)).state is State.PAUSED
    await bot.resume(made.id, {"word": "yes"}, by="ann")
    done = await other.wait(made.id, timeout=20)
    assert (done.state, done.outputs) == (State.SUCCESS, {"word": "yes"})


HANGS = """
id: f
namespace: company.team
tasks:
  - {id: work, type: tests.Mark, hang: true, workerGroup: {key: rare}}
"""


@pytest.fixture
async def lives(tmp_path, postgres):
    """Makes processes, one after the other: each is told to end before the next begins."""
    engines = []

    async def another(*groups):
        settings = given(tmp_path, postgres, f"life{len(engines)}", heartbeat=0.5, worker_groups=groups)
        if engines:
            await engines[-1].stop(grace=0)
        engines.append(await Engine.open(settings, registry=registry()))
        await engines[-1].start(watch=False)
        return engines[-1]

    yield another
    await engines[-1].stop(grace=0)


async def begun(engine):
    """An execution whose task hangs, as everybody may know."""
    await engine.deploy(HANGS)
    made = await engine.create("company.team", "f", {}, started_by="ann")
    while (found := await engine.execution(made.id)).task_runs[f"{made.id}.1"].state is not State.RUNNING:
        await asyncio.sleep(0.01)
    return found.id


def dies_before_the_end_is_decided(engine):
    """Whatever the process is told of the end of an attempt, it does not come to decide upon it."""
    put = engine.decider._put

    def only_the_rest(execution_id, pending):
        if not isinstance(pending.event, TaskEnded):
            put(execution_id, pending)

    engine.decider._put = only_the_rest


async def test_a_killed_attempt_that_waits_to_run_again_has_its_end_though_who_took_it_back_dies(lives):
    execution_id = await begun(await lives("rare"))
    dying = await lives()
    dies_before_the_end_is_decided(dying)
    assert (await dying.kill(execution_id, by="ann")).state is State.KILLING
    await until(lambda: not dying.dispatcher.busy)
    assert (await (await lives()).wait(execution_id, timeout=20)).state is State.KILLED


async def test_an_attempt_nobody_runs_is_taken_back_though_who_killed_its_execution_died_before(lives):
    execution_id = await begun(await lives("rare"))
    dying = await lives()
    dying.dispatcher.withdraw = lambda task_run_id: []
    assert (await dying.kill(execution_id, by="ann")).state is State.KILLING
    assert (await (await lives()).wait(execution_id, timeout=20)).state is State.KILLED


async def test_a_killed_attempt_that_runs_has_its_end_though_its_process_dies(lives):
    dying = await lives("rare")
    execution_id = await begun(dying)
    dies_before_the_end_is_decided(dying)
    assert (await dying.kill(execution_id, by="ann")).state is State.KILLING
    with pytest.raises(TimeoutError):  # what is not decided is not done
        await until(lambda: not dying.dispatcher.busy, 1)
    assert (await (await lives("rare")).wait(execution_id, timeout=20)).state is State.KILLED


async def test_a_job_offered_twice_to_one_process_is_not_done_with_when_its_attempt_breaks():
    broke = asyncio.Event()

    async def breaks(job):
        await broke.wait()
        raise StoreFailed("The engine is stopping.")

    async def killed(job):
        raise AssertionError(job)

    dispatcher = ProcrastinateDispatcher(PostgresDatabase("postgresql:///x"), breaks, killed, killed, 4, 4, (), 1)
    performed = [asyncio.create_task(dispatcher._perform(execution="E1", run="E1.1", attempt=1)) for _ in range(2)]
    await asyncio.sleep(0)
    broke.set()
    ended = await asyncio.gather(*performed, return_exceptions=True)
    assert [type(one) for one in ended] == [StoreFailed, StoreFailed]


async def test_a_job_of_a_newer_process_that_says_more_is_run_all_the_same():
    ran = []

    async def runs(job):
        ran.append((job.execution_id, job.task_run_id, job.attempt, job.version, job.lane))

    dispatcher = ProcrastinateDispatcher(PostgresDatabase("postgresql:///x"), runs, runs, runs, 4, 4, (), 1)
    await dispatcher._perform(execution="E1", run="E1.1", attempt=2, version=7, flow="a.b/f", of_tomorrow="x")
    await dispatcher._perform(execution="E1", run="E1.1", attempt=1)  # and one of an older that says less
    assert ran == [("E1", "E1.1", 2, 7, "a.b/f"), ("E1", "E1.1", 1, 0, "E1")]


LOST = """
CREATE SEQUENCE ends;
CREATE FUNCTION lost() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF nextval('ends') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN OLD; END $$;
CREATE TRIGGER lost BEFORE DELETE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION lost();
"""
WHOLE = "DROP TRIGGER lost ON procrastinate_jobs; DROP FUNCTION lost(); DROP SEQUENCE ends"


@pytest.fixture
async def an_end_is_lost(lives, postgres):
    """A process whose connection ends when it is about to say that its first job is done."""
    engine = await lives()
    with psycopg.connect(postgres, autocommit=True) as connection:
        # Each waits until nobody uses the table, and the process that does needs this loop to come to an end with it.
        await asyncio.to_thread(connection.execute, LOST)
        yield engine
        await asyncio.to_thread(connection.execute, WHOLE)


async def test_a_job_whose_end_is_lost_with_its_connection_is_done_with_though_its_process_lives_on(an_end_is_lost):
    engine = an_end_is_lost
    await engine.deploy(ASK.format(gate="/"))
    made = await engine.create("company.team", "f", {}, started_by="ann")
    assert (await engine.wait(made.id, until="ended_or_paused", timeout=20)).state is State.PAUSED
    await until(lambda: not engine.dispatcher.busy)
    assert len((await engine.execution(made.id)).task_runs[f"{made.id}.1"].attempts) == 1


HOURLY = """
id: hourly
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: x}
triggers:
  - {id: hourly, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 * * * *"}
"""


@pytest.fixture
async def fired(tmp_path, postgres, clock):
    """A process that leads, whose schedule has fired once; and a way to move the clock to its next date."""
    engine = await Engine.open(given(tmp_path, postgres, "one", heartbeat=0.5), registry=registry(), clock=clock)
    await engine.start(watch=False)
    await engine.deploy(HOURLY)

    async def another(number):
        clock.jump_to(clock.now().replace(minute=0, second=1) + timedelta(hours=1))
        async with asyncio.timeout(20):
            while len(made := await engine.executions(flow_id="hourly")) < number:
                await asyncio.sleep(0.02)
        done = await engine.wait(made[0].id, timeout=20)
        await until(lambda: engine.schedules._entries[SCHEDULE].state.execution_id is None)
        return done

    await another(1)
    yield engine, another
    await engine.stop(grace=0)


SCHEDULE = "company.team/hourly/hourly"


def waits_in_vain(engine):
    """The process was told of the end of an execution before it was told that it had begun it."""
    (made,) = engine.database.read_now(lambda c: [row.execution_id for row in c.execute(text(FIRED))])
    schedules = engine.schedules
    schedules._keep(replace(schedules._entries[SCHEDULE].state, execution_id=made))


FIRED = "SELECT execution_id FROM trigger_fire"


async def test_a_schedule_whose_execution_ended_unheard_fires_again(fired):
    engine, another = fired
    waits_in_vain(engine)
    assert (await another(2)).state is State.SUCCESS


async def test_who_leads_anew_knows_where_schedules_stand(fired):
    engine, _ = fired
    waits_in_vain(engine)
    await engine.cluster._set_leading(True)
    assert engine.schedules._entries[SCHEDULE].state.execution_id is None
