"""What it takes and costs to go on: by how it went before, by the prices and by the policy of parley.yaml."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot.approvals.estimate import NOTHING_KNOWN, Estimate, Spent, Stretch, Tariff, estimate, facts, money, stretches
from bot.approvals.outlook import Estimates
from bot.approvals.policy import ApprovalRule
from bot.approvals.prices import Kind, Prices, kind_of
from bot.approvals.prospect import stated
from bot.cards.outline import places
from bot.cards.pause_cards import evidence
from bot.settings import read_settings
from engine.core.flow_source import load
from engine.core.state import State
from engine.errors import SettingInvalid
from engine.runtime.foresight import Unknown
from engine.store import precedents
from engine.store.precedents import Precedent, Recorded, Stage, Worked
from engine.tasks import catalogue
from tests.bot.rig import ANN, BOB, DEV, OPS, Rig
from tests.wire.openai import openai_service

__all__ = ["openai_service"]
DOCKER = "io.kestra.plugin.scripts.runner.docker.Docker"
NOON = datetime(2026, 3, 24, 12, tzinfo=UTC)
HERE, SUB = Stage("a.b", "f"), Stage("a.b", "sub")
PRICES = Prices.model_validate(
    {
        "currency": "EUR",
        "models": {"gpt-*": {"input": 2, "output": 10}, "gpt-mini": {"input": 0.5, "output": 1.5}, "own": {}},
        "tasks": [
            {"type": "*.Shell", "runner": "*.Process", "minute": 0},
            {"image": "cuda/*", "minute": 0.9},
            {"group": "gpu", "minute": 3},
            {"type": "*.http.Request", "run": 0.01},
        ],
    }
)
FLOW = """
id: f
namespace: a.b
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - id: both
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - {id: train, type: io.kestra.plugin.scripts.shell.Commands, containerImage: cuda/x, commands: [x]}
      - {id: call, type: io.kestra.plugin.core.http.Request, uri: "http://x.test"}
  - {id: heavy, type: io.kestra.plugin.core.log.Log, message: x, workerGroup: {key: gpu}}
  - {id: shell, type: io.kestra.plugin.scripts.shell.Commands, commands: [x],
     taskRunner: {type: io.kestra.plugin.core.runner.Process}}
  - {id: usual, type: io.kestra.plugin.scripts.python.Script, script: x}
  - id: asked
    type: io.kestra.plugin.ai.completion.ChatCompletion
    provider: {type: io.kestra.plugin.ai.provider.OpenAI, apiKey: x, modelName: gpt-old}
    messages: [{type: USER, content: x}]
