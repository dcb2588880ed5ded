"""Several processes on PostgreSQL, as they are set up for real, and killed at the worst moment."""

import asyncio
import contextlib
import json
import os
import re
import signal

import httpx
import pytest

from engine.store import migrations
from tests.postgres import server
from tests.scenarios.fleet import KEY, Fleet
from tests.scenarios.test_up import buttons, words
from tests.shared import ROOT, part
from tests.wire.aws import aws
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, slack

__all__ = ["slack"]

SHELL = """
  - id: {id}
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: io.kestra.plugin.core.runner.Process}}
    {more}
    commands: ['echo "{id} begins" >> {marks}', '{wait}', 'echo "{id} ends" >> {marks}']
"""


@pytest.fixture
async def fleet(tmp_path, new_postgres):
    made = Fleet(tmp_path, new_postgres)
    yield made
    await made.stop()


def shell(fleet, name, wait="true", more=""):
    return SHELL.format(id=name, wait=wait, more=more, marks=fleet.folder / "marks")


def successes(fleet, execution_id):
    """(task, attempts that are recorded) of every task run."""
    rows = fleet.query(
        "SELECT task_id, state, doc FROM task_run WHERE execution_id = %s ORDER BY position", execution_id
    )
    return [(task, state, len(json.loads(doc).get("a", []))) for task, state, doc in rows]


async def test_a_killed_workers_task_runs_again_and_counts_once(fleet):
    gate = fleet.folder / "gate"
    fleet.flow(
        "long", "tasks:\n" + shell(fleet, "hard", f"while [ ! -e {gate} ]; do sleep 0.05; done") + shell(fleet, "last")
    )
    bot = await fleet.start("bot")
    first = await fleet.start("worker")
    execution = await fleet.begin(bot, "long")
    await fleet.until(lambda: fleet.marks() == ["hard begins"], "the first attempt")
    second = await fleet.start("worker")
    fleet.kill(first)
    await fleet.until(lambda: fleet.marks().count("hard begins") == 2, "the second attempt")
    gate.touch()
    await fleet.until(lambda: fleet.states("long")["SUCCESS"] == 1, "the end")
    assert fleet.marks()[-2:] == ["last begins", "last ends"]
    assert successes(fleet, execution) == [("hard", "SUCCESS", 1), ("last", "SUCCESS", 1)]
    await fleet.until(lambda: fleet.query("SELECT count(*) FROM procrastinate_jobs") == [(0,)], "no job that is left")
    assert fleet.query("SELECT count(*) FROM event WHERE NOT consumed") == [(0,)]
    assert fleet.query("SELECT count(*) FROM command") == [(0,)]
    for life in (second, bot):
        assert await asyncio.to_thread(life.stop, signal.SIGTERM) == 0
        assert "Traceback" not in "".join(life.said)


async def test_a_flow_whose_tasks_hang_leaves_room_for_others_on_every_worker(fleet):
    gate = fleet.folder / "gate"
    fleet.env |= {"PARLEY_LIMITS__WORKERS": "3", "PARLEY_LIMITS__WORKERS_PER_FLOW": "2"}
    fleet.flow("hangs", "tasks:\n" + shell(fleet, "hang", f"while [ ! -e {gate} ]; do sleep 0.05; done"))
    fleet.flow("beside", "tasks:\n" + shell(fleet, "quick"))
    bot, first, _ = await asyncio.gather(fleet.start("bot"), fleet.start("worker"), fleet.start("worker"))
    hanging = [await fleet.begin(bot, "hangs") for _ in range(9)]
    by_worker = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' GROUP BY worker_id"

    async def of_each(workers):
        shares = [(2,)] * workers
        await fleet.until(lambda: fleet.query(by_worker) == shares, f"what {workers} workers may run of one flow")
        done = fleet.states("beside")["SUCCESS"]
        for _ in range(5):
            await fleet.begin(bot, "beside")
        await fleet.until(lambda: fleet.states("beside")["SUCCESS"] == done + 5, "the other flow")
        assert fleet.query(by_worker) == shares

    await of_each(2)
    fleet.kill(first)  # its share is free again, for whoever has room
    await fleet.until(lambda: fleet.query(by_worker) == [(2,)], "that it is missed")
    await fleet.start("worker")
    await of_each(2)
    gate.touch()
    await fleet.until(lambda: fleet.states("hangs")["SUCCESS"] == 9, "the ends")
    for execution in hanging:
        assert successes(fleet, execution) == [("hang", "SUCCESS", 1)]


