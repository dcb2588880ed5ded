"""The process dies while somebody signs in by a link from chat: the link and the session come true together or not."""

import asyncio
import os
import signal
import sys

import pytest

from bot.people.identities import CHATS
from engine.store import audit_chain, chat_audit
from engine.store.visits import visits as sessions
from tests.shared import ROOT
from tests.web.conftest import running
from tests.web.test_visits import ANN, PUBLIC, _close, link, visitor

__all__ = ["_close"]


async def killed(folder, step):
    """The path of the link that was opened when the child died."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.web.dying_visit", str(folder), step,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 90)
    assert child.returncode == -signal.SIGKILL, f"the child was to die {step}"
    return out.decode().strip().rpartition("\n")[2]


async def signed_in(app):
    """How many browsers are somebody's, and how many sign-ins are on record."""
    count = await app.engine.database.read(lambda c: len(c.execute(sessions.select()).all()))
    assert (await app.engine.database.read(audit_chain.verify)).is_whole
    deeds = await app.engine.database.read(lambda c: [chat_audit._deed(row) for row in c.execute(chat_audit._deeds())])
    return count, [(deed.action, deed.person) for deed in deeds if deed.action in ("sign in", "web link")]


async def test_killed_as_the_link_is_made_the_command_makes_one_when_it_comes_again(tmp_path):
    await killed(tmp_path, "as the link is made")
    async with running(tmp_path, public_url=PUBLIC, chats=CHATS) as app:
        path = await link(app, receipt="another")
        browser = visitor(app)
        await browser.get(path)
        assert "Ann" in (await browser.post(path)).text


@pytest.mark.parametrize("step", ["before the session", "before the record"])
async def test_killed_while_signing_in_the_link_is_still_good_once(tmp_path, step):
    path = await killed(tmp_path, step)
    async with running(tmp_path, public_url=PUBLIC, chats=CHATS) as app:
        assert await signed_in(app) == (0, [("web link", ANN.id)])
        browser, other = visitor(app), visitor(app)
        for one in (browser, other):
            assert "Sign in as Ann" in (await one.get(path)).text
        assert (await browser.post(path)).url.path == "/"
        assert (await other.post(path)).status_code == 403
        assert await signed_in(app) == (1, [("web link", ANN.id), ("sign in", ANN.id)])


async def test_killed_before_the_browser_is_told_the_link_is_used_up_and_another_works(tmp_path):
    path = await killed(tmp_path, "after the transaction")
    async with running(tmp_path, public_url=PUBLIC, chats=CHATS) as app:
        assert await signed_in(app) == (1, [("web link", ANN.id), ("sign in", ANN.id)])
        browser = visitor(app)
        assert (await browser.get(path)).status_code == 403
        assert (await browser.get("/")).url.path == "/sign-in"
        again = await link(app, receipt="another")
        await browser.get(again)
        assert (await browser.post(again)).url.path == "/"
