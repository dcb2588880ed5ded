"""*Explain* on a run's page, by the API, and what `parley doctor` and `parley preview` say of it."""

import asyncio
import json
import threading

import httpx
import pytest
from typer.testing import CliRunner

from bot.cli import app as commands
from bot.doctor import examine
from bot.doctor.explain import explain as look
from bot.settings import BotSettings
from tests.bot.dying_desk import FAILS
from tests.web.conftest import Browser, running
from tests.wire.gemini import gemini_service
from tests.wire.llm import language_model
from tests.wire.loopback import serving
from tests.wire.ollama import ollama_service
from tests.wire.openai import openai_service

__all__ = ["gemini_service", "language_model", "ollama_service", "openai_service"]
EVIL = "<script>alert(1)</script> [sign in](https://evil.test/md) ![p](https://evil.test/p.png)\n- set `retry`"
TOKENS = {"owner": "the-token-of-owners"}


def settings(url, **given):
    return {"explain": {"provider": "openai", "model": "small", "base_url": url, **given}}


async def failed(app):
    run = await app.engine.create("company.team", "fails", {}, started_by="local:somebody")
    return await app.engine.wait(run.id, timeout=20)


def path(run):
    return f"/ui/executions/company.team/fails/{run.id}"


async def test_the_page_of_a_run(tmp_path, openai_service):
    openai_service.replies[0] = EVIL
    go = threading.Event()

    def slowly(request):
        assert go.wait(20)
        return openai_service.answer(request)

    with serving(slowly) as wire:
        openai_service.wire = wire
        async with running(tmp_path, settings=settings(openai_service.url)) as app:
            await app.engine.deploy(FAILS)
            run = await failed(app)
            browser = Browser(app.url)
            try:
                before = (await browser.get(path(run))).text
                assert 'value="explain"' in before
                assert 'id="explanation"' not in before
                asked = await browser.post(f"/ui/executions/{run.id}/do", word="explain", back=path(run))
                assert (asked.status_code, asked.url.path) == (200, path(run)), "the page itself says it"
                assert "Asking <code>small</code> why run" in asked.text
                assert 'value="explain"' not in asked.text
                drawn = []
                async with browser.client.stream("GET", f"/events/execution/{run.id}", timeout=30) as events:
                    async for line in events.aiter_lines():
                        if line.startswith('data: {"html"'):
                            drawn.append(json.loads(line.removeprefix("data: "))["html"])
                            go.set()
                        if line == "event: end":
                            break
                assert ["Asking" in html for html in drawn] == [True, False]
                shown = drawn[-1].partition('id="explanation"')[2].partition("</section>")[0]
                assert "as a model sees it" in shown
                assert "<li>set <code>retry</code></li>" in shown
                assert "&lt;script&gt;" in shown
                assert "evil.test" in shown
                assert "href" not in shown
                assert "<img" not in shown
                assert "Written by the model <code>small</code>" in shown
                assert len(openai_service.asked) == 1
                assert "as a model" not in (await browser.get("/")).text, "the page was asked, not the room"
                await browser.say(f"/flow explain {run.id}")
                assert "as a model sees it" in (await browser.get("/")).text
            finally:
                go.set()
                await browser.client.aclose()


async def test_without_a_model_the_page_has_no_word_of_it(tmp_path):
    async with running(tmp_path) as app:
        await app.engine.deploy(FAILS)
        run = await failed(app)
        browser = Browser(app.url)
        assert "xplain" not in (await browser.get(path(run))).text
        said = await browser.post(f"/ui/executions/{run.id}/do", word="explain", back=path(run))
        assert "I don" in said.text
        await browser.client.aclose()


async def test_the_api(tmp_path, openai_service):
    given = {"tokens": TOKENS, "settings": settings(openai_service.url, per_person=1)}
    async with running(tmp_path, **given) as app:
        await app.engine.deploy(FAILS)
        run, other = await failed(app), await failed(app)
        headers = {"Authorization": "Bearer the-token-of-owners"}
        async with httpx.AsyncClient(base_url=f"{app.url}/api/v1/executions", headers=headers) as api:
            assert (await api.get(f"/{run.id}/explanation")).status_code == 404
            asked = await api.post(f"/{run.id}/explain")
            assert (asked.status_code, asked.json()) == (202, {"state": "ASKING", "model": "small", "text": ""})
            await asyncio.gather(*app.desk.explaining._going.values())
            told = {"state": "DONE", "model": "small", "text": "Hello."}
            assert (await api.get(f"/{run.id}/explanation")).json() == told
            again = await api.post(f"/{run.id}/explain")
            assert (again.status_code, again.json()) == (200, told)
            crowded = await api.post(f"/{other.id}/explain")
            assert (crowded.status_code, "asked the model once" in crowded.json()["error"]) == (429, True)
        assert len(openai_service.asked) == 1


