"""The record is signed as the engine lives: by time, at the end, with every purge; across kills, restores and keys."""

import asyncio
import logging
import shutil
import sys
from datetime import timedelta

import pytest

from bot.audit import records
from bot.conversation import Person
from engine.audit_keys import AuditKey, AuditKeys, fingerprint, is_signed, new_key, pem, read_public
from engine.errors import Refused, SettingInvalid
from engine.plugin import Selection
from engine.runtime import Engine
from engine.settings import Settings
from engine.store import audit_chain, audit_seals, chat_audit
from engine.store.audit_proof import Trust
from tests.runtime.test_cluster import KEY
from tests.store.test_audit_chain import DEEDS
from tests.store.test_migrations import VERSIONS, load

ANN = Person("cli:ann", "ann", "cli")


def given(folder, **more):
    return Settings(**{"data": folder, "flows": (), "audit": {"seal_every": 3600}, **more})


async def opened(folder, **more):
    engine = await Engine.open(given(folder, **more))
    await engine.start(watch=False)
    return engine


async def deeds(engine, many=DEEDS):
    for deed in many:
        await engine.database.transact(lambda unit, deed=deed: chat_audit.record(unit.connection, deed))


async def life(folder, work=deeds, **more):
    engine = await opened(folder, **more)
    try:
        return await work(engine)
    finally:
        await engine.stop(1)


async def actions(engine):
    return [row["action"] for row in await engine.database.read(lambda c: list(audit_chain.export(c)))]


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_key_is_made_once_and_what_was_recorded_is_signed_at_the_end(tmp_path):
    await life(tmp_path)
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
    key = (tmp_path / "audit.key").read_text()

    async def look(engine):
        assert await actions(engine) == [*(deed.action for deed in DEEDS), "seal"]
        return await records.verified(engine)

    found = await life(tmp_path, look)
    assert (found["ok"], found["sealed"], found["rows"]) == (True, 6, 6)
    assert found["signers"] == [fingerprint(AuditKeys.made(given(tmp_path)).newest.public)]
    assert (await life(tmp_path, look))["sealed"] == 6, "nothing new, nothing signed"
    assert (tmp_path / "audit.key").read_text() == key


async def test_every_few_seconds(tmp_path):
    engine = await opened(tmp_path, audit={"seal_every": 0.01})
    try:
        for _ in range(2):
            await deeds(engine, DEEDS[:1])
            async with asyncio.timeout(20):
                while (await actions(engine))[-1] != "seal":
                    await asyncio.sleep(0.01)
        assert (await actions(engine)) == ["run", "seal", "run", "seal"]
    finally:
        await engine.stop(0)


async def test_whoever_reads_the_key_file_of_another_is_told(tmp_path):
    (tmp_path / "audit.key").write_text("no key\n")
    with pytest.raises(SettingInvalid, match=r"audit\.key does not hold a key that signs"):
        await Engine.open(given(tmp_path))
    with pytest.raises(SettingInvalid, match=r"which `audit\.key_file` names"):
        await Engine.open(given(tmp_path, audit={"key_file": tmp_path / "none"}))


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_is_killed_between_a_row_and_its_seal(tmp_path, when):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.runtime.sealing_victim", str(tmp_path), when
    )
    assert await child.wait() == -9
    engine = await opened(tmp_path)
    try:
        expected = {"before": (0, 1), "after": (2, 3)}[when]
        found = await records.verified(engine)
        assert (found["ok"], found["sealed"], found["rows"]) == (True, *expected)
        await engine.notary.seal("time")
        found = await records.verified(engine)
        assert (found["ok"], found["sealed"], found["rows"]) == (True, expected[1] + 1, expected[1] + 1)
    finally:
        await engine.stop(0)


async def test_a_database_that_was_put_back_is_told_in_the_log_and_in_the_record_for_good(tmp_path, caplog):
    await life(tmp_path)
    shutil.copy(tmp_path / "parley.db", tmp_path / "old.db")
    await life(tmp_path)
    shutil.copy(tmp_path / "old.db", tmp_path / "parley.db")
    engine = await opened(tmp_path)
    try:
        found = await records.verified(engine)
        assert (found["ok"], "this machine sealed row 12" in found["why"]) == (False, True)
        await engine.notary.seal("time")
        assert any("Row 12 of the record of deeds was sealed here" in line for line in errors(caplog))
        found = await records.verified(engine)
        assert (found["ok"], found["broken"], [loss["row"] for loss in found["losses"]]) == (False, None, [7])
        assert (await records.verified(engine, accepted=[7]))["ok"]
    finally:
        await engine.stop(0)


