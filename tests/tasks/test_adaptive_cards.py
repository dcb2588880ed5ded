"""Adaptive Cards in Teams, as Microsoft Graph takes them."""

import json

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

CARDS = "io.kestra.plugin.microsoft365.teams.adaptivecards"
CARD = json.dumps({"type": "AdaptiveCard", "version": "1.4", "body": []})
WHO = {"tenantId": "t", "clientId": "c", "username": "ann@example.com", "password": "s3cret"}
CHANNEL = {"teamId": "team", "channelId": "19:x@thread.tacv2"}


@pytest.fixture
def microsoft(make_context):
    def handle(request):
        if request.path == "/t/oauth2/v2.0/token":
            return Answered({"access_token": f"by-{request.form['grant_type']}", "expires_in": 3600})
        if request.headers["authorization"] != "Bearer by-password":
            return Answered({"error": {"message": "Delegated only"}}, 403)
        if request.path == "/v1.0/chats":
            named = [one["user@odata.bind"].partition("/users")[2] for one in request.json["members"]]
            if request.json["chatType"] != "oneOnOne" or len(named) != 2 or "('ann@example.com')" not in named:
                return Answered({"error": {"message": "The caller must be one of two members"}}, 400)
            return Answered({"id": "19:chat"}, 201)
        if request.path not in ("/v1.0/teams/team/channels/19:x@thread.tacv2/messages", "/v1.0/chats/19:chat/messages"):
            return Answered({"error": {"message": "Not found"}}, 404)
        return Answered({"id": "m1", "createdDateTime": "2026-01-02T03:04:05Z"}, 201)

    with serving(handle) as wire:
        at = {"base_url": wire.url}
        context = make_context({"providers": {"entra": at, "microsoft_graph": at}})
        context.wire = wire
        yield context


async def test_a_card_in_a_channel(microsoft):
    made = await microsoft.run(type=f"{CARDS}.Send", **WHO, **CHANNEL, card=CARD)
    assert (made.messageId, made.createdDateTime) == ("m1", "2026-01-02T03:04:05Z")
    sent = microsoft.wire.last.json
    (attached,) = sent["attachments"]
    assert (attached["content"], attached["contentType"]) == (CARD, "application/vnd.microsoft.card.adaptive")
    assert f'id="{attached["id"]}"' in sent["body"]["content"]
    assert {"s3cret", "by-password"} <= microsoft.masked


async def test_a_card_for_somebody(microsoft):
    made = await microsoft.run(type=f"{CARDS}.SendToUser", **WHO, userEmail="bob@example.com", card=CARD)
    assert (made.chatId, made.messageId) == ("19:chat", "m1")
    assert microsoft.wire.last.json["attachments"][0]["content"] == CARD
    await microsoft.run(type=f"{CARDS}.SendToUser", **WHO, userId="o'neill", card=CARD)
    people = [one["user@odata.bind"] for one in microsoft.wire.requests[-2].json["members"]]
    assert people[1] == "https://graph.microsoft.com/v1.0/users('o''neill')"
    with pytest.raises(TaskFailed, match="whom the card is for"):
        await microsoft.run(type=f"{CARDS}.SendToUser", **WHO, card=CARD)


async def test_an_application_is_refused_and_bad_cards_are_told(microsoft):
    app = {"tenantId": "t", "clientId": "c", "clientSecret": "x"}
    with pytest.raises(TaskFailed, match="Microsoft Graph answered 403: Delegated only"):
        await microsoft.run(type=f"{CARDS}.Send", **app, **CHANNEL, card=CARD)
    with pytest.raises(TaskFailed, match="`card` is no JSON"):
        await microsoft.run(type=f"{CARDS}.Send", **WHO, **CHANNEL, card="{")
