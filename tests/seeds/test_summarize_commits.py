"""A week of commits: cloned from a git server, listed in a container, summed up by Ollama, posted to Slack."""

import asyncio
import io
import os
import re
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.seeds.rig import Bot, task_run
from tests.seeds.variants import COMMITS, Variant
from tests.shared import ROOT
from tests.wire.docker_engine import docker_engine
from tests.wire.llm import language_model
from tests.wire.llm_facades import real_ollama
from tests.wire.loopback import Answered, Loopback, serving

__all__ = ["docker_engine", "language_model", "real_ollama"]

# The engine of these tests is one for the session; with several test processes they stay in one of them.
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

OLLAMA_IMAGE = "parley-test/ollama:latest"
OLLAMA = """#!/bin/sh
# Ollama's command line as far as the flow uses it; it says what it was asked, so that nothing gets lost unseen.
case "$1" in
  serve) exec sleep 600 ;;
  list) exit 0 ;;
  run) printf '%s\\n' "$3" ;;
esac
"""


@dataclass
class Trap:
    """Titles that would call a server or write a file if any shell read them as commands."""

    wire: Loopback
    file: Path

    @property
    def titles(self) -> tuple[str, ...]:
        wget, touch = f"wget -q -O- {self.wire.url}/canary", f"touch {self.file}"
        return (
            f"Fix \"double\" and 'single' quotes, `{touch}` and $({wget})",
            f'Don\'t "; {wget}; echo " \\$({touch}) \\',
            "Say {{ secret('SLACK_WEBHOOK') }} and {% raw %} — naïve 100 % $HOME <b>&amp;</b>",
        )

    def assert_untouched(self) -> None:
        assert self.wire.requests == []
        assert not self.file.exists()


@pytest.fixture
def trap(tmp_path):
    with serving(lambda request: Answered("caught")) as wire:
        yield Trap(wire, tmp_path / "canary")


@pytest.fixture
def week(git_host, trap) -> str:
    """Address of a repository with a week of commits."""
    git_host.create("blueprints", titles=trap.titles)
    return f"{git_host.url}/blueprints.git"


def settings_for(docker_host: str, ollama: str | None = None) -> dict:
    """parley.yaml: our engine, on the host's network (so that git reaches the server); no registry is asked."""
    settings = {
        "docker": {"host": docker_host, "network": "host"},
        "images": {"alpine/git": "bitnami/git:latest", "ollama/ollama": OLLAMA_IMAGE},
    }
    return {**settings, "providers": {"ollama": {"base_url": ollama, "timeout": 60}}} if ollama else settings


async def parley(folder: Path, *arguments: str) -> tuple[int, str]:
    """The command line beside the running bot; exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def with_cache_path(bot: Bot, variant: Variant, path: str = "ollama-models") -> Bot:
    """The key the seed asks for, set as its message says."""
    said = await bot.say(f"kv set {variant.namespace} OLLAMA_CACHE_PATH {path}")
    assert said.tone == "success"
    return bot


@COMMITS
async def test_the_week_is_summed_up_and_posted(
    start_bot, variant, docker_engine, week, trap, ollama_service, slack_webhook
):
    """Ollama's API is scripted: it says back what it was asked, whole."""
    ollama_service.speak = lambda prompt: prompt
    settings = settings_for(docker_engine.host, ollama_service.url)
    bot = await start_bot(variant, settings, {"SLACK_WEBHOOK": slack_webhook.url})
    await with_cache_path(bot, variant)
    execution = await bot.run(variant, f"repository={week}")
    assert execution.state == "SUCCESS", await bot.said_of(execution)

    (prompt,) = ollama_service.prompts
    listed = re.findall(r"^.*?([0-9a-f]{7,} \d{4}-\d\d-\d\d .*)$", prompt, re.MULTILINE)
    assert [line.split(" ", 2)[2] for line in listed] == list(trap.titles)
    assert "gemma3:1b" in ollama_service.models  # pulled before it answered
    (message,) = slack_webhook.messages
    assert set(message) == {"text"}
    assert week in message["text"]
    assert message["text"].rstrip().endswith(prompt.rstrip())
    trap.assert_untouched()

    said = await bot.said_of(execution)
    assert re.search(r"Fetched [23] commits from the last 7 days", said)
    assert task_run(execution, "fetch_commits").outputs["taskRunner"]["containerId"]
    assert slack_webhook.url not in said


@COMMITS
async def test_without_a_server_ollama_runs_in_a_container(
    start_bot, variant, docker_engine, week, trap, slack_webhook, tmp_path
):
    """Here a real shell reads the command with the commits in it."""
    _make_ollama_image(docker_engine.host)
    bot = await start_bot(variant, settings_for(docker_engine.host), {"SLACK_WEBHOOK": slack_webhook.url})
    await with_cache_path(bot, variant)
    execution = await bot.run(variant, f"repository={week}")
    assert execution.state == "SUCCESS", await bot.said_of(execution)
    (message,) = slack_webhook.messages
    for title in trap.titles:
        assert title in message["text"]
    trap.assert_untouched()


