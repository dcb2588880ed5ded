"""`parley doctor`: what it says of good and of broken set-ups."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest

from bot.chat_settings import ChatSettings
from bot.doctor import examine
from bot.doctor.clock import clock_of
from bot.doctor.discord import permissions
from bot.doctor.files import files
from bot.settings import BotSettings, read_settings
from bot.slack.manifest import SCOPES
from engine.errors import SettingInvalid
from engine.runtime import Engine
from engine.settings import Limits, Settings
from tests.shared import ROOT
from tests.wire.aws import aws
from tests.wire.discord import BOT, CHANNEL, GUILD, TOKEN, DiscordWire
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, Refusal, slack

__all__ = ["slack"]


def settings(tmp_path, **given):
    return BotSettings(data=tmp_path / "data", flows=(ROOT / "flows" / "tour",), **given)


def verdicts(found):
    return {finding.name: finding.verdict for finding in found}


async def test_without_tokens_it_hints_and_is_content(tmp_path, monkeypatch):
    for name in ("SLACK_BOT_TOKEN", "DISCORD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    found = await examine(settings(tmp_path))
    assert [(finding.name, finding.verdict) for finding in found] == [  # in the order in which to mend
        ("data folder", "ok"),
        ("database", "ok"),
        ("flows", "ok"),
        ("roles", "hint"),
        ("approvals", "hint"),
        ("Slack", "hint"),
        ("Discord", "hint"),
    ]


async def test_good_tokens_and_missing_scopes(tmp_path, slack):
    async with DiscordWire() as wire:
        found = await examine(
            settings(
                tmp_path,
                slack_bot_token=BOT_TOKEN,
                slack_app_token=APP_TOKEN,
                slack_base_url=f"{slack.url}/api/",
                discord_token=TOKEN,
                discord_base_url=wire.base_url,
            )
        )
    said = verdicts(found)
    assert said["Slack"] == said["Slack events"] == said["Discord"] == "ok"
    scopes = next(finding for finding in found if finding.name == "Slack scopes")
    assert scopes.verdict == "wrong"
    assert "files:write" in scopes.text
    assert "chat:write," not in scopes.text


@pytest.mark.parametrize(
    ("given", "name", "text"),
    [
        ({"slack_bot_token": "xoxb-no"}, "Slack", "refuses the bot token"),
        ({"discord_token": "no"}, "Discord", "refuses the token"),
        ({"slack_bot_token": BOT_TOKEN}, "Slack events", "no way to reach"),
    ],
)
async def test_what_is_wrong_is_a_sentence(tmp_path, slack, given, name, text):
    async with DiscordWire() as wire:
        base = {"slack_base_url": f"{slack.url}/api/", "discord_base_url": wire.base_url}
        found = await examine(settings(tmp_path, **base, **given))
    finding = next(finding for finding in found if finding.name == name)
    assert finding.verdict == "wrong"
    assert text in finding.text
    assert finding.fix


@pytest.mark.parametrize(
    ("error", "text", "fix"),
    [
        ("token_revoked", "refuses the bot token: token_revoked", "Install the app"),
        ("invalid_auth", "refuses the bot token: invalid_auth", "Copy the Bot User OAuth Token"),
        ("internal_error", "does not tell now (internal_error)", "the token may be right"),
        ("ratelimited", "does not tell now (ratelimited)", "the token may be right"),
    ],
)
async def test_what_slack_says_of_a_token(tmp_path, slack, error, text, fix):
    slack.scripts["auth.test"] = [Refusal(error)]
    found = await examine(settings(tmp_path, slack_bot_token=BOT_TOKEN, slack_base_url=f"{slack.url}/api/"))
    finding = next(finding for finding in found if finding.name == "Slack")
    assert finding.verdict == "wrong"
    assert text in finding.text
    assert fix in finding.fix


async def test_a_token_of_a_person_is_no_token_of_the_bot(tmp_path, slack, monkeypatch):
    monkeypatch.setattr(slack, "_auth_test", lambda body: {"user": "ann", "team": "Wire", "user_id": "U1"})
    found = await examine(settings(tmp_path, slack_bot_token=BOT_TOKEN, slack_base_url=f"{slack.url}/api/"))
    finding = next(finding for finding in found if finding.name == "Slack")
    assert (finding.verdict, finding.text) == ("wrong", "SLACK_BOT_TOKEN is the token of a person, ann.")


async def test_a_busy_discord_says_nothing_about_the_token(tmp_path):
    async with DiscordWire() as wire:
        wire.answer_with("GET", r"/users/@me$", 429, {"message": "You are being rate limited.", "retry_after": 1})
        found = await examine(settings(tmp_path, discord_token=TOKEN, discord_base_url=wire.base_url))
    finding = next(finding for finding in found if finding.name == "Discord")
    assert "does not tell now (429" in finding.text
    assert "may be right" in finding.fix


async def test_an_unreachable_service(tmp_path):
    found = await examine(settings(tmp_path, slack_bot_token=BOT_TOKEN, slack_base_url="http://127.0.0.1:1/api/"))
    assert verdicts(found)["Slack"] == "wrong"


async def test_only_files_that_are_loaded_are_looked_at(tmp_path):
    folder = tmp_path / "flows"
    for name in ("folder.yaml", ".github"):
        (folder / name).mkdir(parents=True)
    (folder / ".github" / "ci.yaml").write_text("on: push\n")
    shutil.copy(next((ROOT / "flows" / "tour").glob("*.yaml")), folder)
    found = await examine(BotSettings(data=tmp_path / "data", flows=(folder,)))
    assert [finding.text for finding in found if finding.name == "flows"] == ["1 files"]


async def test_each_flow_of_a_file_is_looked_at(tmp_path):
    good = "id: good\nnamespace: t\ntasks: [{id: a, type: io.kestra.plugin.core.log.Log, message: x}]\n"
    file = tmp_path / "two.yaml"
    file.write_text(f"{good}---\n{good.replace('log.Log', 'log.Lag')}")
    found = await examine(BotSettings(data=tmp_path / "data", flows=(file,)))
    (text,) = [finding.text for finding in found if finding.name == "flow"]
    assert f"{file}:7: No task type" in text


def test_the_command(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "broken.yaml").write_text("id: broken\nnamespace: t\ntasks:\n  - id: a\n    type: nope\n")
    done = subprocess.run(
        [sys.executable, "-m", "bot", "doctor", "--json"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert "broken.yaml:5" in found["flow"]["text"]


async def test_a_disk_that_fills_up_and_a_file_that_is_no_database(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=499 * 1024**2))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "parley.db").write_text("garbage")
    found = {finding.name: finding for finding in await examine(settings(tmp_path))}
    assert found["disk"].verdict == found["database"].verdict == "wrong"
    assert "499 MB are free" in found["disk"].text
    assert "is no SQLite database" in found["database"].text


@pytest.mark.parametrize(
    ("web", "verdict"),
    [
        ({"public_url": "http://parley.example.com"}, "wrong"),
        ({"public_url": "https://parley.example.com"}, None),
        ({"host": "0.0.0.0", "public_url": "https://parley.example.com"}, None),
        ({"host": "0.0.0.0"}, "wrong"),
        ({"host": "0.0.0.0", "token": "short"}, "hint"),
        ({"host": "0.0.0.0", "token": "a-token-long-enough"}, None),
        ({}, None),
    ],
)
async def test_a_page_that_is_open_to_other_machines(tmp_path, web, verdict):
    assert verdicts(await examine(settings(tmp_path, web=web))).get("page") == verdict


def by_name(found):
    return {finding.name: finding for finding in found}


async def test_channels_that_the_settings_name(tmp_path, slack):
    slack.scopes = ",".join(SCOPES)
    slack.channels["C3"] = type(slack.channels["C1"])("C3", "town", {"U1"})
    slack.channels["C4"] = type(slack.channels["C1"])("C4", "old", {"U1", "U0BOT"})
    slack.channels["C4"].archived = True
    rooms = ("slack:#ops", "slack:C2", "slack:#town", "slack:C4", "slack:G1", "slack:#nowhere")
    given = {"slack_bot_token": BOT_TOKEN, "slack_app_token": APP_TOKEN, "slack_base_url": f"{slack.url}/api/"}
    found = by_name(await examine(settings(tmp_path, chat=ChatSettings(default_rooms=rooms), **given)))
    assert {name: found[f"Slack {name}"].verdict for name in ("#ops", "C2", "#town", "C4", "G1", "#nowhere")} == {
        "#ops": "ok", "C2": "ok", "#town": "ok", "C4": "wrong", "G1": "wrong", "#nowhere": "wrong",
    }  # fmt: skip
    assert "/invite @parley" in found["Slack G1"].fix
    assert "Slack scopes" not in found
    slack.scopes = ",".join(scope for scope in SCOPES if scope != "chat:write.public")
    found = by_name(await examine(settings(tmp_path, chat=ChatSettings(default_rooms=rooms), **given)))
    assert found["Slack #town"].verdict == found["Slack scopes"].verdict == "wrong"


async def test_a_clock_that_is_wrong_shows_by_the_answers_of_slack(tmp_path, slack):
    slack.headers = {"Date": "Tue, 03 Mar 2026 10:00:00 GMT"}
    given = {"slack_bot_token": BOT_TOKEN, "slack_app_token": APP_TOKEN, "slack_base_url": f"{slack.url}/api/"}
    clock = by_name(await examine(settings(tmp_path, **given)))["clock"]
    assert clock.verdict == "wrong"
    assert "Slack's" in clock.text


@pytest.mark.parametrize(("second", "verdicts"), [("00", []), ("29", []), ("31", ["hint"]), ("59", ["hint"])])
def test_how_far_clocks_may_be_apart(second, verdicts):
    at = datetime(2026, 3, 3, 10, 0, int(second), tzinfo=UTC)
    assert [finding.verdict for finding in clock_of("Slack", "Tue, 03 Mar 2026 10:00:00 GMT", at)] == verdicts
    assert clock_of("Slack", None, at) == clock_of("Slack", "soon", at) == []


async def test_what_discord_says_of_the_app_its_servers_and_channels(tmp_path):
    async with DiscordWire() as wire:
        given = {"discord_token": TOKEN, "discord_base_url": wire.base_url}
        rooms = ChatSettings(default_rooms=(f"discord:{CHANNEL}", "discord:999"))
        wire.roles[BOT] = []
        found = by_name(await examine(settings(tmp_path, chat=rooms, **given)))
        assert found["Discord intents"].verdict == found["Discord servers"].verdict == "ok"
        assert "View Channel, Send Messages" in found[f"Discord {CHANNEL}"].text
        assert "Missing Access" in found["Discord 999"].text
        wire.guild["roles"][0]["permissions"] = str(309237763072)  # what the invite link asks for
        wire.app |= {"interactions_endpoint_url": "https://elsewhere.test/x", "flags": 1 << 19}
        wire.servers.clear()
        found = by_name(await examine(settings(tmp_path, chat=rooms, **given)))
        assert found[f"Discord {CHANNEL}"].verdict == "ok"
        assert "https://elsewhere.test/x" in found["Discord events"].text
        assert "Message Content" in found["Discord intents"].text
        assert "parley discord invite" in found["Discord servers"].fix


@pytest.mark.parametrize(
    ("overwrites", "may"),
    [
        ([], 0b111),
        ([(GUILD, 0, 0b001)], 0b110),
        ([(GUILD, 0, 0b001), ("7", 0b001, 0)], 0b111),
        ([("7", 0b1000, 0b001), (BOT, 0, 0b1000)], 0b110),
    ],
)
def test_permissions_of_a_channel(overwrites, may):
    roles = [{"id": GUILD, "permissions": "1"}, {"id": "7", "permissions": "6"}, {"id": "8", "permissions": "64"}]
    given = [{"id": id_, "allow": str(allow), "deny": str(deny)} for id_, allow, deny in overwrites]
    assert permissions({"id": GUILD, "owner_id": "1", "roles": roles}, ["7"], given, BOT) == may
    assert permissions({"id": GUILD, "owner_id": BOT, "roles": roles}, [], given, BOT) == ~0


async def test_a_database_in_use_and_one_that_cannot_be_written(tmp_path):
    given = settings(tmp_path)
    given.data.mkdir()
    file = given.data / "parley.db"
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    assert by_name(await examine(given))["database"].text.endswith("in use")
    other.close()
    file.chmod(0o400)
    found = by_name(await examine(given))["database"]
    assert found.verdict == ("ok" if os.geteuid() == 0 else "wrong")  # root writes what it likes


def settings_of(tmp_path, database, role):
    key = "a" * 43 + "="  # processes on one database share it
    return Settings(data=tmp_path / role, flows=(), database=database, role=role, encryption_key=key)


async def test_a_database_server_and_who_works_on_it(tmp_path, new_postgres):
    given = settings(tmp_path, database=new_postgres)
    found = by_name(await examine(given))
    assert (found["database"].verdict, found["processes"].verdict) == ("ok", "hint")
    for role, verdict in (("worker", "wrong"), ("bot", "hint"), ("all", "ok")):
        engine = await Engine.open(settings_of(tmp_path, new_postgres, role))
        await engine.start(watch=False)
        try:
            looked = [one for one in await examine(given) if one.name == "processes"]
        finally:
            await engine.stop(0)
        assert looked[-1].verdict == verdict, role
        assert f"{role} on " in looked[0].text


async def test_an_encryption_key_that_is_not_the_others(tmp_path, new_postgres):
    given = settings(tmp_path, database=new_postgres)
    assert "encryption key" not in by_name(await examine(given))  # nobody has one yet
    engine = await Engine.open(settings_of(tmp_path, new_postgres, "bot"))
    await engine.start(watch=False)
    await engine.stop(0)
    for key, verdict in ((None, "wrong"), ("b" * 43 + "=", "wrong"), ("short", "wrong"), ("a" * 43 + "=", None)):
        found = by_name(await examine(given.model_copy(update={"encryption_key": key}))).get("encryption key")
        assert (None if found is None else found.verdict) == verdict
        assert found is None or (found.fix and "bbb" not in found.text)
    assert not (given.data / "encryption.key").exists()  # looking makes none


GROUPED = """
id: grouped
namespace: t
tasks:
  - id: train
    type: io.kestra.plugin.scripts.shell.Commands
    workerGroup: {key: gpu}
    taskRunner: {type: io.kestra.plugin.core.runner.Process}
    commands: ["true"]