@pytest.mark.parametrize(("how", "away"), [("fast", 12), ("immediate", 0)])
async def test_a_restart_of_the_server_interrupts_nothing(tmp_path, how, away):
    with server() as own:
        part(own.restart is not None, "A PostgreSQL server of our own", "unset PARLEY_TEST_PG_URL")
        fleet = Fleet(tmp_path, own.create())
        try:
            await restarted(fleet, lambda: own.restart(how, away))
        finally:
            await fleet.stop()


async def restarted(fleet, restart):
    gate = fleet.folder / "gate"
    fleet.flow("long", "tasks:\n" + shell(fleet, "hard", f"while [ ! -e {gate} ]; do sleep 0.05; done"))
    fleet.flow("short", "tasks:\n" + shell(fleet, "quick"))
    bot, worker = await asyncio.gather(fleet.start("bot"), fleet.start("worker"))
    execution = await fleet.begin(bot, "long")
    await fleet.until(lambda: fleet.marks() == ["hard begins"], "the task")
    await asyncio.to_thread(restart)
    beats = "SELECT count(*) FROM procrastinate_jobs j JOIN procrastinate_workers w ON w.id = j.worker_id WHERE "
    await fleet.until(lambda: fleet.query(beats + "j.status = 'doing'") == [(1,)], "the task in the next shift")
    before = fleet.query("SELECT max(last_heartbeat) FROM procrastinate_workers")
    silence = f"SELECT max(last_heartbeat) > '{before[0][0]}'::timestamptz + interval '3 s' FROM procrastinate_workers"
    await fleet.until(lambda: begun_and_ended(fleet, bot), "another task of the same worker")
    await fleet.until(lambda: fleet.query(silence) == [(True,)], "more heartbeats than may be missed")
    assert fleet.marks().count("hard begins") == 1
    gate.touch()
    await fleet.until(lambda: fleet.states("long")["SUCCESS"] == 1, "the end")
    assert successes(fleet, execution) == [("hard", "SUCCESS", 1)]
    await fleet.until(lambda: fleet.query("SELECT count(*) FROM procrastinate_jobs") == [(0,)], "no job that is left")
    for life in (worker, bot):
        assert await asyncio.to_thread(life.stop, signal.SIGTERM) == 0
        assert "Traceback" not in "".join(life.said)


def begun_and_ended(fleet, bot):
    """Start the short flow, as often as it is refused; whether one has ended."""
    if not sum(fleet.states("short").values()):
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(f"{bot.url}/api/v1/executions/webhook/fleet/short/{KEY}", json={}, timeout=30)
    return fleet.states("short")["SUCCESS"] >= 1


async def test_a_bot_that_dies_leaves_its_executions_to_the_other(fleet):
    gate = fleet.folder / "gate"
    fleet.flow(
        "chain", "tasks:\n" + shell(fleet, "one", f"while [ ! -e {gate} ]; do sleep 0.05; done") + shell(fleet, "two")
    )
    bots = [await fleet.start("bot") for _ in range(2)]
    await fleet.start("worker")
    begun = [await fleet.begin(bots[number % 2], "chain") for number in range(8)]
    await fleet.until(lambda: fleet.marks().count("one begins") == 8, "all first tasks")
    fleet.kill(bots[0])
    gate.touch()
    await fleet.until(lambda: fleet.states("chain")["SUCCESS"] == 8, "all ends")
    for execution in begun:
        assert successes(fleet, execution) == [("one", "SUCCESS", 1), ("two", "SUCCESS", 1)]


