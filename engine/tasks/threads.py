"""Work that blocks for long, each in a thread of its own, so that it never holds one of the shared few."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any, TypeVar

from engine.plugin import TaskFailed

R = TypeVar("R")


async def in_own_thread(work: Callable[[], R]) -> R:
    """What `work` returns or raises. Cancelling stops the waiting, not the thread: end its cause as well."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[R] = loop.create_future()

    def settle(result: R | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            outcome: tuple[R | None, BaseException | None] = (work(), None)
        except BaseException as error:  # noqa: BLE001 - handed to the awaiting task, whatever it is
            outcome = (None, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=copy_context().run, args=(run,), name="parley-blocking", daemon=True).start()
    return await done


@contextlib.contextmanager
def while_alive() -> Iterator[Callable[..., None]]:
    """What a thread calls before each of its steps, with anything: TaskFailed once this block is left, as by a task
    that is killed."""
    ended = threading.Event()

    def check(*_: Any, **__: Any) -> None:
        if ended.is_set():
            raise TaskFailed("The task was killed.")

    try:
        yield check
    finally:
        ended.set()
