"""The loopback API: what the command line on the same machine asks of a running bot."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.executions import engine_of
from bot.web.requests import caller, refusal, told
from engine.errors import EngineError, NotFound, Refused

routes = APIRouter(prefix="/api/v1")


def program_only(request: Request) -> Response | None:
    """Changes through the API need a token in the header: a browser's cookie is not enough."""
    return None if caller(request).bearer else refusal(401, "The API takes a token.", "Send `Authorization: Bearer …`.")


@routes.post("/executions/{execution_id}/resume", name="resume_execution")
async def resume(request: Request, execution_id: str) -> Response:
    """Answer the pause of a run that waits longest, with a JSON object of values; the same policy as in chat counts."""
    if (refused := program_only(request)) is not None:
        return refused
    engine, text = engine_of(request), await request.body()
    try:
        values: Any = json.loads(text or b"{}")
        if not isinstance(values, dict):
            raise ValueError("no object")
        run = await engine.resume(execution_id, values, by=caller(request).person.id)
    except ValueError:
        return told({"error": 'The body is no JSON object. Send for example {"approve": true}.'}, 400)
    except NotFound as error:
        return told({"error": str(error)}, 404)
    except EngineError as error:
        return told({"error": str(error)}, 409 if isinstance(error, Refused) else 422)
    return told({"id": run.id, "state": {"current": run.state}})


@routes.get("/kv/{namespace}", name="kv_list")
async def kv_list(request: Request, namespace: str) -> Response:
    """Keys of a namespace."""
    return program_only(request) or told({"keys": await engine_of(request).kv.keys(namespace)})


@routes.get("/kv/{namespace}/{key}", name="kv_get")
async def kv_get(request: Request, namespace: str, key: str) -> Response:
    """One value."""
    if (refused := program_only(request)) is not None:
        return refused
    try:
        return told({"value": await engine_of(request).kv.get(namespace, key)})
    except NotFound as error:
        return told({"error": str(error)}, 404)


@routes.put("/kv/{namespace}/{key}", name="kv_set")
async def kv_set(request: Request, namespace: str, key: str) -> Response:
    """Store a value."""
    if (refused := program_only(request)) is not None:
        return refused
    body: dict[str, Any] = await request.json()
    try:
        await engine_of(request).kv.set(namespace, key, body["value"], ttl=body.get("ttl"), kind=body.get("kind"))
    except EngineError as error:
        return told({"error": str(error)}, 422)
    return told({"ok": True})


@routes.delete("/kv/{namespace}/{key}", name="kv_delete")
async def kv_delete(request: Request, namespace: str, key: str) -> Response:
    """Forget a value."""
    return program_only(request) or told({"deleted": await engine_of(request).kv.delete(namespace, key)})
