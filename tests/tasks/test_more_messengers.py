"""Twilio, SendGrid, WhatsApp, Messenger, X and Bluesky."""

import base64
import hashlib
import hmac
import re
from datetime import datetime
from urllib.parse import parse_qs, quote, unquote

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin"
BASIC = "Basic " + base64.b64encode(b"AC1:token").decode()


@pytest.fixture
def service():
    """Answers as each of them does: those who do not say who they are get a 401."""

    def answer(request):
        if not request.headers.get("authorization"):
            return Answered({"message": "Authenticate"}, 401)
        if request.path.endswith("/mail/send"):
            return Answered(None, 202, {"X-Message-Id": "m1"})
        if request.path.endswith("/Messages.json"):
            return Answered({"sid": "SM1", "status": "queued"}, 201)
        return Answered({"ok": True}, 201)

    with serving(answer) as running:
        yield running


@pytest.fixture
def twilio(make_context, service):
    context = make_context({"providers": {"twilio": {"base_url": service.url}}})

    async def run(kind, **given):
        return await context.run(type=f"{PLUGIN}.{kind}", accountSID="AC1", authToken="token", **given)

    run.context = context
    return run


@pytest.mark.parametrize("family", ["twilio.notify", "notifications.twilio", "twilio"])
async def test_twilio_takes_a_form(twilio, service, family):
    payload = '{"identity": "1", "body": "hi", "toBinding": {"binding_type": "sms"}, "tag": ["a", "b"]}'
    await twilio(f"{family}.TwilioAlert", url=f"{service.url}/Notifications", payload=payload)
    assert service.last.headers["authorization"] == BASIC
    assert "form-urlencoded" in service.last.headers["content-type"]
    sent = service.last.form
    assert (sent["Identity"], sent["Body"], sent["ToBinding"]) == ("1", "hi", '{"binding_type": "sms"}')
    assert service.last.body.count(b"Tag=") == 2
    assert "token" in twilio.context.masked


async def test_twilio_tells_of_an_execution(twilio, service):
    twilio.context.state = "FAILED"
    where = {"url": f"{service.url}/Notifications", "identity": "1"}
    await twilio("twilio.notify.TwilioExecution", customFields={"Customer": "ACME"}, **where)
    assert service.last.form["Identity"] == "1"
    assert "a_flow ➛ FAILED" in service.last.form["Body"]
    assert "Customer: ACME" in service.last.form["Body"]
    await twilio("twilio.notify.TwilioExecution", body="short", tag="all", **where)
    assert service.last.form == {"Body": "short", "Identity": "1", "Tag": "all"}


async def test_a_message_with_pictures(twilio, service):
    kind, urls = "twilio.notify.mms.Send", ["https://a.test/1.png", "https://a.test/2.png"]
    sent = await twilio(kind, from_="+1555", to="+1666", body="look", mediaUrls=urls)
    assert (sent.sid, sent.status) == ("SM1", "queued")
    assert parse_qs(service.last.body.decode())["MediaUrl"] == urls
    for few_or_many, said in (([], "no picture"), (urls * 6, "12 of `mediaUrls`; Twilio takes 10")):
        with pytest.raises(TaskFailed, match=said):
            await twilio(kind, from_="+1555", to="+1666", body="look", mediaUrls=few_or_many)


async def test_a_rich_message(twilio, service):
    kind, who = "twilio.notify.rcs.SendMessage", {"messagingServiceSid": "MG1", "to": "+1666"}
    sent = await twilio(kind, **who, contentSid="HX1")
    assert (sent.sid, service.last.form) == ("SM1", {"To": "+1666", "MessagingServiceSid": "MG1", "ContentSid": "HX1"})
    await twilio(kind, **who, body="down")
    assert service.last.form["Body"] == "down"
    with pytest.raises(TaskFailed, match="Give `body` or `contentSid`"):
        await twilio(kind, **who)


async def test_a_text_message(twilio, service):
    sent = await twilio("twilio.notify.sms.Send", from_="+1555", to="+1666", body="down")
    assert (sent.sid, sent.status) == ("SM1", "queued")
    assert service.last.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert service.last.form == {"To": "+1666", "Body": "down", "From": "+1555"}
    await twilio("twilio.notify.sms.Send", messagingServiceSid="MG1", to="+1666", body="down")
    assert service.last.form["MessagingServiceSid"] == "MG1"
    with pytest.raises(TaskFailed, match="either `from` or `messagingServiceSid`"):
        await twilio("twilio.notify.sms.Send", to="+1666", body="down")


