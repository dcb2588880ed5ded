"""Discord as a front end: connected through its gateway, so that nothing here needs a public address."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import aiohttp
import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.conversation import Card, MessageRef, Notice, Person, Reply, Room
from bot.discord import commands, manage_commands, payloads, posts
from bot.discord.files import Files, Locate
from bot.discord.listener import Listener
from bot.discord.transport import Json, Sent, Transport, refusals
from bot.discord.views.components import EPHEMERAL
from bot.discord.wire import interaction_json, message_json
from bot.frontend import Desk, Unreachable
from bot.tallies import REFUSALS
from engine.errors import SettingInvalid
from engine.plugin import ChatPost

log = logging.getLogger("parley.discord")

_TOKEN = "Copy the token from Bot → Reset Token of your app in the developer portal into DISCORD_TOKEN."  # noqa: S105
_RATE_LIMIT_PATIENCE = 30.0  # seconds; a card that would wait longer is tried again later
_GUILDS_PATIENCE = 0.5  # seconds without another server before we call ourselves connected
_SHOWN = 2000  # messages whose attachments are remembered
_MAX_UPLOAD = 25 * 1024 * 1024


class DiscordFrontEnd:
    """One bot account on Discord. The token is checked by `start`.

    `locate` gives the path of a file in internal storage; without it cards come without their files. `sync_state` is a
    small file that remembers which commands Discord knows. `guild` limits the commands to one server, where they appear
    at once: for development.
    """

    platform: Literal["discord"] = "discord"

    def __init__(
        self,
        token: str,
        *,
        locate: Locate | None = None,
        sync_state: Path | None = None,
        guild: str | None = None,
        base_url: str | None = None,
        gateway_url: str | None = None,
        max_upload: int = _MAX_UPLOAD,
        inbox: Path | None = None,
        explains: bool = False,
    ) -> None:
        if base_url:
            Route.BASE = base_url.rstrip("/")
        if gateway_url:
            DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)
        self.desk: Desk | None = None
        self.explains = explains  # whether a model is set up that explains failed runs
        self.client = _Client(self, sync_state, discord.Object(int(guild)) if guild else None)
        self._token = token
        self._transport = Transport(self.client)
        self._files = Files(self._transport, locate, max_upload, inbox)
        self.listener = Listener(self._the_desk, self._transport, self._files, lambda: Route.BASE)
        self._connection: asyncio.Task[None] | None = None
        self._busy: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._shown: OrderedDict[str, tuple[str, list[str]]] = OrderedDict()

    def _the_desk(self) -> Desk:
        if self.desk is None:
            raise Unreachable("The bot is still starting. Try again in a moment.", retry_after=2.0)
        return self.desk

    async def start(self, desk: Desk) -> None:
        """Connect and return when events can arrive; SettingInvalid when the token is wrong."""
        self.desk = desk
        try:
            await self.client.login(self._token)
        except discord.LoginFailure as error:
            await self.client.close()
            raise SettingInvalid("Discord does not take the bot's token.", fix=_TOKEN) from error
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            await self.client.close()
            raise Unreachable("Discord can't be reached.", retry_after=10.0) from error
        self._connection = asyncio.create_task(self.client.connect(reconnect=True), name="discord")
        ready = asyncio.create_task(self.client.wait_until_ready())
        await asyncio.wait({ready, self._connection}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._ended(self._connection)
        self._connection.add_done_callback(self._lost)

    def _lost(self, connection: asyncio.Task[None]) -> None:
        """The connection is over for good: said once."""
        if self._stopping or connection.cancelled():
            return
        error = connection.exception()
        why = f"code {error.code}" if isinstance(error, discord.ConnectionClosed) else repr(error)
        REFUSALS.add("discord", "no token")
        log.error(
            "Discord closed the connection for good (%s): the bot hears nothing there. %s Restart Parley.", why, _TOKEN
        )

    async def _ended(self, connection: asyncio.Task[None]) -> None:
        await self.client.close()
        try:
            await connection
        except discord.ConnectionClosed as error:
            raise SettingInvalid(f"Discord closed the connection (code {error.code}).", fix=_TOKEN) from error
        raise Unreachable("Discord closed the connection.", retry_after=10.0)

    async def stop(self) -> None:
        """Hear nothing more, let running answers end, close."""
        self._stopping = True
        if self._busy:
            await asyncio.wait(self._busy, timeout=5)
        await self.client.close()
        if self._connection is not None:
            await asyncio.wait({self._connection}, timeout=5)
        self._files.close()

    def describe(self) -> str:
        """Who we are connected as, and where."""
        user = self.client.user
        if user is None:
            return "Discord: not connected"
        names = [guild.name for guild in self.client.guilds]
        where = f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''}" if names else "no server yet"
        return f"Discord: {user.name} (application {self.client.application_id}) in {where}"

    # Outbound.

    async def post_card(self, room: Room, card: Card, nonce: str) -> MessageRef:
        """Post a card with its files; the same nonce within minutes is the same message."""
        self.listener.remember(card)
        room = self._found(room)
        view, files = await self.listener.draw_card(card)
        body = await self._transport.post(room.thread or room.channel, view.payload, files, nonce)
        self._remember(body, files)
        return _ref(room, body)

    def _found(self, room: Room) -> Room:
        """The room by its id: settings and flows may name it."""
        if room.channel.isdecimal():
            return room
        return replace(room, channel=posts.channel_id(room.channel, self._places()))

    def _places(self) -> list[tuple[str, str, str]]:
        return [(str(c.id), c.name, c.guild.name) for guild in self.client.guilds for c in guild.channels]

    async def edit_card(self, ref: MessageRef, card: Card) -> None:
        """Draw a card over its message; files that the message already has are not sent again."""
        self.listener.remember(card)
        view, files = await self.listener.draw_card(card)
        channel = ref.thread or ref.channel
        kept = self._shown.get(ref.message)
        if files and kept is not None and kept[0] == _signature(files):
            try:
                again = {**view.payload, "attachments": [{"id": id_} for id_ in kept[1]]}
                await self._transport.edit(channel, ref.message, again)
            except Unreachable as error:
                if error.gone or error.retry_after is not None:
                    raise
                log.info("Sending the files of a card again: %s", error.reason)
            else:
                return
        body = await self._transport.edit(channel, ref.message, {"attachments": [], **view.payload}, files)
        self._remember(body, files)

    def has_sequel(self, card: Card, *, is_fresh: bool) -> bool:
        """Whether something follows a card's message: all of it is attached to it."""
        return False

    async def send_sequel(self, ref: MessageRef, card: Card, *, is_fresh: bool) -> None:
        """There is nothing to send."""

    async def thread_below(self, ref: MessageRef, name: str) -> str | None:
        """The thread of a message; Discord gives it the message's own id."""
        return ref.thread or await self._transport.open_thread(ref.channel, ref.message, name)

    def _remember(self, body: Json, files: list[Sent]) -> None:
        by_name = {item.get("filename"): str(item.get("id")) for item in body.get("attachments") or []}
        message = str(body.get("id"))
        if files and all(file.name in by_name for file in files):
            self._shown[message] = (_signature(files), [by_name[file.name] for file in files])
            while len(self._shown) > _SHOWN:
                self._shown.popitem(last=False)
        else:
            self._shown.pop(message, None)

    async def notify(self, room: Room, notice: Notice, person_id: str | None = None, nonce: str = "") -> None:
        """Say something in a room; to one person by direct message, in the room when they take none."""
        self.listener.remember(notice)
        view, files = await self.listener.draw(notice)
        user = (person_id or "").removeprefix("discord:")
        if not user.isdecimal():
            room = self._found(room)
            payload = posts.calling(view.payload, [id_ for text in notice.calls for id_ in self._roles_called(text)])
            await self._transport.post(room.thread or room.channel, payload, files, nonce)
            return
        try:
            await self._transport.post(await self._transport.direct(user), view.payload, files, nonce)
        except Unreachable as error:
            if error.retry_after is not None or not room.channel:
                raise
            room = self._found(room)
            call = {"type": 10, "content": f"<@{user}>"}
            payload = {
                **view.payload,
                "components": [call, *view.payload["components"]],
                "allowed_mentions": {"users": [user]},
            }
            await self._transport.post(room.thread or room.channel, payload, files, nonce)

    async def is_member(self, person: Person, group: str, *, fresh: bool = True) -> bool:
        """Whether somebody has a role, by its id or name: from the click itself, else Discord is asked; Unreachable."""
        wanted = self._roles(group)
        if wanted.keys() & set(person.roles):
            return True
        if person.roles:
            return False  # the roles that come with a click are those of that moment
        user = person.id.removeprefix("discord:")
        for guild in sorted(set(wanted.values()) - {""} or {str(guild.id) for guild in self.client.guilds}):
            if wanted.keys() & await self._transport.roles(guild, user, fresh=fresh):
                return True
        return False

    def _roles_called(self, text: str) -> list[str]:
        return list(self._roles(text.removeprefix("discord:role:")))

    def _roles(self, group: str) -> dict[str, str]:
        """Roles meant by an id or a name, with their servers. A name that two servers use means none of them: whoever
        adds the bot to a server of their own could name a role as they like."""
        if group.isdecimal():
            known = {str(role.id): str(guild.id) for guild in self.client.guilds for role in guild.roles}
            return {group: known.get(group, "")}
        named = {str(r.id): str(guild.id) for guild in self.client.guilds for r in guild.roles if r.name == group}
        return named if len(named) == 1 else {}

    async def zone_of(self, person_id: str) -> str | None:
        """Discord tells bots no zones."""
        return None

    async def is_stranger(self, person: Person) -> bool:
        """Servers of Discord belong to no company."""
        return False

    async def is_active(self, person_id: str) -> bool:
        """Whether somebody is in a server where the bot is, as Discord says now; Unreachable."""
        user = person_id.removeprefix("discord:")
        if self.client.user is not None and not self.client.is_closed():
            return await self._transport.is_in_any([str(guild.id) for guild in self.client.guilds], user)
        # Another process is on the chats; our page has visitors too.
        async with discord.Client(intents=discord.Intents.none(), max_ratelimit_timeout=_RATE_LIMIT_PATIENCE) as asking:
            try:
                with refusals():
                    await asking.login(self._token)
            except discord.LoginFailure as error:
                raise Unreachable("Discord does not take the bot's token.") from error
            transport = Transport(asking)
            return await transport.is_in_any(await transport.guilds(), user)

    async def email_of(self, person_id: str) -> str | None:
        """Discord tells bots no addresses."""
        return None

    async def answer(self, answer_url: str, reply: Reply) -> None:
        """Answer an interaction late, within its 15 minutes."""
        address = payloads.webhook(answer_url)
        if address is None:
            raise Unreachable("This is no address of a Discord interaction.")
        self.listener.remember(reply.body)
        view, files = await self.listener.draw(reply.body)
        flags = view.payload.get("flags", 0) | (0 if reply.public else EPHEMERAL)
        await self._transport.follow_up(*address, {**view.payload, "flags": flags}, files)

    async def post(self, post: ChatPost) -> MessageRef:
        """A task's own message, as text or in Discord's own JSON."""
        channel = posts.channel_id(post.channel, self._places())
        refs, contents = await self._files.read(posts.file_refs(post.files))
        view, names = posts.draw(post, refs)
        files = posts.to_send(view, {name: contents[uri] for name, uri in names.items()})
        body = await self._transport.post(post.thread or channel, view.payload, files, post.nonce)
        return _ref(Room("discord", channel, post.thread), body)

    # Inbound.

    def hear(self, work: Awaitable[Any]) -> Awaitable[Any]:
        """Carry out what an event asks for, as work that `stop` waits for."""
        task = asyncio.ensure_future(work)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        return task

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is to be heard."""
        return self._stopping


def _ref(room: Room, body: Json) -> MessageRef:
    return MessageRef("discord", room.channel, str(body.get("id", "")), room.thread, room.workspace)


def _signature(files: list[Sent]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(f"{file.name} {len(file.content)} ".encode())
        digest.update(file.content)
    return digest.hexdigest()


class _Client(discord.Client):
    """The gateway connection. Components and modals are dispatched by us: the library's registry of views forgets them
    at a restart, and answers a modal it does not know with nothing."""

    def __init__(self, front: DiscordFrontEnd, sync_state: Path | None, guild: discord.Object | None) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True),
            max_ratelimit_timeout=_RATE_LIMIT_PATIENCE,
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=_GUILDS_PATIENCE,
            max_messages=None,
        )
        self._front = front
        self._sync_state = sync_state
        self._guild = guild
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(commands.group(self._command, self._complete), guild=guild)
        self.tree.add_command(manage_commands.manage_group(self._command, self._complete, front.explains), guild=guild)
        self.tree.add_command(commands.message_menu(self._chosen_message), guild=guild)

    async def setup_hook(self) -> None:
        """Tell Discord about the commands when they changed."""
        digest = commands.digest(self.tree, self.application_id, self._guild)
        if self._sync_state is not None and _read(self._sync_state) == digest:
            return
        try:
            await self.tree.sync(guild=self._guild)
        except discord.HTTPException as error:
            log.warning("Discord did not take the slash commands (%s); mentions still work.", error)
            return
        if self._sync_state is not None:
            self._sync_state.parent.mkdir(parents=True, exist_ok=True)
            self._sync_state.write_text(digest)

    async def _command(self, interaction: discord.Interaction) -> None:
        if not self._front.is_stopping:
            await self._front.hear(self._front.listener.command(interaction_json(interaction)))

    async def _chosen_message(self, interaction: discord.Interaction) -> None:
        if not self._front.is_stopping:
            await self._front.hear(self._front.listener.chosen_message(interaction_json(interaction)))

    async def _complete(
        self, interaction: discord.Interaction, argument: str, typed: str
    ) -> list[app_commands.Choice[str]]:
        rows = await self._front.listener.complete(interaction_json(interaction), argument, typed)
        return [app_commands.Choice(name=row["name"], value=row["value"]) for row in rows]

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Buttons, menus and modals; slash commands go through the tree."""
        hears: dict[discord.InteractionType, Callable[[Json], Awaitable[None]]] = {
            discord.InteractionType.component: self._front.listener.component,
            discord.InteractionType.modal_submit: self._front.listener.filled,
        }
        hear = hears.get(interaction.type)
        if hear is not None and not self._front.is_stopping:
            await self._front.hear(hear(interaction_json(interaction)))

    async def on_message(self, message: discord.Message) -> None:
        """Commands written to the bot: by mention in a channel or thread, or in a direct message."""
        me = self.user
        if me is None or message.author.bot or self._front.is_stopping:
            return
        direct = message.guild is None
        if not direct and all(user.id != me.id for user in message.mentions):
            return
        found = message_json(message)
        text = payloads.mention_text(message.content, str(me.id))
        await self._front.hear(self._front.listener.said(found, text, str(message.channel.id)))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
