"""`parley demo` and `parley up`: run the bot until it is told to stop."""

import asyncio
import contextlib
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import uvloop

from bot import logs
from bot.application import Application
from bot.cli import starting
from bot.cli.leaving import leave_soon
from bot.settings import BotSettings, LogSection, read_settings, shipped_flows
from bot.worker_process import WorkerProcess
from engine.errors import SettingInvalid
from engine.store.postgres import is_postgres

SPARE = 32  # threads besides one for each task


def serve(
    *,
    demo: bool,
    host: str | None,
    port: int | None,
    data: Path | None,
    flows: list[Path] | None,
    role: str | None = None,
    worker_groups: list[str] | None = None,
    log_format: Literal["json", "text"] | None = None,
) -> None:
    """Start, print `ready URL` on stdout (`ready -` where there is no page), run until SIGTERM or Ctrl-C."""
    if demo:
        settings = demo_settings(host, port, data)
    else:
        settings = up_settings(host, port, data, flows, role, tuple(worker_groups or ()) or None)
    section = settings.log if log_format is None else LogSection(format=log_format, level=settings.log.level)
    logs.configure(section)
    logs.hide(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        status = 130 if runner.run(_serve(settings, demo)) else 0
        leave_soon(status)
    if status:
        sys.exit(status)


def demo_settings(host: str | None, port: int | None, data: Path | None) -> BotSettings:
    """The tour's flows only, and no chat platform but the page, whatever tokens the shell holds."""
    settings = read_settings(data=data, flows=(shipped_flows("tour"),))
    alone = {"slack_bot_token": None, "slack_app_token": None, "slack_signing_secret": None, "discord_token": None}
    return settings.model_copy(update={**alone, "web": _web(settings, host, port)})


def up_settings(
    host: str | None,
    port: int | None,
    data: Path | None,
    flows: list[Path] | None,
    role: str | None = None,
    worker_groups: tuple[str, ...] | None = None,
) -> BotSettings:
    """What the settings say, with the shipped `demo` flows behind the operator's own."""
    settings = read_settings(data=data, flows=tuple(flows) if flows else None, role=role, worker_groups=worker_groups)
    if worker_groups:
        _refuse_groups(settings)
    folders = tuple(dict.fromkeys((*settings.flows, shipped_flows("demo"))))
    return settings.model_copy(update={"flows": folders, "web": _web(settings, host, port)})


def _refuse_groups(settings: BotSettings) -> None:
    """SettingInvalid when the groups that somebody named for this process would mean nothing in it."""
    if settings.role not in ("all", "worker"):
        raise SettingInvalid(
            f"`--worker-group` names tasks to run, and the role {settings.role!r} runs none.",
            fix="Give it to the workers (`--role worker`), and leave it out here.",
        )
    if not is_postgres(settings.database):
        raise SettingInvalid(
            "`--worker-group` needs a database that processes can share: alone on a file this one runs every task.",
            fix="Set `database` to postgresql://user:password@host/name, or leave out `--worker-group`.",
        )


def _web(settings: BotSettings, host: str | None, port: int | None) -> object:
    given = {"host": host, "port": port, "worker_port": port}
    return settings.web.model_copy(update={name: value for name, value in given.items() if value is not None})


async def _serve(settings: BotSettings, demo: bool) -> bool:
    stop = asyncio.Event()
    heard: list[int] = []

    def told(number: int) -> None:
        heard.append(number)
        stop.set()

    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number)
    app: Application | WorkerProcess
    if settings.has_flows:
        app = await Application.open(settings, demo=demo)
    else:
        app = await WorkerProcess.open(settings)
    logs.MASKING.maskers.append(app.engine.masker)
    try:
        await app.start()
        sys.stderr.write(_welcome(app, demo))
        sys.stdout.write(f"ready {app.url}\n")
        sys.stdout.flush()
        starting.settle()
        await app.run(stop)
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await app.stop()
    return signal.SIGINT in heard


def threads(settings: BotSettings) -> ThreadPoolExecutor:
    """For short work that blocks: all tasks that may run at once, with files that are large or far away, leave some."""
    return ThreadPoolExecutor(settings.limits.workers + SPARE, thread_name_prefix="parley")


def _welcome(app: Application | WorkerProcess, demo: bool) -> str:
    settings = app.engine.settings
    data = settings.data.resolve()
    if isinstance(app, WorkerProcess):
        groups = f", for the groups {', '.join(settings.worker_groups)}" if settings.worker_groups else ""
        return f"Parley runs as {settings.role}{groups}. Data (files, keys): {data}\n"
    lines = [f"Parley is at {app.url}", f"Data (database, files, keys): {data}"]
    if demo:
        lines += [
            "Type /flow list there, or press one of the suggestions.",
            "To go on: `parley up` serves the flows in ./flows. With SLACK_BOT_TOKEN and SLACK_APP_TOKEN, or with",
            f"DISCORD_TOKEN, it connects to Slack and Discord. The guides are at {app.url}/docs.",
        ]
    return "\n".join(lines) + "\n"
