"""Mail, Teams, Google Chat and Telegram."""

import pytest
import yaml

from engine.errors import TaskFailed
from engine.tasks.discord import execution_body
from engine.tasks.execution_facts import facts
from engine.tasks.webhook_task import summary_text
from tests.core.language import problems
from tests.wire.certificates import self_signed
from tests.wire.loopback import Answered, serving
from tests.wire.openai import PIXEL
from tests.wire.smtp import mail_server

__all__ = ["mail_server"]
MAIL = "io.kestra.plugin.email"


@pytest.fixture
def mail(context, mail_server):
    async def send(kind: str = "MailSend", **given):
        server = {"host": "127.0.0.1", "port": mail_server.port, "transportStrategy": "SMTP"}
        people = {"from": "Flows <flows@example.com>", "to": "ann@example.com, bob@example.com"}
        return await context.run(**{"type": f"{MAIL}.{kind}", **server, **people, **given})

    return send


async def test_mail_with_everything(mail, context, mail_server):
    table, picture = await context.files.put(b"a,b\n", "t.csv"), await context.files.put(PIXEL, "p.png")
    await mail(
        subject="Report\r\nBcc: evil@example.com",
        cc="carl@example.com",
        htmlTextContent='<p>Hi <img src="cid:p.png"></p>',
        plainTextContent="Hi",
        attachments=[{"name": "t.csv", "uri": table, "contentType": "text/csv"}],
        embeddedImages=[{"name": "p.png", "uri": picture}],
        username="ann",
        password="right",
    )
    (message,) = mail_server.messages
    assert mail_server.recipients == [["ann@example.com", "bob@example.com", "carl@example.com"]]
    assert (message["Subject"], message["Bcc"]) == ("Report Bcc: evil@example.com", None)
    assert message.get_body(("plain",)).get_content().strip() == "Hi"
    assert "cid:p.png" in message.get_body(("html",)).get_content()
    assert [part.get_filename() for part in message.iter_attachments()] == ["t.csv"]
    kinds = {part.get_content_type() for part in message.walk()}
    assert {"text/csv", "image/png", "text/html", "text/plain"} <= kinds
    assert "right" in context.masked


@pytest.mark.parametrize("missing", ["host", "from", "to"])
async def test_a_mail_without_what_it_needs_fails_when_it_is_sent_and_validation_tells(mail, mail_server, missing):
    with pytest.raises(TaskFailed, match=f"`{missing}` is missing"):
        await mail(**{missing: ""})
    assert mail_server.messages == []
    given = {"host": "mail.test", "from": "a@b.test", "to": "c@d.test"}
    task = {"id": "m", "type": f"{MAIL}.MailSend", **{name: one for name, one in given.items() if name != missing}}
    (found,) = problems(yaml.safe_dump({"tasks": [task]}))
    assert (found.severity, found.path, found.message) == ("warning", f"tasks[0].{missing}", f"`{missing}` is missing.")


async def test_several_people(mail, mail_server):
    to = '"Lee; Ann" <ann@example.com>; bob@example.com, carl@example.com;'
    await mail(to=to)
    assert mail_server.recipients == [["ann@example.com", "bob@example.com", "carl@example.com"]]
    assert mail_server.messages[0]["To"].startswith('"Lee; Ann" <ann@example.com>')


async def test_mail_about_an_execution(mail, mail_server):
    await mail("MailExecution", customMessage="Look <here>")
    (message,) = mail_server.messages
    assert message["Subject"] == "[company.ai] a_flow ➛ RUNNING"
    assert "Look &lt;here&gt;" in message.get_body(("html",)).get_content()
    assert "Execution ID: 01EXECUTION" in message.get_body(("html",)).get_content()
    await mail("MailExecution", htmlTextContent="<b>Mine</b>")
    assert "<b>Mine</b>" in mail_server.messages[-1].get_body(("html",)).get_content()
    assert "RUNNING" in mail_server.messages[-1].get_body(("plain",)).get_content()


async def test_a_picture_for_a_page_that_is_not_there_is_attached(mail, context, mail_server):
    picture = await context.files.put(PIXEL, "p.png")
    await mail(plainTextContent="Hi", embeddedImages=[{"name": "p.png", "uri": picture}])
    (attached,) = mail_server.messages[0].iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("p.png", PIXEL)


async def test_what_a_mail_server_refuses(mail):
    with pytest.raises(TaskFailed, match=r"535: Wrong password.*Check `username`"):
        await mail(username="ann", password="wrong")
    with pytest.raises(TaskFailed, match=r"takes no mail for nobody@example\.com\. Check the addresses"):
        await mail(to="nobody@example.com")
    with pytest.raises(TaskFailed, match="is not a mail address"):
        await mail(to="somebody")
    with pytest.raises(TaskFailed, match="could not be sent"):
        await mail(port=1)


async def test_whose_certificate_is_taken(mail, mail_server, tmp_path):
    plain = mail_server.server.socket
    mail_server.server.socket = self_signed(tmp_path).wrap_socket(
        plain, server_side=True, do_handshake_on_connect=False
    )
    by_tls = {"transportStrategy": "SMTPS", "plainTextContent": "Hi"}
    with pytest.raises(TaskFailed, match="certificate verify failed"):
        await mail(**by_tls)
    with pytest.raises(TaskFailed, match="certificate verify failed"):
        await mail(trustedHosts=["mail.test"], verifyServerIdentity=False, **by_tls)
    await mail(trustedHosts=["127.0.0.1"], **by_tls)
    await mail(verifyServerIdentity=False, **by_tls)
    assert len(mail_server.messages) == 2


