"""What Redis tasks share: the connection, and how values become text and back."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from engine.core.json_text import read_json
from engine.plugin import Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.extras import extra
from engine.tasks.given_rows import text_of
from engine.tasks.property_types import Text

SerdeType = Literal["STRING", "JSON"]


class RedisConnected(Part):
    """Where Redis is."""

    url: Property[Text]

    @asynccontextmanager
    async def redis(self, context: RunContext, *, raw: bool = False) -> AsyncIterator[Any]:
        """A connection, whose values are bytes where they are wanted `raw`; TaskFailed when Redis can't be reached or
        refuses."""
        library, errors = extra("redis.asyncio", "redis"), extra("redis.exceptions", "redis")
        try:
            client = library.Redis.from_url(self.url, decode_responses=not raw)
        except ValueError as error:
            raise TaskFailed(f"`url` is no address of Redis: {error}", fix="redis://:password@host:6379/0") from error
        given = client.connection_pool.connection_kwargs
        if host := given.get("host"):
            await check_address(f"http://{f'[{host}]' if ':' in host else host}", context.settings)
        if password := given.get("password"):
            context.mask(password)
        try:
            yield client
        except errors.RedisError as error:
            raise TaskFailed(f"Redis: {error}") from error
        finally:
            await client.aclose()


class RedisTask(RedisConnected, RunnableTask):
    """A task that calls Redis."""


def written(value: Any, kind: SerdeType) -> str:
    """A value as Redis keeps it; TaskFailed when it should be JSON and is not."""
    if kind == "JSON" and isinstance(value, str):
        return json.dumps(_json(value), ensure_ascii=False)
    return text_of(value)


def heard(text: str | bytes | None, kind: SerdeType) -> Any:
    """What Redis keeps as a value; TaskFailed when it should be JSON and is not, or is no text."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise TaskFailed(f"This is no text: {text[:200]!r}.", fix="Values must be UTF-8.") from error
    return text if text is None or kind == "STRING" else _json(text)


def _json(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise TaskFailed(f"This is not JSON: {text[:200]!r}.", fix="`serdeType: STRING` takes any text.") from error
