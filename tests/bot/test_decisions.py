"""Deciding a pause: one effect, one answer, from wherever it comes."""

import asyncio
import json
from datetime import timedelta

import pytest

from bot.conversation import Card, FieldErrors, Form, Notice
from bot.people.permissions import Asked
from bot.texts import answer
from engine.core.state import State
from tests.bot.rig import ANN, BOB, DEV, OPS, PAGE, PLAIN, WEB, Rig


async def ended(rig, card):
    run = (await rig.engine.pause_row(card.entity)).execution_id
    return await rig.engine.wait(run, timeout=20)


async def test_a_run_is_announced_where_it_was_started_and_its_pause_too(rig):
    said = await rig.say("run ship")
    assert isinstance(said, Notice)
    assert said.text.startswith("Started `ship` `#")
    run = await rig.slack.shows("run", lambda card: card.tone == "paused")
    pause = await rig.slack.shows("pause")
    assert run.room == OPS
    assert pause.room == OPS
    assert [action.label for action in pause.card.actions] == ["Approve", "Reject…"]
    assert not rig.discord.messages


async def test_approving_resumes_and_every_card_names_who_and_where(rig):
    card = await rig.asked()
    said = await rig.press(card, "Approve")
    assert said.tone == "success"
    assert said.text.startswith("Approved. `ship` `#")
    assert (await ended(rig, card)).state is State.SUCCESS
    decided = await rig.slack.shows("pause", lambda shown: shown.tone == "success")
    assert "**Approved by Ann** (Slack)" in decided.card.body
    assert [action.label for action in decided.card.actions] == ["Run", "Log"]
    await rig.slack.shows("run", lambda shown: shown.tone == "success")


async def test_quick_approval_gives_an_empty_text(rig):
    card = await rig.asked("run picture prompt='a fox'")
    await rig.press(card, "Approve")
    done = await ended(rig, card)
    assert done.outputs == {"result": "yes"}
    paused = next(run for run in done.task_runs.values() if run.task_id == "wait")
    assert paused.outputs["onResume"] == {"approve": True, "feedback": ""}


async def test_rejecting_asks_for_the_rest_and_goes_on_with_a_no(rig):
    card = await rig.asked("run picture prompt='a fox'")
    form = await rig.press(card, "Reject…")
    assert isinstance(form, Form)
    assert [field.id for field in form.fields] == ["feedback"]
    assert form.fields[0].required
    refused = await rig.fill(form, feedback="")
    assert isinstance(refused, FieldErrors)
    assert refused.errors == {"feedback": "`feedback` is required."}
    reply = await rig.fill(form, feedback="redder")
    assert reply.body.text.startswith("Rejected. `picture`")
    assert (await ended(rig, card)).outputs == {"result": "redder"}
    decided = await rig.slack.shows("pause", lambda shown: shown.tone == "danger")
    assert "**Rejected by Ann** (Slack) · “redder”" in decided.card.body


async def test_rejecting_what_asks_nothing_stops_the_run(rig):
    card = await rig.asked()
    said = await rig.press(card, "Reject…")
    assert said.text.startswith("Rejected. ")
    assert (await ended(rig, card)).state is State.KILLED
    await rig.slack.shows("pause", lambda shown: "Rejected by Ann" in shown.body)


async def test_answering_by_command_with_words_as_the_text(rig):
    card = await rig.asked("run picture prompt='a fox'")
    said = await rig.say("reject last too dark, don't you think?")
    assert said.text.startswith("Rejected.")
    assert (await ended(rig, card)).outputs == {"result": "too dark, don't you think?"}


async def test_answer_in_form_keeps_what_is_typed_when_it_is_refused(rig):
    card = await rig.asked("run picture prompt='a fox'")
    form = await rig.press(card, "Answer in form")
    assert [(field.id, field.required) for field in form.fields] == [("approve", True), ("feedback", False)]
    refused = await rig.fill(form, approve="perhaps", feedback="more trees")
    assert "`perhaps` is not yes or no" in refused.errors["approve"]
    assert refused.form.values == {"approve": "perhaps", "feedback": "more trees"}
    assert (await rig.desk.form(form.id)).values["feedback"] == "more trees"
    reply = await rig.fill(form, approve="no")
    assert reply.body.text.startswith("Rejected.")
    assert (await ended(rig, card)).outputs == {"result": "more trees"}
    assert await rig.desk.form(form.id) is None


