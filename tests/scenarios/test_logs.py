"""The log of the real process: whole lines, ids, and no secret, whoever writes it."""

import asyncio
import json
import logging
import sys
import threading
from urllib.parse import quote

import httpx
import pytest
import structlog

from bot import logs
from bot.settings import LogSection
from engine.errors import StoreFailed
from engine.secrets import Masker
from tests.scenarios.fleet import Fleet
from tests.scenarios.process import Parley

SECRET = 'hunter2-very-secret-"quoted"-\\text'
FLOW = """
id: calls
namespace: logged
tasks:
  - id: call
    type: io.kestra.plugin.core.http.Request
    uri: "{{ trigger.parameters.url[0] }}/healthz?key={{ secret('CALL_KEY') }}"
triggers: [{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: a-long-webhook-key, wait: true}]
"""


@pytest.fixture
def written(monkeypatch, capsys):
    """What this process logged; everything as it was afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("parley")
    before = root.handlers[:], root.level, ours.level, sys.excepthook, threading.excepthook, structlog.get_config()
    masker = Masker()
    masker.add(SECRET)
    monkeypatch.setattr(logs.MASKING, "maskers", [masker])
    yield lambda: capsys.readouterr().err
    root.handlers[:], root.level, ours.level, sys.excepthook, threading.excepthook = before[:5]
    structlog.configure(**before[5])
    logging.captureWarnings(False)


def broken():
    try:
        raise ValueError(f"no answer from https://api.test/?key={SECRET}")
    except ValueError as error:
        raise RuntimeError("it broke") from error


@pytest.mark.parametrize("look", ["json", "text"])
def test_no_secret_stands_in_any_line(written, look):
    logs.configure(LogSection(format=look, level="DEBUG"))
    structlog.get_logger("parley").info("ours", value=SECRET, nested={"deep": [SECRET]})
    logging.getLogger("some.library").warning("calling with %s", SECRET)
    logging.getLogger("some.library").debug("calling with %r", {"key": SECRET})
    logging.getLogger("some.library").warning("GET https://api.test/?key=%s", quote(SECRET))
    try:
        broken()
    except RuntimeError:
        logging.getLogger("some.library").exception("a call failed")
        structlog.get_logger("parley").exception("ours failed")
    thread = threading.Thread(target=broken)
    thread.start()
    thread.join()
    try:
        broken()
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    text = written()
    assert "hunter2" not in text
    assert text.count("RuntimeError: it broke") == 4
    assert text.count("no answer from https://api.test/?key=**masked*") == 4
    if look == "json":
        lines = [json.loads(line) for line in text.splitlines()]
        assert len(lines) == 8
        assert {line["logger"] for line in lines} == {"parley", "some.library"}


@pytest.mark.parametrize(("level", "traces"), [("INFO", 0), ("DEBUG", 1)])
def test_an_error_that_speaks_for_itself_is_told_in_its_words(written, level, traces):
    logs.configure(LogSection(format="json", level=level))
    try:
        raise StoreFailed("The disk is full.", fix="Free some space; nothing was lost.")
    except StoreFailed:
        logging.getLogger("bot.cards.outbox").exception("The outbox could not read what is due; trying again.")
    text = written()
    assert text.count("The disk is full. Free some space; nothing was lost.") == 1
    assert text.count("Traceback") == traces


def test_lines_of_libraries_carry_the_task(written):
    logs.configure(LogSection(format="json", level="INFO"))
    with structlog.contextvars.bound_contextvars(execution_id="e1", task_run_id="e1.2"):
        logging.getLogger("some.library").info("at work")
    logging.getLogger("some.library").info("at rest")
    first, second = (json.loads(line) for line in written().splitlines())
    assert (first["execution_id"], first["task_run_id"], first["event"]) == ("e1", "e1.2", "at work")
    assert "execution_id" not in second


def test_a_process_logs_json_with_ids_and_without_secrets(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "calls.yaml").write_text(FLOW)
    env = {"PARLEY_SECRET_CALL_KEY": "hunter2-very-secret", "PARLEY_LOG__LEVEL": "DEBUG"}
    bot = Parley(["up", "--port", "0", "--log-format", "json"], tmp_path, env)
    try:
        url = bot.ready()
        hook = f"{url}/api/v1/executions/webhook/logged/calls/a-long-webhook-key"
        ran = httpx.post(hook, params={"url": url}, timeout=60).json()
        assert ran["state"]["current"] == "SUCCESS", ran
    finally:
        bot.stop()
    lines = told(bot, ran["id"])
    assert len(bot.said) - len(lines) == 2  # the two lines of welcome


def told(process, execution_id):
    """The lines of a process that made the call of an execution: whole, with its ids and without the secret."""
    assert "hunter2" not in "".join(process.said)
    lines = [json.loads(line) for line in process.said if line.startswith("{")]
    (called,) = [line for line in lines if line["logger"] == "httpx" and "/healthz" in line["event"]]
    assert "**masked*" in called["event"]
    assert called["execution_id"] == execution_id
    assert called["task_run_id"].startswith(execution_id)
    return lines


async def test_a_worker_elsewhere_logs_the_same_way(tmp_path, new_postgres):
    fleet = Fleet(
        tmp_path, new_postgres, {"PARLEY_SECRET_CALL_KEY": "hunter2-very-secret", "PARLEY_LOG__LEVEL": "DEBUG"}
    )
    (tmp_path / "flows" / "calls.yaml").write_text(FLOW)
    try:
        bot, worker = await asyncio.gather(*(fleet.start(role, "--log-format", "json") for role in ("bot", "worker")))
        hook = f"{bot.url}/api/v1/executions/webhook/logged/calls/a-long-webhook-key"
        async with httpx.AsyncClient(timeout=60) as client:
            ran = (await client.post(hook, params={"url": bot.url})).json()
        assert ran["state"]["current"] == "SUCCESS", ran
        for life in (worker, bot):
            assert await asyncio.to_thread(life.stop) == 0
    finally:
        await fleet.stop()
    told(worker, ran["id"])
    assert "hunter2" not in "".join(bot.said)
