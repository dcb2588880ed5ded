"""Tasks of a Slack app: messages, reactions, channels, people, canvases and files through the Web API."""

import json
from typing import Any

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.tasks.context import TestChat
from tests.wire import slack_methods

APP = "io.kestra.plugin.slack.app"


@pytest.fixture
def app(make_context, slack_webhook):
    context = make_context({"providers": {"slack": {"base_url": slack_webhook.api_url}}})

    async def call(kind: str, **given: Any) -> Any:
        return await context.run(type=f"{APP}.{kind}", **{"token": "xoxb-good", **given})

    call.context, call.slack = context, slack_webhook.methods
    return call


def rows(app, found) -> list[dict[str, Any]]:
    """The rows of a stored list."""
    lines = [json.loads(line) for line in app.context.files.text(found.uri).splitlines()]
    assert len(lines) == getattr(found, "size", len(lines)) == app.context.metrics.pop("records")
    return lines


async def test_a_message_s_life(app):
    posted = await app("chats.Post", channel="#ops", messageText="**hi**", iconEmoji=":fox:", username="Fox")
    assert app.slack.calls[-1] == {
        "method": "chat.postMessage",
        "channel": "#ops",
        "text": "*hi*",
        "username": "Fox",
        "icon_emoji": ":fox:",
    }
    answer = await app(
        "chats.Post", channel="C2", timestamp=posted.timestamp, payload='{"blocks": [{"type": "divider"}]}'
    )
    assert app.slack.messages[answer.timestamp]["thread_ts"] == posted.timestamp
    assert app.slack.messages[answer.timestamp]["blocks"] == [{"type": "divider"}]
    changed = await app("chats.Update", channel="C2", timestamp=posted.timestamp, messageText="done")
    assert changed.timestamp == posted.timestamp
    assert app.slack.messages[posted.timestamp]["text"] == "done"
    copied = '{"ts": "1.2", "text": "copied"}'  # of another message: `timestamp` says which one is changed
    assert (await app("chats.Update", channel="C2", timestamp=posted.timestamp, payload=copied)) == changed
    assert app.slack.messages[posted.timestamp]["text"] == "copied"
    seen = await app("chats.PostEphemeral", channel="C2", user="U1", messageText="psst")
    assert seen.timestamp.startswith("17")
    await app("chats.PostEphemeral", channel="C2", payload='{"user": "U1", "text": "psst"}')
    assert (await app("chats.Delete", channel="C2", timestamp=posted.timestamp)).timestamp == posted.timestamp
    assert list(app.slack.messages) == [answer.timestamp]


async def test_a_message_that_waits(app):
    later = await app("chats.Schedule", channel="C1", messageText="soon", postAt="2026-12-01T08:55:00Z")
    assert later.postAt == 1796115300
    assert (await app("chats.Schedule", channel="C1", messageText="soon", postAt=1796115300)).postAt == 1796115300
    await app("chats.DeleteScheduled", channel="C1", scheduledMessageId=later.messageId)
    assert later.messageId not in app.slack.scheduled
    with pytest.raises(TaskFailed, match="invalid_scheduled_message_id"):
        await app("chats.DeleteScheduled", channel="C1", scheduledMessageId=later.messageId)
    with pytest.raises(TaskFailed, match="neither a message's timestamp nor a date"):
        await app("chats.Schedule", channel="C1", messageText="x", postAt="soon")
    with pytest.raises(TaskFailed, match=r"time_in_past.*future"):
        await app("chats.Schedule", channel="C1", messageText="x", postAt="2020-01-01T00:00:00Z")


async def test_a_message_written_piece_by_piece(app):
    to = {"recipientUserId": "U1", "recipientTeamId": "T1"}
    begun = await app("chats.StartStream", channel="C1", timestamp="1.2", markdownText="one", **to)
    await app("chats.StartStream", channel="C1", threadTs="1.2", **to)  # as examples of Kestra name it
    assert app.slack.calls[-1]["thread_ts"] == "1.2"
    where = {"channel": begun.channel, "timestamp": begun.timestamp}
    await app("chats.AppendStream", markdownText=" two", **where)
    ended = await app("chats.StopStream", markdownText=" three", blocks='[{"type": "divider"}]', **where)
    assert ended.timestamp == begun.timestamp
    message = app.slack.messages[begun.timestamp]
    assert (message["text"], message["blocks"]) == ("one two three", [{"type": "divider"}])
    with pytest.raises(TaskFailed, match=r"message_not_in_streaming_state.*chats\.StartStream"):
        await app("chats.AppendStream", markdownText="x", **where)


