"""What each command answers."""

import pytest

from bot.conversation import Attachment, Card, Form, Listing, Notice, Submission, Transcript
from engine.core.state import State
from tests.bot.rig import ANN, BOB, DEV, OPS, PAGE, WEB

MANY = """
id: many
namespace: company.forms
description: Asks for a lot
inputs:
  - {id: name, type: STRING, displayName: Your name}
  - {id: count, type: INT, min: 1, defaults: 3}
  - {id: colour, type: SELECT, values: [red, green], defaults: red}
  - {id: extra, type: STRING, dependsOn: {inputs: [colour], condition: "{{ inputs.colour == 'green' }}"}}
  - {id: data, type: JSON, required: false}
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "{{ inputs.name }} {{ inputs.count }} {{ inputs.colour }}"
outputs:
  - {id: said, type: STRING, value: "{{ outputs.say.value }}"}
"""
SECRET = """
id: token
namespace: company.forms
inputs:
  - {id: key, type: SECRET}
  - {id: note, type: STRING, required: false}
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.key | length }}"}
outputs:
  - {id: length, type: STRING, value: "{{ outputs.say.value }}"}
"""
UPLOAD = """
id: upload
namespace: company.forms
inputs:
  - {id: file, type: FILE}
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "{{ read(inputs.file) }}"}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.say.value }}"}
"""
BROKEN = """
id: fails
namespace: company.team
tasks:
  - {id: boom, type: io.kestra.plugin.core.execution.Fail, errorMessage: "The well is dry."}
"""


async def last_end(rig):
    return await rig.engine.wait((await rig.engine.executions(limit=1))[0].id, timeout=20)


async def test_nothing_typed_shows_the_menu(rig):
    await rig.asked()
    menu = await rig.say("")
    assert isinstance(menu, Card)
    assert [action.label for action in menu.actions] == ["Run…", "Pending (1)", "My runs", "Help"]
    assert isinstance(await rig.press(menu, "Run…"), Listing)
    assert isinstance(await rig.press(menu, "Pending (1)"), Listing)
    assert isinstance(await rig.press(menu, "My runs"), Listing)
    assert "/flow run" in (await rig.press(menu, "Help")).text


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("rnu ship", "E01", "I don't know `rnu`. Did you mean `run`?"),
        ("ship", "E01", "Did you mean `/flow run ship`?"),
        ("run shpi", "E02", "Closest: `company.team/ship`"),
        ("run ship x=1", "E11", "`ship` has no input `x`. It has: none at all."),
        ("run picture promt=x", "E11", "It has: `prompt`."),
        ("run ship 'open", "E12", "opened at character 10"),
        ("run picture prompt:={", "E10", "JSON breaks at line 1"),
        ("run ship --fast", "", "There is no `--fast` here."),
        ("status", "", "You have not started a run here yet."),
        ("status #ZZZZZZ", "", "No run matches `#ZZZZZZ`."),
        ("approve #ZZZZZZ", "", "No run matches"),
        ("kill", "", "Which run?"),
        ("logs last --level=LOUD", "", "`LOUD` is no level"),
        ("pending", "", "Nothing waits for your answer."),
        ("kv get a", "", "I need an action"),
        ("kv get company.team nothing", "", "does not exist in the namespace"),
        ("run ship --at=someday", "E09", "I read moments"),
        ("run ship --label=x", "", "is no label"),
        ("run ship now", "", "`ship` asks for nothing, so I don't know what `now` is for."),
        ("run picture a fox", "", 'Write for example `/flow run picture prompt="a fox"`. Nothing was started.'),
        ("run picture prompt = fox", "", "no blanks around `=`. Write for example `/flow run picture prompt=fox`."),
        ("run picture prompt: fox", "", "`/flow run picture prompt=fox`"),
        ("run picture --prompt=fox", "", "Inputs have no dashes: `name=value`."),
    ],
)
async def test_what_cannot_be_done_says_what_to_do(rig, typed, code, says):
    said = await rig.say(typed)
    assert isinstance(said, Notice)
    assert said.code == code
    assert says in said.text


async def test_a_flow_named_where_a_run_is_meant_leads_to_what_waits(rig):
    card = await rig.asked()
    said = await rig.say("approve ship")
    run = (await rig.engine.pause_row(card.entity)).execution_id
    assert said.text == f"`ship` is a flow. Of its runs wait: `#{run[-6:]}`. Name one of them."
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"