async def test_who_signs_in_by_a_token(mail, mail_server, tmp_path):
    mail_server.tls = self_signed(tmp_path)
    who = {"transportStrategy": "SMTP_OAUTH2", "username": "ann", "verifyServerIdentity": False}
    await mail(**who, password="other", accessToken="right")
    await mail(**who, password="right")
    assert len(mail_server.messages) == 2
    with pytest.raises(TaskFailed, match="answered 535: Token refused"):
        await mail(**who, accessToken="wrong")
    with pytest.raises(TaskFailed, match="needs a `username` and an `accessToken`"):
        await mail(transportStrategy="SMTP_OAUTH2", username="ann")
    with pytest.raises(TaskFailed, match="certificate verify failed"):
        await mail(**{**who, "verifyServerIdentity": True}, accessToken="right")
    assert len(mail_server.messages) == 2


def test_what_a_flow_adds_to_a_summary_is_text_or_json():
    fields = {"Customer": "ACME", "Fresh": True, "Names": ["a"], "Owner": None}
    about = facts({"execution": {"id": "e", "namespace": "n", "flowId": "f", "state": {"current": "SUCCESS"}}})
    boxed = execution_body(about, None, [], None, fields)["embeds"][0]["description"]
    for text in (summary_text(about, None, fields), boxed):
        assert 'Customer: ACME\nFresh: true\nNames: ["a"]' in text
        assert "Owner" not in text


async def test_webhooks_of_teams_and_google_chat(make_context):
    context = make_context({"public_url": "https://flows.test"}, inputs={"x": 'a "quote"'})
    with serving(lambda request: Answered("1")) as service:
        teams, chat = "io.kestra.plugin.microsoft365.teams", "io.kestra.plugin.googleworkspace.chat"
        await context.run(type=f"{teams}.TeamsIncomingWebhook", url=service.url, payload='{"text": "{{ inputs.x }}"}')
        fields = {"Customer": "ACME", "Fresh": True, "Names": ["a"], "Owner": None}
        await context.run(type=f"{teams}.TeamsExecution", url=service.url, customFields=fields)
        await context.run(type="io.kestra.plugin.notifications.google.GoogleChatExecution", url=service.url)
        await context.run(type=f"{chat}.GoogleChatExecution", url=service.url, text="{{ inputs.x }}")
        await context.run(type=f"{chat}.GoogleChatIncomingWebhook", url=service.url, payload='{"text": "hi"}')
        first, card, summary, own, last = [request.json for request in service.requests]
    assert (first, own, last) == ({"text": 'a "quote"'}, {"text": 'a "quote"'}, {"text": "hi"})
    told = {fact["name"]: fact["value"] for fact in card["sections"][0]["facts"]}
    assert (told["Customer"], told["Fresh"], told["Names"]) == ("ACME", "true", '["a"]')
    assert "Owner" not in told
    assert card["potentialAction"][0]["targets"][0]["uri"].startswith("https://flows.test/ui/executions/")
    assert summary["text"].startswith("[company.ai] a_flow ➛ RUNNING\nRunning for")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("slack.notifications.SlackExecution", {}),
        ("microsoft365.teams.TeamsExecution", {}),
        ("telegram.TelegramExecution", {"token": "t0ken", "channel": "@x"}),
    ],
)
async def test_a_summary_takes_the_place_of_a_payload(make_context, kind, given):
    with serving(lambda request: Answered({"ok": True})) as service:
        context = make_context({"providers": {"telegram": {"base_url": service.url}}})
        url = {} if "token" in given else {"url": service.url}
        await context.run(type=f"io.kestra.plugin.{kind}", payload="no JSON of {{ inputs.nobody }}", **url, **given)
        said = str(service.last.json)
    assert "no JSON" not in said
    assert "a_flow" in said


async def test_a_payload_takes_the_place_of_a_summary_in_discord(make_context):
    context = make_context(inputs={"x": 'a "quote"'})
    task = {"type": "io.kestra.plugin.discord.DiscordExecution", "username": "flows"}
    with serving(lambda request: Answered(None, 204)) as service:
        await context.run(**task, url=service.url, payload='{"content": "{{ inputs.x }}"}')
        assert service.last.json == {"content": 'a "quote"'}
        await context.run(**task, url=service.url, payload="{{ inputs.y ?? '' }}")
        assert (service.last.json["username"], len(service.last.json["embeds"])) == ("flows", 1)


async def test_telegram(make_context):
    with serving(lambda request: Answered({"ok": True})) as service:
        context = make_context({"providers": {"telegram": {"base_url": service.url}}})
        given = {"token": "t0ken", "channel": "@x"}
        await context.run(type="io.kestra.plugin.telegram.TelegramSend", payload="hi", parseMode="HTML", **given)
        await context.run(type="io.kestra.plugin.telegram.TelegramExecution", customMessage="Look", **given)
        first, second = service.requests
    assert first.path == "/bott0ken/sendMessage"
    assert first.json == {"chat_id": "@x", "text": "hi", "parse_mode": "HTML"}
    assert second.json["text"].startswith("Look\n[company.ai]")
