"""`io.kestra.plugin.ai.memory`: what an agent remembers from one run to the next."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from engine.errors import NotFound
from engine.plugin import Property, RunContext, Typed
from engine.tasks.ai.conversation import Turn, correlation_of
from engine.tasks.jdbc import postgresql
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.redis_task import RedisConnected
from engine.tasks.sql_text import plain_name

NOW = "(now() AT TIME ZONE 'UTC')"
CREATE = (
    "CREATE TABLE IF NOT EXISTS {} "
    "(memory_id VARCHAR(255) PRIMARY KEY, memory_json TEXT NOT NULL, expires_at TIMESTAMP NULL)"
)


class Remembered(BaseModel):
    """One message as it is kept."""

    role: Literal["user", "assistant"]
    text: str


class Memory(Typed, ABC):
    """The last messages of a conversation."""

    noun = "a memory"
    stands_in = "`memory`"
    memory_id: Property[OptionalText] = Field(default=None, description="The correlation id unless said otherwise.")
    messages: Property[int] = Field(default=10, ge=1, le=1000)
    ttl: Property[timedelta] = timedelta(hours=1)
    drop: Property[Literal["NEVER", "BEFORE_TASKRUN", "AFTER_TASKRUN"]] = "NEVER"

    @abstractmethod
    async def load(self, context: RunContext, key: str) -> Any:
        """What is kept under a key, as JSON; None when there is nothing."""

    @abstractmethod
    async def save(self, context: RunContext, key: str, kept: list[dict[str, str]]) -> None:
        """Keep messages for as long as `ttl` says; none of them: forget the key."""

    async def recall(self, context: RunContext) -> list[Turn]:
        """What was said before, oldest first."""
        key = self._key(context)
        if self.drop == "BEFORE_TASKRUN":
            await self.save(context, key, [])
            return []
        kept = await self.load(context, key)
        if kept is None:
            return []
        try:
            found = [Remembered.model_validate(message) for message in kept]
        except (ValidationError, TypeError):
            context.log(f"The key {key} holds no conversation; it is begun anew.", "WARN")
            return []
        return [Turn(message.role, message.text) for message in found]

    async def keep(self, context: RunContext, turns: Sequence[Turn]) -> None:
        """Keep the newest messages of a conversation for a while; forget it when it is to be dropped."""
        if self.drop == "AFTER_TASKRUN":
            await self.save(context, self._key(context), [])
            return
        said = [turn for turn in turns if turn.role in ("user", "assistant") and turn.text][-self.messages :]
        while said and said[0].role != "user":  # services want a conversation to begin with its user
            said = said[1:]
        await self.save(context, self._key(context), [{"role": turn.role, "text": turn.text} for turn in said])

    def _key(self, context: RunContext) -> str:
        name = self.memory_id or correlation_of(context.variables) or context.execution_id
        return "ai-memory-" + re.sub(r"[^a-zA-Z0-9._-]", "_", name)[:200]


class KestraKVStore(Memory):
    """The KV store of the namespace."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.memory.KestraKVStore
memoryId: "support-{{ inputs.user }}"
messages: 20
ttl: P7D
""",
    )
    type: Literal["io.kestra.plugin.ai.memory.KestraKVStore", "io.kestra.plugin.ai.memory.KestraKVMemory"]

    async def load(self, context: RunContext, key: str) -> Any:
        try:
            return await context.kv.get(context.namespace, key)
        except NotFound:
            return None

    async def save(self, context: RunContext, key: str, kept: list[dict[str, str]]) -> None:
        if kept:
            await context.kv.set(context.namespace, key, kept, ttl=self.ttl.total_seconds() or None)
        else:
            await context.kv.delete(context.namespace, key)


class Redis(Memory):
    """A Redis server."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.memory.Redis
host: redis.example.com
memoryId: "support-{{ inputs.user }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.memory.Redis"]
    host: Property[Text]
    port: Property[int] = 6379

    async def load(self, context: RunContext, key: str) -> Any:
        async with self._server.redis(context) as client:
            return parsed(await client.get(key))

    async def save(self, context: RunContext, key: str, kept: list[dict[str, str]]) -> None:
        async with self._server.redis(context) as client:
            if kept:
                text = json.dumps(kept, ensure_ascii=False)
                await client.set(key, text, px=round(self.ttl.total_seconds() * 1000) or None)
            else:
                await client.delete(key)

    @property
    def _server(self) -> RedisConnected:
        return RedisConnected(url=self.host if "://" in self.host else f"redis://{self.host}:{self.port}")


class PostgreSQL(Memory):
    """A table of PostgreSQL, which is made when it is not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.memory.PostgreSQL
host: db.example.com
database: flows
user: flows
password: "{{ secret('DB_PASSWORD') }}"
memoryId: "support-{{ inputs.user }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.memory.PostgreSQL"]
    host: Property[Text]
    port: Property[int] = 5432
    database: Property[Text]
    user: Property[Text]
    password: Property[Text]
    table_name: Property[Text] = "chat_memory"

    async def load(self, context: RunContext, key: str) -> Any:
        sql = f"SELECT memory_json FROM {self._table} WHERE memory_id = :id AND (expires_at IS NULL OR expires_at > {NOW})"  # noqa: S608, E501 - the table's name is checked
        found = await self._run(context, sql, {"id": key})
        return parsed(found[0]["memory_json"]) if found else None

    async def save(self, context: RunContext, key: str, kept: list[dict[str, str]]) -> None:
        if not kept:
            await self._run(context, f"DELETE FROM {self._table} WHERE memory_id = :id", {"id": key})  # noqa: S608
            return
        sql = (
            f"INSERT INTO {self._table} (memory_id, memory_json, expires_at) VALUES "  # noqa: S608
            f"(:id, :said, {NOW} + make_interval(secs => :ttl)) "
            "ON CONFLICT (memory_id) DO UPDATE SET memory_json = EXCLUDED.memory_json, expires_at = EXCLUDED.expires_at"
        )
        said = json.dumps(kept, ensure_ascii=False)
        await self._run(context, sql, {"id": key, "said": said, "ttl": self.ttl.total_seconds()})

    @property
    def _table(self) -> str:
        return plain_name(self.table_name, "tableName", dotted=True)

    async def _run(self, context: RunContext, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        url = f"jdbc:postgresql://{quote(self.host, safe=':[]')}:{self.port}/{self.database}"
        who = {"url": url, "username": self.user, "password": self.password}
        found = await postgresql.Queries.rows(context, f"{CREATE.format(self._table)};\n{sql}", parameters, **who)
        return [row for rows in found for row in rows]


def parsed(text: str | None) -> Any:
    """What is kept as JSON text; what is none is told as no conversation."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text