"""


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def histories(*steps):
    return tuple((state, at(second)) for state, second in steps)


def went(*steps, since=100, until=None, revision=1, answers=None, recorded=(), worked=()):
    """A run that asked 50 s after it began and was answered at `since`."""
    told = ((State.CREATED, 0), (State.RUNNING, 0), (State.PAUSED, 50), (State.RUNNING, since), *steps)
    later = None if until is None else at(until)
    return Precedent(f"P{since}", revision, answers or {}, histories(*told), at(since), later, recorded, worked)


def used(model, asked, answered, *, second=110, stage=HERE, task="asked"):
    tags = {"model": model} if model else {}
    names = (("input.token.count", asked), ("usage.output.tokens", answered))
    return tuple(Recorded(stage, task, name, float(value), at(second), tags) for name, value in names)


def ran(task, begin, end, stage=HERE):
    return Worked(stage, task, histories((State.CREATED, begin), (State.RUNNING, begin), (State.SUCCESS, end)))


def told(*past, revision=1, answer=None, prices=PRICES, asked=10_000):
    flows = {HERE: load(FLOW, catalogue())}
    tariff = Tariff(prices, flows, {"gpt-old": "gpt-mini"})
    named = [replace(one, pause_id=f"P{number}") for number, one in enumerate(past)]
    return estimate(named, stretches(named, at(asked), tariff, {}), revision, answer or {}, tariff.currency)


DONE = (State.SUCCESS, 160)


@pytest.mark.parametrize(
    ("past", "stretches", "failures"),
    [
        (went(DONE), [(60, "end")], 0),
        (went((State.WARNING, 130)), [(30, "end")], 0),
        (went((State.PAUSED, 120), (State.RUNNING, 900), (State.SUCCESS, 950), until=120), [(20, "question")], 0),
        (
            went((State.QUEUED, 110), (State.RETRYING, 500), (State.RUNNING, 600), (State.SUCCESS, 640)),
            [(50, "end")],
            0,
        ),
        (went((State.FAILED, 130)), [], 1),
        (went((State.FAILED, 130), (State.RESTARTED, 500), (State.SUCCESS, 510)), [], 1),
        (went((State.KILLED, 130)), [], 0),
        (went(), [], 0),  # still on its way
        (went((State.SUCCESS, 20_000)), [], 0),  # and so it was when it was asked now
        (went((State.FAILED, 20_000), until=140), [(40, "question")], 0),
    ],
)
def test_a_stretch_goes_up_to_the_next_question_or_the_end(past, stretches, failures):
    found = told(past)
    assert [(one.seconds, one.end) for one in found.stretches] == stretches
    assert found.failures == failures


def test_what_is_known_of_a_time_is_not_told_to_a_question_that_was_asked_before_it_was_over():
    past, tariff = [went(DONE, recorded=None)], Tariff(PRICES)
    known = stretches([replace(past[0], recorded=used("own", 5, 5))], at(900), tariff, {})
    assert stretches(past, at(900), tariff, known) == known, "nothing is read again"
    assert stretches(past, at(160), tariff, known) == known
    assert stretches(past, at(159), tariff, known) == {}
    assert estimate(past, {}, 1, {}, "EUR").under_way == 1


def test_only_times_with_the_same_answer_count_and_those_of_the_same_revision_when_they_are_enough():
    yes, no = went(DONE, answers={"ok": True, "why": "x"}), went((State.SUCCESS, 101), answers={"ok": False})
    assert len(told(yes, no, no, answer={"ok": True}).stretches) == 1
    new = replace(yes, revision=2)
    assert {one.revision for one in told(yes, new, new, new, revision=2).stretches} == {2}
    assert {one.revision for one in told(yes, new, new, revision=2).stretches} == {1, 2}


def test_tokens_and_time_are_counted_within_the_stretch_and_priced():
    recorded = (
        *used("gpt-5", 1_000_000, 100_000),
        *used("", 2000, 1000, second=120),  # an older record: its task asks for gpt-old, which is gpt-mini here
        *used("own", 7, 7, stage=SUB, task="x"),
        *used("gpt-5", 10**9, 10**9, second=90),  # before the answer
        *used("gpt-5", 10**9, 10**9, second=161),  # past the end
    )
    worked = (
        ran("train", 100, 160), ran("call", 100, 103), ran("call", 104, 105), ran("heavy", 150, 160),
        ran("shell", 100, 160), ran("both", 100, 160), ran("wait", 50, 100), ran("gone", 100, 160),
        ran("train", 10, 40),
    )  # fmt: skip
    (one,) = told(went(DONE, recorded=recorded, worked=worked)).stretches
    assert one.spent.tokens == (1_002_007, 101_007)
    assert one.spent.models == ("gpt-5", "gpt-mini", "own")
    models = Decimal(2) + Decimal(1) + Decimal("0.001") + Decimal("0.0015")
    assert one.spent.price == models + Decimal("0.9") + 2 * Decimal("0.01") + Decimal("0.5")
    assert one.spent.unpriced == frozenset()


def test_what_is_not_known_is_not_made_up():
    unread = replace(went(DONE), recorded=None)
    assert told(unread).stretches[0].spent is None
    (one,) = told(went(DONE, recorded=used("other", 5, 5) + used("", 1, 1, stage=SUB, task="x"))).stretches
    assert (one.spent.price, one.spent.unpriced) == (None, {"other", ""})
    (free,) = told(went(DONE, recorded=used("own", 5, 5))).stretches
    assert free.spent.price == 0
    assert told(went(DONE), prices=Prices()).currency == ""


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("train", Kind("io.kestra.plugin.scripts.shell.Commands", "cuda/x", DOCKER)),
        ("heavy", Kind("io.kestra.plugin.core.log.Log", group="gpu")),
        ("shell", Kind("io.kestra.plugin.scripts.shell.Commands", "", "io.kestra.plugin.core.runner.Process")),
        ("usual", Kind("io.kestra.plugin.scripts.python.Script", "python:3.13-slim", DOCKER)),
    ],
)
def test_a_price_goes_by_what_the_flow_says_of_a_task(task, kind):
    flow = load(FLOW, catalogue())
    assert kind_of(next(one.task for one in places(flow) if one.task.id == task), flow) == kind


def stretch(seconds, end="end", price=None, tokens=(0, 0), models=(), unpriced=()):
    amount = None if price is None else Decimal(str(price))
    return Stretch(1, seconds, end, Spent(tokens, models, amount, frozenset(unpriced)))


@pytest.mark.parametrize(
    ("found", "takes", "costs"),
    [
        (NOTHING_KNOWN, "not known yet: nobody went on from here before", None),
        (Estimate(currency="EUR"), "not known yet: nobody went on from here before", "not known yet"),
        (Estimate(under_way=3), "not known yet: what went on from here before is still under way", None),
        (Estimate((), 2), "not known: it failed on the way 2 times before", None),
        (Estimate((stretch(0.2),)), "less than 2 s to the end of the run (as the one time before)", None),
        (
            Estimate((stretch(200), stretch(90, "question"), stretch(210)), 1, "EUR"),
            "about 3 min 20 s (median of the last 3 times); it failed on the way once besides",
            "nothing that has a price",
        ),
        (
            Estimate((stretch(5, "question"), stretch(60, "question"), stretch(7, "question"))),
            "about 7 s to the next question (median of the last 3 times, the longest 1 min 0 s)",
            None,
        ),
        (
            Estimate((stretch(5, tokens=(12_400, 2100), models=("gpt", "own")),)),
            "about 5 s to the end of the run (as the one time before)",
            "about 12,400 tokens read and 2,100 written by `gpt`, `own`",
        ),
        (
            Estimate((stretch(5, price=1.5, tokens=(9, 1), models=("gpt",)), stretch(5, price=0.5)), currency="EUR"),
            "about 5 s to the end of the run (median of the last 2 times)",
            "about 1.00 EUR (4 tokens read and 0 written by `gpt`)",
        ),
        (
            Estimate((stretch(5, tokens=(9, 1), models=("gpt",), unpriced=("gpt",)),), currency="EUR"),
            "about 5 s to the end of the run (as the one time before)",
            "about 9 tokens read and 1 written by `gpt`; no price is set for `gpt`",
        ),
        (
            Estimate((stretch(5, price=0.02, tokens=(9, 1), unpriced=("",)),), currency="EUR"),
            "about 5 s to the end of the run (as the one time before)",
            "about 0.020 EUR (9 tokens read and 1 written); no price is set for the model",
        ),
        (
            Estimate((Stretch(1, 5, "end"),), currency="EUR"),
            "about 5 s to the end of the run (as the one time before)",
            "how much is not known: too much was recorded to add it up",
        ),
    ],
)
def test_it_is_told_in_two_lines(found, takes, costs):
    lines = {fact.label: fact.value for fact in facts(found)}
    assert lines == {"Takes": takes, **({} if costs is None else {"Costs": costs})}


def test_where_nothing_follows_and_nothing_is_known_nothing_is_said():
    assert facts(NOTHING_KNOWN, goes_on=False) == ()
    (cost,) = facts(Estimate(currency="EUR"), "3 EUR a month", goes_on=False)
    assert (cost.label, cost.value) == ("Costs", "3 EUR a month")
    both = facts(Estimate((stretch(5, price=2),), currency="EUR"), "3 EUR a month")
    assert both[1].value == "3 EUR a month \u00b7 about 2.00 EUR"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0 EUR"),
        ("0.00009", "less than 0.0001 EUR"),
        ("0.0001", "0.00010 EUR"),
        ("0.004249", "0.0042 EUR"),
        ("0.4249", "0.42 EUR"),
        ("0.999", "1.00 EUR"),
        ("1.005", "1.01 EUR"),
        ("1234567.5", "1,234,567.50 EUR"),
    ],
)
def test_money(amount, text):
    assert money(Decimal(amount), "EUR") == text
    assert money(Decimal(1), "<!here>") == r"1.00 \<!here\>"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("37 EUR a month", "37 EUR a month"),
        ("<@U1> *now* [x](http://y.test)", r"\<@U1\> \*now\* \[x\](<http://y.test>)"),
        (37.5, "37.5"),
        ("  ", ""),
        (None, ""),
        (Unknown(("plan",)), "`{{ x }}` (known after `plan`)"),
        (Unknown(), "`{{ x }}` (this run has no value for it)"),
    ],
)
def test_what_the_policy_says_is_data(value, text):
    assert stated(value, "{{ x }}") == text


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"prices": {"models": {"a": {"input": 1}}}}, r"The setting prices is wrong: say in which `currency`"),
        ({"prices": {"currency": "EUR", "models": {"a": {"input": -1}}}}, r"prices\.models\.a\.input is wrong"),
        ({"prices": {"currency": "EUR", "models": {"a": {"inputs": 1}}}}, r"prices\.models\.a has no key `inputs`"),
        ({"prices": {"currency": "EUR", "tasks": [{"type": "*"}]}}, r"prices\.tasks\.1 is wrong: give `minute`, `run`"),
        ({"prices": {"currency": "EUR", "tasks": [{"minute": "inf"}]}}, r"prices\.tasks\.1\.minute is wrong"),
        ({"approvals": [{"cost": "{{ outputs.plan"}]}, r"approvals\.1\.cost is wrong: The template can't be read"),
        (
            {"approvals": [{"cost": "{{ a | uper }}"}]},
            r"approvals\.1\.cost is wrong: There is no filter `uper` \(Did you mean `upper`\?\)",
        ),
    ],
)
def test_a_wrong_entry_is_refused_with_a_sentence(given, sentence, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingInvalid, match=sentence):
        read_settings(**given)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "approvals:\n  - match: {flow: x}\n    cost: '{{ oops'\n",
            r"^parley\.yaml:3: The setting approvals\.1\.cost ",
        ),
        (
            "approvals:\n- need: 1\n- {need: 1}\n- need: 1\n  cots: x\n",
            r"^parley\.yaml:5: The setting approvals\.3 has",
        ),
        ("prices:\n  models:\n    a:\n      input: 1\n      output: dear\n", r"^parley\.yaml:5: .*a\.output"),
        ("# x\n\nprices: {models: {a: {input: 1}}}\n", r"^parley\.yaml:3: The setting prices is wrong: say in which"),
    ],
)
def test_a_wrong_line_of_parley_yaml_is_named(text, sentence, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parley.yaml").write_text(text)
    with pytest.raises(SettingInvalid, match=sentence):
        read_settings()


def test_what_stands_elsewhere_has_no_line(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parley.yaml").write_text("web: {port: 1}\nlog: {level: INFO}\n")
    with pytest.raises(SettingInvalid, match=r"^The setting prices"):
        read_settings(prices={"tasks": [{"run": 1}]})
    monkeypatch.setenv("PARLEY_WEB__PORT", "many")
    with pytest.raises(SettingInvalid, match=r"^The setting web\.port is wrong"):
        read_settings()


def test_prices_are_read_exactly(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parley.yaml").write_text("prices: {currency: EUR, models: {m: {input: 0.1, output: 0.2}}}\n")
    assert read_settings().prices.of_model("m").of(1, 1) == Decimal("0.0000003")
    assert PRICES.of_model("gpt-mini").input == Decimal("0.5"), "its own name counts before a glob"
    assert PRICES.of_model("llama") is None


SHIP = """
id: ship
namespace: company.team
inputs:
  - {id: n, type: INT, defaults: 3}