async def test_the_api_without_a_model_or_a_failure(tmp_path):
    async with running(tmp_path, tokens=TOKENS) as app:
        await app.engine.deploy(FAILS)
        run = await failed(app)
        headers = {"Authorization": "Bearer the-token-of-owners"}
        async with httpx.AsyncClient(base_url=f"{app.url}/api/v1/executions", headers=headers) as api:
            refused = await api.post(f"/{run.id}/explain")
            assert (refused.status_code, "No model is set up" in refused.json()["error"]) == (409, True)
            assert (await api.post("/01GONE0000000000000000GONE/explain")).status_code == 404


# parley doctor


def bot_settings(tmp_path, **given):
    return BotSettings(data=tmp_path / "data", flows=(), slack_bot_token=None, discord_token=None, **given)


async def test_the_doctor_asks_once(tmp_path, openai_service, gemini_service, ollama_service, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_MODEL_KEY", "the-key-of-the-model")
    ollama_service.models.add("tiny")
    for provider, service, model, key in (
        ("openai", openai_service, "small", "MODEL_KEY"),
        ("google-genai", gemini_service, "gemini-2.5-flash", "MODEL_KEY"),
        ("ollama", ollama_service, "tiny", None),
    ):
        section = {"provider": provider, "model": model, "base_url": service.url, "key": key, "leave_out": ("a/*",)}
        (found,) = await look(bot_settings(tmp_path, explain=section))
        assert (found.verdict, found.text) == ("ok", f"{model} answers; it hears nothing of a/*"), provider


async def test_the_doctor_says_what_is_wrong(tmp_path, openai_service, ollama_service, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_MODEL_KEY", "the-key-of-the-model")
    openai_service.refusals.append((401, "Incorrect API key provided: the-key-of-the-model."))
    section = {"provider": "openai", "model": "small", "base_url": openai_service.url, "key": "MODEL_KEY"}
    (wrong,) = await look(bot_settings(tmp_path, explain=section))
    assert wrong.verdict == "wrong"
    assert "refuses our key (401)" in wrong.text
    assert "the-key-of-the-model" not in f"{wrong.text} {wrong.fix}"
    (missing,) = await look(bot_settings(tmp_path, explain={**section, "key": "OTHER_KEY"}))
    assert "no secret OTHER_KEY" in missing.text
    nowhere = {**section, "base_url": "http://127.0.0.1:9/v1"}
    (gone,) = await look(bot_settings(tmp_path, explain=nowhere))
    assert "127.0.0.1:9" in gone.text, "who keeps the settings is told where it was looked for"
    local = {"provider": "ollama", "model": "tiny", "base_url": ollama_service.url}
    (absent,) = await look(bot_settings(tmp_path, explain=local))
    assert "has no model tiny (404)" in absent.text
    (unnamed,) = await look(bot_settings(tmp_path, explain={"provider": "google-genai", "model": "g"}))
    assert "No key for the model is named" in unnamed.text


async def test_the_doctor_is_silent_without_a_model(tmp_path):
    assert "explain" not in [finding.name for finding in await examine(bot_settings(tmp_path))]


# parley preview


@pytest.mark.parametrize("platform", ["slack", "discord", "web"])
def test_the_preview_shows_the_button_when_a_model_is_set_up(tmp_path, monkeypatch, platform):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fails.yaml").write_text(FAILS)

    def seen():
        done = CliRunner().invoke(commands, ["preview", "fails.yaml", "--platform", platform, "--out", "out"])
        assert done.exit_code == 0, done.output
        return (tmp_path / "out" / f"fails-failed.{platform}.html").read_text(), done.stdout

    assert all("Explain" not in text for text in seen())
    (tmp_path / "parley.yaml").write_text("explain: {provider: ollama, model: tiny}\n")
    assert all("Explain" in text for text in seen())
    (tmp_path / "parley.yaml").write_text("explain: {provider: ollama, model: tiny, leave_out: ['company.team/*']}\n")
    assert all("Explain" not in text for text in seen())


# A real model


@pytest.mark.llm
async def test_a_real_model_says_something(tmp_path, language_model):
    small = settings(language_model.url, max_input=1500, max_tokens=40)
    async with running(tmp_path, settings=small) as app:
        await app.engine.deploy(FAILS)
        run = await failed(app)
        browser = Browser(app.url)
        await browser.get(path(run))
        await browser.post(f"/ui/executions/{run.id}/do", word="explain", back=path(run))
        await asyncio.gather(*app.desk.explaining._going.values())
        known = await app.desk.explaining.of(await app.engine.execution(run.id))
        assert known.state == "DONE", known.text
        assert len(known.text) > 20
        assert "as a model sees it" in (await browser.get(path(run))).text
        await browser.client.aclose()
