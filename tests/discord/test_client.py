"""What people do on Discord and what they see, with the real client."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.conversation import Field, FileRef, Notice, Reply, Room
from bot.discord.client import DiscordFrontEnd
from bot.frontend import Unreachable
from engine.plugin import ChatPost
from tests.discord.conftest import TOKEN
from tests.discord.desk import APPROVE, FORM, pause_card
from tests.wire.discord_rules import walk


def words(message):
    """All the text of a message."""
    found = [message.content or ""]
    for component in message.components:
        for each in walk(component if isinstance(component, dict) else component.to_dict()):
            found += [each[key] for key in ("content", "label") if each.get(key)]
            found += [option["label"] for option in each.get("options") or []]
    return "\n".join(found)


def room(channel):
    return Room("discord", str(channel.id), workspace="1")


async def test_a_command_with_everything_in_it_starts_a_run_for_all_to_see(place, desk):
    channel, ann = place
    result = await ann.slash(channel, "flow run", flow="company.ai/hello", inputs='name="Ann B" times=2')
    assert desk.started == [("company.ai/hello", {"name": "Ann B", "times": "2"}, f"discord:{ann.id}")]
    assert not result.ephemeral
    assert "Started company.ai/hello" in words(result.response)
    heard = desk.heard[0]
    assert heard.room.channel == str(channel.id)
    assert heard.answer_url.startswith("https://discord.com/api/v10/webhooks/")


async def test_a_command_without_its_input_opens_a_form_and_the_form_starts_the_run(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/hello")
    assert shown.modal["title"] == "Run company.ai/hello"
    result = await ann.submit_modal(shown, {"f:0": "Ann", "f:1": "3"})
    assert desk.started == [("company.ai/hello", {"name": "Ann", "times": "3"}, f"discord:{ann.id}")]
    assert "Started" in words(result.response)


async def test_a_refused_form_lists_what_is_wrong_and_comes_back_with_what_was_typed(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/hello")
    refused = await ann.submit_modal(shown, {"f:0": "Ann", "f:1": "many"})
    assert refused.ephemeral
    assert "How often" in words(refused.response)
    assert "is not a whole number" in words(refused.response)
    again = await ann.click(refused.response, label="Fix")
    values = [part["component"].get("value") for part in again.modal["components"]]
    assert values == ["Ann", "many"]
    await ann.submit_modal(again, {"f:0": "Ann", "f:1": "4"})
    assert desk.started[0][1] == {"name": "Ann", "times": "4"}


async def test_twelve_fields_are_three_pages_with_a_step_between_them(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/long", form=True)
    assert shown.modal["title"] == "Run company.ai/long (1/3)"
    step = await ann.submit_modal(shown, {f"f:{n}": f"v{n}" for n in range(5)})
    assert step.ephemeral
    assert "Step 2 of 3 · saved" in words(step.response)
    second = await ann.click(step.response, label="Continue")
    await ann.submit_modal(second, {f"f:{n}": f"v{n}" for n in range(5, 10)})
    assert "Step 3 of 3" in words(step.response)  # the same message, drawn anew
    back = await ann.click(step.response, label="Back")
    assert [part["component"]["value"] for part in back.modal["components"]] == [f"v{n}" for n in range(5, 10)]
    third = await ann.click(step.response, label="Continue")
    await ann.submit_modal(third, {"f:10": "v10", "f:11": "v11"})
    assert desk.started == [("company.ai/long", {f"field{n}": f"v{n}" for n in range(12)}, f"discord:{ann.id}")]


async def test_cancel_closes_the_step(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/long", form=True)
    step = await ann.submit_modal(shown, {"f:0": "x"})
    await ann.click(step.response, label="Cancel")
    assert "Closed" in words(step.response)
    assert desk.started == []


async def test_a_long_list_is_typed_in_part_or_picked_page_by_page(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/travel")
    refused = await ann.submit_modal(shown, {"f:0": "Atlantis"})
    pick = await ann.click(refused.response, label="Choose Country")
    assert pick is not None
    assert "60 choices · page 1 of 3" in words(refused.response)
    await ann.click(refused.response, label="Next")
    assert "Country 25" in words(refused.response)
    ask = await ann.click(refused.response, label="Filter…")
    await ann.submit_modal(ask, {"typed": "y 4"})
    assert "10 choices" in words(refused.response)
    await ann.select(refused.response, ["c42"])
    assert "Country 42" in words(refused.response)
    again = await ann.click(refused.response, label="Continue")
    assert again.modal["components"][0]["component"]["value"] == "c42"
    await ann.submit_modal(again, {"f:0": "country 42"})
    assert desk.started[0][1] == {"country": "c42"}


async def test_a_choice_from_a_list_that_is_no_longer_asked_for_goes_into_no_other_field(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/travel")
    refused = await ann.submit_modal(shown, {"f:0": "Atlantis"})
    await ann.click(refused.response, label="Choose Country")
    ((form_id, form),) = desk.drafts.items()
    desk.drafts[form_id] = replace(form, fields=(Field("note", "STRING", "Note"),), values={})
    await ann.select(refused.response, ["c01"])
    assert "The form has changed since you opened it" in words(refused.response)
    assert desk.drafts[form_id].values == {}


async def test_autocomplete_asks_the_desk(place, desk):
    channel, ann = place
    rows = await ann.autocomplete(channel, "flow run", "flow", "tra")
    assert rows == [{"name": "company.ai/travel", "value": "company.ai/travel"}]


async def test_a_listing_pages_by_its_command(place):
    channel, ann = place
    listing = await ann.slash(channel, "flow list")
    assert listing.ephemeral
    assert "company.ai/hello" in words(listing.response)
    more = await ann.click(listing.response, label="More")
    assert "company.ai/travel" in words(more.response)


async def test_a_long_log_comes_as_a_file(place):
    channel, ann = place
    result = await ann.slash(channel, "flow logs", run="#1")
    assert [attachment.filename for attachment in result.response.attachments] == ["run.log"]


async def test_a_dangerous_action_asks_back_first(place, desk):
    channel, ann = place
    status = await ann.slash(channel, "flow status")
    asked = await ann.click(status.response, label="Kill")
    assert "Kill the run?" in words(asked.response)
    assert asked.ephemeral
    heard = len(desk.heard)
    await ann.click(asked.response, label="Cancel")
    assert len(desk.heard) == heard
    asked = await ann.click(status.response, label="Kill")
    await ann.click(asked.response, label="Yes")
    assert "Killed" in words(asked.response)


async def test_a_card_is_posted_decided_and_edited(place, front, desk):
    channel, ann = place
    ref = await front.post_card(room(channel), pause_card(), "outbox-1")
    result = await ann.click(channel.last_message, custom_id=APPROVE)
    assert result.ephemeral
    assert desk.decided == "ann"
    assert desk.heard[-1].message.message == ref.message
    await front.edit_card(ref, pause_card(title="Approved by ann", tone="success", actions=()))
    assert "Approved by ann" in words(channel.last_message)
    assert "Approve\n" not in words(channel.last_message)


async def test_a_button_may_open_a_form_at_once(place, front, desk):
    channel, ann = place
    await front.post_card(room(channel), pause_card(), "n1")
    shown = await ann.click(channel.last_message, custom_id=FORM)
    await ann.submit_modal(shown, {"f:0": "brighter"})
    assert desk.started == [("Answer", {"feedback": "brighter"}, f"discord:{ann.id}")]


async def test_an_answer_may_be_drawn_over_the_card(place, front):
    channel, ann = place
    over = pause_card(actions=(pause_card().actions[0].__class__("p1:st:over:1", "Show"),))
    await front.post_card(room(channel), over, "n1")
    await ann.click(channel.last_message, label="Show")
    assert "Approved" in words(channel.last_message)


async def test_cards_and_forms_from_before_a_restart_still_work(world, place, front, desk, storage):
    channel, ann = place
    await front.post_card(room(channel), pause_card(), "n1")
    shown = await ann.slash(channel, "flow run", flow="company.ai/hello")
    status = await ann.slash(channel, "flow status")
    fresh = DiscordFrontEnd(TOKEN, locate=storage)
    fresh.desk = desk
    await world.restart_bot(fresh.client)
    await ann.click(channel.last_message, custom_id=APPROVE)
    assert desk.decided == "ann"
    await ann.submit_modal(shown, {"f:0": "Ann", "f:1": "1"})
    assert len(desk.started) == 1
    asked = await ann.click(status.response, label="Kill")  # the wording of the question is gone, the question is not
    assert "Kill?" in words(asked.response)


async def test_a_form_that_nobody_remembers_is_answered(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/hello")
    desk.drafts.clear()
    result = await ann.submit_modal(shown, {"f:0": "Ann", "f:1": "1"})
    assert result.ephemeral
    assert "no longer kept" in words(result.response)


async def test_a_page_whose_fields_changed_is_not_used(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/hello")
    form = next(iter(desk.drafts.values()))
    desk.drafts[form.id] = form.__class__(form.id, form.title, form.submit, form.fields[::-1])
    result = await ann.submit_modal(shown, {"f:0": "3", "f:1": "Ann"})
    assert "has changed" in words(result.response)
    assert desk.started == []


async def test_a_broken_desk_is_a_sentence_not_silence(place, desk, caplog):
    channel, ann = place
    desk.broken = True
    result = await ann.slash(channel, "flow whoami")
    assert "Something broke on my side (ref " in words(result.response)
    assert "the desk fell over" in caplog.text
    assert "fell over" not in words(result.response)


async def test_a_file_in_a_form_arrives_and_long_help_stands_above(place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/upload")
    assert "h" * 150 in str(shown.modal)
    await ann.submit_modal(shown, {"f:0": [("my fox.png", b"picture")], "f:1": "see"})
    photo = desk.started[0][1]["photo"]
    assert (photo.name, photo.size) == ("my fox.png", 7)
    assert Path(photo.path).read_bytes() == b"picture"


async def test_a_file_with_a_command_arrives(place, desk, front):
    channel, ann = place
    await ann.slash(channel, "flow run", flow="company.ai/upload", inputs="note=hi", file=("a.txt", b"text"))
    assert desk.started[0][1]["photo"].size == 4


async def test_a_mention_and_a_direct_message_are_commands(world, place, desk):
    channel, ann = place
    await ann.send(channel, f"<@{world.bot.user.id}> run company.ai/hello name=Ann")
    assert desk.started == [("company.ai/hello", {"name": "Ann"}, f"discord:{ann.id}")]
    assert "Started" in words(channel.last_message)
    await ann.send(channel, "run company.ai/hello name=Nobody")
    await ann.send_dm("run company.ai/hello name=Direct")
    assert [values["name"] for _, values, _ in desk.started] == ["Ann", "Direct"]
    assert desk.heard[-1].room.is_direct


async def test_a_form_asked_for_by_mention_opens_for_its_owner_only(world, place, desk):
    channel, ann = place
    bob = channel.guild.add_member(world.create_user("bob"))
    await ann.send(channel, f"<@{world.bot.user.id}> run company.ai/hello")
    refused = await bob.click(channel.last_message, label="Open the form")
    assert "belongs to" in words(refused.response)
    shown = await ann.click(channel.last_message, label="Open the form")
    await ann.submit_modal(shown, {"f:0": "Ann", "f:1": "1"})
    assert desk.started[0][2] == f"discord:{ann.id}"


async def test_roles_come_along(world, place, desk):
    channel, _ = place
    role = channel.guild.create_role("reviewers")
    eve = channel.guild.add_member(world.create_user("eve"), roles=[role])
    await eve.slash(channel, "flow whoami")
    assert desk.heard[0].person.roles == (str(role.id),)


async def test_pictures_are_shown_and_files_attached(place, front):
    channel, _ = place
    files = (FileRef("kestra:///fox.png", "fox.png", "image/png"), FileRef("kestra:///report.csv", "report.csv"))
    card = pause_card(files=files)
    ref = await front.post_card(room(channel), card, "n1")
    assert [a.filename for a in channel.last_message.attachments] == ["fox.png", "report.csv"]
    await front.edit_card(ref, pause_card(files=files, title="Again"))
    assert [a.filename for a in channel.last_message.attachments] == ["fox.png", "report.csv"]
    await front.edit_card(ref, pause_card(files=files[:1], actions=(), tone="success"))
    assert [a.filename for a in channel.last_message.attachments] == ["fox.png"]


async def test_a_missing_file_is_named_and_the_card_comes_all_the_same(place, front):
    channel, _ = place
    await front.post_card(
        room(channel), pause_card(files=(FileRef("kestra:///lost.png", "lost.png", "image/png"),)), "n1"
    )
    assert [a.filename for a in channel.last_message.attachments] == ["details.md"]


@pytest.mark.parametrize(
    ("status", "code", "sentence", "gone", "later"),
    [
        (404, 10008, "deleted", True, False),
        (404, 10003, "no such channel", False, False),
        (403, 50001, "View Channel", False, False),
        (403, 50013, "Send Messages", False, False),
        (400, 30046, "older than an hour", False, True),
        (503, 0, "trouble of its own", False, True),
    ],
)
async def test_refusals_are_sentences(world, place, front, status, code, sentence, gone, later):
    channel, _ = place
    ref = await front.post_card(room(channel), pause_card(), "n1")
    world.inject_error("PATCH", "/channels/*/messages/*", status=status, code=code, message="no")
    with pytest.raises(Unreachable, match=sentence) as caught:
        await front.edit_card(ref, pause_card(title="New"))
    assert caught.value.gone is gone
    assert (caught.value.retry_after is not None) is later


async def test_a_deleted_message_is_gone(place, front):
    channel, _ = place
    ref = await front.post_card(room(channel), pause_card(), "n1")
    await channel.last_message.delete()
    with pytest.raises(Unreachable) as caught:
        await front.edit_card(ref, pause_card())
    assert caught.value.gone


async def test_a_notice_goes_to_one_person_directly(world, place, front):
    channel, ann = place
    await front.notify(room(channel), Notice("info", "Please decide"), f"discord:{ann.id}")
    assert channel.last_message is None
    world.inject_error("POST", "/users/@me/channels", status=403, code=50007, message="no")
    await front.notify(room(channel), Notice("info", "Please decide"), f"discord:{ann.id}")
    assert f"<@{ann.id}>" in words(channel.last_message)


async def test_an_answer_may_come_late(place, front, desk):
    channel, ann = place
    result = await ann.slash(channel, "flow whoami")
    await front.answer(desk.heard[0].answer_url, Reply(Notice("info", "Late")))
    assert "Late" in words(result.followups[0])
    with pytest.raises(Unreachable, match="no address"):
        await front.answer("https://example.com/hook", Reply(Notice("info", "Late")))


async def test_a_task_posts_text_its_own_json_and_files(place, front):
    channel, _ = place
    await front.post(ChatPost("discord", "#general", "Hello **all** @everyone", nonce="t1"))
    assert channel.last_message.content == "Hello **all** @everyone"
    assert not channel.last_message.mention_everyone
    own = {"content": "mine", "embeds": [{"title": "E"}], "username": "ignored"}
    await front.post(ChatPost("discord", str(channel.id), body=own))
    assert [embed.title for embed in channel.last_message.embeds] == ["E"]
    await front.post(ChatPost("discord", str(channel.id), "Look", files=("kestra:///fox.png",)))
    assert [a.filename for a in channel.last_message.attachments] == ["fox.png"]
    await front.post(ChatPost("discord", str(channel.id), "word " * 3000))
    assert [a.filename for a in channel.last_message.attachments] == ["details.md"]
    with pytest.raises(Unreachable, match="sees no channel named '#nowhere'"):
        await front.post(ChatPost("discord", "#nowhere", "x"))


@pytest.fixture
def hasty(monkeypatch):
    """Patience of a twentieth of a second, so that a slow desk need not be slow."""
    monkeypatch.setattr("bot.discord.exchange.GRACE", 0.05)


async def test_a_slow_desk_is_waited_for_and_a_form_then_comes_as_a_button(hasty, world, place, desk):
    channel, ann = place
    desk.delay = 0.2
    result = await ann.slash(channel, "flow run", flow="company.ai/hello")
    assert {"type": 5, "data": {"flags": 64}} in [request.json for request in world.http_requests]
    assert result.ephemeral
    desk.delay = 0
    opened = await ann.click(result.response, label="Open the form")
    await ann.submit_modal(opened, {"f:0": "Ann", "f:1": "1"})
    assert len(desk.started) == 1


async def test_a_slow_public_answer_is_public(hasty, place, desk):
    channel, ann = place
    desk.delay = 0.2
    result = await ann.slash(channel, "flow run", flow="company.ai/hello", inputs="name=Ann")
    assert "see below" in words(result.response)
    assert ["Started company.ai/hello" in words(each) and each.ephemeral for each in result.followups] == [False]
    assert "Started" in words(result.followups[0])


async def test_a_slow_click_is_answered_beside_the_card(hasty, place, front, desk):
    channel, ann = place
    await front.post_card(room(channel), pause_card(), "n1")
    card = words(channel.last_message)
    desk.delay = 0.2
    result = await ann.click(channel.last_message, custom_id=APPROVE)
    assert ["Done" in words(each) and each.ephemeral for each in result.followups] == [True]
    assert words(channel.last_message) == card


async def test_a_form_can_be_sent_to_a_slow_desk(hasty, place, desk):
    channel, ann = place
    shown = await ann.slash(channel, "flow run", flow="company.ai/hello")
    desk.delay = 0.2
    result = await ann.submit_modal(shown, {"f:0": "Ann", "f:1": "1"})
    assert len(desk.started) == 1
    assert "Started" in words(result.followups[0])
