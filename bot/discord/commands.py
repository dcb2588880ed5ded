"""The slash commands Discord offers: a group, `/flow`, whose subcommands have options and the free text of a command;
what those who manage need stands in a group of its own, since Discord allows 25 in each.

What each means is decided from the interaction's own JSON (`payloads.command_text`), so the functions below only
declare options.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice, describe

Hear = Callable[[discord.Interaction], Awaitable[None]]
Complete = Callable[[discord.Interaction, str, str], Awaitable[list[Choice[str]]]]

INPUTS = "More as text: name=value name:=JSON name=@attachment --flag"
SCHEDULE_WORDS = ("list", "add", "skip", "shift", "pause", "resume", "delete", "backfill")
TEXT = app_commands.Range[str, 0, 6000]


def group(hear: Hear, complete: Complete) -> app_commands.Group:
    """The group with its subcommands; `hear` gets every call, `complete` every half-typed argument."""
    flow = app_commands.Group(name="flow", description="Run flows and answer their questions")
    _add_runs(flow, hear, complete)
    _add_following(flow, hear, complete)
    _add_control(flow, hear, complete)
    _add_answers(flow, hear, complete)
    _add_handing_on(flow, hear, complete)
    _add_others(flow, hear, complete)
    return flow


def message_menu(chosen: Callable[[discord.Interaction], Awaitable[None]]) -> app_commands.ContextMenu:
    """*Apps → Run flow with this message*."""

    async def run_with(interaction: discord.Interaction, message: discord.Message) -> None:
        await chosen(interaction)

    return app_commands.ContextMenu(name="Run flow with this message", callback=run_with)


def completing(complete: Complete, **arguments: str) -> Callable[[Any], Any]:
    """Autocomplete for options: which kind of argument each is."""

    def rows(argument: str) -> Any:
        async def answer(interaction: discord.Interaction, typed: str) -> list[Choice[str]]:
            return await complete(interaction, argument, typed)

        return answer

    return app_commands.autocomplete(**{option: rows(argument) for option, argument in arguments.items()})


def about_run(flow: app_commands.Group, hear: Hear, complete: Complete, name: str, description: str) -> None:
    """Add a command that is told a run and nothing else."""

    @flow.command(name=name, description=description)
    @describe(run="Which run")
    @completing(complete, run="run")
    async def command(interaction: discord.Interaction, run: str) -> None:
        await hear(interaction)


def _add_runs(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    @flow.command(name="run", description="Start a flow; its form opens when something is missing")
    @describe(flow="Which flow", inputs=INPUTS, form="Open the form in any case", file="A file for an input")
    @completing(complete, flow="flow")
    async def run(
        interaction: discord.Interaction,
        flow: str,
        inputs: TEXT | None = None,
        form: bool = False,
        file: discord.Attachment | None = None,
    ) -> None:
        await hear(interaction)

    @flow.command(name="list", description="Flows you may run")
    @describe(text="Only those that contain this", inputs=INPUTS)
    async def listing(interaction: discord.Interaction, text: str | None = None, inputs: TEXT | None = None) -> None:
        await hear(interaction)

    @flow.command(name="show", description="A flow: its inputs, schedule and last runs")
    @describe(flow="Which flow", inputs=INPUTS)
    @completing(complete, flow="flow")
    async def show(interaction: discord.Interaction, flow: str, inputs: TEXT | None = None) -> None:
        await hear(interaction)

    @flow.command(name="status", description="How a run stands")
    @describe(run="Which run; your last one when left out", inputs=INPUTS)
    @completing(complete, run="run")
    async def status(interaction: discord.Interaction, run: str | None = None, inputs: TEXT | None = None) -> None:
        await hear(interaction)

    @flow.command(name="runs", description="What you started lately, or the last runs of a flow")
    @describe(flow="Of which flow, whoever started them; your own when left out")
    @completing(complete, flow="flow")
    async def runs(interaction: discord.Interaction, flow: str | None = None) -> None:
        await hear(interaction)


def _add_following(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    @flow.command(name="logs", description="The log of a run")
    @describe(run="Which run", task="Only this task", grep="Only lines that contain this", inputs=INPUTS)
    @completing(complete, run="run")
    async def logs(
        interaction: discord.Interaction,
        run: str | None = None,
        task: str | None = None,
        grep: str | None = None,
        inputs: TEXT | None = None,
    ) -> None:
        await hear(interaction)

    about_run(flow, hear, complete, "files", "Files that a run made")

    @flow.command(name="watch", description="Follow a run in this channel")
    @describe(run="Which run", stop="Follow it no longer")
    @completing(complete, run="run")
    async def watch(interaction: discord.Interaction, run: str, stop: bool = False) -> None:
        await hear(interaction)


def _add_control(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    @flow.command(name="kill", description="Stop a run")
    @describe(run="Which run", reason="Why, for the log", inputs=INPUTS)
    @completing(complete, run="run")
    async def kill(
        interaction: discord.Interaction, run: str, reason: str | None = None, inputs: TEXT | None = None
    ) -> None:
        await hear(interaction)

    about_run(flow, hear, complete, "pause", "Let nothing new start in a run")

    @flow.command(name="resume", description="Let a paused run go on")
    @describe(run="Which run", inputs=INPUTS)
    @completing(complete, run="run")
    async def resume(interaction: discord.Interaction, run: str, inputs: TEXT | None = None) -> None:
        await hear(interaction)

    about_run(flow, hear, complete, "restart", "Go on from what failed")

    @flow.command(name="replay", description="Run again: from the start, from a task on, or with other inputs")
    @describe(run="Which run", from_="From which task on", edit="Open the form with its inputs")
    @app_commands.rename(from_="from")
    @completing(complete, run="run")
    async def replay(interaction: discord.Interaction, run: str, from_: str | None = None, edit: bool = False) -> None:
        await hear(interaction)


def _add_answers(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    @flow.command(name="pending", description="Questions that wait for you")
    @describe(all="Those that wait for others too", inputs=INPUTS)
    async def pending(interaction: discord.Interaction, all: bool = False, inputs: TEXT | None = None) -> None:
        await hear(interaction)

    @flow.command(name="approve", description="Approve a waiting request")
    @describe(pause="Which request; or a flow, with --all as text", reason="Why", inputs=INPUTS)
    @completing(complete, pause="pause")
    async def approve(
        interaction: discord.Interaction, pause: str, reason: str | None = None, inputs: TEXT | None = None
    ) -> None:
        await hear(interaction)

    @flow.command(name="reject", description="Reject a waiting request")
    @describe(pause="Which request", reason="Why", inputs=INPUTS)
    @completing(complete, pause="pause")
    async def reject(
        interaction: discord.Interaction, pause: str, reason: str | None = None, inputs: TEXT | None = None
    ) -> None:
        await hear(interaction)

    @flow.command(name="answer", description="Answer a waiting request in a form or with name=value")
    @describe(pause="Which request", inputs=INPUTS, file="A file for an input")
    @completing(complete, pause="pause")
    async def answer(
        interaction: discord.Interaction,
        pause: str,
        inputs: TEXT | None = None,
        file: discord.Attachment | None = None,
    ) -> None:
        await hear(interaction)


def _add_handing_on(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    @flow.command(name="snooze", description="Be asked again later")
    @describe(pause="Which request", until="When: 1h, 14:00, tomorrow 9:00")
    @completing(complete, pause="pause")
    async def snooze(interaction: discord.Interaction, pause: str, until: str) -> None:
        await hear(interaction)

    @flow.command(name="delegate", description="Let a colleague decide instead of you")
    @describe(pause="Which request", colleague="Who decides")
    @completing(complete, pause="pause")
    async def delegate(interaction: discord.Interaction, pause: str, colleague: discord.User) -> None:
        await hear(interaction)


def _add_others(flow: app_commands.Group, hear: Hear, complete: Complete) -> None:
    @flow.command(name="link", description="Use several accounts as one person")
    @describe(code="The code you were given with your other account, or: list")
    async def link(interaction: discord.Interaction, code: str | None = None) -> None:
        await hear(interaction)

    @flow.command(name="unlink", description="Take this account out of those that are yours")
    @describe(code="An account such as discord:42, for administrators")
    async def unlink(interaction: discord.Interaction, code: str | None = None) -> None:
        await hear(interaction)

    @flow.command(name="web", description="A link that opens the web page as you, once")
    @describe(action="off: sign every browser of yours out")
    @app_commands.choices(action=[Choice(name="off", value="off")])
    async def web(interaction: discord.Interaction, action: str | None = None) -> None:
        await hear(interaction)

    @flow.command(name="schedule", description="What runs by itself, and when")
    @describe(
        action="What to do",
        schedule="Which one; for add and backfill a flow",
        inputs='What else it needs, such as: "every weekday at 9:00" env=prod',
    )
    @app_commands.choices(action=[Choice(name=word, value=word) for word in SCHEDULE_WORDS])
    @completing(complete, schedule="schedule")
    async def schedule(
        interaction: discord.Interaction,
        action: str = "list",
        schedule: str | None = None,
        inputs: TEXT | None = None,
    ) -> None:
        await hear(interaction)

    @flow.command(name="help", description="What you can do here")
    @describe(topic="A command or a flow", inputs=INPUTS)
    @completing(complete, topic="topic")
    async def help_(interaction: discord.Interaction, topic: str | None = None, inputs: TEXT | None = None) -> None:
        await hear(interaction)

    @flow.command(name="whoami", description="Who you are here, and what you may do")
    @describe(inputs=INPUTS)
    async def whoami(interaction: discord.Interaction, inputs: TEXT | None = None) -> None:
        await hear(interaction)


def digest(tree: app_commands.CommandTree[Any], application_id: int | None, guild: discord.abc.Snowflake | None) -> str:
    """A fingerprint of everything a sync would send, so that it is sent only when it changed."""
    commands = [command.to_dict(tree) for command in tree.get_commands(guild=guild)]
    text = json.dumps([application_id, guild.id if guild else None, commands], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
