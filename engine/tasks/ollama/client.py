"""Ollama by its own API: wait for the server, fetch models, generate."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from engine.plugin import RunContext, TaskFailed
from engine.tasks.address_guard import check_address

if TYPE_CHECKING:
    from ollama import AsyncClient, ChatResponse

R = TypeVar("R")
LOCAL = "http://127.0.0.1:11434"
CLOUD = "https://ollama.com"
USUAL_CONTEXT = 4096  # tokens; more has to be asked for
LARGEST_CONTEXT = 32_768
SLOW = 600.0  # seconds a small machine may think before its first word


@dataclass(frozen=True, slots=True)
class Server:
    """Where Ollama is, and whether somebody said so (then it is waited for)."""

    url: str
    is_named: bool
    api_key: str | None = None


def server(context: RunContext, host: str | None, api_key: str | None) -> Server:
    """The server to ask: the task's, the operator's, the environment's, or the usual local one."""
    if host:
        return Server(_url(host), True, api_key)
    if api_key:
        return Server(CLOUD, True, api_key)
    if configured := context.settings.provider("ollama").base_url:
        return Server(_url(configured), True)
    if environment := os.environ.get("OLLAMA_HOST"):
        return Server(_url(environment), True)
    return Server(LOCAL, False)


async def answers(context: RunContext, at: Server, patience: float) -> bool:
    """Whether the server answers within some seconds."""
    await check_address(at.url, context.settings)
    for wait in range(max(int(patience), 1)):
        try:
            found = await context.http.get(f"{at.url}/api/version", timeout=5)
        except httpx.HTTPError:
            found = None
        if found is not None and found.status_code < 500:
            return True
        if wait + 1 < patience:
            if wait == 0:
                context.log(f"Waiting for Ollama at {at.url}, up to {patience:g} s.")
            await asyncio.sleep(1)
    return False


class Models:
    """The models of one server; TaskFailed says what to do when it refuses."""

    def __init__(self, client: "AsyncClient", context: RunContext, at: Server) -> None:
        self.client = client
        self.context = context
        self.at = at

    async def generate(self, model: str, prompt: str, format_: str | None, keep_alive: str | None) -> str:
        """The model's whole answer; a model that is not there yet is fetched first."""
        import ollama

        try:
            return await self._generate(model, prompt, format_, keep_alive)
        except ollama.ResponseError as error:
            if error.status_code != 404:
                raise
        await self.pull(model)
        return await self._generate(model, prompt, format_, keep_alive)

    async def _generate(self, model: str, prompt: str, format_: str | None, keep_alive: str | None) -> str:
        said: list[str] = []
        async for part in await self.client.generate(
            model=model,
            prompt=prompt,
            stream=True,
            format="json" if format_ == "json" else None,
            keep_alive=keep_alive,
            options=self._options(prompt),
        ):
            said.append(part.response or "")
            if part.done:
                self.context.metric("prompt.token.count", part.prompt_eval_count or 0, model=model)
                self.context.metric("candidate.token.count", part.eval_count or 0, model=model)
        return "".join(said)

    async def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        format_: Any,
        options: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]] = (),
        think: bool | None = None,
    ) -> "ChatResponse":
        """The model's answer to a conversation; a model that is not there yet is fetched first."""
        return await self._fetched(
            model,
            lambda: self.client.chat(
                model=model,
                messages=messages,
                format=format_,
                options=options,
                tools=list(tools) or None,
                think=think,
            ),
        )

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """A vector for every text; a model that is not there yet is fetched first."""
        found = await self._fetched(model, lambda: self.client.embed(model=model, input=list(texts)))
        return [list(one) for one in found.embeddings]

    async def _fetched(self, model: str, ask: Callable[[], Awaitable[R]]) -> R:
        """What a model answers, which is fetched when it is not there."""
        import ollama

        try:
            return await ask()
        except ollama.ResponseError as error:
            if error.status_code != 404:
                raise
        await self.pull(model)
        return await ask()

    def _options(self, prompt: str) -> dict[str, Any] | None:
        needed = len(prompt) // 3 + 1024  # about three characters a token, and room for the answer
        if needed <= USUAL_CONTEXT:
            return None
        if needed > LARGEST_CONTEXT:
            self.context.log(
                f"The prompt has {len(prompt)} characters; the model may see only the last part of it.", "WARN"
            )
        return {"num_ctx": min(1 << (needed - 1).bit_length(), LARGEST_CONTEXT)}

    async def pull(self, model: str) -> None:
        """Fetch a model, telling how far it is."""
        self.context.log(f"Pulling {model}.")
        told = ""
        async for step in await self.client.pull(model, stream=True):
            percent = 100 * (step.completed or 0) // step.total if step.total else None
            line = f"{step.status} {percent // 10 * 10} %" if percent is not None else str(step.status)
            if line != told:
                self.context.log(f"{model}: {line}")
            told = line

    async def listed(self) -> str:
        """The models that are there, one a line."""
        found = await self.client.list()
        return "\n".join(f"{model.model}\t{model.size or 0}" for model in found.models)

    async def running(self) -> str:
        """The models that are loaded, one a line."""
        found = await self.client.ps()
        return "\n".join(str(model.model) for model in found.models)

    async def shown(self, model: str) -> str:
        """What is known about a model."""
        return (await self.client.show(model)).model_dump_json(indent=2, exclude_none=True)

    async def removed(self, model: str) -> str:
        """Delete a model; the line the command line tool would write."""
        await self.client.delete(model)
        return f"deleted '{model}'"


@asynccontextmanager
async def models(context: RunContext, at: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[Models]:
    """The models of a server; what the client raises leaves as TaskFailed."""
    ollama = await asyncio.to_thread(_sdk)
    named = "ollama" in context.settings.providers
    wait = context.time_limit or (context.settings.provider("ollama").timeout if named else SLOW)
    headers = {"Authorization": f"Bearer {at.api_key}"} if at.api_key else None
    patience = httpx.Timeout(wait, connect=10)
    client = ollama.AsyncClient(host=at.url, timeout=patience, headers=headers, verify=tls or True)
    try:
        yield Models(client, context, at)
    except ollama.ResponseError as error:
        fix = "Check the model's name with `ollama list`." if error.status_code == 404 else ""
        raise TaskFailed(f"Ollama at {at.url} answered {error.status_code}: {error.error}", fix=fix) from error
    except httpx.TimeoutException as error:
        raise TaskFailed(
            f"Ollama at {at.url} was silent for {wait:g} s.",
            fix="Give the task a longer `timeout`, raise `providers.ollama.timeout`, or use a smaller model.",
        ) from error
    except (httpx.HTTPError, OSError) as error:
        raise TaskFailed(
            f"Ollama at {at.url} could not be reached: {error}.", fix="Start it with `ollama serve`."
        ) from error
    finally:
        await client.close()


def _url(host: str) -> str:
    text = host if "://" in host else f"http://{host}"
    url = httpx.URL(text)
    if "://" not in host and url.port is None:
        url = url.copy_with(port=11434)
    return str(url).rstrip("/").replace("//0.0.0.0", "//127.0.0.1")


def _sdk() -> Any:
    import ollama

    return ollama