tasks:
  - {id: plan, type: io.kestra.plugin.core.output.OutputValues, values: {monthly: "{{ inputs.n * 12 }}"}}
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume: [{id: approve, type: BOOLEAN}]
  - id: decide
    type: io.kestra.plugin.core.flow.If
    condition: "{{ outputs.wait.onResume.approve }}"
    then:
      - id: ask
        type: io.kestra.plugin.core.metric.Publish
        metrics:
          - {type: counter, name: input.token.count, value: "{{ inputs.n * 1000 }}", tags: {model: gpt-mini}}
          - {type: counter, name: output.token.count, value: 500, tags: {model: gpt-mini}}
"""
COST = "{{ outputs.plan.values.monthly }} EUR a month"


@pytest.fixture
async def bot(tmp_path, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_DEPLOY", "hunter2-hunter2")
    rule = ApprovalRule(approvers=("anyone",), cost=COST, where=("slack:C1", "discord:900"), need=2)
    one = ApprovalRule.model_validate({"approvers": ["anyone"], "cost": COST, "match": {"flow": "*/ship"}})
    rig = await Rig(tmp_path, approvals=(one, rule), prices=PRICES).start(SHIP)
    yield rig
    await rig.stop()


def lines(card):
    return {fact.label: fact.value for fact in card.facts if fact.label in ("Takes", "Costs")}


async def approved(bot, said="run ship", label="Approve"):
    card = await bot.asked(said)
    await bot.press(card, label)
    await bot.engine.wait((await bot.engine.pause_row(card.entity)).execution_id, timeout=20)
    return card


async def test_the_card_says_what_it_took_and_cost_before_and_what_the_policy_states(bot):
    first = await bot.asked()
    assert lines(first) == {"Takes": "not known yet: nobody went on from here before", "Costs": "36 EUR a month"}
    await approved(bot)
    await approved(bot, "run ship n=5")
    await approved(bot, label="Reject\u2026")
    now = await bot.asked("run ship n=1")
    assert lines(now) == {
        "Takes": "less than 2 s to the end of the run (median of the last 2 times)",
        "Costs": "12 EUR a month \u00b7 about 0.0028 EUR (4,000 tokens read and 500 written by `gpt-mini`)",
    }


async def test_what_ran_since_changes_neither_the_card_nor_its_hash(bot):
    card = await bot.asked()
    before = evidence(card)
    bot.desk.parts.drawing.estimates = Estimates(bot.engine, PRICES)
    await approved(bot)
    pause = await bot.engine.pause_row(card.entity)
    again = await bot.desk.parts.drawing.pause_of(pause)
    assert lines(again) == lines(card)
    untouched = [fact for fact in again.facts if fact.label != "Last time"]
    assert evidence(replace(again, facts=tuple(untouched))) == before


async def test_an_earlier_run_is_read_once_however_many_questions_follow(bot, monkeypatch):
    await approved(bot)
    read, whole = [], precedents.before

    def noted(*given, **more):
        found = whole(*given, **more)
        read.append([one.recorded is not None for one in found])
        return found

    monkeypatch.setattr(precedents, "before", noted)
    first = await bot.asked()
    await approved(bot)
    last = await bot.asked()
    assert read == [[True], [False], [True, False]]
    assert "less than 2 s" in lines(first)["Takes"]
    assert "the last 2 times" in lines(last)["Takes"]
    assert "(3,000 tokens read and 500 written" in lines(last)["Costs"]


async def test_the_history_is_read_once_a_question_and_not_when_somebody_presses(bot, monkeypatch):
    reads, whole = [], precedents.before
    monkeypatch.setattr(precedents, "before", lambda *given, **more: reads.append(1) or whole(*given, **more))
    card = await bot.asked()
    assert len(reads) == 1
    pause = await bot.engine.pause_row(card.entity)
    for _ in range(3):
        await bot.desk.parts.drawing.pause_of(pause)
    await bot.press(card, "Approve")
    await bot.slack.until(lambda: "Approved" in bot.slack.of("pause", card.entity)[0].card.title)
    assert len(reads) == 1


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        ("{{ secret('DEPLOY') }} EUR", r"\*\*masked\*\*\*\*\*\*\* EUR"),
        ("{{ outputs.later.value }} EUR", "`{{ outputs.later.value }} EUR` (known after `later`)"),
        ("{{ outputs.plan.values.yearly }}", "`{{ outputs.plan.values.yearly }}` (this run has no value for it)"),
        ("{{ http('http://127.0.0.1:9/') }}", "`{{ http('http://127.0.0.1:9/') }}` (this run has no value for it)"),
        ("{{ 1 / 0 }}", "`{{ 1 / 0 }}` (this run has no value for it)"),
        ("{{ outputs.plan.values.yearly ?? '' }}", None),
        ("**free** <!channel>\nfor all", r"\*\*free\*\* \<!channel\> for all"),
        ("x" * 400, "x" * 159 + "\u2026"),
        ("{% if outputs.wait.onResume.approve %}dear{% else %}free{% endif %}", "dear"),
    ],
)
async def test_a_cost_that_the_policy_states_breaks_no_card_and_shows_no_secret(tmp_path, monkeypatch, cost, told):
    monkeypatch.setenv("PARLEY_SECRET_DEPLOY", "hunter2-hunter2")
    rig = await Rig(tmp_path, approvals=(ApprovalRule(approvers=("anyone",), cost=cost),)).start(SHIP)
    try:
        card = await rig.asked()
        assert lines(card).get("Costs") == told
        assert "hunter2" not in str(card)
        assert [action.label for action in card.actions][:2] == ["Approve", "Reject\u2026"]
    finally:
        await rig.stop()


CALLS = """
id: calls
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - {id: each, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: asks, wait: true}
"""
ASKS = """
id: asks
namespace: company.team
tasks:
  - id: chat
    type: io.kestra.plugin.ai.completion.ChatCompletion
    provider: {type: io.kestra.plugin.ai.provider.OpenAI, apiKey: k, modelName: gpt-mini, baseUrl: "%s"}
    messages: [{type: USER, content: Hi}]
