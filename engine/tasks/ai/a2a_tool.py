"""Another agent as a tool, wherever it runs: it is asked by the protocol A2A."""

import asyncio
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Literal
from urllib.parse import urljoin

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.conversation import Call, Described, Offer
from engine.tasks.ai.tool import MAX_NAME, Tool
from engine.tasks.property_types import Text

CARDS = (".well-known/agent-card.json", ".well-known/agent.json")  # today's, and that of the protocol's first drafts
UNDER_WAY = frozenset({"submitted", "working"})
WELL = frozenset({"completed", "input-required"})  # it asks back: the model reads that, too
LONGEST = timedelta(minutes=30)


class A2AClient(Tool):
    """Ask an agent elsewhere by the protocol A2A, and wait for what it says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.A2AClient
name: translator
description: Translates a text into French.
serverUrl: https://agents.example.com/translator
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.A2AClient", "io.kestra.plugin.ai.tool.A2AAgent"]
    name: Property[Text] = Field(default="tool", description="Another one for each, when there are several.")
    description: Property[Text]
    server_url: Property[Text]

    async def offers(self, context: RunContext, held: AsyncExitStack) -> Sequence[Offer]:
        wanted = {"prompt": {"type": "string", "description": "What to ask it."}}
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", f"kestra_a2a_agent_{self.name}")[:MAX_NAME]
        parameters = {"type": "object", "properties": wanted, "required": ["prompt"]}
        return [Offer(Described(name, self.description, parameters), partial(self._use, context))]

    async def _use(self, context: RunContext, call: Call, number: int) -> str:
        message_id = f"{context.task_run_id}-{context.attempt}-{number}"
        return await asked(context, self.server_url, str(call.arguments.get("prompt", "")), message_id)


async def asked(context: RunContext, server_url: str, prompt: str, message_id: str) -> str:
    """What an agent elsewhere says; TaskFailed when there is none, and when it refuses, gives up or takes too long."""
    url = await _address(context, server_url)
    parts = [{"kind": "text", "text": prompt}]
    message = {"kind": "message", "role": "user", "messageId": message_id, "parts": parts}
    found = await _called(context, url, "message/send", {"message": message})
    wait = 0.5
    loop = asyncio.get_running_loop()
    until = loop.time() + LONGEST.total_seconds()
    while found.get("kind") == "task" and _state(found) in UNDER_WAY:
        task, what = {"id": found.get("id")}, f"The work of the agent at {url}"
        stop = partial(_called, context, url, "tasks/cancel", task)
        if loop.time() > until:
            await rest_service.stopped(context, what, stop)
            raise TaskFailed(f"The agent at {url} did not answer within {LONGEST}.", fix="Ask it for less at once.")
        async with rest_service.stopping(context, what, stop):
            await asyncio.sleep(wait)
            found = await _called(context, url, "tasks/get", task)
        wait = min(wait * 1.5, 10.0)
    said = told(found)
    if found.get("kind") == "task" and _state(found) not in WELL:
        raise TaskFailed(f"The agent at {url} gave up ({_state(found)}). {said}".strip())
    return said


async def _address(context: RunContext, server_url: str) -> str:
    """Where the agent hears, as its card says; TaskFailed when there is none."""
    base = server_url.strip().rstrip("/") + "/"
    refused: TaskFailed | None = None
    for path in CARDS:
        try:
            card = await rest_service.document(context, "The agent", "GET", urljoin(base, path))
        except TaskFailed as error:
            refused = refused or error
            continue
        if isinstance(card, Mapping) and card.get("url"):
            return urljoin(base, str(card["url"]))
    fix = "Check `serverUrl`: the address below which the agent shows `.well-known/agent-card.json`."
    raise TaskFailed(f"There is no card of an agent at {base}.", fix=fix) from refused


async def _called(context: RunContext, url: str, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}
    answer = await rest_service.document(context, "The agent", "POST", url, json=body)
    found = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        error = answer.get("error") if isinstance(answer, dict) else None
        said = error.get("message") if isinstance(error, dict) else answer
        raise TaskFailed(f"The agent at {url} refused {method}: {said}.")
    return found


def _state(task: Mapping[str, Any]) -> str:
    return str(_map(task.get("status")).get("state", ""))


def told(found: Mapping[str, Any]) -> str:
    """What an agent says in a message, or in a task: its artifacts, else its last word."""
    if found.get("kind") != "task":
        return _text(found.get("parts"))
    made = "\n".join(filter(None, (_text(one.get("parts")) for one in _maps(found.get("artifacts")))))
    return made or _text(_map(_map(found.get("status")).get("message")).get("parts"))


def _text(parts: Any) -> str:
    """The parts of a message as a model reads them."""
    found = []
    for part in _maps(parts):
        if part.get("kind") == "text":
            found.append(str(part.get("text", "")))
        elif part.get("kind") == "data":
            found.append(json.dumps(part.get("data"), ensure_ascii=False))
        elif part.get("kind") == "file":
            file = _map(part.get("file"))
            found.append(str(file.get("uri") or file.get("name") or "a file"))
    return "\n".join(found)


def _map(value: Any) -> Mapping[str, Any]:
    """A map that an agent sent; one without anything when it sent something else."""
    return value if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
