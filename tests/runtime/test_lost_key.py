"""A database restored without its key: said once, at the start, and the bot goes on without the secrets."""

import logging

import pytest
from cryptography.fernet import Fernet

from engine.errors import StoreFailed
from engine.runtime import Engine
from engine.settings import Settings

FLOW = """
id: deploy
namespace: team
inputs:
  - {id: token, type: SECRET}
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ inputs.token | length }}"}
"""


async def life(folder, work, **settings):
    """One life of the engine."""
    engine = await Engine.open(Settings(data=folder, flows=(), **settings))
    try:
        await engine.start(watch=False)
        return await work(engine)
    finally:
        await engine.stop(1)


async def fill(engine):
    await engine.deploy(FLOW)
    await engine.kv.set("team", "KEY", "s3cret-value", kind="SECRET")
    run = await engine.create("team", "deploy", {"token": "t0ken-value"}, started_by="local:ann")
    return (await engine.wait(run.id, until="ended_or_paused", timeout=20)).id


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_it_is_said_at_the_start_and_work_goes_on(tmp_path, caplog):
    run = await life(tmp_path, fill)
    key = (tmp_path / "encryption.key").read_text()
    (tmp_path / "encryption.key").unlink()

    async def without(engine):
        with pytest.raises(StoreFailed, match="another key"):
            await engine.kv.get("team", "KEY")
        await engine.deploy(
            "id: plain\nnamespace: team\ntasks:\n  - {id: a, type: io.kestra.plugin.core.debug.Return, format: ok}"
        )
        made = await engine.create("team", "plain", {}, started_by="local:ann")
        return (await engine.wait(made.id, timeout=20)).state

    assert await life(tmp_path, without) == "SUCCESS"
    (said,) = [line for line in errors(caplog) if "The encryption key is not the one" in line]
    assert "team/KEY" in said
    assert "s3cret-value" not in caplog.text

    (tmp_path / "encryption.key").write_text(key)  # put back as the sentence says
    caplog.clear()

    async def within(engine):
        assert await engine.kv.get("team", "KEY") == "s3cret-value"
        await engine.resume(run, {}, by="local:ann")
        return (await engine.wait(run, timeout=20)).state

    assert await life(tmp_path, within) == "SUCCESS"
    assert errors(caplog) == []


async def test_a_lost_key_is_told_until_the_secrets_are_set_anew(tmp_path, caplog):
    await life(tmp_path, fill)
    (tmp_path / "encryption.key").unlink()
    await life(tmp_path, lambda engine: engine.kv.set("team", "KEY", "new-value", kind="SECRET"))
    assert len(errors(caplog)) == 1
    caplog.clear()
    await life(tmp_path, lambda engine: engine.kv.get("team", "KEY"))
    assert "Secret inputs" in errors(caplog)[0]  # nothing stored is lost any more: the last time
    caplog.clear()
    assert await life(tmp_path, lambda engine: engine.kv.get("team", "KEY")) == "new-value"
    assert errors(caplog) == []


async def test_a_key_that_was_changed_in_order_is_no_loss(tmp_path, caplog):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    await life(tmp_path, fill, encryption_key=old)
    await life(tmp_path, lambda engine: engine.kv.get("team", "KEY"), encryption_key=f"{new},{old}")
    assert await life(tmp_path, lambda engine: engine.kv.get("team", "KEY"), encryption_key=new) == "s3cret-value"
    assert errors(caplog) == []
