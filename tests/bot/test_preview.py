"""`parley preview`: every form and card of a flow, in both platforms' looks, without an account."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from bot.approvals.policy import ApprovalRule
from bot.cli.preview import preview
from bot.conversation import Form, Room
from bot.discord.views import cards as discord_cards
from bot.discord.views import forms as discord_forms
from bot.preview import discord_look, pictures, slack_look
from bot.preview.scenes import scenes
from bot.slack import forms as slack_forms
from bot.slack import views as slack_views
from bot.texts import bare
from engine.core.flow_source import load
from engine.tasks import catalogue
from tests.bot import monster
from tests.shared import ROOT
from tests.wire import slack_rules
from tests.wire.discord_spec import judge

ASKING = """
id: asking
namespace: company.team
variables: {team: ops}
inputs:
  - {id: day, type: STRING, defaults: "{{ now() | date('yyyy-MM-dd') }}"}
  - {id: team, type: STRING, defaults: "{{ vars.team }} of {{ flow.namespace }}"}
  - {id: label, type: STRING, defaults: "{{ inputs.team | upper }}"}
  - {id: key, type: STRING, defaults: "{{ kv('key') }}"}
  - {id: size, type: SELECT, expression: "{{ ['S', 'M'] }}", defaults: M}
  - {id: near, type: SELECT, expression: "{{ kv('places') }}", defaults: here}
  - {id: more, type: STRING, defaults: x, dependsOn: {inputs: [size], condition: "{{ inputs.size == 'XL' }}"}}
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    onResume: [{id: until, type: DATETIME, defaults: "{{ now() }}"}]
"""


def test_defaults_and_choices_are_what_the_form_in_chat_shows():
    shown = scenes(load(ASKING, catalogue()))
    asked = {field.id: field for field in shown[0].body.fields}
    assert {name: field.default for name, field in asked.items()} == {
        "day": "2026-01-05",
        "team": "ops of company.team",
        "label": "OPS OF COMPANY.TEAM",
        "key": "{{ kv('key') }}",
        "size": "M",
        "near": "here",
        "more": "x",
    }
    assert [choice.value for choice in asked["size"].options] == ["S", "M"]
    (until,) = next(scene for scene in shown if scene.name == "asking-gate-answer").body.fields
    assert until.default.startswith("2026-01-05T12:00")


APPROVAL = """
id: release
namespace: company.team
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Approval
    description: Ship it?
    commentRequired: ON_DENY
    decisions: {approve: Ship, deny: Hold}
    inputs:
      - {id: size, type: SELECT, values: [all, some], defaults: all}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.gate.decision }}"}