async def test_sendgrid(make_context, service):
    context = make_context({"providers": {"sendgrid": {"base_url": f"{service.url}/v3"}}})
    uri = await context.files.put(b"a,b", "report.csv")
    given = {"sendgridApiKey": "SG.key", "from_": "flows@example.com", "to": ["a@example.com", "b@example.com"]}
    files = [{"name": "report.csv", "uri": uri, "contentType": "text/csv"}]
    done = await context.run(
        type=f"{PLUGIN}.notifications.sendgrid.SendGridMailSend",
        subject="Hi",
        htmlTextContent="<p>Hi</p>",
        cc=["c@example.com"],
        attachments=files,
        embeddedImages=files,
        **given,
    )
    assert (done.statusCode, done.headers["x-message-id"]) == (202, "m1")
    sent = service.last.json
    assert service.last.headers["authorization"] == "Bearer SG.key"
    (person,) = sent["personalizations"]
    assert ([one["email"] for one in person["to"]], person["cc"]) == (given["to"], [{"email": "c@example.com"}])
    assert [part["type"] for part in sent["content"]] == ["text/plain", "text/html"]
    assert [(one["disposition"], base64.b64decode(one["content"])) for one in sent["attachments"]] == [
        ("attachment", b"a,b"),
        ("inline", b"a,b"),
    ]
    context.state = "FAILED"
    kind = f"{PLUGIN}.twilio.sendgrid.SendGridMailExecution"
    await context.run(type=kind, customMessage="Look <here>", **given)
    sent = service.last.json
    assert sent["personalizations"][0]["subject"] == "[company.ai] a_flow ➛ FAILED"
    assert "Look &lt;here&gt;" in sent["content"][1]["value"]
    assert "SG.key" in context.masked


@pytest.mark.parametrize("family", ["meta.whatsapp", "notifications.whatsapp", "whatsapp"])
async def test_whatsapp(make_context, family):
    with serving(lambda request: Answered({"ok": True})) as hook:
        context = make_context()
        await context.run(type=f"{PLUGIN}.{family}.WhatsAppIncomingWebhook", url=hook.url, payload='{"from": 380}')
        assert hook.last.json == {"from": 380}
        await context.run(
            type=f"{PLUGIN}.{family}.WhatsAppExecution",
            url=hook.url,
            profileName="Flows",
            whatsAppIds=["1", "2"],
            from_="380",
            messageId="m1",
            recipientId="r1",
            customMessage="Look",
        )
        sent = hook.last.json
        assert [one["wa_id"] for one in sent["contacts"]] == ["1", "2"]
        (message,) = sent["messages"]
        assert (message["from"], message["id"], message["type"], sent["recipient_id"]) == ("380", "m1", "text", "r1")
        assert message["text"]["body"].startswith("Look\n[company.ai] a_flow")


async def test_messenger(context, service):
    given = {"pageId": "1", "accessToken": "page-token", "recipientIds": ["u1", "u2"], "url": service.url}
    await context.run(type=f"{PLUGIN}.notifications.messenger.MessengerExecution", textBody="x" * 2500, **given)
    sent = [request.json for request in service.requests]
    assert [one["recipient"]["id"] for one in sent] == ["u1", "u1", "u2", "u2"]
    assert [len(one["message"]["text"]) for one in sent] == [2000, 500, 2000, 500]
    assert sent[0]["messaging_type"] == "UPDATE"
    assert service.last.headers["authorization"] == "Bearer page-token"
    await context.run(type=f"{PLUGIN}.meta.messenger.MessengerExecution", messagingType="RESPONSE", **given)
    assert "a_flow" in service.last.json["message"]["text"]
    with pytest.raises(TaskFailed, match="at least one person"):
        await context.run(type=f"{PLUGIN}.meta.messenger.MessengerExecution", **{**given, "recipientIds": []})
    with pytest.raises(TaskFailed, match="for a step of its path"):
        await context.run(
            type=f"{PLUGIN}.meta.messenger.MessengerExecution",
            **{**given, "url": None, "pageId": "..", "textBody": "x"},
        )


OAUTH = {"consumerKey": "ck", "consumerSecret": "c&s", "accessToken": "at", "accessSecret": "a s"}


@pytest.mark.parametrize("family", ["x", "notifications.x"])
async def test_x_knows_who_posts(context, service, family):
    url = f"{service.url}/2/tweets"
    await context.run(type=f"{PLUGIN}.{family}.XExecution", url=url, bearerToken="b", textBody="hi")
    assert (service.last.json, service.last.headers["authorization"]) == ({"text": "hi"}, "Bearer b")
    await context.run(type=f"{PLUGIN}.{family}.XExecution", url=url, **OAUTH)
    assert len(service.last.json["text"]) <= 280
    told = dict(re.findall(r'(\w+)="([^"]*)"', service.last.headers["authorization"]))
    signature = unquote(told.pop("oauth_signature"))
    pairs = "&".join(f"{name}={value}" for name, value in sorted(told.items()))
    text = f"POST&{quote(url, safe='')}&{quote(pairs, safe='')}"
    good = base64.b64encode(hmac.new(b"c%26s&a%20s", text.encode(), hashlib.sha1).digest()).decode()
    assert signature == good


