"""The API for the same to many runs, by their ids or by what they have in common, at Kestra's paths.

Its routes come before those of one run: `by-ids` and `by-query` are no ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.asking import Asking, Parts
from bot.commands import run_changes
from bot.commands import runs as run_commands
from bot.commands.bulk import Fitting, fitting
from bot.commands.references import Unresolved
from bot.conversation import Notice, Reply
from bot.texts import answer
from bot.web.api import program_only
from bot.web.changes import (
    Change,
    answered,
    deleted,
    deletes_all,
    killed,
    labelling,
    marking,
    restarted,
    resumed,
    sent_json,
    to_one,
)
from bot.web.executions import engine_of
from bot.web.filters import selection
from bot.web.requests import Wrong, told
from engine.core.state import State
from engine.plugin import Selection
from engine.runtime.corrections import Rule, any_, ended, going_on, only, open_
from engine.store import records

routes = APIRouter(prefix="/api/v1/executions")
MOST = 500
OPTIONS = frozenset(
    {"dryRun", "newStatus", "latestRevision", "includeNonTerminated", "deleteLogs", "deleteMetrics", "deleteStorage"}
)  # what says how, not to which runs


@dataclass(frozen=True, slots=True)
class Act:
    """What can be done to many runs: the word it has in chat, which states each of them has to be in, and how."""

    word: str
    rule: Rule
    do: Change


ACTS: Mapping[tuple[str, str], Act] = {
    ("POST", "restart"): Act("restart", only(State.FAILED), restarted),
    ("POST", "pause"): Act("pause", only(State.RUNNING), run_changes.hold),
    ("POST", "resume"): Act("resume", only(State.PAUSED), resumed),
    ("POST", "force-run"): Act("force", open_, run_changes.begin_now),
    ("DELETE", "kill"): Act("kill", going_on, killed),
}


@routes.post("/{what}/by-ids", name="change_executions")
@routes.delete("/{what}/by-ids", name="kill_executions")
@routes.delete("/by-ids", name="delete_executions")
async def by_ids(request: Request, what: str = "") -> Response:
    """The same to many runs by their ids: one that does not fit refuses all, as in Kestra."""
    if (stranger := program_only(request)) is not None:
        return stranger
    try:
        sent = await sent_json(request)
        labels = None
        if what == "labels":
            both = sent if isinstance(sent, dict) else {}
            sent, labels = both.get("executionsId"), both.get("executionLabels")
        act = _act(request, what, labels)
        return await _listed(request, _ids(sent), act) if act else _unknown(request, what)
    except Wrong as error:
        return told({"error": str(error)}, 400)


@routes.post("/{what}/by-query", name="change_executions_by_query")
@routes.delete("/{what}/by-query", name="kill_executions_by_query")
@routes.delete("/by-query", name="delete_executions_by_query")
async def by_query(request: Request, what: str = "") -> Response:
    """The same to the runs that the parameters mean: to those that fit and that the caller may, as many as in chat."""
    if (stranger := program_only(request)) is not None:
        return stranger
    try:
        act = _act(request, what, await sent_json(request) if what == "labels" else None)
        if act is None:
            return _unknown(request, what)
        given = [(name, text) for name, text in request.query_params.multi_items() if name not in OPTIONS]
        return await _queried(request, selection(given, engine_of(request).clock.now()), act)
    except Wrong as error:
        return told({"error": str(error)}, 400)


def _act(request: Request, what: str, labels: Any) -> Act | None:
    """What a path asks for, with what its parameters say of it; Wrong."""
    given = request.query_params
    match request.method, what:
        case "DELETE", "":
            deletes_all(request)
            return Act("delete", ended, deleted)
        case "POST", "change-status":
            return Act("mark", ended, marking(given.get("newStatus", "")))
        case "POST", "labels":
            return Act("labels", ended, labelling(labels))
        case "POST", "replay":
            newest = given.get("latestRevision") == "true"
            return Act(
                "replay", any_, lambda p, a, run: run_commands.again(p, a, run, None, "newest" if newest else None)
            )
    return ACTS.get((request.method, what))


def _unknown(request: Request, what: str) -> Response:
    return told({"error": f"There is no {request.method} {what}."}, 404)


def _ids(sent: Any) -> list[str]:
    if not isinstance(sent, list) or not all(isinstance(one, str) for one in sent) or not 0 < len(sent) <= MOST:
        raise Wrong(f"Send a JSON list of 1 to {MOST} ids.")
    return list(dict.fromkeys(sent))


async def _listed(request: Request, wanted: Sequence[str], act: Act) -> Response:
    found = await engine_of(request).database.read(lambda c: records.standings(c, wanted))
    said = {one: act.rule(found[one]) if one in found else "execution not found" for one in wanted}
    if wrong := [{"id": one, "message": why} for one, why in said.items() if why is not None]:
        return told({"error": "Some executions do not fit; nothing was done.", "invalids": wrong}, 400)
    return told({"count": len(wanted)}) if _is_dry(request) else await _each(request, wanted, act.do, {})


async def _queried(request: Request, chosen: Selection, act: Act) -> Response:
    found, is_dry = list[Fitting](), _is_dry(request)

    async def look(parts: Parts, asking: Asking) -> Reply:
        fit = await fitting(parts, asking, act.word, chosen)
        found.append(fit)
        if fit.forbidden and not fit.runs:
            raise Unresolved(answer("refused", why=fit.why_none(act.word)))
        return Reply(Notice("info", ""))

    status, text = await answered(request, look)
    if status >= 400:
        return told({"error": text}, 403 if found else status)
    ids, left = [run.id for run in found[0].runs], found[0].left
    rest = {"left": left} if left else {}
    if is_dry:
        return told({"count": len(ids), **rest, "ids": ids})
    return await _each(request, ids, act.do, rest)


def _is_dry(request: Request) -> bool:
    """Whether only the count is asked for; Wrong."""
    said = request.query_params.get("dryRun", "false")
    if said not in ("true", "false"):
        raise Wrong("`dryRun` is true or false.")
    return said == "true"


async def _each(request: Request, ids: Sequence[str], do: Change, rest: Mapping[str, int]) -> Response:
    """Do it to one after the other; what one of them refuses stops none of the others."""
    done, problems = 0, list[dict[str, str]]()
    for one in ids:
        status, text = await to_one(request, one, do)
        done += status < 400
        problems += [] if status < 400 else [{"id": one, "message": text}]
        if status == 403 and not done:
            return told({"error": text}, 403)
    wrong = {"invalids": problems} if problems else {}
    return told({"count": done, **rest, **wrong}, 409 if problems and not done else 200)