"""
FLOWS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "flows").rglob("*.yaml"))}
FLOWS |= {"monster": monster.flow(), "monster_pause": monster.flow(pause=True), "approval": APPROVAL}
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Tags(HTMLParser):
    """Fails where tags do not nest, and keeps the words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        assert not [name for name, _ in attributes if name.startswith("on")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def read(text):
    return load(text, catalogue())


@pytest.mark.parametrize("name", FLOWS)
def test_every_scene_is_what_the_platforms_take_and_reads_as_a_page(name):
    for scene in scenes(read(FLOWS[name])):
        body = scene.body
        if isinstance(body, Form):
            for page in range(len(slack_forms.pages(body))):
                slack_rules.check_view(
                    slack_forms.form_view(body, slack_forms.Origin(Room("slack", "C1")), page).payload
                )
            for page in range(len(discord_forms.pages(body))):
                modal = discord_forms.modal(body, page).payload
                assert judge("POST", "/interactions/1/t/callback", {"type": 9, "data": modal}) == []
        else:
            slack_rules.check_message(slack_views.card(body).payload)
            assert judge("POST", "/channels/1/messages", discord_cards.card(body).payload) == []
        for platform in pictures.PLATFORMS:
            words = Tags(pictures.page(scene, platform)).words
            assert scene.name in words
            for field in body.fields if isinstance(body, Form) else ():
                assert field.label[:30] in words, (platform, field.id)
        assert pictures.text(scene).startswith(f"── {scene.name}")


def test_an_approval_has_all_its_scenes():
    found = {scene.name: scene.body for scene in scenes(read(APPROVAL))}
    assert list(found) == [
        "release-running", "release-gate", "release-gate-answer", "release-gate-reject", "release-gate-decided",
        "release-failed", "release-ended",
    ]  # fmt: skip
    assert [action.label for action in found["release-failed"].actions] == ["Log", "Retry from here", "Replay", "Mute…"]
    assert [action.label for action in found["release-gate"].actions] == ["Ship", "Hold…", "Answer in form"]
    assert "Approved" in found["release-gate-decided"].title
    assert found["release-ended"].facts[-1].label == "said"


WAITS = """
id: ship
namespace: company.team
inputs:
  - {id: version, type: STRING, defaults: "1.4"}
  - {id: hours, type: DURATION, defaults: PT3H}
  - {id: key, type: SECRET, required: false, defaults: hunter2}
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    description: "Ship {{ inputs.version }}?%s"
    timeout: "{{ inputs.hours }}"
"""


def test_questions_read_as_with_the_defaults_of_the_inputs():
    shown = {scene.name: scene for scene in scenes(read(WAITS % ""))}
    gate, expired = shown["ship-gate"], shown["ship-gate-expired"]
    assert gate.body.title == "Ship 1.4?"
    assert gate.body.deadline.isoformat() == "2026-01-05T15:00:00+00:00"
    assert "in 3 hours" in pictures.page(gate, "discord")
    assert "2 minutes ago" in pictures.page(gate, "discord")
    assert expired.body.title == "No answer in time: Ship 1.4?"
    assert "Ended: 2026-01-05 15:00 UTC" in pictures.text(expired)
    for unknown in (" {{ outputs.no.value }}", " {{ inputs.key }}"):
        written = {scene.name: scene.body for scene in scenes(read(WAITS % unknown))}["ship-gate"].title
        assert written == "Ship {{ inputs.version }}?" + unknown, "as it is written, and no secret"


POLICY = """
approvals:
  - match: {flow: company.team/ship, task: gate}
    approvers: ["slack:usergroup:design", "user:ann"]
    need: 2
    on_timeout: cancel
  - match: {flow: company.team/*}
    approvers: [anyone-in-channel]
"""
HUMAN = """
id: ship
namespace: company.team
tasks:
  - {id: gate, type: io.kestra.plugin.ee.flow.HumanTask, assignment: {users: [ann@example.com], groups: [leads]}}
"""


def gate_of(source, rules=(), roles=()):
    return {scene.name: scene for scene in scenes(read(source), None, rules, roles)}


def told(scene):
    return {fact.label: bare(fact.value) for fact in scene.body.facts}


def test_who_decides_stands_on_the_card_as_parley_yaml_says_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parley.yaml").write_text(POLICY)
    (tmp_path / "ship.yaml").write_text(WAITS % "")
    preview("ship.yaml", "slack", tmp_path / "out", None)
    said = capsys.readouterr().out
    assert "Who may decide: the Slack group design or ann; 2 must agree" in said
    assert "Votes: 0 of 2" in said
    assert "Votes: 2 of 2" in said, "once it is decided"
    assert "Without an answer: the run is cancelled" in said
    assert "the Slack group" in Tags((tmp_path / "out" / "ship-gate.slack.html").read_text()).words


def test_without_a_policy_nobody_is_named_and_one_that_waits_on_has_no_deadline():
    assert "Who may decide" not in told(gate_of(WAITS % "")["ship-gate"])
    (rule,) = (ApprovalRule(on_timeout="wait"),)
    shown = gate_of(WAITS % "", (rule,))
    assert told(shown["ship-gate"])["Who may decide"] == "anybody in the channel of the card"
    assert shown["ship-gate"].body.deadline is None
    assert "ship-gate-expired" not in shown


def test_whom_the_flow_itself_assigns_decides_and_a_policy_narrows_it():
    assert told(gate_of(HUMAN)["ship-gate"])["Who may decide"] == (
        "ann@example.com, the Slack group leads or the Discord role leads"
    )
    rules = (ApprovalRule(approvers=("user:bob",)),)
    assert told(gate_of(HUMAN, rules)["ship-gate"])["Who may decide"].startswith("bob, who is also ann@example.com")


def test_text_has_no_marks_and_lists_the_steps():
    shown = {scene.name: pictures.text(scene) for scene in scenes(read(WAITS % ""))}
    assert "- gate: CREATED" in shown["ship-running"]
    assert "**" not in "".join(shown.values())
    assert "`" not in "".join(shown.values())


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        ("1000:R", "now"),
        ("1001:R", "in 1 second"),
        ("880:R", "2 minutes ago"),
        ("87400:R", "in 1 day"),
        ("1000", "<t:1000>"),
    ],
)
def test_discord_counts_moments_from_the_one_of_the_scene(stamp, words):
    payload = {"content": f"at <t:{stamp}>"}
    assert discord_look.counted_from(datetime.fromtimestamp(1000, UTC), payload) == {"content": f"at {words}"}


