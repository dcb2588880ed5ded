"""A RunContext for tests of single tasks: real HTTP, files and expressions; logs and metrics are kept to look at."""

import asyncio
import gc
import json
import re
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import httpx

from engine import expressions
from engine.core.property import has_template
from engine.core.registry import Registry
from engine.errors import ExpressionFailed, NotFound, Refused
from engine.plugin import ChatPost, Message, PollingTrigger, RealtimeTrigger, RunnableTask, Settings
from engine.secrets import Masker
from engine.tasks import catalogue

NAMESPACE, FLOW, EXECUTION = "company.ai", "a_flow", "01EXECUTION"


@dataclass
class TestFiles:
    """Internal storage in a folder."""

    __test__ = False
    root: Path
    shared: dict[str, Path] = field(default_factory=dict)
    others: dict[str, dict[str, Path]] = field(default_factory=dict)
    count: int = 0

    async def put(self, source: Path | bytes, name: str) -> str:
        self.count += 1
        path = self.root / str(self.count) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
        return f"kestra:///{self.count}/{name}"

    async def read(self, uri: str) -> bytes:
        return self.path(uri).read_bytes()

    async def delete(self, uri: str) -> None:
        self.path(uri).unlink()

    def path(self, uri: str) -> Path:
        if not uri.startswith("kestra:///") or ".." in uri:
            raise Refused(f"{uri} is not a file of internal storage.")
        path = self.root / uri.removeprefix("kestra:///")
        if not path.is_file():
            raise NotFound(f"There is no file {uri}.")
        return path

    async def namespace_files(self, namespace: str | None = None) -> Mapping[str, Path]:
        return self.shared if namespace in (None, NAMESPACE) else self.others.get(namespace, {})

    def text(self, uri: str) -> str:
        """What a stored file holds."""
        return self.path(uri).read_text("utf-8")


class TestKeyValues:
    """KV pairs in memory."""

    __test__ = False

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Any] = {}
        self.kinds: dict[tuple[str, str], str | None] = {}
        self.ttls: dict[tuple[str, str], float | None] = {}

    async def get(self, namespace: str, key: str) -> Any:
        if (namespace, key) not in self.stored:
            raise NotFound(f"There is no key {key}.")
        return self.stored[namespace, key]

    async def set(
        self,
        namespace: str,
        key: str,
        value: Any,
        *,
        ttl: float | None = None,
        overwrite: bool = True,
        kind: str | None = None,
        description: str | None = None,
    ) -> None:
        if not overwrite and (namespace, key) in self.stored:
            raise Refused(f"The key {key} is there already.")
        self.stored[namespace, key] = value
        self.kinds[namespace, key], self.ttls[namespace, key] = kind, ttl

    async def update(self, namespace: str, key: str, change: Any, *, must_exist: bool = False) -> None:
        if must_exist and (namespace, key) not in self.stored:
            raise NotFound(f"There is no key {key}.")
        self.stored[namespace, key] = change(self.stored.get((namespace, key)))

    async def delete(self, namespace: str, key: str) -> bool:
        return self.stored.pop((namespace, key), None) is not None

    async def keys(self, namespace: str, prefix: str = "") -> list[str]:
        return sorted(key for space, key in self.stored if space == namespace and key.startswith(prefix))


class TestChat:
    """The bot's connections: keeps what was posted."""

    __test__ = False

    def __init__(self, origin: tuple[str, str] | None = None) -> None:
        self.posts: list[ChatPost] = []
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.origin = origin

    async def post(self, post: ChatPost) -> str:
        self.posts.append(post)
        return f"message-{len(self.posts)}"

    async def call(self, platform: str, method: str, given: Mapping[str, str]) -> Mapping[str, Any]:
        self.calls.append((method, dict(given)))
        return {"ok": True, "ts": given.get("ts")}

    def origin_channel(self, execution_id: str) -> tuple[str, str] | None:
        return self.origin


