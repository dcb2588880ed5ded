"""Services with a JSON API: one call, its answer parsed, its refusal in a sentence; and waiting for a job of theirs."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from engine.core.dates import parse_datetime
from engine.errors import EngineError
from engine.plugin import RunContext, TaskFailed
from engine.tasks.http_options import DEFAULT, HttpOptions
from engine.tasks.outbound import TRIES, Answer, obeyed, opened, patient, read

log = logging.getLogger(__name__)
R = TypeVar("R")
SOONEST = 0.1  # seconds between two looks at what is waited for, whatever a flow says
PATIENCE = 4.0  # seconds that a service has to stop what it runs; a stop of the bot waits 5 for its tasks
REASONS = (
    ("error_summary",),
    ("message", "value"),
    ("message",),
    ("error", "message"),
    ("error", "reason"),
    ("error",),
    ("errorMessages",),
    ("detail",),
    ("errors",),
)
HINTS = {
    401: "Check the credentials.",
    403: "Check what the credentials may do.",
    404: "Check the address and the names in the task.",
}


async def call(
    context: RunContext,
    service: str,
    method: str,
    url: str,
    *,
    options: HttpOptions | None = None,
    headers: Mapping[str, str] | None = None,
    **body: Any,
) -> Answer:
    """The answer of a service; waits when told to (429), TaskFailed with what it says when it refuses."""
    refuse_climbing(url)
    answer = await patient(context, service, method, url, options=options or DEFAULT, headers=headers, **body)
    return accepted(answer, service)


def accepted(answer: Answer, service: str) -> Answer:
    """The answer; TaskFailed with what it says when it is a refusal."""
    if answer.code >= 400:
        raise TaskFailed(f"{service} answered {answer.code}: {reason(answer)}", fix=HINTS.get(answer.code, ""))
    return answer


async def document(context: RunContext, service: str, method: str, url: str, **given: Any) -> Any:
    """The JSON of a service's answer; TaskFailed when it is none."""
    return parsed(await call(context, service, method, url, **given), service)


async def mapping(context: RunContext, service: str, method: str, url: str, **given: Any) -> dict[str, Any]:
    """The JSON object that a service answers, an empty one when it answers nothing; TaskFailed when it is none."""
    return mapped(await document(context, service, method, url, **given), service)


def mapped(found: Any, service: str, *path: str) -> dict[str, Any]:
    """The object that a service answered, or that stands at a place of its answer, an empty one where it says nothing;
    TaskFailed when there is something else."""
    for number in range(len(path) + 1):
        if found is not None and not isinstance(found, dict):
            raise _odd("no object", found, service, path[:number])
        if number < len(path):
            found = (found or {}).get(path[number])
    return found or {}


def held(answer: Any, service: str, *path: str) -> Any:
    """What stands at a place of a service's answer; TaskFailed when nothing does."""
    found = answer
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    if found is None:
        raise TaskFailed(
            f"{service} answered without `{'.'.join(path)}`.", fix="Check the address: another service may hear there."
        )
    return found


def whole(answer: Any, service: str, *path: str, missing: int | None = None) -> int:
    """The whole number at a place of a service's answer, also written as text; TaskFailed when there is none, but for
    nothing at all, which is as many as are `missing`."""
    if missing is not None and mapped(answer, service, *path[:-1]).get(path[-1]) is None:
        return missing
    found = held(answer, service, *path)
    try:
        return int(found)
    except (TypeError, ValueError, OverflowError) as error:
        raise _odd("no number", found, service, path) from error


def dated(answer: Any, service: str, *path: str) -> datetime:
    """The moment at a place of a service's answer; TaskFailed when there is none."""
    found = held(answer, service, *path)
    try:
        return parse_datetime(str(found))
    except ValueError as error:
        raise _odd("no date and time", found, service, path) from error