@pytest.mark.llm
@COMMITS
async def test_a_real_model_sums_the_week_up(start_bot, variant, docker_engine, git_host, real_ollama, slack_webhook):
    git_host.create("blueprints", titles=("Add a flow", "Fix the typo"))
    settings = settings_for(docker_engine.host, real_ollama.url)
    bot = await start_bot(variant, settings, {"SLACK_WEBHOOK": slack_webhook.url})
    await with_cache_path(bot, variant)
    execution = await bot.run(variant, f"repository={git_host.url}/blueprints.git")
    assert execution.state == "SUCCESS", await bot.said_of(execution)
    (prompt,) = real_ollama.prompts
    assert "Add a flow" in prompt
    written = slack_webhook.messages[0]["text"].partition(".git")[2]
    assert len(written.strip(" .:")) > 20, slack_webhook.messages


async def test_a_missing_key_says_how_to_set_it_and_then_it_works(
    start_bot, docker_engine, week, ollama_service, slack_webhook, tmp_path
):
    (variant,) = [mark for mark in COMMITS.args[1] if mark.is_seed]
    settings = settings_for(docker_engine.host, ollama_service.url)
    bot = await start_bot(variant, settings, {"SLACK_WEBHOOK": slack_webhook.url})
    failed = await bot.run(variant, f"repository={week}")
    assert failed.state == "FAILED"
    said = await bot.said_of(failed, "ERROR")
    assert "OLLAMA_CACHE_PATH" in said
    advice = re.search(r"parley kv set ([\w.]+) (\w+)", said)
    assert advice, said
    assert advice.groups() == ("company.ai", "OLLAMA_CACHE_PATH")
    assert slack_webhook.messages == []

    status, told = await parley(tmp_path, *advice[0].split()[1:], "ollama-models")
    assert (status, told.strip().splitlines()[-1]) == (0, "company.ai/OLLAMA_CACHE_PATH is set.")
    await bot.engine.restart(failed.id, by="local:ann")
    again = await bot.engine.wait(failed.id, timeout=40)
    assert again.state == "SUCCESS", await bot.said_of(again)
    assert len(slack_webhook.messages) == 1


@COMMITS
async def test_a_branch_cannot_become_a_command(
    start_bot, variant, docker_engine, week, trap, ollama_service, slack_webhook
):
    settings = settings_for(docker_engine.host, ollama_service.url)
    bot = await start_bot(variant, settings, {"SLACK_WEBHOOK": slack_webhook.url})
    await with_cache_path(bot, variant)
    branch = f"main; wget -q -O- {trap.wire.url}/canary; touch {trap.file}"
    said = await bot.say(f"run {variant.name} repository={week} branch='{branch}'")
    if variant.is_seed:
        execution = await bot.settled(variant)
        assert execution.state == "FAILED", said
    else:
        assert "branch" in str(said)  # the input's validator: the form comes back
        assert await bot.engine.executions() == []
    trap.assert_untouched()
    assert slack_webhook.messages == []


@COMMITS
@pytest.mark.parametrize("missing", ["repository", "docker", "ollama", "model", "secret"])
async def test_what_is_missing_is_a_sentence(
    start_bot, variant, docker_engine, git_host, week, ollama_service, slack_webhook, missing
):
    settings = settings_for(docker_engine.host, ollama_service.url)
    secrets = {"SLACK_WEBHOOK": slack_webhook.url}
    repository, wanted = week, ""
    match missing:
        case "repository":
            repository = f"{git_host.url}/nowhere.git"
            wanted = f"{repository} could not be cloned"
        case "docker":
            settings["docker"]["host"] = "unix:///nowhere/docker.sock"
            wanted = "There is no Docker engine"
        case "ollama":
            settings["providers"]["ollama"] = {"base_url": "http://127.0.0.1:9", "timeout": 2}
            wanted = "Ollama at http://127.0.0.1:9 does not answer."
        case "model":
            settings["models"] = {"gemma3:1b": "missing:1b"}
            wanted = "pull model manifest: file does not exist"
        case "secret":
            secrets = {}
            wanted = "Set PARLEY_SECRET_SLACK_WEBHOOK"
    bot = await start_bot(variant, settings, secrets)
    await with_cache_path(bot, variant)
    execution = await bot.run(variant, f"repository={repository}")
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert wanted in said
    assert "Traceback" not in said
    assert slack_webhook.messages == []


def _make_ollama_image(host: str) -> None:
    """An image with the `ollama` program from above, on top of the one with a shell."""
    import docker

    client = docker.DockerClient(base_url=host, timeout=60)
    try:
        if any(OLLAMA_IMAGE in image.tags for image in client.images.list()):
            return
        container = client.containers.create("bitnami/git:latest", ["true"])
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            member = tarfile.TarInfo("usr/bin/ollama")
            member.size, member.mode = len(OLLAMA), 0o755
            tar.addfile(member, io.BytesIO(OLLAMA.encode()))
        container.put_archive("/", packed.getvalue())
        container.commit(*OLLAMA_IMAGE.split(":"))
        container.remove()
    finally:
        client.close()
