"""The front end over Socket Mode: real Bolt, real HTTP and WebSocket, a strict workspace on loopback."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bot.conversation import (
    Card,
    Click,
    Command,
    Field,
    FieldErrors,
    Form,
    Listing,
    MessageRef,
    Notice,
    Option,
    Person,
    Reply,
    Room,
    Row,
    Submission,
    Transcript,
)
from bot.frontend import Unreachable
from bot.slack.app import SlackFrontEnd
from engine.errors import SettingInvalid
from tests.slack.conftest import Connect
from tests.slack.desk import ScriptedDesk, approve
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, Refusal

FORM = Form(
    "draft:01JD0000000000000000000000",
    "Approve the image",
    "Send",
    (
        Field("approved", "BOOLEAN", "Approved?"),
        Field("feedback", "STRING", "Feedback", required=False),
    ),
)
CARD = Card("pause", "01JD", "paused", "Approval needed", body="Look at **this**.", actions=(approve(),))


async def test_a_command_is_heard_and_answered_privately(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    heard = await slack.command("/flow list <b> & so", user="U2", channel="C2")
    assert heard.seconds is not None
    assert heard.seconds < 0.2
    said = await slack.said("heard list", user="U2")
    assert (said.only, said.channel, said.pings) == ("U2", "C2", [])
    command = desk.last(Command)
    assert command.text == "list <b> & so"
    assert (command.person.id, command.person.name, command.person.mention) == ("slack:U2", "bob", "<@U2>")
    assert command.room == Room("slack", "C2", None, "T1")
    assert command.receipt == f"slack:command:{heard.payload['trigger_id']}"
    assert command.answer_url == heard.payload["response_url"]


async def test_a_public_answer_shows_in_a_channel_without_the_bot(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(Notice("info", "for all"), public=True)
    await slack.command("/flow run x", channel="G1")
    assert (await slack.said("for all")).only is None


async def test_a_desk_that_can_write_nothing_down_is_not_waited_for_until_slack_gives_up(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.gate = asyncio.Event()
    await slack.command("/flow list")  # fails unless it is acknowledged within three seconds
    assert not slack.private("U1")
    desk.gate.set()
    await slack.said("heard list", user="U1")


async def test_what_the_desk_has_kept_is_acknowledged_whatever_its_answer_takes(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.hearing.ACK_AFTER", 60.0)
    desk.gate, desk.keeps = asyncio.Event(), True
    await slack.command("/flow list")  # fails unless it is acknowledged within three seconds
    assert not slack.private("U1")
    desk.gate.set()
    await slack.said("heard list", user="U1")


async def test_the_desk_has_an_event_before_it_is_acknowledged(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    heard = await slack.mention("list", user="U1")
    assert desk.deliveries == [f"slack:event:{heard.payload['event_id']}"]


async def test_many_commands_at_once_are_all_acknowledged(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    heard = await asyncio.gather(*(slack.command(f"/flow status {number}") for number in range(60)))
    assert max(one.seconds or 9 for one in heard) < 3
    await slack.until(lambda: len(slack.private("U1")) == 60)
    assert len(desk.heard) == 60


async def test_a_form_opens_within_the_triggers_life(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    calls = len(slack.calls)
    await slack.command("/flow answer 01JD")
    window = await slack.modal()
    assert window.view["title"]["text"] == "Approve the image"
    # The modal comes before anything else: no other call stands between the command and it.
    assert next(name for name, _ in slack.calls[calls:] if name != "usergroups.list") == "views.open"
    heard = await slack.fill(window, {"Approved?": "Yes", "Feedback": "nice"})
    assert not window.open
    sent = desk.submissions[0]
    assert sent.values == {"approved": True, "feedback": "nice"}
    assert (sent.form_id, sent.page, sent.last) == (FORM.id, 0, True)
    assert sent.receipt == f"slack:view:{heard.payload['view']['id']}:{heard.payload['view']['hash']}"
    assert sent.room == Room("slack", "C1", None, "T1")
    assert (await slack.said("Sent.", user="U1")).only == "U1"


async def test_a_form_survives_a_restart_between_opening_and_sending(
    slack: FakeSlack, connect: Connect, desk: ScriptedDesk
) -> None:
    first = await connect()
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.command("/flow answer 01JD")
    window = await slack.modal()
    await first.stop()
    await connect()
    await slack.fill(window, {"Approved?": "No"})
    assert desk.submissions[0].values == {"approved": False, "feedback": ""}
    await slack.said("Sent.", user="U1")


async def test_without_a_trigger_a_button_opens_the_form(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    thread = slack.write("look").ts
    await slack.mention("answer 01JD", thread=thread)
    said = await slack.said("Approve the image", user="U1")
    assert (said.only, said.thread) == ("U1", thread)
    assert slack.window() is None
    await slack.press("Open form")
    await slack.fill(await slack.modal(), {"Approved?": "Yes"})
    assert desk.submissions[0].room == Room("slack", "C1", thread, "T1")


async def test_somebody_elses_form_button_opens_nothing(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.mention("answer 01JD", user="U1")
    said = await slack.said("Approve the image", user="U1")
    await slack.press("Open form", user="U2", message=said)
    await slack.said("belongs to somebody else")
    assert slack.window("U2") is None


async def test_an_expired_trigger_gives_a_button_instead(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    slack.trigger_life = -1
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.command("/flow answer 01JD")
    await slack.said("Open form", user="U1")
    slack.trigger_life = 3
    await slack.press("Open form")
    await slack.modal()


async def test_errors_stand_beside_the_fields(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    desk.on_submit = lambda sent: (
        FieldErrors(desk.forms[sent.form_id], {"feedback": "Say *why*."})
        if not sent.values.get("feedback")
        else Reply(Notice("success", "Thanks."))
    )
    await slack.command("/flow answer 01JD")
    window = await slack.modal()
    await slack.fill(window, {"Approved?": "No"})
    assert window.open
    assert window.errors == {window.input("Feedback")["block_id"]: "Say why."}
    window.hash = "h2"
    await slack.fill(window, {"Feedback": "too red"})
    assert not window.open
    await slack.said("Thanks.", user="U1")


async def test_an_error_of_an_earlier_page_brings_that_page_back(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    fields = tuple(Field(f"n{number}", "STRING", f"Name {number}", required=False) for number in range(90))
    desk.on_command = lambda command: Reply(desk.store(Form("draft:big", "Many", "Go", fields)))
    desk.on_submit = lambda sent: FieldErrors(desk.forms[sent.form_id], {"n1": "is taken"})
    await slack.command("/flow run x")
    window = await slack.modal()
    assert len(window.inputs) == 40
    for page in range(3):
        assert f"Step {page + 1} of 3" in slack.text(window)
        await slack.fill(window, {window.inputs[0]["label"]["text"]: f"value {page}"})
    assert [(one.page, one.last) for one in desk.submissions] == [(0, False), (1, False), (2, True)]
    assert desk.submissions[1].values["n40"] == "value 1"
    assert "Step 1 of 3" in slack.text(window)
    assert "is taken" in slack.text(window)
    assert window.input("Name 0")["element"]["initial_value"] == "value 0"


async def test_a_click_decides_and_the_card_is_edited(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    ref = await end.post_card(Room("slack", "C1"), CARD, "n1")
    done = replace(CARD, tone="success", actions=(), footer="Approved by ann", version=2)
    desk.on_click = lambda click: Reply(done, replaces=True)
    await slack.press("Approve")
    said = await slack.said("Approved by ann")
    assert (said.ts, said.edits) == (ref.message, 1)
    click = desk.last(Click)
    assert click.action_id == approve().id
    assert click.message == MessageRef("slack", "C1", ref.message, None, "T1")
    with pytest.raises(AssertionError, match="sees no button"):
        slack.press_payload("Approve")


async def test_a_click_in_a_thread_is_answered_there(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    thread = slack.write("the build").ts
    await end.post_card(Room("slack", "C1", thread), CARD, "n1")
    desk.on_click = lambda click: Reply(Notice("info", "Too late."))
    await slack.press("Approve")
    said = await slack.said("Too late.", user="U1")
    assert (said.only, said.channel, said.thread) == ("U1", "C1", thread)


async def test_a_click_on_a_private_message_replaces_it(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(Notice("info", "Sure?", (approve("Go"),)))
    desk.on_click = lambda click: Reply(Notice("success", "Gone."), replaces=True)
    await slack.command("/flow kill last")
    await slack.said("Sure?", user="U1")
    await slack.press("Go")
    await slack.said("Gone.", user="U1")
    assert len(slack.private("U1")) == 1


async def test_a_redelivered_click_counts_once_and_is_shown_once(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    await end.post_card(Room("slack", "C1"), CARD, "n1")
    heard = await slack.press("Approve")
    await slack.said("pressed p1:ap")
    await slack.redeliver(heard)
    await slack.until(lambda: len(desk.deliveries) == 2)
    await slack.command("/flow list")
    await slack.said("heard list", user="U1")
    assert len(desk.clicks) == 1
    assert len([one for one in slack.private("U1") if "pressed" in slack.text(one)]) == 1


async def test_a_redelivery_after_a_restart_is_answered_with_the_stored_answer(
    slack: FakeSlack, connect: Connect, desk: ScriptedDesk
) -> None:
    first = await connect()
    ref = await first.post_card(Room("slack", "C1"), CARD, "n1")
    heard = await slack.press("Approve")
    await slack.said("pressed p1:ap")
    await first.stop()
    await connect()
    await slack.redeliver(heard)
    await slack.until(lambda: len([one for one in slack.private("U1") if "pressed" in slack.text(one)]) == 2)
    assert len(desk.clicks) == 1
    assert ref.message


async def test_a_redelivered_form_command_does_not_complain(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    heard = await slack.command("/flow run x")
    await slack.modal()
    await slack.redeliver(heard)
    await slack.until(lambda: len(desk.deliveries) == 2)
    await end.stop()
    assert len(slack.windows) == 1
    assert slack.private("U1") == []


async def test_a_redelivered_submission_gets_the_same_answer(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.command("/flow run x")
    window = await slack.modal()
    heard = await slack.fill(window, {"Approved?": "Yes"})
    again = await slack.redeliver(heard)
    assert again.ack == heard.ack == {"response_action": "clear"}
    assert len(desk.submissions) == 1


async def test_a_slow_submission_is_acknowledged_and_finished_later(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.command("/flow run x")
    window = await slack.modal()
    desk.gate = asyncio.Event()
    heard = await slack.fill(window, {"Approved?": "Yes"})
    assert heard.seconds is not None
    assert heard.seconds < 3
    assert "takes a moment" in slack.text(window)
    desk.gate.set()
    await slack.until(lambda: "Done" in slack.text(window))
    await slack.said("Sent.", user="U1")


async def test_more_than_a_hundred_choices_are_searched(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    options = tuple(Option(f"v{number}" * 40, f"Choice {number}") for number in range(3000))
    form = Form("draft:many", "Pick", "Go", (Field("one", "SELECT", "One", options=options),))
    desk.on_command = lambda command: Reply(desk.store(form))
    await slack.command("/flow run x")
    window = await slack.modal()
    assert len(await slack.suggest(window, "One", "")) == 100
    assert await slack.suggest(window, "One", "choice 2999") == ["Choice 2999"]
    await slack.fill(window, {"One": "Choice 2999"})
    assert desk.submissions[0].values == {"one": "v2999" * 40}


async def test_a_sent_file_reaches_the_desk(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    form = Form("draft:file", "Send", "Go", (Field("data", "FILE", "Data", extensions=(".csv",)),))
    desk.on_command = lambda command: Reply(desk.store(form))
    await slack.command("/flow run x")
    window = await slack.modal()
    assert window.input("Data")["element"]["filetypes"] == ["csv"]
    await slack.fill(window, {"Data": [slack.file("a.csv", b"1,2")]})
    file = desk.submissions[0].values["data"]
    assert (file.name, file.size, desk.contents) == ("a.csv", 3, {"a.csv": b"1,2"})


async def test_a_file_of_an_earlier_page_is_still_there_when_the_last_is_sent(
    slack: FakeSlack, connect: Connect, desk: ScriptedDesk
) -> None:
    fields = (
        Field("data", "FILE", "Data"),
        *(Field(f"n{n}", "STRING", f"Name {n}", required=False) for n in range(50)),
    )
    desk.on_command = lambda command: Reply(desk.store(Form("draft:two", "Two pages", "Go", fields)))

    def last(sent: Submission) -> Reply:
        kept = desk.forms[sent.form_id].values["data"]
        return Reply(Notice("success", f"read {Path(kept.path).read_bytes().decode()}"))

    desk.on_submit = last
    first = await connect()
    await slack.command("/flow run x")
    window = await slack.modal()
    await slack.fill(window, {"Data": [slack.file("a.csv", b"1,2")]})
    await first.stop()
    await connect()
    await slack.fill(window)
    await slack.said("read 1,2", user="U1")


async def test_a_file_need_not_be_sent_twice(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    fields = (Field("data", "FILE", "Data"), Field("name", "STRING", "Name"))
    desk.on_command = lambda command: Reply(desk.store(Form("draft:file", "Send", "Go", fields)))
    desk.on_submit = lambda sent: Reply(replace(desk.forms[sent.form_id], title="Once more"))
    await slack.command("/flow run x")
    window = await slack.modal()
    await slack.fill(window, {"Data": [slack.file("a.csv", b"1,2")], "Name": "ann"})
    assert "a.csv is here already" in slack.text(window)
    window.typed.clear()  # a client that does not keep chosen files
    await slack.fill(window)
    assert desk.submissions[-1].values == {"name": "ann"}


async def test_a_form_that_changed_meanwhile_is_shown_anew(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.command("/flow answer x")
    window = await slack.modal()
    desk.store(replace(FORM, fields=(Field("other", "STRING", "Other"), *FORM.fields)))
    await slack.fill(window, {"Approved?": "Yes", "Feedback": "for whom?"})
    assert desk.submissions == []
    assert "questions have changed" in slack.text(window)
    await slack.fill(window, {"Other": "x", "Approved?": "Yes"})
    assert desk.submissions[0].values == {"other": "x", "approved": True, "feedback": ""}


async def test_a_form_nobody_keeps_says_so(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.command("/flow answer x")
    window = await slack.modal()
    desk.forms.clear()
    await slack.fill(window, {"Approved?": "Yes"})
    await slack.said("no longer keep this form", user="U1")
    assert [one.last for one in desk.submissions] == [False]


async def test_a_file_that_is_too_large_is_refused_beside_its_field(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    form = Form("draft:file", "Send", "Go", (Field("data", "FILE", "Data"),))
    desk.on_command = lambda command: Reply(desk.store(form))
    await slack.command("/flow run x")
    window = await slack.modal()
    await slack.fill(window, {"Data": [{**slack.file("a.bin", b"x"), "size": 11 * 1024 * 1024}]})
    assert "limit here is 10 MB" in window.errors[window.input("Data")["block_id"]]
    assert desk.submissions == []


async def test_a_file_elsewhere_is_not_fetched_and_the_token_stays_home(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    form = Form("draft:file", "Send", "Go", (Field("data", "FILE", "Data"),))
    desk.on_command = lambda command: Reply(desk.store(form))
    await slack.command("/flow run x")
    window = await slack.modal()
    await slack.fill(window, {"Data": [{**slack.file("a.txt", b"x"), "url_private": "http://elsewhere.test/a.txt"}]})
    assert "does not lie at Slack" in window.errors[window.input("Data")["block_id"]]


async def test_mentions_are_commands_in_threads(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    thread = slack.write("the build").ts
    file = slack.file("in.txt", b"hello")
    await slack.mention("run x name=<https://a.test/?q=1&amp;r|a.test> to=<#C2|reviews>", thread=thread, files=[file])
    said = await slack.said("heard run x", user="U1")
    assert (said.only, said.thread, said.channel) == ("U1", thread, "C1")
    command = desk.last(Command)
    assert command.text == "run x name=https://a.test/?q=1&r to=<#C2>"
    assert command.room == Room("slack", "C1", thread, "T1")
    assert command.person.name == "ann"
    assert desk.contents == {"in.txt": b"hello"}


async def test_direct_messages_are_commands_without_the_name(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    await slack.direct("pending")
    said = await slack.said("heard pending")
    assert said.channel == "DU1"
    assert desk.last(Command).room.is_direct
    await slack.direct("hello", user="U0BOT")
    await slack.direct("changed", subtype="message_changed")
    assert len(desk.heard) == 1


async def test_shortcuts_start_a_run_with_a_message(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.shortcut("p1_run")
    await slack.modal()
    assert desk.last(Command).text == "run"
    assert desk.last(Command).room.is_direct
    await slack.shortcut(
        "p1_run_msg", user="U2", message=slack.write("use this", "U2"), files=[slack.file("f.txt", b"f")]
    )
    await slack.modal("U2")
    assert desk.contents == {"message.txt": b"use this", "f.txt": b"f"}


async def test_the_home_tab_lists_what_is_pending(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    rows = (Row("Approve image", "since 12:00", (approve(),)),)
    desk.on_command = lambda command: Reply(Listing("Pending", rows if not desk.clicks else (), note=command.text))
    await slack.open_home()
    await slack.until(lambda: slack.homes)
    assert "Approve image" in slack.text(slack.homes["U1"])
    await slack.press("Approve")
    await slack.said("pressed p1:ap")
    await slack.until(lambda: "Approve image" not in slack.text(slack.homes["U1"]), "the home tab drawn anew")


async def test_an_open_home_follows_what_is_decided_elsewhere(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    waiting = [Row("Approve image", "since 12:00", (approve(),))]
    desk.on_command = lambda command: Reply(Listing("Pending", tuple(waiting)))
    await slack.open_home()
    await slack.until(lambda: "Approve image" in slack.text(slack.homes["U1"]) if slack.homes else False)
    waiting.clear()  # somebody decided it on another platform, and the outbox draws its card over
    await end.post_card(Room("slack", "C1"), Card("pause", "p", "success", "Approved: image"), "n1")
    await slack.until(lambda: "Approve image" not in slack.text(slack.homes["U1"]), "the home tab drawn anew")
    assert len({command.receipt for command in desk.heard}) == len(desk.heard)


async def test_the_next_page_of_a_listing_replaces_it(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    desk.on_command = lambda command: Reply(Listing("Flows", (Row(command.text),), more="list --page=2"))
    await slack.command("/flow list")
    await slack.said("Flows", user="U1")
    await slack.press("More")
    await slack.said("list --page=2", user="U1")
    assert len(slack.private("U1")) == 1


async def test_a_long_transcript_comes_as_a_file_in_the_direct_conversation(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    lines = tuple(f"line {number} ✅" for number in range(20_000))
    desk.on_command = lambda command: Reply(Transcript("Log", lines, "run-1.log"))
    await slack.command("/flow logs last")
    file = await slack.until(lambda: next((one for one in slack.messages if one.files), None))
    assert (file.channel, file.files[0]["name"]) == ("DU1", "run-1.log")
    assert slack.contents[file.files[0]["id"]].decode() == "\n".join(lines)
    await slack.said("in our direct conversation", user="U1")


async def test_a_desk_that_fails_still_answers(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    def fail(command: Command) -> Reply:
        raise RuntimeError("xoxb-secret in a traceback")

    desk.on_command = fail
    await slack.command("/flow list")
    said = await slack.said("Something broke on my side", user="U1")
    assert "secret" not in slack.text(said)


async def test_an_expired_answer_address_falls_back(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    desk.gate, desk.keeps = asyncio.Event(), True
    await slack.command("/flow list")
    slack.expire_addresses()
    desk.gate.set()
    said = await slack.said("heard list", user="U1")
    assert said.only == "U1"
    assert slack.called("chat.postEphemeral")


async def test_a_dropped_socket_is_connected_anew(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    await slack.drop_sockets()
    await slack.connected()
    await slack.command("/flow list")
    await slack.said("heard list", user="U1")
    await slack.refresh_sockets()
    await slack.connected()
    await slack.command("/flow again")
    await slack.said("heard again", user="U1")
    assert slack.connections_opened == 3


async def test_groups_come_with_the_person(slack: FakeSlack, connect: Connect, desk: ScriptedDesk) -> None:
    slack.groups = {"S1": ("design", ["U1"])}
    end = await connect()
    await slack.until(lambda: slack.called("usergroups.list"))
    event = {"type": "subteam_members_changed", "subteam_id": "S1", "added_users": ["U2"], "removed_users": []}
    await slack.deliver("events_api", slack.event_payload(event))
    await slack.command("/flow list", user="U2")
    await slack.said("heard list", user="U2")
    assert desk.last(Command).person.roles == ("S1", "design")
    assert "parley in Wire" in end.describe()


async def test_a_no_is_only_said_after_slack_was_asked_again(slack: FakeSlack, end: SlackFrontEnd) -> None:
    slack.groups = {"S1": ("design", ["U1"])}
    ann, bob = (Person(f"slack:{user}", user, "slack") for user in ("U1", "U2"))
    assert await end.is_member(ann, "design")
    asked = len(slack.called("usergroups.users.list"))
    assert await end.is_member(ann, "S1")
    assert len(slack.called("usergroups.users.list")) == asked, "a yes is remembered for five minutes"
    assert not await end.is_member(bob, "design")
    assert len(slack.called("usergroups.users.list")) == asked + 1
    slack.groups = {"S1": ("design", ["U2"])}
    assert await end.is_member(bob, "design")
    assert not await end.is_member(ann, "design")
    assert not await end.is_member(ann, "nobody")
    assert not await end.is_member(bob, "gone", fresh=False)


async def test_what_slack_does_not_tell_is_no_no(slack: FakeSlack, end: SlackFrontEnd) -> None:
    slack.groups = {"S1": ("design", ["U1"])}
    bob = Person("slack:U2", "bob", "slack")
    assert not await end.is_member(bob, "design")
    slack.scripts["usergroups.users.list"] = [Refusal(retry_after=3600)]
    with pytest.raises(Unreachable) as refused:
        await end.is_member(bob, "design")
    assert refused.value.retry_after == 3600
    assert not await end.is_member(bob, "design")


async def test_somebody_leaves_a_group_and_the_event_says_so(slack: FakeSlack, end: SlackFrontEnd) -> None:
    slack.groups = {"S1": ("design", ["U1"])}
    ann = Person("slack:U1", "ann", "slack")
    assert await end.is_member(ann, "design")
    slack.groups = {"S1": ("design", [])}
    event = {"type": "subteam_members_changed", "subteam_id": "S1", "added_users": [], "removed_users": ["U1"]}
    await slack.deliver("events_api", slack.event_payload(event))
    assert not await end.is_member(ann, "design")


async def test_a_reminder_calls_a_group_in_the_thread_of_the_card(slack: FakeSlack, end: SlackFrontEnd) -> None:
    slack.groups = {"S1": ("design", ["U1"])}
    ref = await end.post_card(Room("slack", "C1"), CARD, "n1")
    notice = Notice("paused", "Still waiting", calls=("slack:usergroup:design", "slack:usergroup:gone"))
    await end.notify(Room("slack", "C1", ref.message), notice)
    said = slack.public("C1")[-1]
    assert said.thread == ref.message
    assert "<!subteam^S1>" in slack.text(said)
    assert "Still waiting" in slack.text(said)


async def test_a_reminder_that_was_sent_just_before_the_process_died_is_not_sent_again(
    slack: FakeSlack, connect: Connect
) -> None:
    notice = Notice("paused", "Still waiting")
    for _ in range(2):  # two lives of the bot
        end = await connect()
        await end.notify(Room("slack", "C1"), notice, nonce="n7")
        await end.notify(Room("slack", "U1", is_direct=True), notice, "slack:U1", "n8")
    said = [one.channel for one in slack.public() if "Still waiting" in slack.text(one)]
    assert sorted(said) == ["C1", "DU1"]


async def test_a_sentence_for_one_person_comes_by_direct_message(slack: FakeSlack, end: SlackFrontEnd) -> None:
    room = Room("slack", "U1", is_direct=True)
    await end.notify(room, Notice("paused", "You wanted to be asked", (approve(),)), "slack:U1")
    said = await slack.said("You wanted to be asked")
    assert said.only is None
    assert said.channel in ("U1", "DU1")


async def test_the_address_of_a_profile(slack: FakeSlack, end: SlackFrontEnd) -> None:
    slack.emails = {"U1": "Ann@Example.com"}
    assert await end.email_of("slack:U1") == "ann@example.com"
    assert await end.email_of("slack:U2") is None
    assert await end.zone_of("slack:U1") == "America/New_York"
    assert await end.zone_of("slack:nobody") is None


@pytest.mark.parametrize(
    ("tokens", "error", "sentence"),
    [
        ((BOT_TOKEN, None), "", r"nothing to hear events with.*SLACK_APP_TOKEN"),
        (("xapp-1", APP_TOKEN), "", r"SLACK_BOT_TOKEN holds an app-level token"),
        ((BOT_TOKEN, "xoxb-1"), "", r"SLACK_APP_TOKEN is not an app-level token"),
        (("xoxb-other", APP_TOKEN), "", r"does not accept the bot token \(invalid_auth\).*SLACK_BOT_TOKEN"),
        ((BOT_TOKEN, "xapp-other"), "", r"does not accept the app token \(invalid_auth\)"),
        ((BOT_TOKEN, APP_TOKEN), "token_revoked", r"does not accept the bot token \(token_revoked\)"),
    ],
)
async def test_a_wrong_token_is_a_sentence(
    slack: FakeSlack, desk: ScriptedDesk, tokens: tuple[str, str | None], error: str, sentence: str
) -> None:
    slack.token_error = error
    end = SlackFrontEnd(*tokens, base_url=f"{slack.url}/api/")
    with pytest.raises(SettingInvalid, match=sentence) as caught:
        await end.start(desk)
    assert "xoxb-other" not in str(caught.value)
    assert end.describe() == "Slack: not connected"


async def test_a_workspace_that_is_not_there_is_a_sentence(desk: ScriptedDesk) -> None:
    end = SlackFrontEnd(BOT_TOKEN, APP_TOKEN, base_url="http://127.0.0.1:9/api/")
    with pytest.raises(SettingInvalid, match="can't be reached"):
        await end.start(desk)


@pytest.mark.parametrize("team", [None, {"id": "T2", "domain": "partner"}, "E1"])
async def test_a_redelivery_that_names_another_workspace_counts_once(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk, team: object
) -> None:
    """Within an organisation, and in a channel shared with another one, the same click may name either workspace."""
    await end.post_card(Room("slack", "C1"), CARD, "n1")
    heard = await slack.press("Approve")
    await slack.said("pressed p1:ap")
    payload = heard.payload | {"team": team, "enterprise": {"id": "E1", "name": "Org"}, "is_enterprise_install": True}
    await slack.deliver(heard.kind, payload, attempt=1)
    await slack.until(lambda: len(desk.deliveries) == 2)
    assert len(set(desk.deliveries)) == 1
    assert len(desk.clicks) == 1