async def test_two_people_at_once_on_two_platforms_make_one_effect(rig):
    card = await rig.asked()
    said = await asyncio.gather(rig.press(card, "Approve", ANN, OPS), rig.press(card, "Reject…", BOB, DEV))
    won, lost = sorted(said, key=lambda notice: notice.code)
    assert won.code == ""
    assert lost.code == "E21"
    first = "approved by **Ann**" if won.text.startswith("Approved") else "rejected by **Bob**"
    assert first in lost.text
    assert "Nothing changed." in lost.text
    done = await ended(rig, card)
    assert done.state is (State.SUCCESS if "Ann" in first else State.KILLED)
    pause = await rig.engine.pause_row(card.entity)
    assert pause.decided_by == ("slack:U1" if "Ann" in first else "discord:7")


async def test_twenty_at_once_make_one_effect(rig):
    card = await rig.asked()
    said = await asyncio.gather(
        *(rig.press(card, "Approve", ANN if n % 2 else BOB, OPS if n % 2 else DEV) for n in range(20))
    )
    assert [notice.code for notice in said].count("") == 1
    assert [notice.code for notice in said].count("E21") == 19


async def test_the_same_delivery_twice_counts_once_and_gets_the_same_answer(rig):
    card = await rig.asked()
    first = await rig.press(card, "Approve", receipt="again")
    second = await rig.press(card, "Approve", receipt="again")
    third, fourth = await asyncio.gather(
        rig.say("run ship --quiet", receipt="both"), rig.say("run ship --quiet", receipt="both")
    )
    assert first == second
    assert third == fourth
    runs = await rig.engine.executions()
    assert len(runs) == 2


async def test_hanging_up_does_not_undo_a_click(rig):
    card = await rig.asked()
    reached, go_on = asyncio.Event(), asyncio.Event()
    handle = rig.desk.deliveries.handle

    async def slow(event):
        reached.set()
        await go_on.wait()
        return await handle(event)

    rig.desk.deliveries.handle = slow
    click = asyncio.create_task(rig.press(card, "Approve", receipt="hung up"))
    await reached.wait()
    click.cancel()
    await asyncio.gather(click, return_exceptions=True)
    go_on.set()
    assert (await ended(rig, card)).state is State.SUCCESS
    assert (await rig.press(card, "Approve", receipt="hung up")).text.startswith("Approved.")


async def test_a_click_after_a_restart_counts(rig):
    card = await rig.asked()
    await rig.again()
    said = await rig.press(card, "Approve", receipt="after")
    assert said.tone == "success"
    assert (await ended(rig, card)).state is State.SUCCESS
    await rig.slack.shows("pause", lambda shown: shown.tone == "success")


async def test_the_same_delivery_after_a_restart_gets_the_stored_answer(rig):
    card = await rig.asked()
    first = await rig.press(card, "Approve", receipt="once")
    await rig.again()
    assert await rig.press(card, "Approve", receipt="once") == first


async def test_a_click_after_the_end_is_told_who_was_first(rig):
    card = await rig.asked()
    await rig.press(card, "Approve")
    await ended(rig, card)
    late = await rig.press(card, "Approve", BOB, DEV)
    assert late.code == "E21"
    assert late.text.startswith("Already approved by **Ann** ")
    assert "on Slack" in late.text


async def test_a_form_sent_after_somebody_decided_is_told_so(rig):
    card = await rig.asked("run picture prompt='a fox'")
    form = await rig.press(card, "Reject…")
    await rig.press(card, "Approve", BOB, DEV)
    late = (await rig.fill(form, feedback="x")).body
    assert late.code == "E21"
    assert "Bob" in late.text


async def test_a_run_stopped_while_a_card_waits(rig):
    card = await rig.asked()
    await rig.say("kill last wrong one")
    await ended(rig, card)
    await rig.slack.shows("pause", lambda shown: "stopped before anybody answered" in shown.body)
    late = await rig.press(card, "Approve")
    assert late.code == "E17"
    assert "is already stopped" in late.text


