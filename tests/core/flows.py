"""Short ways to write flows in tests."""

from typing import Any

CORE = "io.kestra.plugin.core."


def flow(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": more.pop("id", "f"), "namespace": "tests", "tasks": list(tasks), **more}


def task(kind: str, id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": CORE + kind, **more}


def log(id: str, message: str = "hello", **more: Any) -> dict[str, Any]:
    return task("log.Log", id, message=message, **more)


def ret(id: str, format: str = "x", **more: Any) -> dict[str, Any]:
    return task("debug.Return", id, format=format, **more)


def fail(id: str, **more: Any) -> dict[str, Any]:
    return task("execution.Fail", id, **more)


def parallel(id: str, *tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return task("flow.Parallel", id, tasks=list(tasks), **more)


def sequential(id: str, *tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return task("flow.Sequential", id, tasks=list(tasks), **more)


def each(id: str, values: Any, *tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return task("flow.ForEach", id, values=values, tasks=list(tasks), **more)


def pause(id: str, **more: Any) -> dict[str, Any]:
    return task("flow.Pause", id, **more)
