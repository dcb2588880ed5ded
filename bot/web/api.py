"""The loopback API: what the command line on the same machine asks of a running bot."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.audit import records
from bot.commands.kv import changed
from bot.commands.kv import told as kv_told
from bot.commands.run_changes import let_go
from bot.desk import FrontDesk
from bot.people.roles import Deed
from bot.texts import bare
from bot.web.executions import engine_of
from bot.web.requests import HEADERS, Wrong, caller, refusal, told
from engine.audit_keys import read_public
from engine.core.json_text import read_json
from engine.errors import EngineError, NotFound, Refused
from engine.plugin import Selection
from engine.runtime.execution_json import execution_json

routes = APIRouter(prefix="/api/v1")


def program_only(request: Request) -> Response | None:
    """Changes through the API need a token in the header: a browser's cookie is not enough."""
    return None if caller(request).bearer else refusal(401, "The API takes a token.", "Send `Authorization: Bearer …`.")


async def refused(request: Request, deed: Deed, about: str) -> Response | None:
    """Why a program may not do this; None when it may."""
    if (stranger := program_only(request)) is not None:
        return stranger
    desk: FrontDesk = request.app.state.desk
    denied = await desk.refuse(deed, caller(request).person, about)
    return told({"error": bare(denied.text)}, 403) if denied else None


@routes.get("/executions/{execution_id}", name="api_execution")
async def execution(request: Request, execution_id: str) -> Response:
    """One run as it is now, for who may see it."""
    if (stranger := program_only(request)) is not None:
        return stranger
    engine = engine_of(request)
    try:
        run = await engine.execution(execution_id)
    except NotFound as error:
        return told({"error": str(error)}, 404)
    no = await refused(request, "see", f"{run.namespace}/{run.flow_id}")
    return no or told(execution_json(run, engine.masker.mask))


