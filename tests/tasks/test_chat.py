"""Slack and Discord: webhooks, execution summaries, the bot's own connection."""

import json

import httpx
import pytest

from engine.errors import TaskFailed
from engine.tasks import aliases
from engine.tasks.chat_messages import chunks
from engine.tasks.discord import execution_body as discord_body
from engine.tasks.execution_facts import facts
from engine.tasks.outbound import Answer, retry_after
from engine.tasks.slack.notifications import execution_body as slack_body
from engine.tasks.slack.notifications import mrkdwn
from tests.tasks.context import TestChat
from tests.wire.openai import PIXEL

SLACK = "io.kestra.plugin.slack.notifications"
DISCORD = "io.kestra.plugin.discord"
APP = "io.kestra.plugin.slack.app"


async def test_a_payload_keeps_its_quotes(make_context, slack_webhook):
    context = make_context(outputs={"ai": 'He said "go" \\ and\nleft'})
    payload = '{\n  "text": "{{ outputs.ai }}"\n}\n'
    await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=slack_webhook.url, payload=payload)
    assert slack_webhook.messages == [{"text": 'He said "go" \\ and\nleft'}]
    assert slack_webhook.url in context.masked


async def test_a_payload_that_is_one_map(make_context, slack_webhook):
    context = make_context(inputs={"x": 'a "b"'})
    payload = '{{\n  {\n    "text": "About " ~ inputs.x\n  }\n}}\n'
    await context.run(
        type="io.kestra.plugin.notifications.slack.SlackIncomingWebhook", url=slack_webhook.url, payload=payload
    )
    assert slack_webhook.messages == [{"text": 'About a "b"'}]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{"text": "as it is"}', "as it is"),
        ("123", "123"),
        ("true", "true"),
        ('"hi"', '"hi"'),
        ("**bold** __it__ [link](http://x.test/a)", "*bold* _it_ <http://x.test/a|link>"),
    ],
)
async def test_message_text(context, slack_webhook, text, sent):
    await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=slack_webhook.url, messageText=text)
    assert slack_webhook.messages == [{"text": sent}]


async def test_slack_refusals_are_told(context, slack_webhook):
    url = slack_webhook.url
    with pytest.raises(TaskFailed, match="'messageText' or 'payload' must be provided"):
        await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=url)
    with pytest.raises(TaskFailed, match="not JSON"):
        await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=url, payload='{"text": oops}')
    with pytest.raises(TaskFailed, match="Slack answered 400: no_text"):
        await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=url, payload='{"text": ""}')
    with pytest.raises(TaskFailed, match=r"answered 404: no_service.*revoked"):
        await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=url + "x", payload='{"text": "x"}')


async def test_slack_is_waited_for(context, slack_webhook):
    slack_webhook.waits.append(0.01)
    await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=slack_webhook.url, messageText="hi")
    assert slack_webhook.messages == [{"text": "hi"}]
    assert context.said("asks to wait 0.01 s")


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("nan", b"", 1.0),
        ("soon", b"", 1.0),
        ("-3", b"", 0.0),
        ("7", b'{"retry_after": "0.5"}', 0.5),
        ("7", b'{"retry_after": NaN}', 1.0),
        ("7", b'{"retry_after": %s}' % (b"9" * 400), 7.0),
        ("7", b"[]", 7.0),
    ],
)
def test_how_long_a_service_asks_to_wait(header, body, seconds):
    assert retry_after(Answer("https://a.test", 429, httpx.Headers({"Retry-After": header}), body)) == seconds