async def test_a_task_of_a_group_waits_for_its_worker_and_says_so(fleet):
    fleet.flow("heavy", "tasks:\n" + shell(fleet, "train", more="workerGroup: {key: gpu}"))
    bot = await fleet.start("bot")
    await fleet.start("worker")
    await fleet.begin(bot, "heavy")
    said = "SELECT message FROM log WHERE message LIKE 'Waiting for a worker of the group%'"
    (line,) = await fleet.until(lambda: fleet.query(said), "what it waits for")
    assert "'gpu'" in line[0]
    assert "--worker-group gpu" in line[0]
    assert fleet.marks() == []
    await fleet.start("worker", "--worker-group", "gpu")
    await fleet.until(lambda: fleet.states("heavy")["SUCCESS"] == 1, "the end")
    assert len(fleet.query(said)) == 1


@pytest.fixture
def bucket():
    """Settings of a storage in a bucket on a real S3 server."""
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    with aws() as url, httpx.Client(base_url=url) as client:
        assert client.put("/files").status_code == 200
        yield {"PARLEY_STORAGE": "s3://files/fleet", "PARLEY_STORAGE_ENDPOINT": url, **keys}


@pytest.mark.parametrize("storage", ["folder", "bucket"])
async def test_a_file_written_by_one_worker_is_read_by_another(fleet, storage, bucket):
    fleet.env |= bucket if storage == "bucket" else {}
    write = "workerGroup: {key: left}\n    outputFiles: [found.txt]"
    read = "workerGroup: {key: right}\n    inputFiles: {here.txt: \"{{ outputs.write.outputFiles['found.txt'] }}\"}"
    fleet.flow(
        "files",
        "tasks:\n"
        + shell(fleet, "write", "echo over there > found.txt", more=write)
        + shell(fleet, "read", f"cat here.txt >> {fleet.folder / 'marks'}", more=read),
    )
    bot = await fleet.start("bot")
    await asyncio.gather(*(fleet.start("worker", "--worker-group", group) for group in ("left", "right")))
    await fleet.begin(bot, "files")
    await fleet.until(lambda: fleet.states("files")["SUCCESS"] == 1, "the end")
    assert fleet.marks() == ["write begins", "write ends", "read begins", "over there", "read ends"]


async def test_a_kill_reaches_what_runs_elsewhere_and_what_waits_for_nobody(fleet):
    fleet.flow("stuck", "tasks:\n" + shell(fleet, "hang", "sleep 600"))
    fleet.flow("nobody", "tasks:\n" + shell(fleet, "train", more="workerGroup: {key: gpu}"))
    bot = await fleet.start("bot")
    await fleet.start("worker")
    for flow in ("stuck", "nobody"):
        execution = await fleet.begin(bot, flow)
        if flow == "stuck":
            await fleet.until(lambda: fleet.marks() == ["hang begins"], "the task")
        await command(bot, f"/flow kill {execution}")
        await fleet.until(lambda flow=flow: fleet.states(flow)["KILLED"] == 1, "the kill")
    await fleet.until(lambda: fleet.query("SELECT count(*) FROM procrastinate_jobs") == [(0,)], "no job that is left")


