"""What the language tests share: rendering with the real expression language, and flows as text."""

import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine import expressions
from engine.core.flow import Flow
from engine.core.flow_source import check, load
from engine.core.inputs import RenderFn
from engine.errors import Problem
from engine.tasks import catalogue

NOW = datetime(2024, 3, 1, 10, 30, tzinfo=UTC)

LOG = """
tasks:
  - id: x
    type: io.kestra.plugin.core.log.Log
    message: hello
"""


def renderer(variables: Mapping[str, Any] | None = None) -> RenderFn:
    """A render callable that sees some variables."""

    def render(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
        services = expressions.Services(now=lambda: NOW, zone=UTC)
        template = expressions.parse(text)
        seen = {**(variables or {}), **extra}
        return template.evaluate(seen, services) if typed else template.render(seen, services)

    return render


def flow(text: str) -> Flow:
    """A flow with a head, from what the test is about."""
    return load(source(text), catalogue())


def problems(text: str) -> list[Problem]:
    """Everything said about such a flow."""
    return check(source(text), catalogue())


def source(text: str) -> str:
    """The text of such a flow; two lines stand before it, and one task after it when it has none."""
    body = textwrap.dedent(text).strip("\n")
    return f"id: f\nnamespace: company.team\n{body}\n" + ("" if "\ntasks:" in f"\n{body}" else LOG)
