"""Cards on the boards of Trello."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.loopback import Answered, serving

KIND = "io.kestra.plugin.trello.cards"
WHO = {"apiKey": "k3y", "apiToken": "t0ken"}


class Trello:
    """Cards by id, one list `L1` of the board `B1`."""

    def __init__(self):
        self.cards = {}

    def __call__(self, request):
        if request.headers["authorization"] != 'OAuth oauth_consumer_key="k3y", oauth_token="t0ken"':
            return Answered("invalid key", 401)
        match request.method, *request.path.strip("/").split("/"):
            case "POST", "1", "cards":
                return self.kept(f"{0x6A000000 + len(self.cards):08x}feedfeedfeedfeed", request.json)
            case "PUT", "1", "cards", str(one) if one in self.cards:
                return self.kept(one, request.json)
            case "POST", "1", "cards", str(one), "actions", "comments" if one in self.cards:
                return Answered({"id": "c1", "data": {"text": request.json["text"]}})
            case "GET", "1", "lists" | "boards", "L1" | "B1", "cards":
                return Answered(list(self.cards.values()))
        return Answered("The requested resource was not found.", 404)

    def kept(self, one, given):
        self.cards[one] = {"id": one, "idBoard": "B1", **self.cards.get(one, {}), **given}
        return Answered(self.cards[one])

    def happens(self, made, moment, name):
        one = f"{int(made.timestamp()):08x}feedfeedfeedfeed"
        when = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.cards[one] = {"id": one, "name": name, "idList": "L1", "dateLastActivity": when, "shortUrl": f"u/{name}"}


async def test_a_card_s_life(context):
    service = Trello()
    with serving(service) as wire:

        async def run(kind, **given):
            return await context.run(**{"type": f"{KIND}.{kind}", **WHO, "apiBaseUrl": wire.url, **given})

        card = (await run("Create", listId="L1", name="Failed", desc="why", pos="top")).cardId
        assert {"name": "Failed", "idList": "L1", "desc": "why", "pos": "top"}.items() <= service.cards[card].items()
        await run("Update", cardId=card, desc="known", closed=False)
        assert (wire.last.json, service.cards[card]["name"]) == ({"desc": "known", "closed": False}, "Failed")
        await run("Move", cardId=card, listId="L2")
        assert service.cards[card]["idList"] == "L2"
        assert (await run("Comment", cardId=card, text="a & b")).commentId == "c1"
        assert wire.last.json == {"text": "a & b"}
        with pytest.raises(TaskFailed, match="Trello answered 404: The requested resource"):
            await run("Update", cardId="none/../x", name="x")
        with pytest.raises(TaskFailed, match=r"Trello answered 401: invalid key\. Check the credentials"):
            await run("Move", cardId=card, listId="L1", apiToken="wrong")
    assert {"k3y", "t0ken"} <= context.masked


async def test_what_is_new_on_cards_starts_an_execution_once(context):
    service, now = Trello(), datetime.now(UTC).replace(microsecond=500_000)
    with serving(service) as wire:
        declared = {
            "id": "t",
            "type": f"{KIND}.Trigger",
            **WHO,
            "apiBaseUrl": wire.url,
            "lists": ["L1"],
            "boardId": "B1",
        }
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})

        async def look():
            seen = await trigger.poll(context)
            context.memory = seen.memory
            return [(one["cardName"], one["action"]) for one in seen.found["cards"]] if seen.found else []

        service.happens(now - timedelta(days=9), now - timedelta(days=9), "old")
        service.happens(now - timedelta(days=8), now - timedelta(seconds=9), "changed")
        assert await look() == [("changed", "updated")]
        assert await look() == []
        service.happens(now, now, "new")
        assert await look() == [("new", "created")]
        service.happens(now - timedelta(days=7), now, "at the same moment")
        assert await look() == [("at the same moment", "updated")]
        assert await look() == []
        service.happens(now, now + timedelta(seconds=1), "new")
        assert len(await look()) == 1
        with pytest.raises(TaskFailed, match="Give `boardId` or `lists`"):
            await trigger.model_copy(update={"lists": None, "board_id": None}).poll(context)