async def test_long_pieces_are_written_whole(app):
    """Slack takes 12,000 characters a piece."""
    long = "".join(f"line {n}\n" for n in range(2500))
    to = {"channel": "C1", "recipientUserId": "U1", "recipientTeamId": "T1"}
    begun = await app("chats.StartStream", timestamp="1.2", markdownText=long, **to)
    where = {"channel": begun.channel, "timestamp": begun.timestamp}
    await app("chats.AppendStream", markdownText=long, **where)
    assert (await app("chats.StopStream", markdownText=long, **where)) == begun
    assert app.slack.messages[begun.timestamp]["text"] == long * 3


async def test_reactions(app):
    posted = await app("chats.Post", channel="C1", messageText="vote")
    where = {"channel": "C1", "timestamp": posted.timestamp}
    for name in (":eyes:", "eyes", "tada"):  # what is there already is fine: a task may run again
        await app("reactions.Add", name=name, **where)
    found = rows(app, await app("reactions.Get", **where))
    assert found == [
        {"name": "eyes", "count": 1, "users": ["U0APP"], "url": None},
        {"name": "tada", "count": 1, "users": ["U0APP"], "url": None},
    ]
    for _ in range(2):
        await app("reactions.Remove", name="tada", **where)
    assert [one["name"] for one in rows(app, await app("reactions.Get", **where))] == ["eyes"]
    with pytest.raises(TaskFailed, match="invalid_name"):
        await app("reactions.Add", name="No Such", **where)
    with pytest.raises(TaskFailed, match="No message is named"):
        await app("reactions.Get", channel="C1")


async def test_a_channel_s_life(app):
    room = await app("conversations.Create", name="incident-7", isPrivate=True)
    assert (room.name, room.is_private, room.is_archived) == ("incident-7", True, False)
    assert room.model_dump(by_alias=True)["isPrivate"] is True
    where = {"channel": room.id}
    assert (await app("conversations.Invite", users=["U1", "U2"], **where)).id == room.id
    assert app.slack.members[room.id] == ["U0APP", "U1", "U2"]
    assert (await app("conversations.Invite", users="U1", **where)).id == room.id
    with pytest.raises(TaskFailed, match=r"already_in_channel.*not in the channel yet"):
        await app("conversations.Invite", users=["U1", "U2"], **where)
    for _ in range(2):
        await app("conversations.Kick", user="U2", **where)
    assert rows(app, await app("conversations.Members", **where)) == [{"memberId": "U0APP"}, {"memberId": "U1"}]
    topic = await app("conversations.SetTopic", topic="On call: Ann", **where)
    assert topic.model_dump(by_alias=True) == {"value": "On call: Ann", "creator": "U0APP", "lastSet": 1700000001}
    assert (await app("conversations.SetPurpose", purpose="Fire", **where)).value == "Fire"
    assert (await app("conversations.Rename", name="done-7", **where)).name == "done-7"
    about = await app("conversations.Info", **where)
    assert (about.name, about.topic.value, about.purpose.value) == ("done-7", "On call: Ann", "Fire")
    assert (await app("conversations.Join", **where)).id == room.id
    for _ in range(2):
        await app("conversations.Leave", **where)
    for task in ("Archive", "Unarchive", "Archive"):
        await app(f"conversations.{task}", **where)
        await app(f"conversations.{task}", **where)
    assert app.slack.channels[room.id]["is_archived"]
    private = await app("conversations.List", types=["PRIVATE_CHANNEL"])
    assert [one["name"] for one in rows(app, private)] == ["done-7"]
    assert rows(app, await app("conversations.List", types=["private_channel"], excludeArchived=True)) == []
    assert len(rows(app, await app("conversations.List"))) == 3  # two pages
    with pytest.raises(TaskFailed, match=r"`types` has 'channels'.*public_channel"):
        await app("conversations.List", types=["channels"])
    with pytest.raises(TaskFailed, match=r"name_taken.*another name"):
        await app("conversations.Create", name="ops")


async def test_direct_conversations(app):
    opened = await app("conversations.Open", users=["U1"])
    assert (opened.id, opened.is_instant_message) == ("D1", True)
    both = (await app("conversations.Open", users=["U1", "U2"])).model_dump(by_alias=True)
    assert both["isMultiPersonInstantMessage"] is True
    await app("conversations.Open", users=["U1"])
    await app("conversations.Close", channel="D1")
    with pytest.raises(TaskFailed, match="Give `users` or `channel`"):
        await app("conversations.Open")