async def _values(request: Request) -> dict[str, Any]:
    """What a program answers a pause with: a JSON object, or the fields of a form, as Kestra's clients send it."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await request.form()
        if any(not isinstance(value, str) for value in form.values()):
            raise Wrong("Files can't be sent with an answer here.")
        return dict(form)
    try:
        values: Any = read_json(await request.body() or b"{}")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise Wrong('The body is no JSON object. Send for example {"approve": true}.')
    return values


@routes.post("/executions/{execution_id}/resume", name="resume_execution")
async def resume(request: Request, execution_id: str) -> Response:
    """Answer the pause of a run that `?taskRunId=` names, else the one that waits longest, with a JSON object of
    values; the same policy as in chat counts."""
    if (stranger := program_only(request)) is not None:
        return stranger
    engine = engine_of(request)
    desk: FrontDesk = request.app.state.desk
    decisions, task_run = desk.parts.decisions, request.query_params.get("taskRunId") or None
    try:
        values = await _values(request)
        held = await engine.execution(execution_id)
        if held.held and task_run is None:  # somebody paused it: nothing is asked, and who may hold it lets it go on
            if not await desk.may("hold", caller(request).person, held):
                return await refused(request, "hold", f"{held.namespace}/{held.flow_id}") or told({}, 403)
            await desk.operate(
                caller(request).person, lambda parts, asking: let_go(parts, asking, held), "resume", held.id
            )
            held = await engine.execution(execution_id)
            return told({"id": held.id, "state": {"current": held.state}})
        waiting = [one for one in await engine.pauses(execution_id=execution_id) if task_run in (None, one.task_run_id)]
        if not waiting:
            if (no := await refused(request, "see", f"{held.namespace}/{held.flow_id}")) is not None:
                return no
            if (late := await decisions.late.on_record(held.id, caller(request).person, task_run)) is not None:
                return told({"error": bare(late.text)}, 409)
        run = await engine.resume(execution_id, values, by=caller(request).person.id, task_run_id=task_run)
    except Wrong as error:
        return told({"error": str(error)}, 400)
    except NotFound as error:
        return told({"error": str(error)}, 404)
    except EngineError as error:
        return told({"error": str(error)}, 409 if isinstance(error, Refused) else 422)
    votes = await decisions.votes(waiting[0].id) if waiting else ""
    return told({"id": run.id, "state": {"current": run.state}, **({"votes": votes} if votes else {})})


@routes.post("/purge", name="purge")
async def purge(request: Request) -> Response:
    """Delete executions made before a date that have ended, of a namespace and those below it or of all."""
    if (no := program_only(request)) is not None:
        return no
    engine, person = engine_of(request), caller(request).person
    try:
        body: Any = await request.json()
        chosen = Selection(body.get("namespace"), until=datetime.fromisoformat(body["before"]), below=True)
        if chosen.until is None or chosen.until.tzinfo is None:
            raise ValueError("no zone")
    except (ValueError, KeyError, TypeError, AttributeError):
        return told({"error": 'Send a JSON object with `before`, a date with a zone: "2026-01-31T00:00:00Z".'}, 400)
    if (no := await refused(request, "manage", chosen.namespace or "*")) is not None:
        return no
    if body.get("dryRun"):
        return told({"executions": await engine.retention.count(chosen)})
    try:
        gone = await engine.retention.purge(chosen, person=person.id, name=person.name, platform=person.platform)
    except EngineError as error:
        return told({"error": str(error)}, 500)
    return told(asdict(gone))


@routes.get("/kv/{namespace}", name="kv_list")
async def kv_list(request: Request, namespace: str) -> Response:
    """Keys of a namespace."""
    return await refused(request, "kv", namespace) or told({"keys": await engine_of(request).kv.keys(namespace)})


@routes.get("/kv/{namespace}/{key}", name="kv_get")
async def kv_get(request: Request, namespace: str, key: str) -> Response:
    """One value."""
    if (no := await refused(request, "kv", namespace)) is not None:
        return no
    try:
        return told({"value": await kv_told(engine_of(request), caller(request).person, namespace, key)})
    except NotFound as error:
        return told({"error": str(error)}, 404)


@routes.put("/kv/{namespace}/{key}", name="kv_set")
async def kv_set(request: Request, namespace: str, key: str) -> Response:
    """Store a value."""
    if (no := await refused(request, "kv", namespace)) is not None:
        return no
    try:
        body: Any = await request.json()
        value, ttl, kind = body["value"], body.get("ttl"), body.get("kind")
    except (ValueError, KeyError, TypeError, AttributeError):
        return told({"error": 'Send a JSON object with `value`: {"value": "Good morning"}.'}, 400)
    engine, who = engine_of(request), caller(request).person
    beside = changed(who, "kv set", namespace, key, engine.clock.now())
    try:
        await engine.kv.set(namespace, key, value, ttl=ttl, kind=kind, beside=beside)
    except EngineError as error:
        return told({"error": str(error)}, 422)
    return told({"ok": True})


@routes.delete("/kv/{namespace}/{key}", name="kv_delete")
async def kv_delete(request: Request, namespace: str, key: str) -> Response:
    """Forget a value."""
    if (no := await refused(request, "kv", namespace)) is not None:
        return no
    engine, who = engine_of(request), caller(request).person
    beside = changed(who, "kv delete", namespace, key, engine.clock.now())
    return told({"deleted": await engine.kv.delete(namespace, key, beside=beside)})


@routes.get("/audit", name="audit_export")
async def audit_export(request: Request, since: str = "", run: str = "") -> Response:
    """Every row of the record from a time on, or of one run, one JSON object a line."""
    if (no := await refused(request, "manage", "*")) is not None:
        return no
    try:
        rows = await records.rows(engine_of(request), since, run)
    except Refused as error:
        return told({"error": str(error)}, 422)
    return Response("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), headers=HEADERS)


@routes.get("/audit/verify", name="audit_verify")
async def audit_verify(request: Request, head: str = "", accept: str = "", key: str = "") -> Response:
    """Whether the record is as it was written. `accept`: rows whose loss is known; `key`: public keys to go by."""
    if (no := await refused(request, "manage", "*")) is not None:
        return no
    try:
        accepted, keys = [int(one) for one in accept.split(",") if one], read_public(key) if key else []
    except ValueError:
        return told({"error": "`accept` takes numbers of rows, with commas."}, 400)
    except EngineError as error:
        return told({"error": str(error)}, 400)
    return told(await records.verified(engine_of(request), head, accepted, keys))


@routes.get("/audit/key", name="audit_key")
async def audit_key(request: Request) -> Response:
    """The public key that signs the record."""
    if (no := await refused(request, "manage", "*")) is not None:
        return no
    try:
        return told({"public": await records.key(engine_of(request))})
    except EngineError as error:
        return told({"error": str(error)}, 404)


@routes.post("/audit/rotate", name="audit_rotate")
async def audit_rotate(request: Request) -> Response:
    """Let a new key sign the record; `{"lost": true}` when the former one can't hand over."""
    if (no := await refused(request, "manage", "*")) is not None:
        return no
    try:
        body: Any = read_json(await request.body() or b"{}")
        after_loss = bool(body.get("lost"))
    except (ValueError, AttributeError):
        return told({"error": 'Send a JSON object: {"lost": false}.'}, 400)
    try:
        public = await records.rotate(engine_of(request), caller(request).person, after_loss=after_loss)
    except EngineError as error:
        return told({"error": str(error)}, 409)
    return told({"public": public})


@routes.post("/audit/forget/{person}", name="audit_forget")
async def audit_forget(request: Request, person: str) -> Response:
    """Take a person out of the record."""
    if (no := await refused(request, "manage", "*")) is not None:
        return no
    try:
        gone = await records.forget(engine_of(request), person, caller(request).person)
    except Refused as error:
        return told({"error": str(error)}, 409)
    return told({"removed": gone.texts, "runs": gone.runs, "underWay": gone.under_way})


@routes.post("/audit/purge", name="audit_purge")
async def audit_purge(request: Request) -> Response:
    """Take the rows from before a date out of the record; with `dryRun` only say how many they are."""
    if (no := await refused(request, "manage", "*")) is not None:
        return no
    try:
        body: Any = await request.json()
        before, dry_run = datetime.fromisoformat(body["before"]), bool(body.get("dryRun"))
        if before.tzinfo is None:
            raise ValueError("no zone")
    except (ValueError, KeyError, TypeError, AttributeError):
        return told({"error": 'Send a JSON object with `before`, a date with a zone: "2026-01-31T00:00:00Z".'}, 400)
    try:
        return told({"rows": await records.purge(engine_of(request), before, caller(request).person, dry_run=dry_run)})
    except EngineError as error:
        return told({"error": str(error)}, 409)