"""


async def test_what_a_called_flow_asks_of_a_model_counts(tmp_path, openai_service):
    rig = await Rig(tmp_path, prices=PRICES).start(ASKS % openai_service.url, CALLS)
    try:
        await approved(rig, "run calls")
        assert len(openai_service.asked) == 1
        card = await rig.asked("run calls")
        assert lines(card)["Costs"].endswith(" tokens read and 3 written by `gpt-mini`)"), lines(card)
        assert lines(card)["Costs"].startswith("less than 0.0001 EUR (") or "about" in lines(card)["Costs"]
    finally:
        await rig.stop()


async def test_each_place_shows_the_same_and_a_vote_keeps_its_hash(tmp_path):
    rule = {"approvers": ["anyone"], "need": 2, "cost": COST, "where": ["slack:C1", "discord:900"]}
    rig = await Rig(tmp_path, approvals=(ApprovalRule.model_validate(rule),), prices=PRICES).start(SHIP)
    try:
        card = await rig.asked()
        there = (await rig.discord.shows("pause", lambda shown: shown.entity == card.entity)).card
        assert lines(there) == lines(card) != {}
        await rig.press(card, "Approve", ANN, OPS)
        await rig.slack.until(lambda: "1 of 2" in str(rig.slack.of("pause", card.entity)[0].card.facts))
        assert lines(rig.slack.of("pause", card.entity)[0].card) == lines(card)
        await rig.press(card, "Approve", BOB, DEV)
    finally:
        await rig.stop()