async def test_the_history_of_a_channel(app):
    stamps = [(await app("chats.Post", channel="C1", messageText=f"line {n}")).timestamp for n in range(3)]
    await app("reactions.Add", channel="C1", timestamp=stamps[2], name="tada")
    found = rows(app, await app("conversations.History", channel="C1", limit=2))
    assert [one["text"] for one in found] == ["line 2", "line 1", "line 0"]
    assert (found[0]["timestamp"], found[0]["reactions"][0]["name"]) == (stamps[2], "tada")
    since = await app("conversations.History", channel="C1", oldest=stamps[1])
    assert [one["text"] for one in rows(app, since)] == ["line 2"]
    none = await app("conversations.History", channel="C1", oldest="2026-01-01T00:00:00Z")
    assert rows(app, none) == []
    assert app.slack.calls[-1]["oldest"] == "1767225600"


async def test_what_slack_does_not_say_is_false(app):
    """As in Kestra, whose rows and outputs hold a boolean for each of these: a flow may compare it with false."""
    posted = await app("chats.Post", channel="C1", messageText="line")
    app.slack.messages[posted.timestamp]["files"] = [{"id": "F1", "thumb_64": "http://t", "is_public": None}]
    (row,) = rows(app, await app("conversations.History", channel="C1"))
    assert [row[name] for name in ("isStarred", "isThreadBroadcast", "isHidden", "isSubscribed")] == [False] * 4
    (file,) = row["files"]
    assert (file["thumbnail"]["thumb64"], file["isPublic"], file["isExternal"]) == ("http://t", False, False)
    ann = (await app("users.Info", user="U1")).model_dump(by_alias=True)
    assert [ann[name] for name in ("deleted", "isAdmin", "isRestricted")] == [False] * 3
    there = (await app("users.GetPresence", user="U1")).model_dump(by_alias=True)
    assert there == {"presence": "away", "online": False, "autoAway": False, "manualAway": False,
                     "connectionCount": None, "lastActivity": None}  # fmt: skip
    opened = (await app("conversations.Open", users=["U1"])).model_dump(by_alias=True)
    assert (opened["isArchived"], opened["isPrivate"]) == (False, False)


async def test_people(app):
    ann = (await app("users.Info", user="U1")).model_dump(by_alias=True)
    assert (ann["realName"], ann["tzOffset"], ann["has2fa"], ann["isBot"]) == ("Ann Lee", 3600, True, False)
    assert (ann["updated"], ann["profile"]["email"]) == ("2023-11-14T22:13:20Z", "ann@example.com")
    assert (ann["profile"]["image24"], ann["profile"]["statusExpiration"]) == ("http://i/24", "1970-01-01T00:00:00Z")
    assert (await app("users.LookupByEmail", email="ann@example.com")).id == "U1"
    with pytest.raises(TaskFailed, match=r"users_not_found.*users:read\.email"):
        await app("users.LookupByEmail", email="nobody@example.com")
    assert [one["name"] for one in rows(app, await app("users.List"))] == ["ann", "bob", "app"]
    older = await app("users.List", limit=50, includePresence=True)  # as the plugin knew them once
    assert len(rows(app, older)) == 3
    assert (await app("users.GetPresence", user="U1")).presence == "away"
    profile = await app("users.ProfileGet", user="U1", includeLabels=True)
    assert (profile.real_name, profile.email) == ("Ann Lee", "ann@example.com")
    assert len(rows(app, await app("users.Conversations", user="U1"))) == 3
    assert rows(app, await app("users.Conversations", user="U2", types="public_channel,private_channel")) == []


