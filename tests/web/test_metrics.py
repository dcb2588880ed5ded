"""What a Prometheus sees of a bot at work."""

import asyncio
import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.application import Application
from bot.conversation import Click, Command, Person, Room
from bot.settings import BotSettings, WebSection
from engine.core.state import State
from engine.settings import Limits
from engine.tallies import Distribution
from tests.shared import ROOT
from tests.web.conftest import running

ANN = Person("local:ann", "ann", "web")
ROOM = Room("web", "lobby")
FLOWS = {
    "asks.yaml": "{id: asks, namespace: watched.a, tasks: [{id: wait, type: io.kestra.plugin.core.flow.Pause}]}",
    "works.yaml": """
id: works
namespace: watched.b
tasks:
  - {id: one, type: io.kestra.plugin.core.output.OutputValues, values: {a: b}}
  - {id: count, type: io.kestra.plugin.core.metric.Publish, metrics: [
      {type: counter, name: input.token.count, value: 30}, {type: counter, name: total.token.count, value: 99}]}
""",
    "breaks.yaml": "{id: breaks, namespace: watched.b, tasks: [{id: x, type: io.kestra.plugin.core.execution.Fail}]}",
}
TICKS = """
id: ticks
namespace: watched.c
tasks: [{id: one, type: io.kestra.plugin.core.debug.Return, format: x}]
triggers: [{id: each, type: io.kestra.plugin.core.trigger.Schedule, cron: "* * * * * *", withSeconds: true}]
"""


@pytest.fixture
async def watched(tmp_path):
    folder = tmp_path / "flows"
    folder.mkdir()
    for name, text in FLOWS.items():
        (folder / name).write_text(text)
    async with running(tmp_path, flows=folder) as app:
        yield app


async def scraped(app) -> dict:
    async with httpx.AsyncClient(base_url=app.url) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def grown(app, doing) -> dict:
    """What became more, and by how much, while something was done."""
    before = await scraped(app)
    await doing()
    after = await scraped(app)
    return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}


async def test_executions_are_counted_where_they_stand(watched):
    async def work():
        for namespace, name, state in [
            ("watched.b", "works", State.SUCCESS),
            ("watched.b", "works", State.SUCCESS),
            ("watched.b", "breaks", State.FAILED),
        ]:
            made = await watched.engine.create(namespace, name, {}, started_by="test")
            assert (await watched.engine.wait(made.id, timeout=30)).state is state
        made = await watched.engine.create("watched.a", "asks", {}, started_by="test")
        await watched.engine.wait(made.id, until="ended_or_paused", timeout=30)

    more = await grown(watched, work)
    assert more["parley_executions_ended_total", "namespace=watched.b", "state=SUCCESS"] == 2
    assert more["parley_executions_ended_total", "namespace=watched.b", "state=FAILED"] == 1
    assert more["parley_executions_open", "namespace=watched.a", "state=PAUSED"] == 1
    assert more["parley_pauses_waiting", "namespace=watched.a"] == 1
    assert more["parley_pause_oldest_age_seconds", "namespace=watched.a"] > 0
    assert more["parley_execution_start_delay_seconds_count",] == 4
    assert more["parley_execution_start_delay_seconds_bucket", "le=+Inf"] == 4
    assert more["parley_commit_group_size_count",] > 0
    assert more["parley_llm_tokens_total", "direction=input"] == 60


async def test_a_pause_that_is_answered_waits_no_longer(watched):
    made = await watched.engine.create("watched.a", "asks", {}, started_by="test")
    await watched.engine.wait(made.id, until="ended_or_paused", timeout=30)

    async def answer():
        await watched.engine.resume(made.id, {}, by="test")
        await watched.engine.wait(made.id, timeout=30)

    more = await grown(watched, answer)
    assert ("parley_pauses_waiting", "namespace=watched.a") not in await scraped(watched)
    assert more["parley_executions_ended_total", "namespace=watched.a", "state=SUCCESS"] == 1


async def test_what_people_take_and_what_is_not_signed_is_told(watched):
    seen = await scraped(watched)
    assert {("parley_first_click_seconds_count",), ("parley_decision_seconds_count",)} <= set(seen)
    await watched.desk.command(Command("list", ANN, ROOM, "m9"))
    assert (await scraped(watched))["parley_audit_unsigned_rows",] > 0
    await watched.engine.notary.seal("time")
    assert (await scraped(watched))["parley_audit_unsigned_rows",] == 0