async def test_a_flow_deleted_while_waiting_still_goes_on_with_the_revision_it_runs(rig, tmp_path):
    file = tmp_path / "flows" / "gone.yaml"
    file.write_text(PLAIN.replace("id: ship", "id: gone", 1))
    await rig.again()
    card = await rig.asked("run gone")
    file.unlink()
    await rig.again()
    assert all(flow.id != "gone" for flow in rig.engine.flows.list())
    said = await rig.press(card, "Approve")
    assert said.tone == "success"
    assert (await ended(rig, card)).state is State.SUCCESS


TIMED = """
id: timed
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H, behavior: FAIL}
"""


async def test_a_click_after_the_deadline_is_late_whether_the_end_was_noted_or_not(rig):
    await rig.engine.deploy(TIMED)
    card = await rig.asked("run timed")
    before = await rig.desk.parts.decisions.case(card.entity)
    assert await rig.desk.parts.decisions.refuse(before, ANN, OPS) is None
    rig.clock.jump(timedelta(hours=2))
    assert (await rig.desk.parts.decisions.refuse(before, ANN, OPS)).code == "E24"  # as it stood a moment before
    await ended(rig, card)
    assert (await rig.engine.pause_row(card.entity)).state == "EXPIRED"
    for label in ("Approve", "Reject\u2026"):
        late = await rig.press(card, label)
        assert (late.code, "no answer in 1 h 0 min" in late.text) == ("E24", True)


async def test_a_click_at_the_deadline_is_late_and_silence_is_told_on_the_card(rig):
    await rig.engine.deploy(TIMED)
    card = await rig.asked("run timed")
    assert card.deadline is not None
    rig.clock.jump(timedelta(hours=2))
    late = await rig.press(card, "Approve")
    assert late.code == "E24"
    assert "no answer in 1 h 0 min" in late.text
    assert (await ended(rig, card)).state is State.FAILED
    await rig.slack.shows("pause", lambda shown: "Nobody answered in time" in shown.body)
    pause = await rig.engine.pause_row(card.entity)
    assert (pause.state, pause.decided_by) == ("EXPIRED", None), "not a no, and nobody's"


CHOICE = """
id: pick
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: colour, type: SELECT, values: [red, green]}
outputs:
  - {id: colour, type: STRING, value: "{{ outputs.wait.onResume.colour }}"}
"""


async def test_a_choice_is_a_button_a_value(rig):
    await rig.engine.deploy(CHOICE)
    card = await rig.asked("run pick")
    assert [action.label for action in card.actions] == ["red", "green"]
    said = await rig.press(card, "green")
    assert said.text.startswith("Answered with `green`.")
    assert (await ended(rig, card)).outputs == {"colour": "green"}


MOVING = """
id: moving
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: server, type: SELECT, expression: "{{ fromJson(kv('servers')) }}"}
outputs:
  - {id: server, type: STRING, value: "{{ outputs.wait.onResume.server }}"}
"""


async def test_the_button_of_a_choice_means_its_value_however_the_list_comes_out_when_it_is_pressed(rig):
    await rig.engine.deploy(MOVING)

    async def servers(*names):
        await rig.say(f"kv set company.team servers '{json.dumps(names)}'")

    await servers("alpha", "beta")
    card = await rig.asked("run moving")
    assert [action.label for action in card.actions] == ["alpha", "beta"]
    await servers("omega", "alpha", "beta")
    assert (await rig.press(card, "alpha")).text.startswith("Answered with `alpha`.")
    assert (await ended(rig, card)).outputs == {"server": "alpha"}
    card = await rig.asked("run moving")
    await servers("beta", "gamma")
    form = await rig.press(card, "alpha")
    assert form.intro.startswith("The choices are others since this card was drawn.")
    assert [option.value for option in form.fields[0].options] == ["beta", "gamma"]
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"


NUMBERS = """
id: numbers
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: count, type: INT, min: 1, max: 9}
      - {id: word, type: STRING, validator: "[a-z]+"}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.wait.onResume.count }} {{ outputs.wait.onResume.word }}"}
"""


async def test_the_flows_own_rules_are_told_beside_the_field(rig):
    await rig.engine.deploy(NUMBERS)
    card = await rig.asked("run numbers")
    form = await rig.press(card, "Answer…")
    refused = await rig.fill(form, count="12", word="ABC")
    assert "must be between 1 and 9" in refused.errors["count"]
    refused = await rig.fill(form, count="3", word="ABC")
    assert "it must match the pattern" in refused.errors["word"]
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"
    await rig.fill(form, count="3", word="abc")
    assert (await ended(rig, card)).outputs == {"said": "3 abc"}