async def test_canvases(app):
    content = {"type": "markdown", "markdown": "# Hi"}
    made = await app("canvases.Create", title="Minutes", documentContent=content)
    assert app.slack.canvases[made.canvasId]["document_content"] == content
    where = {"canvasId": made.canvasId}
    found = await app("canvases.SectionsLookup", criteria={"containsText": "Hi"}, **where)
    change = {"operation": "replace", "sectionId": found.sections[0]["id"], "documentContent": content}
    await app("canvases.Edit", changes=[change], **where)
    assert app.slack.calls[-1]["changes"][0]["section_id"] == "temp:C:1"
    more = [{"operation": operation, "documentContent": content} for operation in ("insert_at_start", "insert_at_end")]
    await app("canvases.Edit", changes=more, **where)
    done = [call["changes"][0]["operation"] for call in app.slack.calls[-2:]]
    assert done == ["insert_at_start", "insert_at_end"]
    await app("canvases.AccessSet", accessLevel="READ", userIds=["U1"], **where)
    assert app.slack.calls[-1] == {
        "method": "canvases.access.set",
        "canvas_id": made.canvasId,
        "access_level": "read",
        "user_ids": ["U1"],
    }
    with pytest.raises(TaskFailed, match="either `channelIds` or `userIds`"):
        await app("canvases.AccessSet", accessLevel="WRITE", **where)
    with pytest.raises(TaskFailed, match="operation 'burn'"):
        await app("canvases.Edit", changes=[{"operation": "burn"}], **where)
    await app("canvases.Delete", **where)
    with pytest.raises(TaskFailed, match="canvas_not_found"):
        await app("canvases.Delete", **where)


async def test_a_file_s_life(app):
    uri = await app.context.files.put(b"report", "report.txt")
    shared = await app("files.Upload", from_=uri, channels=["C1", "C2"], title="Report", initialComment="Look")
    assert (shared.title, shared.name, shared.permalink) == ("Report", "report.txt", f"http://s/{shared.id}")
    assert app.slack.files[shared.id]["content"] == b"report"
    assert app.slack.calls[-1]["channels"] == "C1,C2"
    one = await app("files.Upload", from_=uri, channel="C1", filename="x.csv", altTxt="A table", snippetType="csv")
    assert (one.name, app.slack.calls[-1]["channel_id"]) == ("x.csv", "C1")
    about = (await app("files.Info", fileId=one.id)).model_dump(by_alias=True)
    assert (about["channels"], about["thumbnail"]["thumb64"]) == (["C1"], "http://t")
    for _ in range(2):
        await app("files.Delete", fileId=one.id)
    with pytest.raises(TaskFailed, match=r"invalid_channel.*channel's id"):
        await app("files.Upload", from_=uri, channel="#general")
    empty = await app.context.files.put(b"", "empty.txt")
    with pytest.raises(TaskFailed, match="no empty files"):
        await app("files.Upload", from_=empty, channel="C1")


async def test_what_slack_refuses_is_explained(app, slack_webhook):
    with pytest.raises(TaskFailed, match=r"invalid_auth.*Check the token"):
        await app("chats.Post", token="bad", channel="C1", messageText="hi")
    with pytest.raises(TaskFailed, match="channel_not_found"):
        await app("chats.Post", channel="nope", messageText="hi")
    with pytest.raises(TaskFailed, match=r"channel_not_found.*its id \(C0123456789\), not its name"):
        await app("reactions.Add", channel="#general", timestamp="1.2", name="eyes")
    with pytest.raises(TaskFailed, match=r"message_not_found"):
        await app("chats.Update", channel="C1", timestamp="1.2", messageText="hi")
    with pytest.raises(TaskFailed, match=r"user_not_in_channel.*Invite them"):
        await app("chats.PostEphemeral", channel="C2", user="U2", messageText="hi")
    with pytest.raises(TaskFailed, match=r"missing_recipient_user_id.*Give `recipientUserId`"):
        await app("chats.StartStream", channel="C1", timestamp="1.2")
    with pytest.raises(TaskFailed, match="Give `timestamp`"):
        await app("chats.Update", channel="C1", messageText="hi")
    slack_webhook.waits.append(0.01)
    await app("users.List")
    assert "xoxb-good" in app.context.masked


async def test_slack_s_own_reasons_are_told(app):
    """As Kestra does, whose error holds the whole answer, and whose log has what Slack warns of."""
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    with pytest.raises(
        TaskFailed, match=r"invalid_blocks \(must be less than 3001 characters at /blocks/1/text/text\)"
    ):
        await app("chats.Post", channel="C1", payload=json.dumps({"blocks": [{"type": "divider"}, long]}))
    room = await app("conversations.Join", channel="C1")
    assert room.id == "C1"
    assert app.context.lines == [("WARN", "Slack says to conversations.join: already_in_channel")]
    app.context.lines.clear()
    await app("chats.Post", channel="C1", messageText="x" * 40_001)
    ((level, line),) = app.context.lines
    assert (level, "truncated" in line) == ("WARN", True)


