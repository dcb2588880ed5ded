"""`io.kestra.plugin.core.runner`: scripts as child processes of this one."""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from engine.plugin import RunContext, TaskFailed
from engine.tasks import descendants
from engine.tasks.runners import WORK, Ended, Job, Runner, Stream, pass_on
from engine.tasks.threads import in_own_thread

INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy")
BLOCK = 1 << 14
DRAIN = 5.0  # seconds to wait for output that somebody holds open who could not be ended
LEFT = 1 << 21  # bytes: more than lies in a pipe and in our buffers when a script ends
HELD = 0.2  # seconds after which output that is still open is held by what the script left


class Process(Runner):
    """Run on this machine, without this program's secrets: a clean environment, its own home, its own process group.

    What a script starts ends with it, also in the background, in a session of its own or without a parent.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: local
type: io.kestra.plugin.scripts.shell.Commands
taskRunner:
  type: io.kestra.plugin.core.runner.Process
commands:
  - echo hello
""",
    )
    is_local: ClassVar[bool] = True
    type: Literal[
        "io.kestra.plugin.core.runner.Process",
        "io.kestra.plugin.core.runner.ProcessTaskRunner",
        "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner",
    ]

    async def execute(self, job: Job, context: RunContext) -> Ended:
        home, scratch = job.folder / WORK / "home", job.folder / WORK / "tmp"
        for folder in (home, scratch):
            folder.mkdir(parents=True, exist_ok=True)
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", **environment, "HOME": str(home), "TMPDIR": str(scratch)}
        mark = secrets.token_hex(8)
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *job.command,
                cwd=job.folder,
                env={**environment, **job.env, descendants.MARK: mark},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        )
        try:
            process = await asyncio.shield(starting)
        except (OSError, ValueError) as error:
            raise TaskFailed(
                f"{job.command[0]!r} could not be started: {error}.", fix="Check `interpreter`."
            ) from error
        except asyncio.CancelledError:
            await _stopped(starting, mark)
            raise
        outputs = [_Output(process, process.stdout, "stdout", job), _Output(process, process.stderr, "stderr", job)]
        readers = {asyncio.create_task(output.listen()): output for output in outputs}
        try:
            await _ended(process.pid)
            await _left(process.pid, mark, list(readers))
        except asyncio.CancelledError:
            await asyncio.shield(in_own_thread(lambda: descendants.end(mark, process.pid)))
            raise
        finally:
            _kill_group(process.pid)  # what it left in the background, or all of it when we are being stopped
            await asyncio.shield(_drained(process, readers))
        code = process.returncode or 0
        return Ended(code if code >= 0 else 128 - code, {"pid": process.pid})


async def _left(pid: int, mark: str, readers: Sequence[asyncio.Task[Any]]) -> None:
    """End what a script left in the background: at once where it holds the output open, else soon."""
    _kill_group(pid)
    _, late = await asyncio.wait(readers, timeout=HELD)
    if late:
        await in_own_thread(lambda: descendants.end_marked({mark}))
    else:
        descendants.LEFTOVERS.expect(mark)


async def _stopped(starting: asyncio.Future[asyncio.subprocess.Process], mark: str) -> None:
    """End a script that was cancelled while it started: asyncio alone would wait for its children, and leave them."""
    with contextlib.suppress(OSError, ValueError):
        process = await asyncio.shield(starting)
        await in_own_thread(lambda: descendants.end(mark, process.pid))
        await _drained(process, {asyncio.create_task(process.communicate()): None})


class _Output:
    """Hands on what comes from one of the outputs of a script."""

    def __init__(
        self, process: asyncio.subprocess.Process, stream: asyncio.StreamReader | None, name: Stream, job: Job
    ) -> None:
        self.process = process
        self.stream = stream
        self.name = name
        self.job = job
        self.is_idle = False  # all that came is handed on
        self.heard = 0  # bytes

    async def listen(self) -> None:
        """Until the output ends."""
        while self.stream is not None:
            self.is_idle = True
            block = await self.stream.read(BLOCK)
            self.is_idle = False
            if not block:
                return
            self.heard += len(block)
            await pass_on(self.job.hear, block, self.name, waits=self.process.returncode is None)


async def _ended(pid: int) -> None:
    """Wait until the process itself has ended; asyncio's own `wait` also waits for whoever holds its pipes."""
    try:
        handle = os.pidfd_open(pid)
    except AttributeError:  # not Linux
        await in_own_thread(lambda: _await_end(pid))
        return
    except ProcessLookupError:  # asyncio has collected it already
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _await_end(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # asyncio has collected it already
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def _drained(process: asyncio.subprocess.Process, readers: Mapping[asyncio.Task[Any], _Output | None]) -> None:
    """All that the script wrote is handed on, however long that takes; not what somebody writes who holds its output
    open."""
    most = {output: output.heard + LEFT for output in readers.values() if output is not None}
    _, late = await asyncio.wait(readers, timeout=DRAIN)
    while any(one is not None and not one.is_idle and one.heard < most[one] for one in map(readers.get, late)):
        _, late = await asyncio.wait(readers, timeout=DRAIN)
    for reader in late:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    if not late:
        await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # our ends of pipes that somebody else may still hold
    await asyncio.sleep(0)  # one turn of the loop, in which they are closed


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
