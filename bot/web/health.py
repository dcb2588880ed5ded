"""What monitoring asks: is the process there, does it take work, and its numbers.

A bot serves it beside the page, a worker or scheduler alone.
"""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from bot.web.requests import HEADERS
from engine.runtime import Engine

routes = APIRouter()


@routes.get("/healthz", name="health")
async def health() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@routes.get("/readyz", name="ready")
async def ready(request: Request) -> Response:
    """Work is taken: commands, clicks, schedules, tasks, whatever falls to the process."""
    is_ready: Callable[[], bool] = request.app.state.is_ready
    up = is_ready()
    return PlainTextResponse("ready\n" if up else "not ready\n", 200 if up else 503)


@routes.get("/metrics", name="metrics")
async def metrics(request: Request) -> Response:
    """What a Prometheus scrapes."""
    from bot.exposition import exposition  # noqa: PLC0415 - a bot that nobody watches need not load it

    engine: Engine = request.app.state.engine
    body, content_type = await exposition(engine, request.headers.get("accept", ""))
    return Response(body, headers={**HEADERS, "Content-Type": content_type})
