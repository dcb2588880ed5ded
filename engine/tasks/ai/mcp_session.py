"""Sessions with MCP servers: processes of this machine, containers, or services reached over HTTP."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from engine.plugin import RunContext, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.ai.conversation import Call, Described, Offer
from engine.tasks.core.runner import INHERITED
from engine.tasks.extras import extra
from engine.tasks.pages import Pages
from engine.tasks.runners import WORK

CLOSING = 15.0  # seconds a server gets to end
LAST_WORDS = 2000  # characters of a server's error output that a message shows

Transport = AbstractAsyncContextManager[Any]


class CallRefused(TaskFailed):
    """A server does not do what it is asked, such as a tool that it does not have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool gave: as text, and as the value it declares if it does."""

    text: str
    structured: Any
    is_error: bool


class Session:
    """One open session. A server that ends in the middle of a call fails the call."""

    def __init__(self, name: str, client: Any, holder: "asyncio.Task[None]", timeout: float) -> None:
        self._name = name
        self._client = client
        self._holder = holder
        self._timeout = timeout

    async def offers(self, only: Sequence[str] | None = None) -> list[Offer]:
        """The server's tools; TaskFailed."""
        found: list[Offer] = []
        cursor, pages = "", Pages(f"The MCP server {self._name}")
        while True:
            listed = await self._answered(self._client.list_tools(cursor=cursor or None))
            for tool in listed.tools:
                if only is None or tool.name in only:
                    described = Described(tool.name, tool.description or tool.title or "", tool.input_schema)
                    found.append(Offer(described, self.use))
            cursor = pages.after(listed.next_cursor)
            if not cursor:
                return found

    async def use(self, call: Call, number: int) -> str:
        """What the server answers to one call; TaskFailed when it says that the tool failed."""
        answer = await self.called(call.name, call.arguments)
        if answer.is_error:
            raise TaskFailed(answer.text or f"{call.name} failed.")
        return answer.text

    async def called(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """What the server answers to a call, also when it says that the tool failed; CallRefused, TaskFailed."""
        answer = await self._answered(self._client.call_tool(name, dict(arguments)))
        text = "\n".join(_told(content) for content in answer.content)
        return Answer(text, answer.structured_content, bool(answer.is_error))

    async def _answered(self, asked: Awaitable[Any]) -> Any:
        from mcp import MCPError

        asking = asyncio.ensure_future(asked)
        try:
            await asyncio.wait({asking, self._holder}, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
        except (MCPError, OSError, RuntimeError) as error:
            # -32000 to -32099 are the transport's: nobody answered.
            kind = CallRefused if isinstance(error, MCPError) and not -32100 < error.code <= -32000 else TaskFailed
            raise kind(f"The MCP server {self._name} answered: {error}") from error
        finally:
            if not asking.done():
                asking.cancel()
                await asyncio.wait({asking})
        if self._holder.done():
            raise TaskFailed(f"The MCP server {self._name} ended before it answered.", fix="Look at its own log.")
        raise TaskFailed(f"The MCP server {self._name} was silent for {self._timeout:g} s.", fix="Raise `timeout`.")


@asynccontextmanager
async def session(
    name: str, transports: Sequence[Callable[[], Transport]], patience: float, last_words: Callable[[], str] = str
) -> AsyncIterator[Session]:
    """A session over the first transport that works; TaskFailed when none does.

    It lives in a task of its own: the library cancels whoever holds a connection that breaks.
    """
    mcp = extra("mcp", "mcp")
    done = asyncio.Event()

    async def hold(transport: Transport, ready: "asyncio.Future[Any]") -> None:
        async with mcp.Client(transport) as client:
            ready.set_result(client)
            await done.wait()

    async def stopped(holder: "asyncio.Task[None]") -> None:
        done.set()
        try:
            await asyncio.wait({holder}, timeout=CLOSING)
        finally:
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)

    async with AsyncExitStack() as stack:
        problem: BaseException | None = None
        for make in transports:
            ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            holder = asyncio.create_task(hold(make(), ready))
            stack.push_async_callback(stopped, holder)
            await asyncio.wait({holder, ready}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                yield Session(name, ready.result(), holder, patience)
                return
            if holder.done():
                problem = holder.exception()
            else:
                problem = TimeoutError(f"it was silent for {patience:g} s")
                holder.cancel()
        reason = last_words() or _reason(problem)
        raise TaskFailed(
            f"The MCP server {name} could not be reached: {reason}", fix="Check how it is started, or its address."
        ) from problem


@asynccontextmanager
async def local(
    context: RunContext, command: Sequence[str], env: Mapping[str, str], patience: float, *, told: bool, name: str = ""
) -> AsyncIterator[Session]:
    """A server that is a process of this machine, with a clean environment and a home of its own."""
    mcp = extra("mcp", "mcp")
    if not command:
        raise TaskFailed("`command` is empty.", fix="Give the program and its arguments as a list.")
    folder = context.working_dir / WORK
    home, scratch = folder / "home", folder / "tmp"
    for one in (home, scratch):
        one.mkdir(parents=True, exist_ok=True)
    own = {name: os.environ[name] for name in INHERITED if name in os.environ}
    cleared = {"HOME": str(home), "TMPDIR": str(scratch), "USER": "", "LOGNAME": "", "SHELL": "/bin/sh", "TERM": "dumb"}
    parameters = mcp.StdioServerParameters(
        command=command[0], args=list(command[1:]), env={**own, **cleared, **env}, cwd=str(context.working_dir)
    )
    errors = folder / "mcp-errors"
    with errors.open("w+", encoding="utf-8", errors="replace") as log:

        def said() -> str:
            log.flush()
            return errors.read_text("utf-8", "replace").strip()[-LAST_WORDS:]

        try:
            async with session(
                name or command[0], [lambda: mcp.stdio_client(parameters, errlog=log)], patience, said
            ) as opened:
                yield opened
        finally:
            if told and (text := said()):
                context.log(text)


@asynccontextmanager
async def remote(
    context: RunContext, url: str, headers: Mapping[str, str], patience: float, *, older: bool = False
) -> AsyncIterator[Session]:
    """A server reached by streamable HTTP; `older`: by server-sent events when it does not know that."""
    extra("mcp", "mcp")
    await check_address(url, context.settings)
    import httpx2
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    @asynccontextmanager
    async def streamed() -> AsyncIterator[Any]:
        limits = httpx2.Timeout(patience, read=max(patience, 300))
        async with (
            httpx2.AsyncClient(headers=dict(headers), timeout=limits, trust_env=True) as client,
            streamable_http_client(url, http_client=client) as streams,
        ):
            yield streams

    transports: list[Callable[[], Transport]] = [streamed]
    if older:
        transports.append(lambda: sse_client(url, headers=dict(headers), timeout=patience))
    async with session(url.partition("?")[0], transports, patience) as opened:
        yield opened


def _told(content: Any) -> str:
    """A piece of an answer as a model reads it."""
    if content.type == "text":
        return str(content.text)
    if content.type == "resource":
        return str(getattr(content.resource, "text", None) or content.resource.uri)
    if content.type == "resource_link":
        return str(content.uri)
    return f"[{content.type}: {content.mime_type}]"


def _reason(problem: BaseException | None) -> str:
    """The first cause of what broke a connection, in its own words."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return str(problem) or type(problem).__name__