async def test_a_command_may_answer_everything_at_once(rig):
    await rig.engine.deploy(NUMBERS)
    card = await rig.asked("run numbers")
    said = await rig.say("answer last count=12 word=abc")
    assert "must be between 1 and 9" in said.text
    said = await rig.say("answer last count=4 colour=red")
    assert said.code == "E11"
    form = await rig.say("answer last count=4")
    assert isinstance(form, Form)
    assert form.values == {"count": "4"}
    said = await rig.say("answer last count=4 word=abc")
    assert said.text.startswith("Answered.")
    assert (await ended(rig, card)).outputs == {"said": "4 abc"}


SECRET = """
id: login
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: token, type: SECRET}
outputs:
  - {id: length, type: INT, value: "{{ outputs.wait.onResume.token | length }}"}
"""


async def test_a_secret_is_never_asked_in_chat_and_never_kept(rig, tmp_path):
    await rig.engine.deploy(SECRET)
    warned = await rig.say("run login")
    assert "asks for a secret later" in warned.intro, "it is said before the run starts"
    await rig.fill(warned)
    card = (await rig.slack.shows("pause", lambda shown: shown.tone == "paused")).card
    assert [action.label for action in card.actions] == ["Cancel run"]
    said = await rig.say("answer last token=correct-horse-battery")
    assert said.code == "E06" or said.code == "E14"
    assert "Don't type secrets" in said.text
    form = await rig.say("answer " + card.entity, WEB, PAGE)
    assert isinstance(form, Form)
    kept = {}
    written_down = rig.desk.deliveries.storable

    async def storable(event):
        kept.update(await written_down(event))
        return await written_down(event)

    rig.desk.deliveries.storable = storable
    reply = await rig.fill(form, WEB, PAGE, token="staple-of-secrets")
    assert kept["values"] == {}
    assert reply.body.text.startswith("Answered.")
    assert (await ended(rig, card)).outputs == {"length": 17}
    await rig.slack.shows("pause", lambda shown: shown.tone == "success")
    await rig.stop()
    written = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"staple-of-secrets" not in written
    assert b"correct-horse-battery" not in written
    await rig.start()


async def test_a_button_of_another_instance_shows_the_present_card(rig):
    card = await rig.asked()
    approve = card.actions[0]
    forged = f"{approve.id[:-6]}{'0' * 6}"
    from bot.conversation import Click

    reply = await rig.desk.click(Click(forged, ANN, OPS, "forged"))
    assert isinstance(reply.body, Card)
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"
    reply = await rig.desk.click(Click("something else", ANN, OPS, "other"))
    assert reply.body.code == "E25"


class OnlyBob:
    """A policy: Bob decides, everybody runs."""

    async def refuse(self, asked: Asked, *, fresh=True):
        if asked.deed == "decide" and asked.person.id != "discord:7":
            return answer("E20", approvers="Bob")
        return None

    def describe(self):
        return "Bob decides."


@pytest.fixture
async def strict(tmp_path):
    made = await Rig(tmp_path, permissions=OnlyBob()).start(PLAIN)
    yield made
    await made.stop()


async def test_who_may_not_decide_is_refused_in_button_form_and_command(strict):
    card = await strict.asked()
    assert (await strict.press(card, "Approve")).code == "E20"
    assert (await strict.press(card, "Reject…")).code == "E20"
    assert (await strict.say("approve last")).code == "E20"
    assert (await strict.say("reject last no")).code == "E20"
    assert (await strict.say("pending")).text == "Nothing waits for your answer."
    assert (await strict.engine.pause_row(card.entity)).state == "WAITING"
    assert (await strict.press(card, "Approve", BOB, DEV)).tone == "success"


async def test_a_decision_past_the_desk_is_shown_too(rig):
    card = await rig.asked()
    run = (await rig.engine.pause_row(card.entity)).execution_id
    await rig.engine.resume(run, {}, by="local:eve")
    decided = await rig.slack.shows("pause", lambda shown: shown.tone == "success")
    assert "**Approved by eve**" in decided.card.body
    assert (await rig.press(card, "Approve")).code == "E21"