async def test_schedules_fire_once_whoever_leads(fleet):
    every_second = (
        "triggers:\n  - id: tick\n    type: io.kestra.plugin.core.trigger.Schedule\n"
        "    withSeconds: true\n    cron: '* * * * * *'\n"
    )
    fleet.flow("tick", "tasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: tick}\n" + every_second)
    await fleet.start("bot")
    schedulers = [await fleet.start("scheduler") for _ in range(2)]
    fires = "SELECT scheduled_at FROM trigger_fire ORDER BY 1"
    await fleet.until(lambda: len(fleet.query(fires)) >= 3, "three fires")
    leader = await fleet.until(lambda: leader_of(fleet), "a leader")
    dead = next(life for life in schedulers if life.process.pid == leader)
    fleet.kill(dead)
    at_death = len(fleet.query(fires))
    await fleet.until(lambda: len(fleet.query(fires)) >= at_death + 4, "fires of another leader")
    assert leader_of(fleet) != leader
    dates = [moment // 1_000_000 for (moment,) in fleet.query(fires)]
    assert dates == list(range(dates[0], dates[0] + len(dates)))  # none missed, none twice
    await fleet.until(lambda: fleet.states("tick")["SUCCESS"] >= at_death + 4, "their executions")
    made = fleet.query("SELECT count(*), count(DISTINCT execution_id) FROM trigger_fire")[0]
    assert made[0] == made[1] <= sum(fleet.states("tick").values())


def leader_of(fleet):
    """The process that holds the lease to lead."""
    found = fleet.query(
        "SELECT m.pid FROM pg_locks l JOIN pg_locks o ON o.pid = l.pid AND o.locktype = 'advisory' AND o.classid = %s "
        "JOIN member m ON m.id = o.objid WHERE l.locktype = 'advisory' AND l.classid = %s AND l.granted "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        0x504D,
        0x504C,
    )
    pids = {pid for (pid,) in found}
    schedulers = {life.process.pid for life in fleet.lives if "scheduler" in life.process.args}
    return next(iter(pids & schedulers), None)


@pytest.fixture
async def chats(fleet, slack):
    """Both platforms, for every bot of the fleet."""
    async with DiscordWire() as wire:
        fleet.env |= {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "PARLEY_SLACK_BASE_URL": f"{slack.url}/api/",
            "DISCORD_TOKEN": TOKEN,
            "PARLEY_DISCORD_BASE_URL": wire.base_url,
            "PARLEY_DISCORD_GATEWAY_URL": wire.gateway_url,
            "PARLEY_CHAT__DEFAULT_ROOMS": json.dumps(["slack:C1", f"discord:{CHANNEL}"]),
        }
        yield slack, wire


async def test_two_bots_on_one_token_answer_once_and_the_second_takes_over(fleet, chats):
    slack, wire = chats
    fleet.flow(
        "ask",
        "tasks:\n  - id: gate\n    type: io.kestra.plugin.core.flow.Pause\n    description: Release it?\n"
        "    onResume:\n      - {id: approve, type: BOOLEAN}\n",
    )
    shown = lambda: [each for each in wire.messages.values() if "Release it?" in words(each)]  # noqa: E731
    bots = [await fleet.start("bot") for _ in range(2)]
    await slack.connected()
    await fleet.until(lambda: "stands by" in "".join(bots[1].said), "the second bot's word")
    await fleet.begin(bots[1], "ask")  # started on the bot that stands by, shown by the one that is on the chats
    await slack.said("Release it?", channel="C1")
    await slack.command("/flow list")
    await slack.said("fleet/ask", user="U1")
    await wire.until(lambda: len(shown()) == 1, 30)
    assert len(wire.sessions) == 1
    fleet.kill(bots[0])
    await fleet.until(lambda: "this process is on the chats now" in "".join(bots[1].said), "the second bot")
    await slack.connected()
    await wire.until(lambda: len(wire.sessions) == 2, 30)
    await fleet.begin(bots[1], "ask")
    await fleet.until(lambda: len(cards(slack)) == 2, "the second card")
    await wire.until(lambda: len(shown()) == 2, 30)
    await wire.click(shown()[0]["id"], buttons(shown()[0])["Approve"])  # a card of the bot that is dead
    await fleet.until(lambda: fleet.states("ask")["SUCCESS"] == 1, "the run that was approved")
    assert (len(cards(slack)), len(shown())) == (2, 2)
    assert slack.refused == wire.problems == []


NEWER = """
from engine.store import migrations


def more(connection):
    connection.exec_driver_sql("CREATE TABLE of_a_newer_program (id INTEGER)")


migrations.STEPS += (more,)
migrations.COMPATIBLE = {compatible}
"""


def newer(folder, compatible):
    """The environment of a program one schema ahead, which says from which on older ones go beside it."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(NEWER.format(compatible=compatible))
    return {"PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}


async def test_old_and_new_processes_work_side_by_side_while_one_is_replaced_after_the_other(fleet):
    known = len(migrations.STEPS)
    fleet.flow("both", "tasks:\n" + shell(fleet, "old", more="workerGroup: {key: old}") +
               shell(fleet, "new", more="workerGroup: {key: new}"))  # fmt: skip
    bot, _ = await asyncio.gather(fleet.start("bot"), fleet.start("worker", "--worker-group", "old"))
    first = await fleet.begin(bot, "both")
    await fleet.until(lambda: "old ends" in fleet.marks(), "the old worker")
    ahead = newer(fleet.folder / "ahead", known)
    await fleet.start("worker", "--worker-group", "new", env=ahead)
    await fleet.until(lambda: fleet.states("both")["SUCCESS"] == 1, "the new worker")
    assert fleet.query("SELECT max(version) FROM schema_version") == [(known + 1,)]
    late = await fleet.start("bot")  # an old one that is started again on the newer schema
    await fleet.begin(late, "both")
    await fleet.begin(await fleet.start("bot", env=ahead), "both")
    await fleet.until(lambda: fleet.states("both")["SUCCESS"] == 3, "runs of old and new bots")
    assert successes(fleet, first) == [("old", "SUCCESS", 1), ("new", "SUCCESS", 1)]
    assert not [life for life in fleet.lives if life.process.poll() is not None or "Traceback" in "".join(life.said)]


async def test_an_old_process_says_so_where_it_can_not_go_beside_the_new(fleet):
    known = len(migrations.STEPS)
    await fleet.start("worker", env=newer(fleet.folder / "ahead", known + 1))
    with pytest.raises(AssertionError, match="was written by a newer Parley"):
        await fleet.start("worker")


async def test_two_bots_behind_one_address_answer_a_delivery_of_slack_once(fleet, slack):
    fleet.env |= {
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "PARLEY_SLACK_BASE_URL": f"{slack.url}/api/",
    }
    fleet.flow("quick", "tasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: hello}\n")
    bots = [await fleet.start("bot") for _ in range(2)]
    await fleet.until(lambda: "stands by" in "".join(bots[1].said), "the second bot's word")
    body, media_type = slack.http_body("slash_commands", slack.slash_payload("/flow run fleet/quick"))

    def deliver(bot):
        headers = {"Content-Type": media_type, **slack.sign(body)}
        return httpx.post(f"{bot.url}/slack/events", content=body, headers=headers, timeout=30).status_code

    answers = await asyncio.gather(*(asyncio.to_thread(deliver, bot) for bot in (*bots, *bots)))
    assert sorted(answers) == [200, 200, 503, 503]  # who stands by says so, for whatever shares the requests out
    await fleet.until(lambda: sum(fleet.states("quick").values()), "the run")
    fleet.kill(bots[0])
    await fleet.until(lambda: deliver(bots[1]) == 200, "the second bot")
    assert await asyncio.to_thread(deliver, bots[1]) == 200
    await fleet.start("worker")
    await fleet.until(lambda: fleet.states("quick")["SUCCESS"], "the end")
    assert sum(fleet.states("quick").values()) == 1


def cards(slack):
    return [one for one in slack.visible("C1", None) if "Release it?" in slack.text(one)]


async def command(bot, text):
    """Type into the page's chat room."""
    async with httpx.AsyncClient(base_url=bot.url, timeout=30, follow_redirects=True) as client:
        page = await client.get("/")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)[1]
        answer = await client.post("/say", data={"csrf": token, "text": text})
        assert answer.status_code < 400, answer.text
