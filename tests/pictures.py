"""`python -m tests.pictures`: the documentation's pictures, drawn by the bot's own renderers and taken by Chromium.

They go into `bot/docs/pictures` and `.github`. Nothing in them is drawn by hand: when a card or a form changes its
looks, run this again. The machine needs a font with emoji (Debian: `fonts-noto-color-emoji`).
"""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.approvals.answering import decided_word, reject_fields, shape
from bot.approvals.approvers import approver, labels
from bot.approvals.prospect import Outlook
from bot.cards.forecast import Usual
from bot.cards.parts import menu
from bot.cards.pause_cards import Decided, PauseView, Voted, pause_card
from bot.cards.run_cards import RunView, run_card
from bot.conversation import Card, Fact, Form, Listing, Notice, Row
from bot.forms.questions import fields_of, form
from bot.links import ActionIds, Pages
from bot.preview.pictures import page
from bot.preview.scenes import Scene
from engine.core.execution import Execution, TaskRun
from engine.core.flow import Flow
from engine.core.flow_source import load
from engine.core.state import State
from engine.tasks import catalogue
from tests.scenarios.browser import chromium
from tests.shared import ROOT

DOCS, FRONT = Path("bot", "docs", "pictures"), Path(".github")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SEEN = timedelta(minutes=25)
IDS = ActionIds(b"pictures")
PAUSE, RUN = "01JQ8H5V0000000000000000PA", "01JQ8H5V00000000000000K7QD"
LARGEST = 100_000  # bytes of one picture
FLOW = """
id: poster
namespace: team.design
inputs:
  - {id: subject, type: STRING, displayName: What shall it show?, description: One sentence is enough.}
  - {id: size, type: SELECT, displayName: Size, values: [A4, A3, A1], defaults: A3, isRadio: true}
  - {id: shops, type: MULTISELECT, displayName: Shops, values: [Bern, Lyon, Oslo, Porto], required: false}
  - {id: due, type: DATE, displayName: Needed by, defaults: "2026-03-20"}
  - {id: copies, type: INT, displayName: Copies, min: 1, max: 500, defaults: 20}
  - {id: colours, type: STRING, displayName: Colours, description: Such as two of the house style., required: false}
  - {id: logo, type: FILE, displayName: Logo, allowedFileExtensions: [.png, .svg], required: false}
tasks:
  - id: approval
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: happy, type: BOOLEAN, description: Are you happy with the poster?}
      - {id: feedback, type: STRING, displayName: What should change?, description: The next try starts from this.}
"""
RELEASE = """
id: release
namespace: team.shop
inputs:
  - {id: version, type: STRING}
tasks:
  - {id: build, type: io.kestra.plugin.core.debug.Return}
  - {id: test, type: io.kestra.plugin.core.debug.Return}
  - {id: publish, type: io.kestra.plugin.core.debug.Return}
"""


def scenes() -> Iterator[tuple[Path, Card | Form | Listing | Notice, str]]:
    """(file, what it shows, in whose look)."""
    flow = load(FLOW, catalogue())
    waiting = _waiting(flow)
    card = pause_card(waiting, IDS, Pages("https://parley.example"))
    decided = Decided("approve", "Ben", "discord", NOON + timedelta(minutes=21), {"happy": True}, "looks good")
    votes = (*waiting.votes, Voted("Ben", "discord", decided_word("approve")))
    done = replace(waiting, state="RESUMED", decided=decided, decided_at=decided.at, meter="2 of 2", votes=votes)
    ended = pause_card(done, IDS, Pages("https://parley.example"))
    rest = reject_fields(waiting.fields, waiting.shape)
    no = form("draft:p", "Reject: poster", "Reject", rest, intro="The run goes on with this as a no.")
    start = form("draft:p", "Run poster", "Run", fields_of(flow.inputs), raw={"subject": "A fox reading the news"})
    running = _run(State.RUNNING, build=State.SUCCESS, test=State.RUNNING)
    failed = _run(State.FAILED, build=State.SUCCESS, test=State.FAILED)
    for platform in ("slack", "discord"):
        yield DOCS / f"running-{platform}.png", running, platform
        yield DOCS / f"failed-{platform}.png", failed, platform
        yield DOCS / f"approval-{platform}.png", card, platform
        yield DOCS / f"decided-{platform}.png", ended, platform
        yield DOCS / f"reject-{platform}.png", no, platform
        yield DOCS / f"form-{platform}.png", start, platform
        yield FRONT / f"{platform}-card.png", card, platform
        for name, said in _said().items():
            yield DOCS / f"{name}-{platform}.png", said, platform