async def test_a_record_that_was_written_anew_shows_while_the_bot_runs(tmp_path):
    engine = await opened(tmp_path)
    try:
        await deeds(engine)
        await engine.notary.seal("time")

        def forged(unit):
            for table in ("audit_entry", "audit_private", "chat_setting"):
                unit.connection.exec_driver_sql(f"DELETE FROM {table}")
            for deed in DEEDS[1:]:
                chat_audit.record(unit.connection, deed)

        await engine.database.transact(forged)
        assert not (await records.verified(engine))["ok"]
        await engine.notary.seal("time")
        assert not (await records.verified(engine))["ok"], "signing it does not make it true"
    finally:
        await engine.stop(0)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_record_from_before_there_were_signatures(version, tmp_path):
    load(version, tmp_path / "parley.db")
    engine = await opened(tmp_path)
    try:
        await deeds(engine)
        await records.forget(engine, "slack:U1", ANN)
        found = await records.verified(engine)
        assert (found["ok"], found["sealed"]) == (True, found["number"] - 1)
    finally:
        await engine.stop(0)


async def test_a_purge_is_signed_with_what_it_removed(tmp_path):
    engine = await opened(tmp_path)
    try:
        await engine.deploy(
            "id: f\nnamespace: a\ntasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: x}]"
        )
        run = await engine.create("a", "f", {}, started_by="ann")
        await engine.wait(run.id, timeout=20)
        chosen = Selection("a", until=engine.clock.now() + timedelta(days=1))
        assert (await engine.retention.purge(chosen)).executions == 1
        assert await actions(engine) == ["purge", "seal"]
        assert (await records.verified(engine))["sealed"] == 2
    finally:
        await engine.stop(0)


async def test_nobody_is_taken_out_without_the_key_and_a_lost_one_is_replaced_by_word(tmp_path, caplog):
    await life(tmp_path)
    (tmp_path / "audit.key").unlink()
    engine = await opened(tmp_path)
    try:
        (said,) = errors(caplog)
        assert "the key that signed it is not here" in said
        assert not (tmp_path / "audit.key").exists(), "a new one is not made unasked"
        with pytest.raises(Refused, match="without the key that signs it"):
            await records.forget(engine, "slack:U1", ANN)
        with pytest.raises(Refused, match="no key here that could hand over"):
            await records.rotate(engine, ANN, after_loss=False)
        await records.rotate(engine, ANN, after_loss=True)
        await records.forget(engine, "slack:U1", ANN)
        found = await records.verified(engine)
        assert (found["ok"], found["sealed"]) == (True, 11), "who has the new key knows whom to believe"
        stranger = await engine.database.read(lambda c: audit_chain.verify(c, "", Trust()))
        assert [loss.row for loss in stranger.losses] == [8]
        with pytest.raises(Refused, match="so it is not lost"):
            await records.rotate(engine, ANN, after_loss=True)
    finally:
        await engine.stop(0)


async def test_a_new_key_takes_over_from_the_old_one(tmp_path):
    await life(tmp_path)
    old = await life(tmp_path, records.key)

    async def rotate(engine):
        new = await records.rotate(engine, ANN, after_loss=False)
        assert (await actions(engine))[6:] == ["audit rotate", "audit key", "seal"]
        return new

    new = await life(tmp_path, rotate)
    assert old != new == await life(tmp_path, records.key)
    assert len((tmp_path / "audit.key").read_text().split()) == 1, "what handed over is gone"

    async def check(engine):
        await deeds(engine)
        await engine.notary.seal("time")
        outsiders = [Trust(frozenset({one}), must_sign=True) for one in (old, new)]
        return [await engine.database.read(lambda c, t=trust: audit_chain.verify(c, "", t)) for trust in outsiders]

    for verdict in await life(tmp_path, check):
        assert (verdict.is_whole, verdict.sealed, len(verdict.signers)) == (True, verdict.head.number, 2)


async def test_a_rotation_that_is_killed_halfway_is_taken_up(tmp_path):
    await life(tmp_path)
    AuditKeys.made(given(tmp_path)).renewed()  # the file has both keys; nothing is in the record yet
    await life(tmp_path)

    async def look(engine):
        assert (await actions(engine)).count("audit key") == 1
        return await records.verified(engine)

    assert (await life(tmp_path, look))["ok"]


