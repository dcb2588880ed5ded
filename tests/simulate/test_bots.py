"""The whole bot in the simulation: laws hold over the real store, and what is broken in the product is noticed."""

from engine.core.commands import RunTask
from engine.runtime.carrying import Carrier
from engine.store import chat_receipts
from tests.simulate.bots import Bot, drawn_over, lived, pinned
from tests.simulate.histories import History
from tests.simulate.seeds import _chunk
from tests.simulate.shrinking import shrunk

SOME = range(24)


def first_broken() -> str:
    """The law that the first of some seeds breaks."""
    return next((law for seed in SOME if (law := lived(drawn_over(seed, "sqlite")).law)), "")


def test_the_first_seeds_break_no_law_over_sqlite():
    assert _chunk((range(4), "", "sqlite")) == (4, [])


def test_a_seed_is_the_same_life_each_time(tmp_path):
    lives = []
    for name in ("one", "two"):
        (tmp_path / name / "flows").mkdir(parents=True)
        bot = Bot(drawn_over(6, "sqlite"), tmp_path / name, None)
        with pinned(6):
            bot.play()
        lives.append((bot.clock.now(), bot.steps, bot.answers))
    assert lives[0] == lives[1]
    assert lives[0][1]


def test_work_that_a_restart_forgets_is_noticed(monkeypatch):
    take_up = Carrier.take_up

    def forgets(self, row, flow=None):
        if not isinstance(row.command, RunTask):
            take_up(self, row, flow)

    monkeypatch.setattr(Carrier, "take_up", forgets)
    assert first_broken() in ("every execution ends", "every task run ends", "the outbox empties", "it comes to rest")


def test_what_broke_over_sqlite_is_shrunk_and_played_again(monkeypatch):
    monkeypatch.setattr(chat_receipts, "open_receipt", lambda *given: None)
    found = next(history for seed in SOME if (history := lived(drawn_over(seed, "sqlite"))).law)
    small = shrunk(found, lived, 12)
    assert small.law == found.law
    assert len(small.as_json()) < len(found.as_json())
    assert lived(History.from_json(small.as_json())).law == found.law


def test_a_delivery_that_counts_twice_is_noticed(monkeypatch):
    monkeypatch.setattr(chat_receipts, "open_receipt", lambda *given: None)
    assert first_broken() in ("one answer per delivery", "one execution per start", "one decision per pause")


def test_a_seed_breaks_no_law_over_postgres(postgres):
    assert lived(drawn_over(6, "postgresql"), postgres).law == ""