def _waiting(flow: Flow) -> PauseView:
    fields = fields_of(getattr(flow.tasks[0], "on_resume", ()))
    return PauseView(
        PAUSE, RUN, "approval", flow.namespace, flow.id, "WAITING", NOON, NOON - timedelta(minutes=2), "Ann", fields,
        shape(fields), description="Are you happy with the poster?",
        message="A fox reading the news, A3, 20 copies: https://parley.example/files/poster.png",
        continues="print", deadline=NOON + timedelta(hours=24), behavior="CANCEL",
        approvers=labels((approver("slack:usergroup:design"), approver("discord:role:1234"))), need=2, meter="1 of 2",
        votes=(Voted("Cleo", "slack", decided_word("approve")),),
        outlook=Outlook(
            (Fact("Then print", "`http.Request` · uri: `https://print.example/jobs`", short=False),),
            last_time="approved by Ben (Discord), 2026-02-27 09:40 UTC",
        ),
    )  # fmt: skip


def _run(state: State, **tasks: State) -> Card:
    """A run of three steps, of which some have begun."""
    flow = load(RELEASE, catalogue())
    begun = NOON + SEEN - timedelta(minutes=3)
    runs = {
        name: TaskRun(
            f"{RUN}.{name}", name, now,
            ((State.CREATED, begun), *([(now, begun + timedelta(seconds=70))] if now.is_terminal else ())),
        )
        for name, now in tasks.items()
    }  # fmt: skip
    ended = ((state, begun + timedelta(seconds=134)),) if state.is_terminal else ()
    run = Execution(
        RUN, flow.namespace, flow.id, 1, state, ((State.CREATED, begun), *ended), runs, started_by="slack:U1"
    )
    failed = state is State.FAILED
    errors = (("test", "The command ended with status 1."),) if failed else ()
    log = ("test_cart.py::test_total ... ok", "test_cart.py::test_discount ... FAILED", "expected 90, got 100")
    usual = Usual(240.0, {"test": 120.0})
    view = RunView(run, flow, "Ann", NOON + SEEN, errors, usual=usual, excerpt=log if failed else ())
    return run_card(view, IDS, Pages("https://parley.example"))


def _said() -> dict[str, Card | Listing | Notice]:
    """Answers to commands: the menu, an inbox, a schedule before it holds, and what will be done to many runs."""
    days = [datetime(2026, 3, day, 9, 0, tzinfo=UTC) for day in (3, 4, 5, 6, 9)]
    dates = "\n".join(f"- {day:%a %Y-%m-%d %H:%M %Z}" for day in days)
    schedule = Notice(
        "info",
        f"Run `team.design/poster` with `subject`, every weekday at 9:00?\n{dates}",
        (IDS.button("sc", RUN, "Schedule it"), IDS.button("cx", RUN, "Cancel")),
    )
    runs = "\n".join(f"- `poster` `#{short}`, failed" for short in ("7F3A2K", "9QW1ZD", "M2XK8A"))
    yes = replace(IDS.button("bu", RUN, "Yes, restart 3"), style="primary")
    bulk = Notice("paused", f"3 runs will be restarted:\n{runs}", (yes, IDS.button("cx", RUN, "Cancel")))
    buttons = [
        (replace(IDS.button("ap", one, "Approve"), style="primary"), IDS.button("rj", one, "Reject\u2026"))
        for one in (PAUSE, RUN)
    ]
    inbox = Listing(
        "Waiting for an answer",
        (
            Row("poster #00K7QD", "`approval` \u00b7 waits for 2 min 5 s \u00b7 23 h 57 min left", buttons[0]),
            Row("deploy #7F3A2K", "`go_live` \u00b7 waits for 1 h 4 min", buttons[1]),
        ),
    )
    return {"menu": menu(IDS, 2, name="Ann"), "pending": inbox, "schedule": schedule, "bulk": bulk}


async def draw(root: Path) -> None:
    """Draw every picture anew."""
    async with chromium() as browser:
        context = await browser.new_context(viewport={"width": 760, "height": 600})
        tab = await context.new_page()
        for file, body, platform in scenes():
            await tab.set_content(page(Scene(file.stem, body, NOON + SEEN), platform))
            await tab.locator("body").screenshot(path=root / file)
            sys.stdout.write(f"{file}: {(root / file).stat().st_size} bytes\n")


if __name__ == "__main__":
    asyncio.run(draw(ROOT))