async def test_list_ranks_what_i_use_and_offers_to_run_it(rig):
    listing = await rig.say("list")
    assert [row.title for row in listing.rows] == ["company.ai/picture", "company.team/ship"]
    await rig.say("run ship --quiet")
    listing = await rig.say("list")
    assert listing.rows[0].title == "company.team/ship"
    assert (await rig.say("list pict")).rows[0].title == "company.ai/picture"
    assert len((await rig.say("list --ns=company.ai")).rows) == 1
    form = await rig.press(Card("post", "x", "info", "t", actions=(await rig.say("list pict")).rows[0].actions), "Run…")
    assert isinstance(form, Form)
    assert [field.id for field in form.fields] == ["prompt"]


async def test_long_lists_are_paged(rig):
    for number in range(23):
        await rig.engine.deploy(
            f"id: f{number:02}\nnamespace: a.b\ntasks: [{{id: t, type: io.kestra.plugin.core.log.Log, message: x}}]"
        )
    first = await rig.say("list --ns=a.b")
    assert (len(first.rows), first.note, first.more) == (10, "1 to 10 of 23", "list --ns=a.b --page=2")
    assert len((await rig.say("list --ns=a.b --page=3")).rows) == 3


async def test_show_tells_what_a_flow_asks_for(rig):
    await rig.engine.deploy(MANY)
    card = await rig.say("show many")
    assert "**Your name** `name` STRING" in card.body
    assert "(optional), default `3`" in card.body
    assert card.footer == "Type: /flow run many name=…" or card.footer.startswith("Type: /flow run many name=…")
    assert (await rig.say("help many")).entity == "company.forms/many"


async def test_a_missing_input_opens_the_form_with_what_was_typed(rig):
    await rig.engine.deploy(MANY)
    form = await rig.say("run many count=5")
    assert isinstance(form, Form)
    assert [field.id for field in form.fields] == ["name", "count", "colour", "data"]
    assert form.values == {"count": "5"}
    assert not any(field.error for field in form.fields), "what is only missing needs no scolding"
    assert next(field for field in form.fields if field.id == "colour").default == "red"
    reply = await rig.fill(form, name="Ann", count="5", colour="red", data="")
    assert reply.body.text.startswith("Started `many`")
    assert (await last_end(rig)).outputs == {"said": "Ann 5 red"}


async def test_what_is_wrong_in_a_command_opens_the_form_with_the_reason(rig):
    await rig.engine.deploy(MANY)
    form = await rig.say("run many name=Ann count=many")
    assert form.values == {"name": "Ann", "count": "many"}
    assert "is not a whole number" in next(field.error for field in form.fields if field.id == "count")


async def test_answers_may_ask_for_more(rig):
    await rig.engine.deploy(MANY)
    form = await rig.say("run many --form")
    more = await rig.fill(form, name="Ann", count="1", colour="green")
    assert isinstance(more.body, Form)
    assert [field.id for field in more.body.fields] == ["extra"]
    await rig.again()
    assert [field.id for field in (await rig.desk.form(form.id)).fields] == ["extra"], "a draft survives a restart"
    reply = await rig.fill(more.body, extra="yes", receipt="extra")
    assert reply.body.text.startswith("Started")
    assert (await last_end(rig)).inputs["extra"] == "yes"


async def test_pages_are_kept_until_the_last(rig):
    await rig.engine.deploy(MANY)
    form = await rig.say("run many --form")
    first = await rig.fill(form, name="Ann", last=False, page=0)
    assert (first.body.page, first.body.values["name"]) == (1, "Ann")
    reply = await rig.fill(form, count="2", colour="red", page=1)
    assert reply.body.text.startswith("Started")
    assert (await last_end(rig)).outputs == {"said": "Ann 2 red"}


async def test_somebody_elses_form_is_not_mine(rig):
    form = await rig.say("run picture")
    assert "belongs to" in (await rig.fill(form, BOB, DEV, prompt="x")).body.text


async def test_a_form_sent_twice_starts_one_run(rig):
    form = await rig.say("run picture")
    await rig.fill(form, prompt="x")
    again = await rig.fill(form, prompt="x")
    assert "no longer kept" in again.body.text
    assert len(await rig.engine.executions()) == 1


