"""`io.kestra.plugin.trello.cards`: cards on the boards of Trello."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.core.dates import parse_datetime
from engine.core.durations import Duration
from engine.plugin import (
    Look,
    Outputs,
    Part,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    TaskFailed,
)
from engine.tasks import rest_service
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.trigger_fields import fields_of


class TrelloConnected(Part):
    """Who we are to Trello."""

    api_key: Property[Text]
    api_token: Property[Text]
    api_version: Property[Text] = "1"
    api_base_url: Property[Text] = "https://api.trello.com"

    async def trello(self, context: RunContext, method: str, *path: str, **body: Any) -> Any:
        """What Trello answers; TaskFailed when it refuses."""
        for secret in (self.api_key, self.api_token):
            context.mask(secret)
        who = f'OAuth oauth_consumer_key="{self.api_key}", oauth_token="{self.api_token}"'
        url = "/".join((self.api_base_url.rstrip("/"), self.api_version, *(quote(step, safe="") for step in path)))
        return await rest_service.document(context, "Trello", method, url, headers={"Authorization": who}, **body)


class CardFields(Part):
    """What a card is to be."""

    name: Property[OptionalText] = None
    desc: Property[OptionalText] = None
    pos: Property[OptionalText] = Field(default=None, description="top, bottom, or a number.")
    due: Property[OptionalText] = None

    def card(self, **more: Any) -> dict[str, Any]:
        """The card in Trello's words."""
        known = {"name": self.name, "desc": self.desc, "pos": self.pos, "due": self.due, **more}
        return {name: value for name, value in known.items() if value is not None}


class Made(Outputs):
    """The new card."""

    cardId: str  # noqa: N815 - appears as written


class Create(TrelloConnected, CardFields, RunnableTask):
    """Put a card on a list."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: card
type: io.kestra.plugin.trello.cards.Create
apiKey: "{{ secret('TRELLO_API_KEY') }}"
apiToken: "{{ secret('TRELLO_API_TOKEN') }}"
listId: 5abbe4b7ddc1b351ef961414
name: The nightly load failed
desc: "{{ flow.id }}: {{ execution.id }}"
""",
    )
    type: Literal["io.kestra.plugin.trello.cards.Create"]
    name: Property[Text]
    list_id: Property[Text]

    async def run(self, context: RunContext) -> Made:
        made = await self.trello(context, "POST", "cards", json=self.card(idList=self.list_id))
        return Made(cardId=str(rest_service.held(made, "Trello", "id")))


class Update(TrelloConnected, CardFields, RunnableTask):
    """Change a card; what is not given stays."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: done
type: io.kestra.plugin.trello.cards.Update
apiKey: "{{ secret('TRELLO_API_KEY') }}"
apiToken: "{{ secret('TRELLO_API_TOKEN') }}"
cardId: "{{ outputs.card.cardId }}"
closed: true
""",
    )
    type: Literal["io.kestra.plugin.trello.cards.Update"]
    card_id: Property[Text]
    closed: Property[bool | None] = Field(default=None, description="Whether it is archived.")

    async def run(self, context: RunContext) -> None:
        await self.trello(context, "PUT", "cards", self.card_id, json=self.card(closed=self.closed))


class Move(TrelloConnected, RunnableTask):
    """Move a card to another list."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: move
type: io.kestra.plugin.trello.cards.Move
apiKey: "{{ secret('TRELLO_API_KEY') }}"
apiToken: "{{ secret('TRELLO_API_TOKEN') }}"
cardId: "{{ outputs.card.cardId }}"
listId: 5abbe4b7ddc1b351ef961415
""",
    )
    type: Literal["io.kestra.plugin.trello.cards.Move"]
    card_id: Property[Text]
    list_id: Property[Text]
    pos: Property[OptionalText] = None

    async def run(self, context: RunContext) -> None:
        where = {"idList": self.list_id, **({"pos": self.pos} if self.pos else {})}
        await self.trello(context, "PUT", "cards", self.card_id, json=where)


class Said(Outputs):
    """The new comment."""

    commentId: str  # noqa: N815 - appears as written


class Comment(TrelloConnected, RunnableTask):
    """Comment on a card."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.trello.cards.Comment
apiKey: "{{ secret('TRELLO_API_KEY') }}"
apiToken: "{{ secret('TRELLO_API_TOKEN') }}"
cardId: "{{ outputs.card.cardId }}"
text: It was approved.
""",
    )
    type: Literal["io.kestra.plugin.trello.cards.Comment"]
    card_id: Property[Text]
    text: Property[Text]

    async def run(self, context: RunContext) -> Said:
        path = ("cards", self.card_id, "actions", "comments")
        made = await self.trello(context, "POST", *path, json={"text": self.text})
        return Said(commentId=str(rest_service.held(made, "Trello", "id")))


class WatchFields(TrelloConnected):
    """What is looked at."""

    lists: Property[TextList | None] = None
    board_id: Property[OptionalText] = None


class Trigger(WatchFields, PollingTrigger):
    """Start an execution when there is something new on cards of a board or of lists."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: requests
type: io.kestra.plugin.trello.cards.Trigger
apiKey: "{{ secret('TRELLO_API_KEY') }}"
apiToken: "{{ secret('TRELLO_API_TOKEN') }}"
lists:
  - 5abbe4b7ddc1b351ef961414
interval: PT5M
""",
    )
    type: Literal["io.kestra.plugin.trello.cards.Trigger"]
    interval: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1))

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, WatchFields, context)
        places = [("boards", fields.board_id)] if fields.board_id else []
        places += [("lists", one) for one in fields.lists or ()]
        if not places:
            raise TaskFailed("It is not said what to look at.", fix="Give `boardId` or `lists`.")
        there: dict[str, Mapping[str, Any]] = {}
        for kind, one in places:
            told = await fields.trello(context, "GET", kind, one, "cards")
            for card in rest_service.listed(told, "Trello", each=["id"]):
                there[str(card["id"])] = card
        first = (datetime.now(UTC) - self.interval).isoformat()
        return seen(there.values(), context.memory.get("moment", first), context.memory.get("ids", ()))


def seen(cards: Collection[Mapping[str, Any]], floor: str, known: Iterable[str]) -> Look:
    """The cards on which something happened after `floor`, or then if not `known`; and both for the next look."""
    since, before = parse_datetime(floor), frozenset(known)
    moments = {
        str(card["id"]): parse_datetime(card["dateLastActivity"]) for card in cards if card.get("dateLastActivity")
    }
    fresh = {one for one, moment in moments.items() if moment > since or (moment == since and one not in before)}
    last = max([since, *moments.values()])
    ids = {one for one, moment in moments.items() if moment == last} | (before if last == since else set())
    memory = {"moment": last.isoformat(), "ids": sorted(ids)}
    if not fresh:
        return Look(None, memory)
    told = [_told(card, since) for card in cards if str(card["id"]) in fresh]
    return Look({"cards": sorted(told, key=lambda one: str(one["lastActivity"])), "count": len(told)}, memory)


def _told(card: Mapping[str, Any], since: datetime) -> dict[str, Any]:
    """A card as flows see it. The first eight digits of an id at Trello tell when it was made, in seconds."""
    made = int(str(card["id"])[:8], 16)
    return {
        "cardId": card["id"],
        "cardName": card.get("name"),
        "cardUrl": card.get("shortUrl"),
        "cardDescription": card.get("desc"),
        "lastActivity": card["dateLastActivity"],
        "action": "created" if made >= int(since.timestamp()) else "updated",
        "listId": card.get("idList"),
        "boardId": card.get("idBoard"),
    }
