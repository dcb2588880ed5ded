"""The front end for Slack: Socket Mode by default (no public address), signed HTTP when there is no app token."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import structlog
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import Card, MessageRef, Notice, Person, Platform, Reply, Room
from bot.frontend import Desk, Unreachable
from bot.slack import payloads
from bot.slack.answering import Answering
from bot.slack.delivery import Delivery, Locate, has_sequel
from bot.slack.hearing import Hearing
from bot.slack.homes import Homes
from bot.slack.inbox import Inbox
from bot.slack.people import People, is_active
from bot.slack.refusals import TOKEN
from bot.slack.sockets import Sockets
from bot.slack.transport import Transport, error_code
from bot.slack.views import notice as draw_notice
from bot.slack.work import Work
from engine.errors import SettingInvalid
from engine.plugin import ChatPost

log = structlog.get_logger("parley.slack")
_ANY: Final = re.compile(r".*", re.DOTALL)
Answer = tuple[int, dict[str, str], bytes]


class SlackFrontEnd:
    """One Slack workspace. `locate` finds the file of a storage URI, `inbox` keeps what people send for a day."""

    platform: Platform = "slack"

    def __init__(
        self,
        bot_token: str,
        app_token: str | None = None,
        signing_secret: str | None = None,
        base_url: str = "https://slack.com/api/",
        *,
        locate: Locate | None = None,
        inbox: Path | None = None,
        ping_interval: float = 5.0,
        grace: float = 5.0,
        connections: int = 1,
    ) -> None:
        self._bot_token = bot_token
        self._app_token = app_token
        self._signing_secret = signing_secret
        self._base_url = base_url if base_url.endswith("/") else base_url + "/"
        self._locate = locate
        self._inbox = inbox
        self._ping_interval = ping_interval
        self._grace = grace
        self._connections = connections
        self._work = Work()
        self._about: Mapping[str, Any] = {}
        self._session: aiohttp.ClientSession | None = None
        self._app: AsyncApp | None = None
        self._sockets: Sockets | None = None
        self._groups: asyncio.Task[None] | None = None
        self._transport: Transport | None = None
        self._delivery: Delivery | None = None
        self._answering: Answering | None = None
        self._people: People | None = None
        self._homes: Homes | None = None

    # Life

    async def start(self, desk: Desk) -> None:
        """Connect; SettingInvalid when a token is missing, wrong, or Slack can't be reached."""
        self._check_settings()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        try:
            self._transport = Transport(self._bot_token, self._base_url, self._session)
            self._about = await self._who_am_i(self._transport)
            self._people = people = People(self._transport)
            self._delivery = Delivery(self._transport, self._work, self._locate)
            self._answering = Answering(self._transport, self._delivery)
            bot_user = str(self._about.get("user_id") or "")
            inbox = Inbox(self._transport, self._inbox)
            self._homes = homes = Homes(desk, self._answering, people, self._work)
            hearing = Hearing(desk, self._transport, self._answering, people, inbox, self._work, bot_user, homes)
            self._app = self._listen(hearing)
            self._groups = asyncio.create_task(people.keep_groups(), name="slack groups")
            if self._app_token is not None:
                await self._connect(self._app, self._app_token)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop hearing, let answers that are under way go out, close."""
        self._app = None
        self._about = {}
        if self._sockets is not None:
            await self._sockets.stop()
            self._sockets = None
        if self._groups is not None:
            self._groups.cancel()
            await asyncio.gather(self._groups, return_exceptions=True)
            self._groups = None
        await self._work.drain(self._grace)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def describe(self) -> str:
        """One line for the start-up log."""
        how = "Socket Mode" if self._app_token else "HTTP at /slack/events"
        who, team = self._about.get("user", "?"), self._about.get("team", "?")
        return f"Slack: @{who} in {team}, by {how}" if self._about else "Slack: not connected"

    def _check_settings(self) -> None:
        if self._app_token is None and not self._signing_secret:
            raise SettingInvalid(
                "Slack has a bot token, but nothing to hear events with.",
                fix="Set SLACK_APP_TOKEN (xapp-…, for Socket Mode) or SLACK_SIGNING_SECRET (for HTTP).",
            )
        if self._bot_token.startswith("xapp-"):
            raise SettingInvalid(
                "SLACK_BOT_TOKEN holds an app-level token (xapp-…).",
                fix="Put the Bot User OAuth Token (xoxb-…) there and the other into SLACK_APP_TOKEN.",
            )
        if self._app_token is not None and not self._app_token.startswith("xapp-"):
            raise SettingInvalid(
                "SLACK_APP_TOKEN is not an app-level token.",
                fix="Make one with the scope connections:write under Basic Information; it begins with xapp-.",
            )

    async def _who_am_i(self, transport: Transport) -> Mapping[str, Any]:
        try:
            answer = await transport.client.auth_test()
        except SlackApiError as error:
            code = error_code(error)
            if code in TOKEN:
                raise SettingInvalid(
                    f"Slack does not accept the bot token ({code}).",
                    fix="Copy the Bot User OAuth Token (xoxb-…) of the installed app into SLACK_BOT_TOKEN.",
                ) from error
            raise SettingInvalid(f"Slack did not say who we are ({code}).", fix="Try again in a minute.") from error
        except (SlackClientError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreached(error) from error
        return dict(answer.data) if isinstance(answer.data, dict) else {}

    def _unreached(self, error: Exception) -> SettingInvalid:
        return SettingInvalid(
            f"Slack can't be reached at {self._base_url} ({type(error).__name__}).",
            fix="Check the network and proxies.",
        )

    async def _connect(self, app: AsyncApp, app_token: str) -> None:
        assert self._transport is not None  # noqa: S101 - set by start
        client = self._transport.client
        self._sockets = Sockets(app, app_token, client, self._connections, self._ping_interval)
        try:
            await self._sockets.start()
        except (SlackClientError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreached(error) from error

    # Inbound

    def _listen(self, hearing: Hearing) -> AsyncApp:
        about = self._about

        async def authorize() -> AuthorizeResult:
            # One workspace, known since the start: no call may stand between an event and its answer.
            return AuthorizeResult(
                enterprise_id=about.get("enterprise_id"),
                team_id=about.get("team_id"),
                bot_id=about.get("bot_id"),
                bot_user_id=about.get("user_id"),
                bot_token=self._bot_token,
            )

        app = AsyncApp(
            client=AsyncWebClient(base_url=self._base_url, session=self._session),
            authorize=authorize,
            signing_secret=self._signing_secret or "",
            name="parley",
            process_before_response=True,  # else Bolt looks for our acknowledgement every 10 ms
        )

        async def events(body: dict[str, Any], next_: Any) -> BoltResponse | None:
            # Bolt acknowledges events before its listeners run; here the desk has them first.
            if body.get("type") == "event_callback":
                await hearing.event(body)
                return BoltResponse(status=200, body="")
            await next_()
            return None

        app.use(events)
        app.command(_ANY)(_listener(hearing.command))
        app.action(_ANY)(_listener(hearing.action))
        app.view_submission(_ANY)(_listener(hearing.submission))
        app.options(_ANY)(_listener(hearing.search))
        app.shortcut(_ANY)(_listener(hearing.shortcut))
        app.view_closed(_ANY)(_acknowledge)
        return app

    async def handle(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One signed request of Slack's (HTTP mode), whatever it is about: status, headers and body of the answer."""
        if self._app is None or not self._signing_secret:
            return 503, {"content-type": "text/plain"}, b"Slack is not listened to here."
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return 400, {"content-type": "text/plain"}, b"Not UTF-8."
        request = AsyncBoltRequest(body=text, headers={name: [value] for name, value in headers.items()})
        answer = await self._app.async_dispatch(request)
        return answer.status, answer.first_headers_without_set_cookie(), (answer.body or "").encode()

    # Outbound

    def _out(self) -> tuple[Delivery, Answering]:
        if self._delivery is None or self._answering is None or self._session is None:
            raise Unreachable("Slack is not connected.", retry_after=5.0)
        return self._delivery, self._answering

    async def post_card(self, room: Room, card: Card, nonce: str) -> MessageRef:
        """Post a card; its files and what did not fit follow in its thread. Unreachable."""
        posted = await self._out()[0].post_card(room, card, nonce)
        self._tell_homes(card)
        return posted

    async def edit_card(self, ref: MessageRef, card: Card) -> None:
        """Draw a card over its message; Unreachable, with `gone` when it was deleted."""
        await self._out()[0].edit_card(ref, card)
        self._tell_homes(card)

    def has_sequel(self, card: Card, *, is_fresh: bool) -> bool:
        """Whether files, or what did not fit, follow a card in its thread."""
        return has_sequel(card, is_fresh=is_fresh)

    async def send_sequel(self, ref: MessageRef, card: Card, *, is_fresh: bool) -> None:
        """All that follows a card is in its thread, once."""
        await self._out()[0].send_sequel(ref, card, is_fresh=is_fresh)

    async def thread_below(self, ref: MessageRef, name: str) -> str | None:
        """Every message has a thread, which needs no opening."""
        return ref.thread or ref.message

    def _tell_homes(self, card: Card) -> None:
        if card.kind == "pause" and self._homes is not None:
            self._homes.changed()

    async def post(self, post: ChatPost) -> MessageRef:
        """A task's own message; Unreachable."""
        return await self._out()[0].post(post)

    async def call(self, method: str, given: Mapping[str, str]) -> Mapping[str, Any]:
        """One method of Slack's Web API with the bot's token, which stays here; what Slack answers, also when that is a
        refusal. Unreachable."""
        self._out()
        if self._transport is None:
            raise Unreachable("Slack is not connected.", retry_after=5.0)
        return await self._transport.ask(method, given)

    async def notify(self, room: Room, notice: Notice, person_id: str | None = None, nonce: str = "") -> None:
        """Say something in a room, or to one person of ours alone; once for each nonce, but for what Slack shows one
        person in a channel, which it does not keep. Unreachable."""
        delivery, answering = self._out()
        is_for_one = person_id is not None and person_id.startswith("slack:")
        if is_for_one and not room.is_direct:
            user = payloads.person({"id": str(person_id).removeprefix("slack:")})
            await answering.say_privately(payloads.Asked(user, room, ""), draw_notice(notice))
            return
        rendered = draw_notice(notice, await self._calls(notice))
        channel = await delivery.direct(room.channel) if is_for_one else room.channel
        await delivery.say(channel, room.thread, rendered, nonce)

    async def _calls(self, notice: Notice) -> str:
        """Slack's own words that call the groups of a sentence; what can't be found is not called."""
        called = []
        for text in notice.calls if self._people else ():
            group = text.removeprefix("slack:usergroup:")
            with suppress(Unreachable):
                id_ = await self._people.group_id(group) if self._people else None
                called.append(f"<!subteam^{id_}>" if id_ else "")
        return " ".join(filter(None, called))

    async def is_member(self, person: Person, group: str, *, fresh: bool = True) -> bool:
        """Whether somebody is in a user group, by its id or handle; Unreachable."""
        if self._people is None:
            raise Unreachable("Slack is not connected.", retry_after=5.0)
        return await self._people.is_member(person.id.removeprefix("slack:"), group, fresh=fresh)

    async def zone_of(self, person_id: str) -> str | None:
        """The zone in somebody's profile; None when Slack does not tell."""
        with suppress(Unreachable):
            return await self._people.zone_of(person_id.removeprefix("slack:")) if self._people else None
        return None

    async def is_stranger(self, person: Person) -> bool:
        """Whether Slack says that somebody is of another company. In an organization of several workspaces it is asked,
        else another workspace is another company; Unreachable."""
        if not person.workspace or person.workspace == self._about.get("team_id"):
            return False
        if not self._about.get("enterprise_id"):
            return True
        if self._people is None:
            raise Unreachable("Slack is not connected.", retry_after=5.0)
        return await self._people.is_stranger(person.id.removeprefix("slack:"))

    async def is_active(self, person_id: str) -> bool:
        """Whether Slack says that an account is there and was not deactivated; Unreachable."""
        user = person_id.removeprefix("slack:")
        if self._session is not None and self._transport is not None:
            return await is_active(self._transport, user)
        async with aiohttp.ClientSession() as session:  # another process is on the chats; our page has visitors too
            return await is_active(Transport(self._bot_token, self._base_url, session), user)

    async def email_of(self, person_id: str) -> str | None:
        """The address in somebody's profile; Unreachable."""
        if self._people is None:
            raise Unreachable("Slack is not connected.", retry_after=5.0)
        return await self._people.email_of(person_id.removeprefix("slack:"))

    async def answer(self, answer_url: str, reply: Reply) -> None:
        """Answer an interaction late, through the address that came with it; Unreachable."""
        await self._out()[1].late(answer_url, reply)


def _listener(hear: Any) -> Any:
    async def listen(ack: Any, body: dict[str, Any]) -> None:
        await hear(ack, body)

    return listen


async def _acknowledge(ack: Any) -> None:
    await ack()