async def test_a_key_file_that_can_not_be_written_stays_as_it_is(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "own").write_text(new_key())
    engine = await opened(tmp_path, audit={"key_file": tmp_path / "keys" / "own"})
    try:
        await deeds(engine)
        (tmp_path / "keys").rename(tmp_path / "away")
        with pytest.raises(Refused, match=r"own can't be written: No such file.*yourself"):
            await records.rotate(engine, ANN, after_loss=False)
        await deeds(engine)
        await engine.notary.seal("time")
        found = await records.verified(engine)
        assert (found["ok"], found["sealed"], len(found["signers"])) == (True, found["number"], 1)
    finally:
        await engine.stop(0)


async def test_keys_of_the_settings_rotate_as_they_stand_there(tmp_path):
    old, new = new_key(), new_key()
    await life(tmp_path, audit={"key": old})
    assert not (tmp_path / "audit.key").exists()
    with pytest.raises(SettingInvalid, match="stands in the settings"):
        await life(tmp_path, lambda engine: records.rotate(engine, ANN, after_loss=False), audit={"key": old})
    await life(tmp_path, audit={"key": f"{new},{old}"})
    found = await life(tmp_path, records.verified, audit={"key": new})
    assert (found["ok"], len(found["signers"])) == (True, 2)
    await life(tmp_path, audit={"key": old})  # signs nothing: it handed over
    found = await life(tmp_path, records.verified, audit={"key": new})
    assert (found["ok"], found["number"] - found["sealed"]) == (True, len(DEEDS))


async def test_processes_that_share_a_server_share_a_key_or_list_each_others(tmp_path, new_postgres, caplog):
    def shared(name, **audit):
        return {"database": new_postgres, "encryption_key": KEY, "audit": {"seal_every": 3600, **audit}}

    texts = {"one": new_key(), "other": new_key()}
    publics = [AuditKeys.there(given(tmp_path, audit={"key": text})).newest.public for text in texts.values()]
    publics[0] = pem(publics[0])

    async def recorded(name, **audit):
        return await life(tmp_path / name, **shared(name, **audit))

    async def verdict(name, **audit):
        return await life(tmp_path / name, records.verified, **shared(name, **audit))

    await recorded("one", key=texts["one"])
    await recorded("other", key=texts["one"])
    found = await verdict("one", key=texts["one"])
    assert (found["ok"], found["sealed"]) == (True, found["number"]), "one key for all"
    assert errors(caplog) == []
    await recorded("other", key=texts["other"])
    assert any("this process signs nothing" in line for line in errors(caplog))
    assert (await verdict("one", key=texts["one"]))["ok"]
    for name in ("other", "one", "other"):
        await recorded(name, key=texts[name], trusted=publics)
    found = await verdict("one", key=texts["one"], trusted=publics)
    assert (found["ok"], found["sealed"], len(found["signers"])) == (True, found["number"], 2)
    with pytest.raises(SettingInvalid, match="no public key"):
        await Engine.open(given(tmp_path / "bad", audit={"trusted": ["nonsense"]}))
    assert await life(tmp_path / "third", _has_key, **shared("third"), role="worker") is False


async def _has_key(engine):
    return engine.notary.keys is not None


async def test_seals_of_several_processes_at_once_make_one_chain(tmp_path, new_postgres):
    key = new_key()
    more = {"database": new_postgres, "encryption_key": KEY, "audit": {"key": key, "seal_every": 3600}}
    engines = [await opened(tmp_path / str(number), **more) for number in range(2)]
    try:

        async def busy(engine):
            for deed in DEEDS:
                await deeds(engine, [deed])
                await engine.notary.seal("time")

        await asyncio.gather(*map(busy, engines))
        found = await records.verified(engines[0])
        assert (found["ok"], found["sealed"]) == (True, found["number"])
        assert await engines[0].database.read(audit_seals.noted) is not None
    finally:
        for engine in reversed(engines):
            await engine.stop(0)


def test_a_public_key_reads_back_as_others_write_it():
    key = AuditKey(b"7" * 32)
    assert read_public(key.public) == read_public(pem(key.public)) == [key.public]
    assert read_public(pem(key.public) + pem(AuditKey(b"8" * 32).public))[0] == key.public
    assert is_signed(key.public, key.sign("text"), "text")
    assert not is_signed(key.public, key.sign("text"), "texts")
    assert not is_signed(key.public, "no signature", "text")
    assert "7" * 10 not in repr(key)
    for wrong in ("", "AAAA", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"):
        with pytest.raises(SettingInvalid, match="no public key"):
            read_public(wrong)
