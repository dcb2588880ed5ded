"""The same picture in the browser: started in the page's room, decided on the page the flow's own link leads to."""

import asyncio
import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from tests.scenarios.browser import chromium
from tests.seeds.page import Page
from tests.seeds.rig import task_run
from tests.seeds.variants import IMAGE
from tests.wire.openai import PIXEL

PLACEHOLDER = "https://discord.com/api/webhooks/URL"
PROMPT = "a fox"


@pytest.fixture
def start(start_bot, openai_service):
    async def start(variant, **settings):
        settings["providers"] = {"openai": {"base_url": openai_service.url}}
        return await start_bot(variant, settings, {"OPENAI_API_KEY": "sk-seed", "DISCORD_WEBHOOK": PLACEHOLDER})

    return start


async def until_page(page: Page, path: str, *texts: str) -> Page:
    """The page once it shows all of these."""
    async with asyncio.timeout(30):
        while True:
            await page.open(path)
            if all(text in unescape(page.text) for text in texts):
                return page
            await asyncio.sleep(0.05)


@IMAGE
@pytest.mark.parametrize("approve", [True, False], ids=["approve", "reject"])
async def test_started_and_decided_on_the_page_without_script(start, variant, openai_service, approve):
    bot = await start(variant)
    page = Page(bot.app.url)
    try:
        await page.open("/")
        await page.send("Send", text=f"/flow run {variant.name} --form")
        form = re.findall(r'href="(/form/[^"]+)"', page.text)
        if "/form/" not in page.path:
            await page.open(form[-1])
        await page.send("Run", f0=PROMPT)

        # The picture is in the room: the webhook was never filled in, and the run was started here.
        await until_page(page, "/", "Are you happy with the image", "Approve")
        shown = [await page.http.get(picture) for picture in page.pictures if picture.startswith("/files/")]
        assert {answer.content for answer in shown} == {PIXEL}
        assert {answer.headers["content-type"] for answer in shown} == {"image/png"}

        execution = await bot.newest(variant)
        path = f"/ui/executions/{variant.namespace}/{variant.id}/{execution.id}"
        if variant.is_seed:  # the address printed in the flow, at this page
            link = re.search(
                r"http://localhost:8082(/ui/[^\s\"<]+)|href=\"[^\"]*(/ui/executions/company\.ai/[^\"]+)\"", page.text
            )
            assert urlsplit(link[1] or link[2]).path == path
        await page.open(f"/ui/executions/main/{variant.namespace}/{variant.id}/{execution.id}")  # and with a tenant
        assert "Approve" in page.buttons
        await page.open(path)
        await page.send("Approve" if approve else "Reject…")
        if not approve:
            await page.send(page.buttons[-1], f0="rounder")
        ended = await bot.engine.wait(execution.id, timeout=30)
        assert ended.state == "SUCCESS", await bot.said_of(ended)
        assert task_run(ended, "wait_for_approval").outputs["onResume"]["approve"] is approve
        assert len(openai_service.asked) == (1 if approve else 2)
        await until_page(page, path, "SUCCESS")
        assert "Approve" not in page.buttons
        await until_page(page, "/", "pproved by" if approve else "ejected by", f"{variant.id}: done")
        if not approve:
            assert openai_service.asked[1]["prompt"].endswith("rounder")
            await until_page(page, "/", "Here's the new image")
    finally:
        await page.close()


@IMAGE
async def test_links_lead_to_the_public_address(start, variant, openai_service, discord_webhook):
    bot = await start(variant, public_url="https://parley.example.com", webhooks={PLACEHOLDER: discord_webhook.url})
    execution = await bot.run(variant, f"image_prompt='{PROMPT}'")
    assert execution.state == "PAUSED", await bot.said_of(execution)
    (message,) = discord_webhook.messages
    page = f"https://parley.example.com/ui/executions/{variant.namespace}/{variant.id}/{execution.id}"
    assert page in message["embeds"][0]["description"]
    assert "localhost" not in str(message)
    assert (page in message["content"]) == variant.is_seed
    card = await bot.card(lambda card: card.kind == "pause")
    assert "localhost" not in str(card)


@pytest.mark.browser
@IMAGE
async def test_rejected_in_chromium(start, variant, openai_service):
    bot = await start(variant)
    async with chromium() as browser:
        page = await (await browser.new_context()).new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(bot.app.url)
        await page.fill("#text", f"/flow run {variant.name} --form")
        await page.click("#say button")
        await page.wait_for_selector("form.fill")
        await page.fill("form.fill input[type=text], form.fill textarea", PROMPT)
        await page.click("form.fill button.primary")
        await page.get_by_role("button", name="Reject…", exact=True).first.click(timeout=30_000)
        await page.wait_for_selector("form.fill")
        await page.fill("form.fill input[type=text], form.fill textarea", "rounder")
        await page.click("form.fill button.primary")
        await page.get_by_text("Here's the new image").first.wait_for(timeout=30_000)
        await page.get_by_text("ejected by").first.wait_for(timeout=30_000)
        ended = await bot.engine.wait((await bot.newest(variant)).id, timeout=30)
        assert ended.state == "SUCCESS", await bot.said_of(ended)
        widths = await page.evaluate(
            "[...document.querySelectorAll('article img')].map(picture => picture.naturalWidth)"
        )
        assert len(widths) >= 2
        assert min(widths) >= 1
        assert wrong == []