async def test_slack_execution(make_context, slack_webhook):
    context = make_context({"public_url": "https://flows.test"})
    context.state = "FAILED"
    await context.run(
        type=f"{SLACK}.SlackExecution",
        url=slack_webhook.url,
        customMessage="Look at this",
        customFields={"Customer": "ACME"},
        channel="#ops",
        iconEmoji=":boat:",
    )
    (message,) = slack_webhook.messages
    assert message["text"].startswith(
        "*<https://flows.test/ui/executions/company.ai/a_flow/01EXECUTION|[company.ai] a_flow ➛ FAILED>*"
    )
    assert "Failed on task `boom` after 00:00:05.123" in message["text"]
    assert (message["channel"], message["icon_emoji"]) == ("#ops", ":boat:")
    assert message["blocks"][0]["text"]["text"] == "Look at this"
    assert message["blocks"][1]["accessory"]["url"].startswith("https://flows.test/")
    fields = {field["title"]: field["value"] for field in message["attachments"][0]["fields"]}
    assert (fields["Customer"], fields["Final task ID"]) == ("ACME", "the_task")
    assert message["attachments"][0]["color"] == "danger"


async def test_a_summary_is_posted_whatever_else_a_slack_execution_says(context, slack_webhook):
    """Kestra makes the payload from its template, and lets nothing else take its place."""
    fields = {"Rows": 3, "Fresh": True, "Owner": None, "Where": {"zone": "eu"}, "Names": ["a", "ü"]}
    await context.run(
        type=f"{SLACK}.SlackExecution",
        url=slack_webhook.url,
        messageText="instead",
        templateUri="other.peb",
        customFields=fields,
    )
    (message,) = slack_webhook.messages
    assert "[company.ai] a_flow" in message["text"]
    assert "instead" not in json.dumps(message)
    told = {field["title"]: field["value"] for field in message["attachments"][0]["fields"]}
    assert (told["Rows"], told["Fresh"], told["Where"], told["Names"]) == ("3", "true", '{"zone": "eu"}', '["a", "ü"]')
    assert "Owner" not in told


@pytest.mark.parametrize(
    ("state", "runs", "color"),
    [
        ("SUCCESS", [], "good"),
        ("WARNING", ["FAILED"], "warning"),
        ("FAILED", [], "danger"),
        ("KILLED", [], "danger"),
        ("CANCELLED", [], "danger"),
        ("RUNNING", ["SUCCESS", "FAILED", "RUNNING"], "danger"),
        ("RUNNING", ["SUCCESS", "RUNNING"], "#439FE0"),
    ],
)
def test_a_slack_message_has_the_color_of_what_it_tells(state, runs, color):
    held = [{"taskId": f"t{n}", "state": {"current": run}} for n, run in enumerate(runs)]
    execution = {"id": "e", "namespace": "n", "flowId": "f", "state": {"current": state}, "taskRunList": held}
    assert slack_body(facts({"execution": execution}), "", {})["attachments"][0]["color"] == color


async def test_an_author_has_the_page_of_the_box_and_the_picture_of_the_message(context, discord_webhook):
    box = {"title": "Report", "authorName": "Ann", "websiteUrl": "https://flows.test/r"}
    kind = {"type": f"{DISCORD}.DiscordExecution", "url": discord_webhook.url}
    await context.run(**kind, embedList=[box], avatarUrl="https://flows.test/a.png")
    await context.run(**kind, embedList=[{"authorName": "Ann"}])
    full, plain = (message["embeds"][0]["author"] for message in discord_webhook.messages)
    assert full == {"name": "Ann", "url": "https://flows.test/r", "icon_url": "https://flows.test/a.png"}
    assert plain == {"name": "Ann"}


async def test_discord_execution_with_a_picture(make_context, discord_webhook):
    context = make_context({"public_url": "https://flows.test"})
    uri = await context.files.put(PIXEL, "image-1.png")
    context.variables = {**context.variables, "outputs": {"image": uri}}
    content = (
        "Are you happy with the image: {{ outputs.image }}. Approve it here: "
        "http://localhost:8082/ui/executions/{{flow.namespace}}/{{flow.id}}/{{execution.id}} "
    )
    await context.run(
        type="io.kestra.plugin.notifications.discord.DiscordExecution", url=discord_webhook.url, content=content
    )
    (message,) = discord_webhook.messages
    link = "https://flows.test/ui/executions/company.ai/a_flow/01EXECUTION"
    assert message["content"] == f"Are you happy with the image: image-1.png. Approve it here: {link} "
    assert discord_webhook.files == [{"image-1.png": PIXEL}]
    assert message["attachments"] == [{"id": 0, "filename": "image-1.png"}]
    assert "Final task ID: the_task" in message["embeds"][0]["description"]
    assert message["embeds"][0]["footer"] == {"text": "Running for 00:00:05.123"}


