"""`python -m tests.pictures`: the documentation's pictures, drawn by the bot's own renderers and taken by Chromium.

They go into `bot/docs/pictures` and `.github`. Nothing in them is drawn by hand: when a card or a form changes its
looks, run this again. The machine needs a font with emoji (Debian: `fonts-noto-color-emoji`).
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.approvals.answering import decided_word, reject_fields, shape
from bot.approvals.approvers import approver, labels
from bot.approvals.estimate import Estimate, Spent, Stretch, facts
from bot.approvals.prospect import Outlook
from bot.cards.forecast import Usual
from bot.cards.pause_cards import Decided, PauseView, Voted, pause_card
from bot.cards.run_cards import RunView, run_card
from bot.conversation import Card, Fact, Form, Listing, Notice
from bot.forms.questions import fields_of, form
from bot.links import ActionIds, Pages
from bot.preview.pictures import page
from bot.preview.scenes import Scene
from engine.clock import ShiftedClock
from engine.core.execution import Execution, TaskRun
from engine.core.flow import Flow
from engine.core.flow_source import load
from engine.core.state import State
from engine.tasks import catalogue
from tests.bot.rig import Rig
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
    timeout: PT24H
    behavior: CANCEL
    onResume:
      - {id: happy, type: BOOLEAN, description: Are you happy with the poster?}
      - {id: feedback, type: STRING, displayName: What should change?, description: The next try starts from this.}
"""
SUBJECT = "A fox reading the news"
DEPLOY = """
id: deploy
namespace: team.shop
tasks:
  - {id: go_live, type: io.kestra.plugin.core.flow.Pause}
"""
INVOICE = """
id: invoice
namespace: team.shop
inputs:
  - {id: number, type: INT}
tasks:
  - {id: send, type: io.kestra.plugin.core.execution.Fail, errorMessage: The mail server took nothing.}
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


async def scenes() -> list[tuple[Path, Card | Form | Listing | Notice, str]]:
    """(file, what it shows, in whose look)."""
    return list(_scenes(await _said()))


def _scenes(said: Mapping[str, Card | Listing | Notice]) -> Iterator[tuple[Path, Card | Form | Listing | Notice, str]]:
    flow = load(FLOW, catalogue())
    waiting = _waiting(flow)
    card = pause_card(waiting, IDS, Pages("https://parley.example"))
    decided = Decided("approve", "Ben", "discord", NOON + timedelta(minutes=21), {"happy": True}, "looks good")
    votes = (*waiting.votes, Voted("Ben", "discord", decided_word("approve")))
    done = replace(waiting, state="RESUMED", decided=decided, decided_at=decided.at, meter="2 of 2", votes=votes)
    ended = pause_card(done, IDS, Pages("https://parley.example"))
    rest = reject_fields(waiting.fields, waiting.shape)
    no = form("draft:p", "Reject: poster", "Reject", rest, intro="The run goes on with this as a no.")
    start = form("draft:p", "Run poster", "Run", fields_of(flow.inputs), raw={"subject": SUBJECT})
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
        for name, body in said.items():
            yield DOCS / f"{name}-{platform}.png", body, platform


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
            takes=facts(Estimate((Stretch(1, 190.0, "end", Spent()),) * 9), "14.80 EUR a run"),
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


async def _said() -> dict[str, Card | Listing | Notice]:
    """What a whole bot answers: the menu, an inbox, a schedule before it holds, and what will be done to many runs."""
    hour, while_ago = timedelta(minutes=62), timedelta(minutes=2, seconds=5)
    with TemporaryDirectory() as folder:
        rig = Rig(Path(folder), clock=ShiftedClock(NOON + SEEN - hour - while_ago))
        await rig.start(FLOW, DEPLOY, INVOICE)
        try:
            await rig.asked("run deploy")
            rig.clock.jump(hour)
            await rig.asked(f"run poster subject='{SUBJECT}'")
            for number in (1, 2, 3):
                await rig.say(f"run invoice number={number}")
            for run in await rig.engine.executions(flow_id="invoice"):
                await rig.engine.wait(run.id, timeout=60)
            rig.clock.jump(while_ago)
            said = {
                "menu": "",
                "pending": "pending",
                "schedule": f"schedule add poster 'every weekday at 9:00' subject='{SUBJECT}'",
                "bulk": "bulk restart --flow=invoice --state=failed",
            }
            return {name: await rig.say(text) for name, text in said.items()}
        finally:
            await rig.stop()


async def draw(root: Path) -> list[Path]:
    """Draw every picture anew; which those are."""
    every = await scenes()
    async with chromium() as browser:
        context = await browser.new_context(viewport={"width": 760, "height": 600})
        tab = await context.new_page()
        for file, body, platform in every:
            (root / file.parent).mkdir(parents=True, exist_ok=True)
            await tab.set_content(page(Scene(file.stem, body, NOON + SEEN), platform))
            await tab.locator("body").screenshot(path=root / file)
            sys.stdout.write(f"{file}: {(root / file).stat().st_size} bytes\n")
    return [file for file, *_ in every]


if __name__ == "__main__":
    asyncio.run(draw(ROOT))