@pytest.mark.parametrize(
    ("text", "drawn"),
    [("*b* _i_ ~s~", "<b>b</b> <i>i</i> <s>s</s>"), ("~ 'x' : y ~ z", "~ 'x' : y ~ z"), ("2 * 3 * 4", "2 * 3 * 4")],
)
def test_slack_formats_only_what_touches_its_marks(text, drawn):
    message = slack_look.message({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]})
    assert drawn in message


def test_data_of_a_flow_is_never_markup():
    flow = APPROVAL.replace("Ship it?", "'<img src=x onerror=alert(1)> <script>x</script>'")
    for scene in scenes(read(flow)):
        for platform in pictures.PLATFORMS:
            assert "<script" not in pictures.page(scene, platform)
            Tags(pictures.page(scene, platform))


def test_a_flow_is_found_by_its_name_whatever_else_lies_in_the_folders(tmp_path, capsys):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"id: gr\xfc\xdfe\n")
    (tmp_path / "broken.yaml").write_text("id: release\nnamespace: company.team\ntasks: [")
    (tmp_path / "release.yaml").write_text(APPROVAL.replace("id: release\n", 'id: "release"\n', 1))
    preview("company.team/release", "all", None, [tmp_path])
    assert "── release-gate-reject" in capsys.readouterr().out


def test_the_command_writes_a_page_for_each_scene_and_look(tmp_path, capsys):
    source = tmp_path / "release.yaml"
    source.write_text(APPROVAL)
    preview(str(source), "all", tmp_path / "out", None)
    said = capsys.readouterr()
    assert "── release-gate-reject" in said.out
    assert {path.name for path in (tmp_path / "out").glob("*.html")} == {
        f"{scene.name}.{platform}.html" for scene in scenes(read(APPROVAL)) for platform in pictures.PLATFORMS
    }


@pytest.mark.parametrize(
    ("wire", "drawn"),
    [
        ("<@U2> asks", "<b>@U2</b> asks"),
        ("&lt;@U2&gt; asks", "&lt;@U2&gt; asks"),
        ("<https://a.test/?x=1&amp;y=2|a &amp; b>", '<a href="https://a.test/?x=1&amp;y=2">a &amp; b</a>'),
        ("&lt;https://a.test|a&gt;", "&lt;https://a.test|a&gt;"),
        ("&lt;b&gt;", "&lt;b&gt;"),
    ],
)
def test_what_is_data_on_slack_looks_like_data(wire, drawn):
    assert slack_look._mrkdwn(wire) == drawn