def decoded(answer: Any, service: str, *path: str) -> bytes:
    """The bytes at a place of a service's answer, in Base64 of either kind, padded or not; TaskFailed when there are
    none."""
    found = held(answer, service, *path)
    text = "".join(str(found).split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise _odd("no Base64", found, service, path) from error


def listed(answer: Any, service: str, *path: str, each: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The objects in a list of a service's answer, none where it says nothing; TaskFailed when there is something else,
    or an object without one of the names that `each` has."""
    found = mapped(answer, service, *path[:-1]).get(path[-1]) if path else answer
    if found is not None and not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise _odd("no list of objects", found, service, path)
    for one in found or ():
        for name in each:
            held(one, service, name)
    return found or []


def lists(answer: Any, service: str, *path: str) -> list[list[Any]]:
    """The lists in a list at a place of a service's answer, none where it says nothing; TaskFailed when there is
    something else."""
    found = mapped(answer, service, *path[:-1]).get(path[-1])
    if found is not None and not (isinstance(found, list) and all(isinstance(one, list) for one in found)):
        raise _odd("no list of lists", found, service, path)
    return found or []


def _odd(what: str, found: Any, service: str, path: Sequence[str]) -> TaskFailed:
    place = f" in `{'.'.join(path)}`" if path else ""
    return TaskFailed(
        f"{service} answered with {what}{place}: {json.dumps(found, ensure_ascii=False)[:200]}",
        fix="Check the address: another service may hear there.",
    )


async def downloaded(
    context: RunContext, service: str, url: str, target: Path, *, of: str = "", raw: bool = False, **given: Any
) -> Mapping[str, str]:
    """The headers of an answer whose body is now in a file (`raw`: as it came, packed or not); waits when told to
    (429), TaskFailed when the service refuses."""
    refuse_climbing(url)
    for left in reversed(range(TRIES)):
        async with opened(context, "GET", url, **given) as response:
            if response.status_code < 400:
                with target.open("wb") as file:
                    async for block in response.aiter_raw() if raw else response.aiter_bytes():
                        file.write(block)
                return response.headers
            said = await read(response, context.settings.http.max_body)
            answer = Answer(url, response.status_code, response.headers, said)
        if answer.code != 429 or not left:
            break
        await obeyed(context, service, answer)
    named = f" for {of}" if of else ""
    raise TaskFailed(f"{service} answered {answer.code}{named}: {answer.text[:500]}", fix=HINTS.get(answer.code, ""))


def refuse_climbing(url: str) -> None:
    """TaskFailed when an address climbs: a document's id of `..` would name the index it is in."""
    if not {".", ".."}.isdisjoint(urlsplit(url).path.split("/")):
        raise TaskFailed(
            f"{url} has `.` or `..` for a step of its path.",
            fix="Check the ids and names in the task, and their inputs.",
        )


def parsed(answer: Answer, service: str) -> Any:
    """The JSON of an answer, None when it is empty."""
    if not answer.content.strip():
        return None
    try:
        return json.loads(answer.content)
    except ValueError as error:
        raise TaskFailed(
            f"{service} answered {answer.code} with something that is not JSON: {answer.text[:200]!r}.",
            fix="Check the address: this may be a page for people.",
        ) from error


def present(**fields: Any) -> dict[str, Any]:
    """The fields that are there; None is what a task does not say."""
    return {name: value for name, value in fields.items() if value is not None}


def reason(answer: Answer) -> str:
    """What a refusal says, without the markup around it."""
    try:
        found = json.loads(answer.content)
    except ValueError:
        return answer.text[:500].strip() or "nothing more"
    for path in REASONS:
        value: Any = found
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value:
            more = found.get("errors") if path == ("message",) and isinstance(found, dict) else None
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            return (f"{text} {json.dumps(more, ensure_ascii=False)}" if more else text)[:500]
    return answer.text[:500].strip()


async def waited(
    context: RunContext,
    look: Callable[[], Awaitable[R | None]],
    *,
    every: timedelta,
    most: timedelta | None = None,
    what: str = "",
    fix: str = "Raise `maxDuration`.",
    stop: Callable[[], Awaitable[Any]] | None = None,
    outlasts: bool = False,
) -> R:
    """What `look` gives as soon as it gives something; TaskFailed when that takes longer than `most`, which `what` then
    names. `stop` ends what nobody waits for any more: when the task is killed or runs into its `timeout`, when the bot
    is stopped, for the task then begins anew, and after `most` unless it `outlasts` that."""
    loop = asyncio.get_running_loop()
    until = inf if most is None else loop.time() + most.total_seconds()

    async with stopping(context, what, stop):
        while (found := await look()) is None:
            if loop.time() >= until:
                if stop is not None and not outlasts:
                    await stopped(context, what, stop)
                raise TaskFailed(f"{what} did not end within {most}.", fix=fix)
            await asyncio.sleep(max(every.total_seconds(), SOONEST))
    return found


@asynccontextmanager
async def stopping(context: RunContext, what: str, stop: Callable[[], Awaitable[Any]] | None) -> AsyncIterator[None]:
    """While this is open, the task's end from outside `stop`s `what` at its service: once, and whether or not the
    service does it."""
    try:
        yield
    except asyncio.CancelledError:
        if stop is not None:
            await stopped(context, what, stop)
        raise


async def stopped(context: RunContext, what: str, stop: Callable[[], Awaitable[Any]]) -> None:
    """`stop` what nobody waits for any more; the log tells whether its service did."""
    try:
        async with asyncio.timeout(PATIENCE):
            await stop()
    except TimeoutError:
        context.log(f"{what} may still run: its service did not answer within {PATIENCE:g} s.", "WARN")
    except EngineError as error:
        context.log(f"{what} may still run: it could not be stopped. {error.message}", "WARN")
    except Exception:  # that the task is killed must not be lost
        log.exception("Stopping broke: %s", what)
        context.log(f"{what} may still run: it could not be stopped.", "WARN")
    else:
        context.log(f"{what} is stopped, for nobody waits for it any more.")
