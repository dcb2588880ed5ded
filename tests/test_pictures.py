"""The documentation's pictures: there, small, drawn by a command, and shown by the page."""

import re

import pytest

from tests.pictures import DOCS, LARGEST, draw, scenes
from tests.shared import ROOT
from tests.web.conftest import browser, parley

__all__ = ["browser", "parley"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "bot" / "docs").glob("*.md"))]
SHOWN = [(page, name) for page in PAGES for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text("utf-8"))]


@pytest.mark.parametrize(("page", "name"), SHOWN, ids=lambda one: str(one).rpartition("/")[2])
def test_a_picture_of_the_documentation_is_there_and_small(page, name):
    content = (page.parent / name).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) <= LARGEST


async def test_every_picture_is_drawn_by_the_command_and_shown_somewhere():
    drawn = {file.name for file, *_ in await scenes() if file.parent == DOCS}
    assert {file.name for file in (ROOT / DOCS).iterdir()} == drawn
    assert {name.rpartition("/")[2] for page, name in SHOWN if page.name != "README.md"} == drawn


async def test_the_command_draws_them(tmp_path):
    drawn = await draw(tmp_path)
    assert {DOCS / "pending-slack.png", DOCS / "bulk-discord.png"} <= set(drawn)
    for file in drawn:
        assert 2_000 < (tmp_path / file).stat().st_size <= LARGEST


async def test_the_page_shows_them(browser):
    page = await browser.get("/docs/approvals")
    found = re.findall(r'<img src="(pictures/[^"]+)"', page.text)
    assert found
    for name in found:
        picture = await browser.get(f"/docs/{name}")
        assert picture.headers["content-type"] == "image/png"
    for name in ("..%2Fapprovals.md", "nothing.png", "%2e%2e%2f%2e%2e%2fapp.py"):
        assert (await browser.get(f"/docs/pictures/{name}")).status_code == 404
