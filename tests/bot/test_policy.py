"""The `approvals` list: how it is read, which entry counts, and which hours are quiet."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.approvals.approvers import Approver, approver, labels
from bot.approvals.policy import NO_RULE, ApprovalRule, rule_for, unreachable
from bot.approvals.quiet_hours import QuietHours
from bot.doctor import examine
from bot.settings import read_settings
from engine.errors import SettingInvalid


@pytest.mark.parametrize(
    ("text", "kind", "value", "again"),
    [
        ("slack:usergroup:design", "group", "design", "slack:usergroup:design"),
        ("slack:usergroup:@design", "group", "design", "slack:usergroup:design"),
        ("discord:role:1234", "group", "1234", "discord:role:1234"),
        ("discord:role:on call", "group", "on call", "discord:role:on call"),
        ("user:ann", "name", "ann", "user:ann"),
        ("user:slack:U01", "account", "slack:U01", "slack:U01"),
        ("slack:U01", "account", "slack:U01", "slack:U01"),
        ("local:ann", "account", "local:ann", "local:ann"),
        ("token:ci", "account", "token:ci", "token:ci"),
        ("email:Example.com", "domain", "example.com", "email:example.com"),
        ("email:Ann@example.com", "email", "ann@example.com", "email:ann@example.com"),
        ("anyone-in-channel", "channel", "", "anyone-in-channel"),
        ("anyone", "anyone", "", "anyone"),
    ],
)
def test_an_approver_is_read(text, kind, value, again):
    read = approver(text)
    assert (read.kind, read.value, read.text) == (kind, value, again)
    assert read.label()
    assert approver(read.text) == read


@pytest.mark.parametrize("text", ["ann", "slack:#ops", "email:nowhere", "user:", "discord:role:", "group:x", ""])
def test_nobody_is_guessed(text):
    with pytest.raises(ValueError, match="nobody who may decide: write `user:NAME`"):
        approver(text)


def test_labels_read_as_words():
    assert labels((Approver("anyone"),)) == "anybody"
    assert labels((approver("user:ann"), approver("slack:usergroup:x"))) == "**ann** or the Slack group `x`"
    assert labels((approver("slack:U1"), approver("slack:U2")), {"slack:U1": "An*n"}) == r"**An\*n** or **slack:U2**"


RULES = tuple(
    ApprovalRule.model_validate(rule)
    for rule in (
        {"match": {"flow": "company.ai/gen_*", "task": "wait_*"}, "approvers": ["user:ann"]},
        {"match": {"flow": "company.ai/*"}, "approvers": ["user:bob"], "need": 1},
        {"match": {"flow": "*"}, "approvers": ["anyone-in-channel"]},
    )
)


@pytest.mark.parametrize(
    ("flow", "task", "first"),
    [
        ("company.ai/gen_img", "wait_for", 0),
        ("company.ai/gen_img", "other", 1),
        ("company.ai/other", "wait_for", 1),
        ("company.aid/gen_img", "wait_for", 2),
    ],
)
def test_the_first_match_wins(flow, task, first):
    assert rule_for(RULES, flow, task) is RULES[first]
    assert rule_for(RULES[:2], "x/y", "z") is NO_RULE


def test_entries_behind_a_catch_all_are_told():
    assert unreachable(RULES) == []
    assert unreachable((*RULES[1:], RULES[0])) == [3]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"approver": ["anyone"]}, r"approvals\.1 has no key `approver`"),
        ({"match": {"flows": "*"}}, r"approvals\.1\.match has no key `flows`"),
        ({"approvers": ["ann"]}, r"approvals\.1\.approvers is wrong: 'ann' is nobody who may decide"),
        ({"approvers": ["user:ann"], "need": 2}, r"`need: 2` can never be reached by 1 approvers"),
        ({"need": 0}, r"approvals\.1\.need is wrong"),
        ({"remind": ["soon"]}, r"'soon' is not a duration"),
        ({"remind": ["0m"]}, r"not longer than nothing"),
        ({"where": ["#design"]}, r"'#design' is no room"),
        ({"escalate": [{"after": "1h", "to": []}]}, r"approvals\.1\.escalate\.1\.to"),
        ({"on_timeout": "approve"}, r"approvals\.1\.on_timeout"),
        ({"quiet_hours": {"zone": "Mars/Base", "from": "19:00", "to": "08:00"}}, r"'Mars/Base' is no time zone"),
        ({"quiet_hours": {"from": "19:00"}}, r"`from` and `to` go together"),
        ({"quiet_hours": {"zone": "UTC"}}, r"give `from` and `to`, or `days`"),
    ],
)
def test_a_wrong_entry_is_refused_with_a_sentence(rule, sentence, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingInvalid, match=sentence):
        read_settings(approvals=[rule])


async def test_the_doctor_tells_what_is_in_force_and_what_can_never_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("SLACK_BOT_TOKEN", "DISCORD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    entries = [{"approvers": ["slack:usergroup:design"], "need": 2}, {"match": {"flow": "a/*"}}]
    found = [one for one in await examine(read_settings(approvals=entries)) if one.name == "approvals"]
    assert [(one.verdict, one.text) for one in found] == [
        ("ok", "1. * task *: the Slack group design; 2 must agree"),
        ("ok", "2. a/* task *: anybody in the channel of the card"),
        ("wrong", "Nothing ever reaches entry 2."),
        ("wrong", "Groups of slack decide, but the bot is not connected there, so nobody would pass."),
    ]
    (none,) = [one for one in await examine(read_settings()) if one.name == "approvals"]
    assert none.verdict == "hint"


NIGHT = QuietHours.model_validate({"zone": "Europe/London", "from": "19:00", "to": "08:00"})


@pytest.mark.parametrize(
    ("when", "then"),
    [
        ("2026-01-05T12:00Z", "2026-01-05T12:00Z"),
        ("2026-01-05T19:00Z", "2026-01-06T08:00Z"),
        ("2026-01-05T18:59Z", "2026-01-05T18:59Z"),
        ("2026-01-06T03:00Z", "2026-01-06T08:00Z"),
        ("2026-01-06T08:00Z", "2026-01-06T08:00Z"),
        ("2026-07-06T18:30Z", "2026-07-07T07:00Z"),  # summer time
        ("2026-03-28T22:00Z", "2026-03-29T07:00Z"),  # the night the clocks go forward
        ("2026-10-24T22:00Z", "2026-10-25T08:00Z"),  # … and back
    ],
)
def test_reminders_wait_for_the_morning(when, then):
    assert NIGHT.after(datetime.fromisoformat(when)) == datetime.fromisoformat(then)


def test_a_time_without_quotes_is_the_same_time():
    read = yaml.safe_load("{zone: Europe/London, from: 19:00, to: 08:00}")
    assert QuietHours.model_validate(read) == NIGHT
    with pytest.raises(ValueError, match="in quotes"):
        QuietHours.model_validate({"from": 5000, "to": "08:00"})


def test_whole_days_are_quiet_too():
    hours = QuietHours.model_validate({"zone": "UTC", "from": "18:00", "to": "09:00", "days": ["sat", "sun"]})
    friday = datetime(2026, 1, 9, 18, 30, tzinfo=UTC)
    assert hours.after(friday) == datetime(2026, 1, 12, 9, 0, tzinfo=UTC)


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
    st.times(),
    st.times(),
    st.sets(st.sampled_from(["sat", "sun", "mon"])),
)
def test_silence_ends_and_never_goes_back(when, start, end, days):
    moment = when.replace(tzinfo=UTC)
    hours = QuietHours.model_validate({"zone": "Europe/London", "from": start, "to": end, "days": sorted(days)})
    after = hours.after(moment)
    assert moment <= after <= moment + timedelta(days=6)
    assert hours.after(after) == after