async def test_only_pictures_are_attached(context, discord_webhook):
    uri = await context.files.put(b"secret", "data.csv")
    payload = f'{{"content": "{uri} and kestra:///9/missing.png"}}'
    await context.run(type=f"{DISCORD}.DiscordIncomingWebhook", url=discord_webhook.url, payload=payload)
    assert discord_webhook.messages[0]["content"] == f"{uri} and kestra:///9/missing.png"
    assert discord_webhook.files == [{}]
    assert context.said("missing.png is not attached", "WARN")


async def test_long_texts_are_split_and_cut(context, discord_webhook):
    text = "word " * 1000
    await context.run(type=f"{DISCORD}.DiscordExecution", url=discord_webhook.url, content=text)
    contents = [message["content"] for message in discord_webhook.messages]
    assert "".join(contents).replace(" ", "") == text.replace(" ", "")
    assert "embeds" in discord_webhook.messages[-1]
    discord_webhook.messages.clear()
    await context.run(type=f"{DISCORD}.DiscordExecution", url=discord_webhook.url, content="x" * 20_000)
    assert len(discord_webhook.messages) == 5
    assert discord_webhook.messages[-1]["content"].endswith("(cut)")


async def test_discord_is_waited_for_and_its_refusal_told(context, discord_webhook):
    discord_webhook.waits.append(0.01)
    await context.run(type=f"{DISCORD}.DiscordIncomingWebhook", url=discord_webhook.url, payload='{"content": "hi"}')
    assert len(discord_webhook.messages) == 1
    with pytest.raises(TaskFailed, match="Unknown Webhook"):
        await context.run(
            type=f"{DISCORD}.DiscordIncomingWebhook", url=discord_webhook.url + "x", payload='{"content": "hi"}'
        )
    with pytest.raises(TaskFailed, match="JSON but not a map"):
        await context.run(type=f"{DISCORD}.DiscordIncomingWebhook", url=discord_webhook.url, payload="[1]")
    discord_webhook.waits.append(9999)
    with pytest.raises(TaskFailed, match="asks to wait 9999 s"):
        await context.run(
            type=f"{DISCORD}.DiscordIncomingWebhook", url=discord_webhook.url, payload='{"content": "hi"}'
        )


def test_the_summary_goes_over_the_first_box():
    about = facts(
        {
            "duration": "00:00:01.000",
            "execution": {"id": "e", "namespace": "n", "flowId": "f", "state": {"current": "SUCCESS"}},
        }
    )
    body = discord_body(about, None, [{"title": "Mine", "description": "lost"}, {"title": "Other"}])
    assert [embed["title"] for embed in body["embeds"]] == ["Mine", "Other"]
    assert body["embeds"][0]["footer"] == {"text": "Succeeded after 00:00:01.000"}
    assert "content" not in body


async def test_a_placeholder_posts_where_the_run_was_started(make_context):
    context = make_context()
    url = "https://discord.com/api/webhooks/URL"
    with pytest.raises(TaskFailed, match=r"never filled in.*webhooks"):
        await context.run(type=f"{DISCORD}.DiscordExecution", url=url, content="hi")
    context.chat = TestChat(("discord", "123"))
    await context.run(type=f"{DISCORD}.DiscordExecution", url=url, content="hi")
    (post,) = context.chat.posts
    assert (post.platform, post.channel, post.text) == ("discord", "123", "hi")
    assert post.body
    assert post.body["embeds"]
    assert context.said("placeholder")
    context.chat = TestChat(("slack", "C1"))
    await context.run(type=f"{DISCORD}.DiscordExecution", url=url, content="hi")
    assert (context.chat.posts[0].platform, context.chat.posts[0].body) == ("slack", None)