async def test_x_takes_280_characters(context, service):
    kind = f"{PLUGIN}.x.XExecution"
    await context.run(type=kind, url=service.url, bearerToken="b", textBody="x" * 280)
    with pytest.raises(TaskFailed, match="281 characters"):
        await context.run(type=kind, url=service.url, bearerToken="b", textBody="x" * 281)
    with pytest.raises(TaskFailed, match="Give `bearerToken`"):
        await context.run(type=kind, url=service.url, textBody="x")


async def test_bluesky(context):
    def server(request):
        if request.path == "/xrpc/com.atproto.server.createSession":
            if request.json != {"identifier": "me.test", "password": "app-pass"}:
                return Answered({"error": "AuthenticationRequired", "message": "Invalid identifier or password"}, 401)
            return Answered({"did": "did:plc:1", "handle": "me.test", "accessJwt": "jwt", "refreshJwt": "r"})
        assert request.path == "/xrpc/com.atproto.repo.createRecord"
        assert request.headers["authorization"] == "Bearer jwt"
        return Answered({"uri": "at://did:plc:1/app.bsky.feed.post/3k", "cid": "c"})

    kind = {"type": f"{PLUGIN}.bluesky.BlueskyExecution", "identifier": "me.test"}
    with serving(server) as wire:
        task = {**kind, "appPassword": "app-pass", "baseUrl": f"{wire.url}/"}
        await context.run(**task, customMessage="Look", options={"headers": {"X-Datacenter": "eu"}})
        assert [request.headers["x-datacenter"] for request in wire.requests] == ["eu", "eu"]
        sent = wire.last.json
        assert (sent["repo"], sent["collection"]) == ("did:plc:1", "app.bsky.feed.post")
        assert sent["record"]["$type"] == "app.bsky.feed.post"
        assert sent["record"]["text"].startswith("Look\n")
        assert datetime.fromisoformat(sent["record"]["createdAt"]).tzinfo is not None
        assert {"app-pass", "jwt"} <= set(context.masked)
        await context.run(**task, customMessage="long " * 100)
        assert len(wire.last.json["record"]["text"]) <= 300
        await context.run(**task, textBody="x" * 300)
        assert wire.last.json["record"]["text"] == "x" * 300
        with pytest.raises(TaskFailed, match="301 characters"):
            await context.run(**task, textBody="x" * 301)
        with pytest.raises(TaskFailed, match=r"Bluesky answered 401: .*Invalid identifier"):
            await context.run(**{**task, "appPassword": "no"})
    with serving(lambda request: Answered({})) as other, pytest.raises(TaskFailed, match="opened no session"):
        await context.run(**kind, appPassword="app-pass", baseUrl=other.url)


async def test_zoom(make_context):
    told = {"id": "m1"}

    def service(request):
        if request.path == "/oauth/token":
            assert request.form == {"grant_type": "account_credentials", "account_id": "a"}
            if request.headers["authorization"] != "Basic YzpzM2NyZXQ=":
                return Answered({"reason": "Invalid client_id or client_secret", "error": "invalid_client"}, 400)
            return Answered({"access_token": "t0ken"})
        assert request.headers["authorization"] == "Bearer t0ken"
        return Answered(told, 201)

    with serving(service) as wire:
        context = make_context({"providers": {"zoom_oauth": {"base_url": wire.url}}})
        send = {
            "type": "io.kestra.plugin.zoom.SendMessage",
            "accountId": "a",
            "clientId": "c",
            "clientSecret": "s3cret",
        }
        send |= {"baseUrl": f"{wire.url}/v2/", "userId": "me@x.test", "message": "Hello"}
        assert (await context.run(**send, channel="ch")).messageId == "m1"
        told, kept = ["m1"], told  # no object at all
        assert (await context.run(**send, channel="ch")).messageId is None
        told = kept
        assert (wire.last.path, wire.last.json) == (
            "/v2/chat/users/me@x.test/messages",
            {"message": "Hello", "to_channel": "ch"},
        )
        told.clear()
        assert (await context.run(**send, toContact="ann@x.test")).messageId is None
        assert wire.last.json == {"message": "Hello", "to_contact": "ann@x.test"}
        assert context.said("did not say its id", "WARN")
        for given, why in (
            ({}, "Either `channel` or `toContact`"),
            ({"channel": "c", "toContact": "x"}, "Either `channel` or `toContact`"),
            ({"channel": "c", "clientSecret": "hush"}, "Zoom answered 400: invalid_client"),
        ):
            with pytest.raises(TaskFailed, match=why):
                await context.run(**{**send, **given})
        assert {"s3cret", "hush", "t0ken"} <= context.masked
