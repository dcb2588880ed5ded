"""The API for what people do to runs and flows, at Kestra's paths: same permissions, record and refusals as in chat."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from bot.asking import Asking, Parts
from bot.commands import explain as explain_command
from bot.commands import revisions as revision_commands
from bot.commands import run_changes
from bot.commands import runs as run_commands
from bot.commands.grammar import whole
from bot.commands.references import Unresolved
from bot.conversation import FieldErrors, Notice, Reply
from bot.desk import FrontDesk
from bot.texts import bare
from bot.web.api import program_only, refused
from bot.web.executions import engine_of
from bot.web.requests import HEADERS, Wrong, caller, told
from engine.core.execution import Execution
from engine.core.json_text import read_json
from engine.core.state import State
from engine.errors import EngineError, NotFound
from engine.runtime.execution_json import execution_json
from engine.runtime.operations import Revision

routes = APIRouter(prefix="/api/v1")
Change = Callable[[Parts, Asking, Execution], Awaitable[Reply | FieldErrors]]


async def restarted(parts: Parts, asking: Asking, run: Execution) -> Reply:
    """Go on from what failed."""
    return await run_commands.retry(parts, asking, run)


async def resumed(parts: Parts, asking: Asking, run: Execution) -> Reply:
    """Let a paused run go on; one that asks people is answered with its defaults, by the rules of its question."""
    if run.held:
        return await run_changes.let_go(parts, asking, run)
    await parts.office.engine.resume(run.id, {}, by=asking.person.id)
    return Reply(Notice("success", "Answered."))


async def killed(parts: Parts, asking: Asking, run: Execution) -> Reply:
    """Stop it."""
    return await run_commands.stop(parts, asking, run)


async def deleted(parts: Parts, asking: Asking, run: Execution) -> Reply:
    """Delete an ended run with its log and files."""
    return await run_changes.deleted(parts, asking, run)


def marking(text: str, task: str = "") -> Change:
    """Give another final state; Wrong when it is none."""
    if text not in run_changes.ENDS:
        raise Wrong(f"Give a state to end in: {', '.join(run_changes.ENDS)}.")
    return lambda parts, asking, run: run_changes.marked(parts, asking, run, State(text), task)


def labelling(given: Any) -> Change:
    """Add labels, given as Kestra writes them; Wrong."""
    try:
        labels = {str(one["key"]): str(one["value"]) for one in given}
    except (TypeError, KeyError) as error:
        raise Wrong('Send labels as a list: [{"key": "team", "value": "web"}].') from error
    if not labels:
        raise Wrong("Send at least one label.")
    return lambda parts, asking, run: run_changes.labelled(parts, asking, run, labels)


def deletes_all(request: Request) -> None:
    """Wrong when the parameters want less deleted than all of what has ended."""
    wanted = {"includeNonTerminated": "false", "deleteLogs": "true", "deleteMetrics": "true", "deleteStorage": "true"}
    for name, value in wanted.items():
        if request.query_params.get(name, value) != value:
            raise Wrong(f"`{name}` can only be {value}: runs that have ended are deleted, with log, metrics and files.")


# One run


@routes.post("/executions/{execution_id}/restart", name="restart_execution")
async def restart(request: Request, execution_id: str) -> Response:
    """Go on from what failed."""
    return await _changed(request, execution_id, restarted)


@routes.post("/executions/{execution_id}/replay", name="replay_execution")
async def replay(request: Request, execution_id: str) -> Response:
    """A new run with the same inputs, from a task run on when `taskRunId` names one, of a `revision` or of the newest
    (`latestRevision=true`); the new run is told."""
    given = request.query_params
    task_run, number = given.get("taskRunId") or None, given.get("revision") or ""
    revision: Revision = "newest" if given.get("latestRevision") == "true" else whole(number)
    if number and whole(number) is None:
        return program_only(request) or told({"error": "`revision` is a number."}, 400)
    return await _changed(request, execution_id, lambda p, a, run: run_commands.again(p, a, run, task_run, revision))


@routes.post("/executions/{execution_id}/pause", name="pause_execution")
async def pause(request: Request, execution_id: str) -> Response:
    """Let nothing new start in it."""
    return await _changed(request, execution_id, run_changes.hold)


@routes.post("/executions/{execution_id}/force-run", name="force_execution")
async def force(request: Request, execution_id: str) -> Response:
    """Let it begin now."""
    return await _changed(request, execution_id, run_changes.begin_now)


@routes.post("/executions/{execution_id}/change-status", name="change_status")
async def change_status(request: Request, execution_id: str) -> Response:
    """Give an ended run another final state: `?status=SUCCESS`."""
    try:
        return await _changed(request, execution_id, marking(request.query_params.get("status", "")))
    except Wrong as error:
        return program_only(request) or told({"error": str(error)}, 400)


@routes.post("/executions/{execution_id}/state", name="change_task_state")
async def change_task_state(request: Request, execution_id: str) -> Response:
    """Give a task run another final state and go on from there: `{"taskRunId": "…", "state": "SUCCESS"}`."""
    if (stranger := program_only(request)) is not None:
        return stranger
    try:
        sent = await sent_json(request)
        if not isinstance(sent, dict) or not isinstance(sent.get("taskRunId"), str) or not sent["taskRunId"]:
            raise Wrong('Send {"taskRunId": "…", "state": "SUCCESS"}.')
        return await _changed(request, execution_id, marking(str(sent.get("state")), sent["taskRunId"]))
    except Wrong as error:
        return told({"error": str(error)}, 400)


@routes.post("/executions/{execution_id}/labels", name="label_execution")
async def label(request: Request, execution_id: str) -> Response:
    """Add labels to an ended run."""
    if (stranger := program_only(request)) is not None:
        return stranger
    try:
        return await _changed(request, execution_id, labelling(await sent_json(request)))
    except Wrong as error:
        return told({"error": str(error)}, 400)


@routes.delete("/executions/{execution_id}/kill", name="kill_execution")
async def kill(request: Request, execution_id: str) -> Response:
    """Stop it."""
    return await _changed(request, execution_id, killed)


@routes.delete("/executions/{execution_id}", name="delete_execution")
async def delete(request: Request, execution_id: str) -> Response:
    """Delete an ended run with its log and files."""
    try:
        deletes_all(request)
    except Wrong as error:
        return program_only(request) or told({"error": str(error)}, 400)
    return await _changed(request, execution_id, deleted)


@routes.post("/executions/{execution_id}/explain", name="explain_execution")
async def explain(request: Request, execution_id: str) -> Response:
    """Ask the model why it failed: 202 while it is asked, 200 with its words once they are there."""
    if (stranger := program_only(request)) is not None:
        return stranger
    status, text = await to_one(request, execution_id, explain_command.begin)
    if status >= 400:
        return told({"error": text}, status)
    return await _explained(request, execution_id) or told({"error": text}, 429)


@routes.get("/executions/{execution_id}/explanation", name="api_explanation")
async def explanation(request: Request, execution_id: str) -> Response:
    """What came of it."""
    try:
        run = await engine_of(request).execution(execution_id)
    except NotFound as error:
        return told({"error": str(error)}, 404)
    if (no := await refused(request, "see", f"{run.namespace}/{run.flow_id}")) is not None:
        return no
    return await _explained(request, execution_id) or told({"error": "Nobody asked."}, 404)


async def _explained(request: Request, execution_id: str) -> Response | None:
    desk: FrontDesk = request.app.state.desk
    known = await desk.explaining.of(await engine_of(request).execution(execution_id))
    if known is None:
        return None
    text = known.text if known.state == "DONE" else bare(known.text)
    return told({"state": known.state, "model": known.model, "text": text}, 202 if known.state == "ASKING" else 200)


# Flows


@routes.get("/flows/{namespace}/{flow_id}/revisions", name="api_revisions")
async def revisions(request: Request, namespace: str, flow_id: str) -> Response:
    """Every text a flow had, oldest first."""
    if (no := await refused(request, "see", f"{namespace}/{flow_id}")) is not None:
        return no
    try:
        found = await engine_of(request).flows.revisions(namespace, flow_id)
    except NotFound as error:
        return told({"error": str(error)}, 404)
    mask = engine_of(request).masker.mask
    rows = [{"revision": row.revision, "created": row.created.isoformat(), "source": mask(row.source)} for row in found]
    return Response(json.dumps(rows), headers=HEADERS, media_type="application/json")


@routes.post("/flows/{namespace}/{flow_id}/revisions/{revision}/restore", name="api_restore")
async def restore(
    request: Request, namespace: str, flow_id: str, revision: Annotated[int, Path(le=999_999_999)]
) -> Response:
    """Make an old text of a flow the newest again, in its file too."""
    if (no := await refused(request, "manage", f"{namespace}/{flow_id}")) is not None:
        return no
    flows = engine_of(request).flows

    async def do(parts: Parts, asking: Asking) -> Reply:
        return await revision_commands.restored(parts, asking, flows.get(namespace, flow_id), revision)

    status, text = await answered(request, do)
    if status >= 400:
        return told({"error": text}, status)
    return told({"namespace": namespace, "id": flow_id, "revision": flows.get(namespace, flow_id).revision})


# What they share


async def sent_json(request: Request) -> Any:
    """The body; Wrong when it is no JSON."""
    try:
        return read_json(await request.body() or b"null")
    except ValueError as error:
        raise Wrong("The body is no JSON.") from error


async def _changed(request: Request, execution_id: str, do: Change) -> Response:
    """Do it to one run; the run as it is then."""
    if (stranger := program_only(request)) is not None:
        return stranger
    made: list[str] = []
    status, text = await to_one(request, execution_id, do, made)
    if status >= 400:
        return told({"error": text}, status)
    engine = engine_of(request)
    try:
        run = await engine.execution(made[0] if made else execution_id)
    except NotFound:
        return Response(status_code=204, headers=HEADERS)
    return told(execution_json(run, engine.masker.mask))


async def to_one(request: Request, execution_id: str, do: Change, made: list[str] | None = None) -> tuple[int, str]:
    """Status and sentence of doing it to one run; what a replay made goes into `made`."""
    engine = engine_of(request)

    async def to_run(parts: Parts, asking: Asking) -> Reply | FieldErrors:
        reply = await do(parts, asking, await engine.execution(execution_id))
        if made is not None and (fresh := await parts.made_by(asking.receipt)) is not None:
            made.append(fresh)
        return reply

    return await answered(request, to_run, execution_id[:40])


async def answered(
    request: Request, do: Callable[[Parts, Asking], Awaitable[Reply | FieldErrors]], entity: str = ""
) -> tuple[int, str]:
    """Status and sentence of what a program asks for."""
    desk: FrontDesk = request.app.state.desk
    what = f"{request.method} {request.url.path}"[:200]
    try:
        reply = await desk.operate(caller(request).person, do, what, entity)
    except NotFound as error:
        return 404, str(error)
    except Unresolved as error:
        return (403 if error.answer.code == "E04" else 409), bare(error.answer.text)
    except EngineError as error:
        return 409, str(error)
    body = reply.body if isinstance(reply, Reply) else None
    if isinstance(body, Notice) and body.code:
        return (403 if body.code == "E04" else 409), bare(body.text)
    return 200, bare(body.text) if isinstance(body, Notice) else ""