class TestExecutions:
    """Other executions: keeps the answers."""

    __test__ = False

    def __init__(self) -> None:
        self.resumed: list[tuple[str, Mapping[str, Any], str]] = []

    async def resume(self, execution_id: str, inputs: Mapping[str, Any], *, by: str) -> tuple[str, str]:
        self.resumed.append((execution_id, inputs, by))
        return NAMESPACE, FLOW


class TestContext:
    """What a task under test may touch. `run` does what the worker does: parse, render, run."""

    __test__ = False

    def __init__(self, folder: Path, http: httpx.AsyncClient, settings: Settings, **variables: Any) -> None:
        self.namespace, self.flow_id, self.execution_id = NAMESPACE, FLOW, EXECUTION
        self.task_run_id, self.task_id, self.attempt = f"{EXECUTION}.1", "the_task", 1
        self.time_limit: float | None = None
        self.memory: Mapping[str, Any] = {}
        self.remembered: list[Mapping[str, Any]] = []
        self.value: str | None = None
        self.settings, self.http = settings, http
        self.files = TestFiles(folder / "storage")
        self.kv, self.chat, self.executions = TestKeyValues(), None, TestExecutions()
        self.flows = None
        self.secrets: dict[str, str] = {}
        self.folder = folder / "work"
        self.lines: list[tuple[str, str]] = []
        self.metrics: dict[str, float] = {}
        self.tags: dict[str, Mapping[str, str]] = {}
        self.masked: set[str] = set()
        self.state = "RUNNING"
        self.started = datetime(2026, 1, 1, 9, tzinfo=UTC)
        self.variables: Mapping[str, Any] = {
            "flow": {"id": FLOW, "namespace": NAMESPACE},
            "execution": {"id": EXECUTION},
            "inputs": {},
            "outputs": {},
            "vars": {},
            **variables,
        }

    chat: TestChat | None

    @property
    def working_dir(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder

    def log(self, message: str, level: str = "INFO") -> None:
        self.lines.append((level, message))

    def metric(self, name: str, value: float, kind: str = "counter", **tags: str) -> None:
        self.metrics[name] = self.metrics.get(name, 0) + value
        self.tags[name] = tags

    async def remember(self, memory: Mapping[str, Any]) -> None:
        self.remembered.append(json.loads(json.dumps(memory)))  # as the store keeps it

    def mask(self, secret: str) -> None:
        self.masked.add(secret)

    def hidden(self, text: str) -> str:
        masker = Masker()
        for secret in self.masked:
            masker.add(secret)
        return masker.mask(text)

    def services(self) -> expressions.Services:
        """What functions reach."""

        def secret(key: str, *_: Any, **__: Any) -> str:
            if key not in self.secrets:
                raise ExpressionFailed(f"Cannot find secret for key '{key}'.")
            self.mask(self.secrets[key])
            return self.secrets[key]

        def kv(key: str, *_: Any, **__: Any) -> Any:
            if (NAMESPACE, key) not in self.kv.stored:
                raise ExpressionFailed(f"There is no key {key}.")
            return self.kv.stored[NAMESPACE, key]

        return expressions.Services(
            now=lambda: datetime(2026, 1, 2, 8, tzinfo=UTC),
            zone=UTC,
            secret=secret,
            kv=kv,
            read=lambda uri, *_, **__: self.files.text(uri),
            warn=lambda message: self.log(message, "WARN"),
        )

    async def render(self, template: Any, *, guard: Any = "none", **extra: Any) -> Any:
        return expressions.render(template, {**self.variables, **extra}, self.services(), guard=guard)

    async def evaluate(self, template: Any, **extra: Any) -> Any:
        if not has_template(template) or not isinstance(template, str):
            return await self.render(template, **extra)
        return expressions.evaluate(template, {**self.variables, **extra}, self.services())

    async def execution_map(self, execution_id: str | None = None) -> Mapping[str, Any]:
        base = self.settings.public_url
        failed = {"taskId": "boom"} if self.state == "FAILED" else False
        return {
            "duration": "00:00:05.123",
            "startDate": self.started.isoformat(),
            "link": f"{base}/ui/executions/{NAMESPACE}/{FLOW}/{execution_id or EXECUTION}" if base else None,
            "execution": {
                "id": execution_id or EXECUTION,
                "namespace": NAMESPACE,
                "flowId": FLOW,
                "state": {"current": self.state},
            },
            "lastTask": {"taskId": self.task_id},
            "firstFailed": failed,
        }

    async def run(self, **declaration: Any) -> Any:
        """What a task declared like this gives: camelCase, `from` written `from_`."""
        return await task(self, **declaration).run(self)  # type: ignore[arg-type]

    def said(self, pattern: str, level: str | None = None) -> bool:
        """Whether a log line matches."""
        return any(re.search(pattern, line) and level in (None, at) for at, line in self.lines)


def parsed(**declaration: Any) -> RunnableTask:
    """A task as the flow parser makes it."""
    given = {"id": "the_task", **{key.removesuffix("_"): value for key, value in declaration.items()}}
    registry: Registry = catalogue()
    kind = registry.resolve(given)
    if given["type"] not in kind.type_names():
        given["type"] = kind.type_names()[0]
    found = kind.model_validate(given, context={"registry": registry})
    assert isinstance(found, RunnableTask)
    return found


def task(context: TestContext, /, **declaration: Any) -> RunnableTask:
    """A task as the worker hands it to `run`: every Property rendered and typed."""
    seen, services = context.variables, context.services()
    return parsed(**declaration).rendered(lambda value, guard: expressions.render(value, seen, services, guard=guard))


async def heard(
    context: TestContext, count: int, *, acknowledged: Callable[[], bool] = lambda: True, **declaration: Any
) -> list[Message]:
    """The first messages that a realtime trigger hears. Nothing is acknowledged while they are in hand; all of them
    are once it is asked for more, as it is when their executions are there."""
    registry = catalogue()
    kind = registry.resolve(declaration)
    trigger = kind.model_validate({"id": "the_trigger", **declaration}, context={"registry": registry})
    assert isinstance(trigger, RealtimeTrigger)
    found: list[Message] = []
    ears = trigger.listen(context)  # type: ignore[arg-type]
    async with asyncio.timeout(60), aclosing(ears) as batches:
        while len(found) < count:
            found += await anext(batches)
        more = asyncio.ensure_future(anext(batches))
        while not await asyncio.to_thread(acknowledged):
            await asyncio.wait([more], timeout=0.02)
        while not more.done():  # some libraries lose a cancel while they connect
            more.cancel()
            await asyncio.wait([more], timeout=1)
    return found


def in_hand(monkeypatch: Any, reader: str, is_held: Callable[[Any], bool]) -> list[int]:
    """How many objects are held each time a `reader` reads a message, and few are until messages are written.

    Among objects of the test alone: it uses `young_heap`.
    """
    read, counts = resolve_name(reader), []

    def counted(*given: Any) -> Any:
        gc.collect()
        counts.append(sum(1 for one in gc.get_objects() if is_held(one)))
        return read(*given)

    monkeypatch.setattr("engine.tasks.message_files.HELD", 2)
    monkeypatch.setattr(reader, counted)
    return counts


async def let_go(trigger: PollingTrigger, context: Any) -> Any:
    """What a look takes, not given up where it came from, as if its execution couldn't be written."""
    look: Any = await trigger.poll(context)
    await look.taking.aclose()
    return look.found


async def taken(trigger: PollingTrigger, context: Any) -> Any:
    """What a look takes, given up where it came from as if its execution were written; None when there is nothing."""
    look: Any = await trigger.poll(context)
    if look is None:
        return None
    assert await anext(look.taking, None) is None
    return look.found