"""


async def test_a_worker_group_that_nobody_serves(tmp_path, new_postgres):
    given = settings(tmp_path, database=new_postgres)
    engine = await Engine.open(settings_of(tmp_path, new_postgres, "all"))
    await engine.start(watch=False)
    try:
        assert [one.verdict for one in await examine(given) if one.name == "processes"] == ["ok"]
        await engine.deploy(GROUPED)
        made = await engine.create("t", "grouped", {}, started_by="test")
        async with asyncio.timeout(20):
            while not (found := [one for one in await examine(given) if one.name == "processes"][1:]):
                await asyncio.sleep(0.05)
        assert [one.verdict for one in found] == ["wrong"]
        assert "'gpu'" in found[0].text
        assert "--worker-group gpu" in found[0].fix
        await engine.kill(made.id, by="test")
    finally:
        await engine.stop(0)
    only = settings_of(tmp_path, new_postgres, "all").model_copy(update={"worker_groups": ("gpu",)})
    engine = await Engine.open(only)
    await engine.start(watch=False)
    try:
        found = [one for one in await examine(given) if one.name == "processes"]
        assert [one.verdict for one in found] == ["ok", "hint"]
        assert "All workers have a group" in found[1].text
    finally:
        await engine.stop(0)


async def test_a_database_server_that_can_not_be_reached(tmp_path):
    nowhere = "postgresql://parley:s3cret@127.0.0.1:1/parley"
    found = by_name(await examine(settings(tmp_path, database=nowhere)))["database"]
    assert found.verdict == "wrong"
    assert "can't be reached" in found.text
    assert "s3cret" not in found.text
    assert found.fix


@pytest.mark.parametrize(
    ("given", "verdict", "said"),
    [
        ({}, None, ""),
        ({"database": "postgresql://127.0.0.1:1/x"}, "hint", "can't be read on another"),
        ({"database": "postgresql://127.0.0.1:1/x", "role": "worker"}, "wrong", "can't be read on another"),
        ({"storage": "file://{folder}/shared"}, "ok", "/shared"),
        ({"storage": "file:///dev/null/x"}, "wrong", "can't be used"),
        ({"storage": "ftp://x/y"}, "wrong", "no place for files"),
        ({"storage": "s3://there/x"}, "ok", "s3://there/x"),
        ({"storage": "s3://missing/x"}, "wrong", "bucket missing refused"),
    ],
)
async def test_where_files_lie(tmp_path, monkeypatch, given, verdict, said):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    given = {name: value.format(folder=tmp_path) for name, value in given.items()}
    with aws() as url:
        httpx.put(f"{url}/there")
        found = await files(settings(tmp_path, storage_endpoint=url, **given))
    assert [one.verdict for one in found] == ([] if verdict is None else [verdict])
    assert said in "".join(one.text for one in found)
    assert all(one.fix for one in found if one.verdict != "ok")
    assert not (tmp_path / "shared" / "doctor" / "probe").exists()


@pytest.mark.parametrize(
    ("workers", "share", "verdict"), [(32, 24, None), (8, 24, "hint"), (8, 8, "hint"), (1, 1, None)]
)
async def test_a_flow_that_may_take_every_place(tmp_path, workers, share, verdict):
    given = settings(tmp_path, limits=Limits(workers=workers, workers_per_flow=share))
    assert verdicts(await examine(given)).get("limits") == verdict


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "DISCORD_TOKEN"])
@pytest.mark.parametrize("token", ['"xoxb-1-hush"', "\u201cxoxb-1-hush\u201d", "xoxb-1 hush"])
def test_a_token_that_was_not_copied_as_it_is(name, token, monkeypatch):
    monkeypatch.setenv(name, token)
    with pytest.raises(SettingInvalid, match=f"The setting {name} is wrong: it holds a quote, a blank or") as refused:
        read_settings()
    assert "hush" not in str(refused.value)


def test_blanks_around_a_token_are_no_part_of_it():
    kept = read_settings(slack_bot_token=" xoxb-1-hush\n", discord_token=" ")
    assert kept.slack_bot_token.get_secret_value() == "xoxb-1-hush"
    assert kept.discord_token is None
