"""Todoist's tasks: the address of today, and the retired one, which answers 410."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.loopback import Answered, Loopback, Received, serving


class Todoist:
    """`tasks` are what was created."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.wire: Loopback

    @property
    def url(self) -> str:
        return self.wire.url

    def answer(self, request: Received) -> Answered:
        if request.path.startswith("/rest/v2"):
            return Answered("This endpoint is deprecated.", 410)
        if (request.method, request.path) != ("POST", "/api/v1/tasks"):
            return Answered({"error": "Not found", "error_code": 478}, 404)
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return Answered({"error": "Forbidden", "error_code": 403}, 403)
        try:
            body = json.loads(request.body)
        except json.JSONDecodeError:
            return Answered({"error": "Invalid argument value", "error_code": 20}, 400)
        if not body.get("content"):
            return Answered({"error": "Required argument is missing: content", "error_code": 19}, 400)
        task = {"id": f"task{len(self.tasks) + 1}", **body}
        self.tasks.append(task)
        return Answered(task)


@pytest.fixture
def todoist() -> Iterator[Todoist]:
    """The service, running."""
    service = Todoist()
    with serving(service.answer) as service.wire:
        yield service