async def test_files_and_texts_from_files(rig, tmp_path):
    await rig.engine.deploy(UPLOAD)
    await rig.engine.deploy(MANY)
    path = tmp_path / "sent.txt"
    path.write_text("hello from a file")
    file = Attachment("note.txt", str(path), 17)
    said = await rig.say("run upload file=@other.txt", files=(file,))
    assert "I see `note.txt`" in said.text
    await rig.say("run upload file=@note.txt", files=(file,))
    done = await last_end(rig)
    assert done.inputs["file"].endswith("/note.txt")
    assert done.outputs == {"said": "hello from a file"}
    await rig.say("run many name=@note.txt", files=(file,))
    assert (await last_end(rig)).inputs["name"] == "hello from a file"
    form = await rig.say("run upload")
    refused = await rig.fill(form, file="/etc/passwd")
    assert "a file: send one along" in refused.errors["file"]
    await rig.fill(form, file=file)
    assert (await last_end(rig)).outputs == {"said": "hello from a file"}


async def test_a_secret_input_is_entered_on_the_page(rig, tmp_path):
    await rig.engine.deploy(SECRET)
    said = await rig.say("run token key=horse-and-battery-9 note=x")
    assert said.code == "E14"
    assert "horse" not in said.text
    assert not await rig.engine.executions()
    asked = await rig.say("run token note=hello")
    assert "never typed in chat" in asked.text
    assert "`web.public_url`" in asked.text
    form = await rig.say("run token note=hello", WEB, PAGE)
    assert [field.id for field in form.fields] == ["key", "note"]
    await rig.fill(form, WEB, PAGE, key="horse-and-battery-9", note="hello")
    assert (await last_end(rig)).outputs == {"length": "19"}
    await rig.stop()
    written = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"horse-and-battery-9" not in written
    await rig.start()


async def test_status_and_logs_of_a_failed_run(rig):
    await rig.engine.deploy(BROKEN)
    await rig.say("run fails")
    done = await last_end(rig)
    assert done.state is State.FAILED
    card = (await rig.slack.shows("run", lambda shown: shown.tone == "danger")).card
    assert "**boom** failed: The well is dry." in card.body
    assert (await rig.say("status")).title == "fails: failed"
    log = await rig.press(card, "Log")
    assert isinstance(log, Transcript)
    assert any("The well is dry." in line for line in log.lines)
    assert (await rig.say("logs last --grep=nothing-like-it")).text.endswith("no such lines yet.")
    killed = await rig.press(card, "Replay")
    assert "a replay of" in killed.text
    assert len(await rig.engine.executions()) == 2


async def test_kill_and_kill_again(rig):
    await rig.asked()
    said = await rig.say("kill last wrong branch")
    assert "is being stopped" in said.text
    assert (await last_end(rig)).state is State.KILLED
    again = await rig.say("kill last")
    assert again.code == "E17"
    assert again.actions[0].label == "Replay"


async def test_pending_is_an_inbox_with_buttons(rig):
    await rig.asked()
    await rig.asked("run picture prompt=x")
    inbox = await rig.say("pending", BOB, DEV)
    assert [row.title.split()[0] for row in inbox.rows] == ["ship", "picture"]
    held = Card("post", "x", "info", "t", actions=inbox.rows[0].actions)
    assert (await rig.press(held, "Approve", BOB, DEV)).tone == "success"


async def test_a_card_may_go_elsewhere_or_nowhere(rig):
    await rig.say("run ship --in=<#C9|other>")
    assert (await rig.slack.shows("run")).room.channel == "C9"
    assert (await rig.slack.shows("pause")).room.channel == "C9"
    said = await rig.say("run ship --quiet")
    assert said.actions[0].label == "Show the run"
    await rig.slack.shows("pause", lambda card: card.entity not in {m.card.entity for m in rig.slack.of("pause")[:1]})
    assert len(rig.slack.of("run")) == 1


async def test_labels_and_a_later_start(rig):
    await rig.say("run ship --label=team:web --at='in 2 hours'")
    run = (await rig.engine.executions())[0]
    assert ("team", "web") in run.labels
    assert run.schedule_date is not None
    assert run.state is State.CREATED


@pytest.mark.parametrize(("said", "days"), [("7d", 7), ("3600", 1 / 24), ("PT48H", 2)])
async def test_kv_keeps_a_value_for_as_long_as_was_said(rig, said, days):
    assert (await rig.say(f"kv set company.team k v --ttl={said}")).tone == "success"
    (kept,) = await rig.engine.kv.entries("company.team")
    assert (kept.expires - kept.updated).total_seconds() == pytest.approx(days * 86400)