WHERE = {"channel": "C1", "timestamp": "1.2"}
READ = {
    "chats.Post": {"channel": "C1", "messageText": "x"},
    "chats.PostEphemeral": {"channel": "C1", "messageText": "x", "user": "U1"},
    "chats.Update": {**WHERE, "messageText": "x"},
    "chats.Schedule": {"channel": "C1", "messageText": "x", "postAt": 1796115300},
    "chats.Delete": WHERE,
    "chats.StartStream": {**WHERE, "recipientUserId": "U1", "recipientTeamId": "T1"},
    "reactions.Get": WHERE,
    "conversations.Create": {"name": "x"},
    "conversations.Open": {"users": ["U1"]},
    "conversations.Info": {"channel": "C1"},
    "conversations.List": {},
    "conversations.Members": {"channel": "C1"},
    "conversations.History": {"channel": "C1"},
    "conversations.Invite": {"channel": "C1", "users": ["U1"]},
    "conversations.Join": {"channel": "C1"},
    "conversations.Rename": {"channel": "C1", "name": "x"},
    "conversations.SetTopic": {"channel": "C1", "topic": "x"},
    "users.Info": {"user": "U1"},
    "users.LookupByEmail": {"email": "x"},
    "users.List": {},
    "users.GetPresence": {"user": "U1"},
    "users.ProfileGet": {},
    "users.Conversations": {},
    "canvases.Create": {"title": "x", "documentContent": {"type": "markdown", "markdown": "x"}},
    "canvases.SectionsLookup": {"canvasId": "F1", "criteria": {"containsText": "x"}},
    "files.Info": {"fileId": "F1"},
}
PARTS = "channel channels members messages message user profile ts message_ts canvas_id file post_at"
ODD = [dict.fromkeys([*PARTS.split(), "sections", "presence"], odd) for odd in (None, 5, "x", [5], {"id": []})]


@pytest.mark.parametrize("kind", READ)
async def test_no_odd_answer_ends_in_a_traceback(app, monkeypatch, kind):
    for odd in ({}, *ODD):
        said = {"ok": True, "scheduled_message_id": "Q1", **odd}
        monkeypatch.setattr(app.slack, "answer", lambda method, given, said=said: said)
        try:
            await app(kind, **READ[kind])
        except TaskFailed as error:
            assert error.message.startswith("Slack's answer to ")  # noqa: PT017  some take what others do not


@pytest.mark.parametrize("odd", ["x", [5], 10**20])
async def test_a_moment_that_is_none_is_told(app, monkeypatch, odd):
    user = {"id": "U1", "profile": {"status_expiration": odd}}
    monkeypatch.setattr(app.slack, "answer", lambda method, given: {"ok": True, "user": user})
    with pytest.raises(TaskFailed, match=r"`profile\.status_expiration`: .* is no moment in seconds since 1970"):
        await app("users.Info", user="U1")


async def test_a_refusal_names_the_scope_that_is_missing(app, monkeypatch):
    def closed(body):
        raise slack_methods.Refused("missing_scope")

    monkeypatch.setattr(app.slack, "_reactions_get", closed)
    with pytest.raises(TaskFailed, match="Add the scope reactions:read"):
        await app("reactions.Get", channel="C1", timestamp="1.2")


async def test_without_a_token_the_bot_is_asked(context):
    with pytest.raises(TaskFailed, match="needs a `token`"):
        await context.run(type=f"{APP}.chats.Update", channel="C1", timestamp="1.2", messageText="x")
    context.chat = TestChat()
    given = {"channel": "C1", "timestamp": "1.2"}
    found = await context.run(type=f"{APP}.chats.Update", payload='{"blocks": [{"type": "divider"}]}', **given)
    assert found.timestamp == "1.2"
    await context.run(type=f"{APP}.reactions.Add", name="eyes", **given)
    assert context.chat.calls == [
        ("chat.update", {"channel": "C1", "ts": "1.2", "blocks": '[{"type": "divider"}]'}),
        ("reactions.add", {"channel": "C1", "timestamp": "1.2", "name": "eyes"}),
    ]


@pytest.mark.parametrize("older", ["chats.Update", "conversations.List", "files.Info", "reactions.Add"])
def test_older_names_are_read(older):
    assert catalogue().resolve({"type": f"io.kestra.plugin.slack.{older}"}).type_names() == (f"{APP}.{older}",)
