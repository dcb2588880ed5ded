"""Kafka Connect over its REST API: who asks, and what a connector says of itself."""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from engine.plugin import Outputs, Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.property_types import JsonMap, OptionalText, Text, scalar_to_text

SERVICE = "Kafka Connect"
SECRET = re.compile(
    r"password|passphrase|secret|token|credential|jaas|user[._]info|(api|access|private)[._-]?key", re.IGNORECASE
)


class Made(Outputs):
    """The connector as Connect took it: its type (`source` or `sink`), its settings and the ids of its tasks."""

    connectorName: str  # noqa: N815 - appears as written
    type: str | None = None
    config: dict[str, Any]
    taskIds: list[int]  # noqa: N815


class Status(Outputs):
    """The state of the connector, and of its tasks: `id`, `state`, `workerId` and, of a failed one, `trace` each."""

    connectorName: str  # noqa: N815 - appears as written
    connectorState: str | None = None  # noqa: N815
    workerId: str | None = None  # noqa: N815
    tasks: list[dict[str, Any]]


class Named(Outputs):
    """The connector."""

    connectorName: str  # noqa: N815 - appears as written


class Restarted(Named):
    """The connector, and what was started anew with it."""

    includeTasks: bool  # noqa: N815
    onlyFailed: bool  # noqa: N815


class Settings(Named):
    """The settings of the connector."""

    config: dict[str, Any]


class Offsets(Named):
    """How far the connector has read: `partition` and `offset` each."""

    offsets: list[dict[str, Any]]


class Changed(Named):
    """What Connect says of the change."""

    message: str | None = None


class Listed(Outputs):
    """The names of the connectors, and how they are doing when that was asked for."""

    connectorNames: list[str]  # noqa: N815 - appears as written
    connectors: list[Status]


class Connected(Part):
    """Where Kafka Connect is, and who asks."""

    connect_url: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    headers: Property[JsonMap | None] = None

    async def connect(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The JSON of an answer, None when it is empty; TaskFailed when Connect refuses."""
        headers = {str(name): str(scalar_to_text(value)) for name, value in (self.headers or {}).items()}
        if bool(self.username) != bool(self.password):
            fix = "Give both or none."
            raise TaskFailed("`username` and `password` go together.", fix=fix)
        if self.username and self.password:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            context.mask(self.password)
            context.mask(pair)
            headers["Authorization"] = f"Basic {pair}"
        url = f"{self.connect_url.rstrip('/')}{path}"
        return await rest_service.document(context, SERVICE, method, url, headers=headers, **given)

    async def told(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON object of an answer, an empty one of none; TaskFailed when Connect refuses."""
        return rest_service.mapped(await self.connect(context, method, path, **given), SERVICE)


class OneConnector(Connected):
    """Which connector."""

    connector_name: Property[Text]

    @property
    def place(self) -> str:
        """The path of the connector."""
        return f"/connectors/{quote(self.connector_name, safe='')}"

    async def status(self, context: RunContext) -> Status:
        """How the connector and its tasks are doing."""
        return status_told(self.connector_name, await self.told(context, "GET", f"{self.place}/status"))


def settings(context: RunContext, config: Mapping[str, Any]) -> dict[str, str]:
    """Settings as Connect takes them: texts; what is secret among them is hidden from here on."""
    found = {str(name): str(scalar_to_text(value)) for name, value in config.items()}
    for name, value in found.items():
        if SECRET.search(name) and value:
            context.mask(value)
    return found


class WatchedConnector(OneConnector):
    """Which connector, and what it must be."""

    target_state: Property[Text]

    async def watched(self, context: RunContext) -> Status | None:
        """How the connector is doing when it, or a task of it, is in the state; None also when there is none."""
        try:
            found = await self.status(context)
        except TaskFailed as error:
            if "answered 404" in error.message:
                return None
            raise
        states = [found.connectorState, *(task["state"] for task in found.tasks)]
        return found if self.target_state.upper() in (str(one).upper() for one in states) else None


def made_told(context: RunContext, told: Mapping[str, Any]) -> Made:
    """What Connect says of a connector it took."""
    numbers = [rest_service.whole(one, SERVICE, "task") for one in rest_service.listed(told, SERVICE, "tasks")]
    return Made(
        connectorName=rest_service.held(told, SERVICE, "name"),
        type=told.get("type"),
        config=settings(context, told.get("config") or {}),
        taskIds=numbers,
    )


def status_told(name: str, told: Mapping[str, Any]) -> Status:
    """What Connect says of how a connector is doing."""
    own = rest_service.mapped(told.get("connector"), SERVICE)
    tasks = [
        {"id": one.get("id"), "state": one.get("state"), "workerId": one.get("worker_id"), "trace": one.get("trace")}
        for one in rest_service.listed(told, SERVICE, "tasks")
    ]
    return Status(connectorName=name, connectorState=own.get("state"), workerId=own.get("worker_id"), tasks=tasks)