async def test_deliveries_are_counted_by_how_they_were_answered(watched):
    async def talk():
        await watched.desk.command(Command("list", ANN, ROOM, "m1"))
        await watched.desk.command(Command("list", ANN, ROOM, "m1"))  # the same delivery once more
        await watched.desk.command(Command("run watched.b/nothing", ANN, ROOM, "m2"))
        await watched.desk.click(Click("ap:nobody:nothing", ANN, ROOM, "m3"))

    more = await grown(watched, talk)
    assert more["parley_deliveries_total", "kind=command", "outcome=done", "platform=web"] == 1
    assert more["parley_deliveries_total", "kind=command", "outcome=refused", "platform=web"] == 1
    assert more["parley_deliveries_total", "kind=click", "outcome=refused", "platform=web"] == 1
    assert more["parley_redeliveries_total", "kind=command", "platform=web"] == 1


async def test_a_schedule_says_how_late_it_fired(watched):
    async def fire():
        await watched.engine.deploy(TICKS)
        async with watched.engine.subscribe() as changes:
            async for change in changes:
                if change.namespace == "watched.c" and change.state is State.SUCCESS:
                    return

    more = await grown(watched, fire)
    assert more["parley_fire_lateness_seconds_count",] >= 1
    assert more["parley_fire_lateness_seconds_bucket", "le=+Inf"] == more["parley_fire_lateness_seconds_count",]


async def test_the_inside_is_told(watched):
    seen = await scraped(watched)
    assert seen["parley_queue_depth", "queue=dispatcher"] == 0
    assert seen["parley_queue_depth", "queue=decider"] == 0
    assert seen["parley_queue_depth", "queue=starts"] == 0
    assert seen["parley_workers",] == watched.engine.settings.limits.workers
    assert seen["parley_task_attempts_running",] == 0
    assert seen["process_resident_memory_bytes",] > 0
    assert seen["process_open_fds",] > 0


async def test_what_waits_for_a_worker_is_told_apart_from_what_runs(tmp_path):
    sleeps = "{id: sleeps, namespace: watched, tasks: [{id: one, type: io.kestra.plugin.scripts.shell.Commands, "
    sleeps += "taskRunner: {type: io.kestra.plugin.core.runner.Process}, commands: [sleep 600]}]}"
    settings = BotSettings(data=tmp_path / "data", flows=(), limits=Limits(workers=2), web=WebSection(port=0))
    app = await Application.open(settings)
    await app.start()
    try:
        await app.engine.deploy(sleeps)
        for _ in range(5):
            await app.engine.create("watched", "sleeps", {}, started_by="test")
        async with asyncio.timeout(30):
            while (seen := await scraped(app))["parley_task_attempts_running",] < 2:
                await asyncio.sleep(0.05)
        assert (seen["parley_queue_depth", "queue=dispatcher"], seen["parley_workers",]) == (3, 2)
    finally:
        await app.stop()


PAGE = (ROOT / "bot" / "docs" / "monitoring.md").read_text("utf-8")


async def test_the_page_names_what_there_is_and_nothing_else(watched):
    async with httpx.AsyncClient(base_url=watched.url) as client:
        text = (await client.get("/metrics")).text
    there = {name for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE) if name.startswith("parley_")}
    assert there == set(re.findall(r"^\| `(parley_\w+)`", PAGE, re.MULTILINE))


async def test_a_token_opens_it_and_nothing_else_does(tmp_path):
    async with running(tmp_path, token="long-enough-token") as app, httpx.AsyncClient(base_url=app.url) as client:
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"Authorization": "Bearer wrong"})).status_code == 401
        told = await client.get("/metrics", headers={"Authorization": "Bearer long-enough-token"})
        assert told.status_code == 200
        assert told.headers["content-type"].startswith("text/plain; version=")
        open_metrics = {"Authorization": "Bearer long-enough-token", "Accept": "application/openmetrics-text"}
        assert (await client.get("/metrics", headers=open_metrics)).text.endswith("# EOF\n")
        for open_to_all in ("/healthz", "/readyz"):
            assert (await client.get(open_to_all)).status_code == 200


def test_a_distribution_counts_up_to_each_bound():
    spread = Distribution((1, 2, 4))
    for value in (0.5, 1, 1.5, 4, 100):
        spread.observe(value)
    assert spread.buckets() == [("1", 2), ("2", 3), ("4", 4), ("+Inf", 5)]
    assert spread.sum == 107
