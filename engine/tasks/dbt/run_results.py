"""What dbt leaves behind in `target/`: read, told and handed on."""

import asyncio
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from engine.plugin import RunContext
from engine.tasks.working_files import below

FAILED = frozenset({"error", "fail", "runtime error"})
KEPT = ("run_results.json", "manifest.json")


class NodeResult(BaseModel):
    """How one model, test, seed or snapshot ended."""

    unique_id: str
    status: str
    message: str | None = None
    execution_time: float = 0.0


class RunResults(BaseModel):
    """`run_results.json`, as far as we read it."""

    results: list[NodeResult] = Field(default_factory=list)


async def told(context: RunContext, project: Path) -> dict[str, str]:
    """Log what went wrong, count what ran, and store both files; name → URI. Nothing when dbt wrote none."""
    target = project / "target"
    home = context.working_dir.resolve()
    found = {path.name: path for path in below(target)} if target.is_dir() else {}
    kept = {name: found[name] for name in KEPT if name in found and found[name].resolve().is_relative_to(home)}
    if "run_results.json" in kept:
        text = await asyncio.to_thread(kept["run_results.json"].read_text, "utf-8")
        _tell(context, text)
    return {name: await context.files.put(path, name) for name, path in kept.items()}


def _tell(context: RunContext, text: str) -> None:
    try:
        results = RunResults.model_validate_json(text).results
    except ValidationError as error:
        context.log(f"run_results.json cannot be read: {error.error_count()} problems.", "WARN")
        return
    counts: dict[str, int] = {}
    for node in results:
        counts[node.status] = counts.get(node.status, 0) + 1
        context.metric("dbt.node.duration", node.execution_time, "timer", node=node.unique_id, status=node.status)
        if node.status in FAILED or node.status == "warn":
            level: Any = "WARN" if node.status == "warn" else "ERROR"
            context.log(f"{node.unique_id}: {node.status}: {(node.message or '').strip()[:2000]}", level)
    for status, count in counts.items():
        context.metric(f"dbt.{status.replace(' ', '_')}", count)
    context.log("dbt: " + (", ".join(f"{count} {status}" for status, count in counts.items()) or "nothing ran"))


def manifest_value(path: Path) -> Any:
    """A manifest as the KV store keeps it; None when there is none."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else None
