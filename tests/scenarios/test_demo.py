"""What a stranger does first: `parley demo`, and a browser."""

import signal

import httpx
import pytest

from tests.scenarios.browser import chromium
from tests.scenarios.process import Parley


@pytest.fixture
def demo(tmp_path):
    running = Parley(["demo", "--port", "0"], tmp_path)
    yield running
    running.stop()


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
async def test_a_stranger_runs_a_flow_and_approves_it(demo, script):
    url = demo.ready()
    async with chromium() as browser:
        context = await browser.new_context(java_script_enabled=script)
        page = await context.new_page()
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(url)

        async def eventually(text, count=1):
            for _ in range(120):
                if await page.get_by_text(text).count() >= count:
                    return
                await page.wait_for_timeout(250)
                if not script:
                    await page.goto(url)
            raise AssertionError(f"{text!r} never came:\n{await page.inner_text('main')}")

        await page.evaluate("window.mark = 'not reloaded'")
        await page.fill("#text", "/flow list")
        await page.click("#say button")
        await eventually("tour/ship_release")

        await page.fill("#text", "/flow run ship_release --form")
        await page.click("#say button")
        await page.wait_for_selector("form.fill")
        await page.fill("form.fill input[type=text]", "not a version")
        await page.click("form.fill button.primary")
        await page.wait_for_selector("form.fill .error")
        assert await page.input_value("form.fill input[type=text]") == "not a version"
        await page.fill("form.fill input[type=text]", "2.0.1")
        await page.click("form.fill button.primary")

        await eventually("Ship 2.0.1 to everybody?")
        await page.get_by_role("button", name="Approve", exact=True).first.click()
        await eventually("2.0.1 shipped")
        await eventually("Approved by")
        assert wrong == []
        if script:
            assert await page.evaluate("window.mark") == "not reloaded"


async def test_ctrl_c_and_sigterm_end_it_cleanly(tmp_path):
    for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        running = Parley(["demo", "--port", "0"], tmp_path)
        url = running.ready()
        assert httpx.get(f"{url}/healthz").text == "ok\n"
        assert running.stop(number) == status, "".join(running.said)
        assert "Traceback" not in "".join(running.said)


def test_a_taken_port_is_a_sentence(demo, tmp_path):
    port = demo.ready().rsplit(":", 1)[1]
    (tmp_path / "second").mkdir()
    second = Parley(["demo", "--port", port], tmp_path / "second")
    assert second.process.wait(20) == 2
    second.stop()
    said = "".join(second.said)
    assert f"Port {port}" in said
    assert "--port" in said
    assert "Traceback" not in said


def test_a_second_bot_on_the_same_data_is_refused(demo, tmp_path):
    demo.ready()
    second = Parley(["demo", "--port", "0"], tmp_path)
    assert second.process.wait(20) in (1, 2)
    second.stop()
    assert "Traceback" not in "".join(second.said)
    assert "another" in "".join(second.said).lower()


def test_a_scheduled_flow_is_there(demo):
    page = httpx.get(f"{demo.ready()}/ui/flows").text
    assert "tour/water_the_plants" in page
    assert "* * * * *" in page


def test_it_says_where_the_data_lies_and_how_to_go_on(demo, tmp_path):
    demo.ready()
    demo.stop()
    said = "".join(demo.said)
    assert str(tmp_path / ".parley") in said
    assert "SLACK_BOT_TOKEN" in said
    assert (tmp_path / ".parley" / "web.key").stat().st_mode & 0o077 == 0
