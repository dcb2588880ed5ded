"""`/flow-manage`: the commands for whoever manages flows, in a group of their own."""

import discord
from discord import app_commands
from discord.app_commands import Choice, describe

from bot.discord.commands import INPUTS, TEXT, Complete, Hear, about_run, completing

ENDS = ("SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED")
STATES = ("CREATED", "QUEUED", "RUNNING", "PAUSED", "RETRYING", "RESTARTED", "KILLING", *ENDS)
BULK_WORDS = ("kill", "pause", "resume", "restart", "replay", "force", "mark", "labels", "delete")


def manage_group(hear: Hear, complete: Complete, explains: bool) -> app_commands.Group:
    """The group with its subcommands; the words are those of `/flow` elsewhere. `explains`: a model is set up."""
    flow = app_commands.Group(name="flow-manage", description="Put runs right, and set up what everybody uses")
    _add_corrections(flow, hear, complete)
    if explains:
        about_run(flow, hear, complete, "explain", "Why a run failed, as a model sees it")
    _add_bulk(flow, hear, complete)
    _add_set_up(flow, hear, complete)
    return flow


def _choices(words: tuple[str, ...]) -> list[Choice[str]]:
    return [Choice(name=word, value=word) for word in words]


def _add_corrections(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    about_run(flow, hear, complete, "force", "Let a run begin now that waits for its date or its turn")

    @flow.command(name="mark", description="Count an ended run, or one task of it, as ended otherwise")
    @describe(run="Which run", state="As what it counts", task="Only this task; the run goes on from there")
    @app_commands.choices(state=_choices(ENDS))
    @completing(complete, run="run")
    async def mark(interaction: discord.Interaction, run: str, state: str, task: str | None = None) -> None:
        await hear(interaction)

    @flow.command(name="labels", description="The labels of a run; with values they are added")
    @describe(run="Which run", inputs="Labels to add: team=web ticket=OPS-12")
    @completing(complete, run="run")
    async def labels(interaction: discord.Interaction, run: str, inputs: TEXT | None = None) -> None:
        await hear(interaction)

    about_run(flow, hear, complete, "delete", "Delete an ended run with its log and files; you are asked first")

    about_run(flow, hear, complete, "audit", "Who did what with a run")


def _add_bulk(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    @flow.command(name="bulk", description="The same to many runs; you see them first")
    @describe(
        action="What to do",
        to="For mark: as what they count",
        flow="Only runs of this flow",
        state="Only runs in this state",
        since="Only those made since: yesterday, 2026-03-31",
        until="Only those made until",
        inputs="For labels: team=web; and --ns=namespace",
    )
    @app_commands.choices(action=_choices(BULK_WORDS), to=_choices(ENDS), state=_choices(STATES))
    @completing(complete, flow="flow")
    async def bulk(
        interaction: discord.Interaction,
        action: str,
        to: str | None = None,
        flow: str | None = None,
        state: str | None = None,
        since: str | None = None,
        until: str | None = None,
        inputs: TEXT | None = None,
    ) -> None:
        await hear(interaction)

    @flow.command(name="revisions", description="Every text a flow had")
    @describe(flow="Which flow")
    @completing(complete, flow="flow")
    async def revisions(interaction: discord.Interaction, flow: str) -> None:
        await hear(interaction)

    @flow.command(name="restore", description="Make an old text of a flow the newest again; the difference first")
    @describe(flow="Which flow", revision="Which revision")
    @completing(complete, flow="flow")
    async def restore(interaction: discord.Interaction, flow: str, revision: str) -> None:
        await hear(interaction)


def _add_set_up(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    @flow.command(name="kv", description="Values that flows share")
    @describe(
        action="What to do", key="Which value", value="The new value", namespace="Where it is kept", inputs=INPUTS
    )
    @app_commands.choices(action=[Choice(name=word, value=word) for word in ("list", "get", "set", "delete")])
    @completing(complete, key="key")
    async def kv(
        interaction: discord.Interaction,
        action: str,
        key: str | None = None,
        value: str | None = None,
        namespace: str | None = None,
        inputs: TEXT | None = None,
    ) -> None:
        await hear(interaction)

    @flow.command(name="alias", description="Short words for long commands")
    @describe(
        action="What to do",
        name="Which alias",
        command="What it stands for: run deploy env=prod",
        mine="For you alone, on every platform",
        here="For this channel alone",
    )
    @app_commands.choices(action=_choices(("list", "set", "delete")))
    @completing(complete, name="alias")
    async def alias(
        interaction: discord.Interaction,
        action: str = "list",
        name: str | None = None,
        command: TEXT | None = None,
        mine: bool = False,
        here: bool = False,
    ) -> None:
        await hear(interaction)

    @flow.command(name="settings", description="What holds in this room")
    @describe(inputs="What to change: card=thread, or mute deploy 8h")
    async def settings(interaction: discord.Interaction, inputs: TEXT | None = None) -> None:
        await hear(interaction)

    @flow.command(name="doctor", description="What is wrong with the set-up of this bot")
    async def doctor(interaction: discord.Interaction) -> None:
        await hear(interaction)
