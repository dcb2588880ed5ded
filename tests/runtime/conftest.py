"""An engine on a temporary folder, with a clock that can jump."""

import os
from datetime import UTC, datetime

import pytest

from engine.clock import ShiftedClock
from engine.runtime import Engine
from engine.settings import Limits, Settings
from tests.runtime.marks import registry

START = datetime(2026, 3, 2, 7, 59, 50, tzinfo=UTC)  # a Monday


@pytest.fixture
def settings(tmp_path, where):
    (tmp_path / "flows").mkdir()
    return Settings(data=tmp_path / "data", database=where, flows=(tmp_path / "flows",), limits=Limits(workers=8))


ON_BOTH = (
    "test_executions",
    "test_triggers_metrics",
    "test_flow_triggers",
    "test_polls",
    "test_listening",
    "test_slots",
    "test_pauses",
    "test_timeouts_restarts",
    "test_waiting_for_decisions",
    "test_corrections",
)


def pytest_generate_tests(metafunc):
    """The scenarios of some files run on a file and on a server."""
    if "where" in metafunc.fixturenames:
        both = metafunc.module.__name__.rpartition(".")[2] in ON_BOTH or os.environ.get("PARLEY_TEST_ALL_ON_POSTGRES")
        metafunc.parametrize("where", ["sqlite", "postgres"] if both else ["sqlite"], indirect=True)


@pytest.fixture
def where(request):
    """What the setting `database` says."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture
def clock():
    return ShiftedClock(START)


@pytest.fixture
async def engine(settings, clock):
    opened = await Engine.open(settings, registry=registry(), clock=clock)
    await opened.start(watch=False)
    yield opened
    await opened.stop(grace=0)


@pytest.fixture
def deploy(engine):
    """Deploys a flow whose tasks (and whatever else) are given as YAML; its id is `f` in `company.team`."""

    async def do(text, flow_id="f"):
        return await engine.deploy(f"id: {flow_id}\nnamespace: company.team\n{text}")

    return do


@pytest.fixture
def run(engine):
    """Starts `f` (or another flow) and waits until it has ended or paused."""

    async def do(inputs=None, flow_id="f", until="ended_or_paused", **more):
        made = await engine.create("company.team", flow_id, inputs or {}, started_by="local:ann", **more)
        return await engine.wait(made.id, until=until, timeout=20)

    return do