@pytest.mark.parametrize("said", ["soon", "\u00b2", "P99999999D", "9" * 400])
async def test_kv_keeps_nothing_for_a_time_that_can_not_be_read(rig, said):
    assert (await rig.say(f"kv set company.team k v --ttl={said}")).tone != "success"
    assert not await rig.engine.kv.entries("company.team")


async def test_kv_shows_values_but_never_secrets(rig):
    assert (await rig.say("kv set company.team greeting 'hello *you*'")).tone == "success"
    assert "hello \\*you\\*" in (await rig.say("kv get company.team greeting")).text
    await rig.say("kv set company.team limits value:='{\"a\": 1}'")
    assert '{"a":1}' in (await rig.say("kv get company.team limits")).text
    await rig.engine.kv.set("company.team", "pass", "correct-horse", kind="SECRET")
    assert "correct" not in (await rig.say("kv get company.team pass")).text
    listing = await rig.say("kv list company.team")
    assert [row.title for row in listing.rows] == ["greeting", "limits", "pass"]
    assert "correct" not in repr(listing)
    assert (await rig.say("kv set company.team pass new --type=SECRET")).code == "E14"
    assert (await rig.say("kv delete company.team greeting")).tone == "success"
    assert "nothing was deleted" in (await rig.say("kv delete company.team greeting")).text


async def test_help_and_whoami(rig):
    assert "`/flow run <flow>" in (await rig.say("help")).text
    assert "Start a flow." in (await rig.say("help run")).text
    me = (await rig.say("whoami")).text
    assert "**Ann**" in me
    assert "`slack:U1`" in me
    assert "everybody in a room" in me


async def test_help_lists_only_commands_that_are_understood(rig):
    listed = [line.split("`/flow ", 1)[1] for line in (await rig.say("help")).text.splitlines() if "`/flow " in line]
    verbs = {one.split("`")[0].split()[0] for one in listed}
    assert {"run", "list", "pending", "logs"} <= verbs
    unknown = (await rig.say("surely-no-command")).code
    assert unknown
    for verb in sorted(verbs):
        assert getattr(await rig.say(verb), "code", "") != unknown, verb


async def test_completion_while_typing(rig):
    await rig.asked()
    flows = await rig.desk.complete("flow", "shi", ANN.id, OPS, 25)
    assert [option.value for option in flows] == ["company.team/ship"]
    runs = await rig.desk.complete("run", "", ANN.id, OPS, 25)
    assert "ship (paused)" in runs[0].label
    pauses = await rig.desk.complete("pause", "ship", ANN.id, OPS, 25)
    assert (await rig.engine.pause_row(pauses[0].value)).task_id == "wait"
    form = await rig.say("run picture")
    assert await rig.desk.options(form.id, "prompt", "", 10) == ()


async def test_nothing_said_is_an_error(rig):
    odd = "run|show|show zz|restart|replay|restart last|reject|answer|approve|list zz|runs|kv|kv set a b|logs|\0|help x"
    for text in odd.split("|"):
        said = await rig.say(text)
        assert not (isinstance(said, Notice) and said.code == "E26"), text


async def test_an_unknown_form_is_told_so(rig):
    reply = await rig.desk.submit(Submission("draft:nothing", {}, ANN, OPS, "x1"))
    assert "no longer kept" in reply.body.text
    assert await rig.desk.form("draft:nothing") is None


BREAKS = """
id: breaks
namespace: company.team
inputs:
  - {id: count, type: INT}
  - {id: colour, type: SELECT, values: [red, green], defaults: red}
  - {id: key, type: SECRET, required: false}
tasks:
  - {id: look, type: io.kestra.plugin.core.execution.Fail, condition: "{{ inputs.count < 5 }}"}
"""


async def test_a_failed_run_comes_again_with_other_inputs(rig):
    await rig.engine.deploy(BREAKS)
    await rig.say("run breaks count=3 colour=green")
    card = (await rig.slack.shows("run", lambda card: card.tone == "danger")).card
    form = await rig.press(card, "Edit inputs…", BOB, DEV)
    assert isinstance(form, Form)
    values = {field.id: form.values.get(field.id, field.default) for field in form.fields}
    assert (values["count"], values["colour"]) == ("3", "green")
    done = await rig.fill(form, BOB, DEV, count="7", colour="green")
    assert done.body.tone == "success"
    run = (await rig.engine.executions())[0]
    assert (run.inputs["count"], run.inputs["colour"]) == (7, "green")
    assert isinstance(await rig.say("replay last --edit"), Form)