async def test_webhooks_can_be_channels_of_the_bot(make_context):
    url = "https://hooks.slack.com/services/T/B/real"
    context = make_context({"webhooks": {url: "slack:#releases"}})
    with pytest.raises(TaskFailed, match="no bot connection to post to slack:#releases"):
        await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=url, messageText="hi")
    context.chat = TestChat()
    await context.run(type=f"{SLACK}.SlackIncomingWebhook", url=url, messageText="hi")
    assert (context.chat.posts[0].platform, context.chat.posts[0].channel) == ("slack", "#releases")
    assert context.chat.posts[0].nonce.startswith(context.task_run_id)


@pytest.mark.parametrize(
    ("url", "placeholder"),
    [
        ("https://discord.com/api/webhooks/URL", True),
        ("https://discord.com/api/webhooks/", True),
        ("https://hooks.slack.com/services/xxx", True),
        ("", True),
        ("https://discord.com/api/webhooks/123/abc", False),
        ("https://hooks.slack.com/services/T1/B2/abc", False),
        ("https://example.com/URL", False),
    ],
)
def test_placeholders(url, placeholder):
    assert aliases.is_placeholder(url) is placeholder


def test_alias_tables():
    assert aliases.rewrite("https://a.test/x/y", {"https://a.test/": "b:", "https://a.test/x/": "c:"}) == "c:y"
    assert aliases.model("gemini-2.5-flash-preview-05-20", {}) == "gemini-2.5-flash"
    assert aliases.model("m", {"m": "n"}) == "n"
    assert aliases.image("bitnami/git:latest", {"bitnami/git": "mine:1"}) == "mine:1"
    assert aliases.fallback_image("bitnami/git:latest") == "alpine/git:latest"
    assert aliases.fallback_image("host:5000/x") is None
    assert (
        aliases.public_links("http://localhost:8082/ui http://localhost:80821", "https://p/")
        == "https://p/ui http://localhost:80821"
    )


@pytest.mark.parametrize(
    ("text", "count"), [("", 1), ("abc", 1), ("a b c d e f", 2), ("x" * 25, 3), ("line\nline two", 2)]
)
def test_chunks_lose_nothing_but_blanks(text, count):
    pieces = chunks(text, 10)
    assert len(pieces) == count
    assert all(len(piece) <= 10 for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_markdown_becomes_slack_s():
    assert mrkdwn("**a** and **b**") == "*a* and *b*"


async def test_without_a_token_the_bot_posts(context):
    with pytest.raises(TaskFailed, match="needs a `token`"):
        await context.run(type=f"{APP}.chats.Post", channel="C1", messageText="hi")
    context.chat = TestChat()
    await context.run(type=f"{APP}.chats.Post", channel="C1", messageText="hi", timestamp="1.2")
    (post,) = context.chat.posts
    assert (post.thread, post.text) == ("1.2", "hi")


async def test_our_own_posts(make_context):
    context = make_context(inputs={"v": "1.0"})
    for name in ("slack", "discord"):
        with pytest.raises(TaskFailed, match="connect"):
            await context.run(
                type=f"parley.{name}.Post", channel="C1", **{"text" if name == "slack" else "content": "x"}
            )
    context.chat = TestChat()
    chart = await context.files.put(PIXEL, "chart.png")
    found = await context.run(type="parley.slack.Post", channel="#rel", text="**{{ inputs.v }}**", files=[chart])
    assert (found.timestamp, context.chat.posts[-1].text, list(context.chat.posts[-1].files)) == (
        "message-1",
        "*1.0*",
        [chart],
    )
    found = await context.run(type="parley.discord.Post", channel="9", content="x" * 3000, files=[chart])
    assert found.messageId == "message-3"
    assert len({post.nonce for post in context.chat.posts[1:]}) == 2
    with pytest.raises(TaskFailed, match="nothing to post"):
        await context.run(type="parley.slack.Post", channel="#rel")
