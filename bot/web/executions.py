"""Pages about runs and flows: the list, one run with its timeline and log, files, flows, and the documentation."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from markupsafe import Markup

from bot.cards.pause_cards import evidence
from bot.conversation import Card
from bot.desk import FrontDesk
from bot.pictures.flow_graph import flow_graph
from bot.texts import bare
from bot.web import views
from bot.web.operations import BULK, allowed
from bot.web.pages import RUN_PAGES, chat, event
from bot.web.pauses import waiting_forms
from bot.web.requests import HEADERS, caller, html, refusal, while_in
from engine.core.execution import Execution
from engine.errors import EngineError, NotFound
from engine.runtime import Engine

routes = APIRouter()
DOCS = Path(__file__).parent.parent / "docs"
LOG_LINES = 1000
EXPLAINED = 1.0  # seconds between two looks whether a model has answered


def engine_of(request: Request) -> Engine:
    """The engine of this instance."""
    found: Engine = request.app.state.engine
    return found


@routes.get("/ui/executions", name="executions")
async def show_executions(request: Request) -> Response:
    """The newest runs."""
    engine = engine_of(request)
    runs = [run for run in await engine.executions(limit=100) if await _hidden(request, run) is None]
    now = engine.clock.now()
    return html(request, "executions.html", title="Runs", here="executions", runs=runs, bulk=BULK, now=now)


@routes.get("/ui/flows", name="flows")
async def show_flows(request: Request) -> Response:
    """The flows in use, and the files that are not."""
    engine = engine_of(request)
    problems = [{"file": Path(file).name, "text": str(error)} for file, error in engine.flows.problems().items()]
    flows = [
        flow
        for flow in sorted(engine.flows.list(), key=lambda flow: (flow.namespace, flow.id))
        if await _closed(request, f"{flow.namespace}/{flow.id}") is None
    ]
    folders = ", ".join(str(folder) for folder in engine.settings.flows)
    return html(request, "flows.html", title="Flows", here="flows", flows=flows, problems=problems, folders=folders)


@routes.get(RUN_PAGES + "{namespace}/{flow_id}/{execution_id}", name="execution")
@routes.get("/ui/executions/{tenant}/{namespace}/{flow_id}/{execution_id}", name="execution_of_tenant")
@routes.get("/ui/{tenant}/executions/{namespace}/{flow_id}/{execution_id}", name="execution_below_tenant")
async def show_execution(request: Request, namespace: str, flow_id: str, execution_id: str) -> Response:
    """One run: state, timeline, inputs, outputs, log, and what waits for an answer."""
    try:
        run = await engine_of(request).execution(execution_id)
    except NotFound as error:
        return refusal(404, error.message, error.fix)
    if (hidden := await _hidden(request, run)) is not None:
        return hidden
    if (run.namespace, run.flow_id) != (namespace, flow_id):
        return RedirectResponse(path_of(run), 303, headers=HEADERS)
    names = await _names(request, run)
    flow = names["flow"]
    graph = Markup(flow_graph(flow)) if flow is not None and len(flow.tasks) > 1 else None  # noqa: S704 - it escapes
    title = f"{namespace}/{flow_id}"
    number = request.query_params.get("said", "")
    is_number = number.isascii() and number.isdecimal() and len(number) < 19
    said = await chat(request).said_to(caller(request).person, int(number)) if is_number else None
    return html(request, "execution.html", title=title, here="executions", graph=graph, said=said, **names)


@routes.get("/events/execution/{execution_id}", name="execution_events")
async def execution_events(request: Request, execution_id: str) -> Response:
    """The run's page drawn anew whenever it moved, as server-sent events; `end` when it is over."""
    engine = engine_of(request)
    try:
        first = await engine.execution(execution_id)
    except NotFound as error:
        return refusal(404, error.message, error.fix)
    if (hidden := await _hidden(request, first)) is not None:
        return hidden

    async def stream() -> AsyncIterator[str]:
        number = 0
        async for run in while_in(request, _moves(request, execution_id)):
            if run is None:
                yield ": still here\n\n"
                continue
            number += 1
            yield event(number, {"html": await _body(request, run)})
            if run.state.is_terminal and not await _is_being_explained(request, run):
                yield "event: end\ndata: {}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream", headers=HEADERS)


async def _is_being_explained(request: Request, run: Execution) -> bool:
    desk: FrontDesk = request.app.state.desk
    known = await desk.explaining.of(run)
    return known is not None and known.state == "ASKING"


async def _moves(request: Request, execution_id: str) -> AsyncGenerator[Execution | None, None]:
    """A run, and again whenever it moved, until it is over and not being explained; None every 15 s without."""
    engine = engine_of(request)
    async with engine.subscribe() as changes:
        waiting = aiter(changes)
        while True:
            run = await engine.execution(execution_id)
            yield run
            if run.state.is_terminal:
                is_asked = await _is_being_explained(request, run)
                while await _is_being_explained(request, run):
                    await asyncio.sleep(EXPLAINED)
                    yield None
                if is_asked:
                    yield run
                return
            while True:
                try:
                    change = await asyncio.wait_for(anext(waiting), 15)
                except TimeoutError:
                    yield None
                    continue
                except StopAsyncIteration:
                    return
                if change.execution_id == execution_id:
                    break
            await asyncio.sleep(0.2)  # let a burst of changes become one drawing


@routes.get("/files/{path:path}", name="storage_file")
async def show_file(request: Request, path: str) -> Response:
    """A file of internal storage: pictures in place, everything else as a download."""
    try:
        local = engine_of(request).files.path(f"kestra:///{path}")
    except EngineError as error:
        return refusal(404, error.message, error.fix)
    if (hidden := await _file_hidden(request, path)) is not None:
        return hidden
    name = path.rsplit("/", 1)[-1]
    kind = views.media_type(name)
    inline = kind in views.INLINE_IMAGES
    headers = {**HEADERS, "Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self'"}
    return FileResponse(
        local,
        media_type=kind if inline else "application/octet-stream",
        filename=name,
        content_disposition_type="inline" if inline else "attachment",
        headers=headers,
    )


@routes.get("/docs", name="docs")
async def docs(request: Request) -> Response:
    """The documentation's first page."""
    return RedirectResponse("/docs/start", 303, headers=HEADERS)


@routes.get("/docs/pictures/{name}", name="doc_picture")
async def doc_picture(name: str) -> Response:
    """A picture of the documentation."""
    file = DOCS / "pictures" / name
    if file.suffix != ".png" or file.parent != DOCS / "pictures" or not file.is_file():
        return refusal(404, "There is no such picture.", "")
    return FileResponse(file, media_type="image/png", headers={"X-Content-Type-Options": "nosniff"})


@routes.get("/docs/{slug}", name="doc")
async def doc(request: Request, slug: str) -> Response:
    """One page of the documentation."""
    pages = doc_pages()
    if slug.endswith(".md"):  # as the pages name each other, for readers of the files
        return RedirectResponse(f"/docs/{quote(slug.removesuffix('.md'))}", 301, headers=HEADERS)
    if slug not in dict(pages):
        return refusal(404, "There is no such page.", "See /docs for what there is.")
    text = (DOCS / f"{slug}.md").read_text(encoding="utf-8")
    return html(request, "doc.html", title=dict(pages)[slug], here="docs", pages=pages, current=slug, text=text)


def doc_pages() -> list[tuple[str, str]]:
    """(slug, title) of every page, `start` first."""
    found = {file.stem: file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for file in DOCS.glob("*.md")}
    return sorted(found.items(), key=lambda item: (item[0] != "start", item[1].lower()))


async def _closed(request: Request, flow: str) -> Response | None:
    """A page that says why the caller may not see a flow; None when they may."""
    desk: FrontDesk = request.app.state.desk
    denied = await desk.refuse("see", caller(request).person, flow)
    return refusal(403, bare(denied.text), "") if denied else None


async def _hidden(request: Request, run: Execution) -> Response | None:
    """The same for a run."""
    return await _closed(request, f"{run.namespace}/{run.flow_id}")


async def _file_hidden(request: Request, path: str) -> Response | None:
    """The same for a file of a run, which lies below the folder of the run."""
    after = f"/{path}".partition("/executions/")[2]
    if not after:
        return await _closed(request, "*")
    try:
        run = await engine_of(request).execution(after.partition("/")[0])
    except NotFound:
        return await _closed(request, "*")
    return await _hidden(request, run)


def path_of(run: Execution) -> str:
    """Where a run's page lies: the path that flows link to."""
    return f"{RUN_PAGES}{run.namespace}/{run.flow_id}/{run.id}"


async def _names(request: Request, run: Execution) -> dict[str, Any]:
    engine = engine_of(request)
    try:
        flow = engine.flows.get(run.namespace, run.flow_id)
    except NotFound:
        flow = None  # deleted since; the run's own record is enough
    runs = list(run.task_runs.values())
    now = engine.clock.now()
    rows, more = views.timeline(runs, now)
    shown = [(task.task_id + (f" [{task.value}]" if task.value else ""), task.outputs) for task in runs if task.outputs]
    desk: FrontDesk = request.app.state.desk
    pauses: list[Card] = await desk.pause_cards(run.id)
    showed, session = request.app.state.gate.showed, caller(request).session
    return {
        "run": run,
        "now": now,
        "flow": flow,
        "timeline": rows,
        "more_tasks": more,
        "inputs": [(key, _hide(engine, value)) for key, value in run.inputs.items()],
        "outputs": [(key, _hide(engine, value)) for key, value in (run.outputs or {}).items()],
        "task_outputs": [(name, engine.masker.mask(views.pretty(value))) for name, value in shown[:200] if value],
        "logs": await engine.logs(run.id, limit=LOG_LINES),
        "pauses": pauses,
        "seen": {card.entity: showed(session, card.entity, evidence(card)) for card in pauses},
        "forms": await waiting_forms(desk, run.id),
        "deeds": await allowed(desk, caller(request).person, run),
        "explanation": desk.explaining.said(known, run.flow_id) if (known := await desk.explaining.of(run)) else None,
        "here_url": path_of(run),
    }


async def _body(request: Request, run: Execution) -> str:
    csrf = request.app.state.gate.csrf(caller(request).session)
    return views.page("execution_body.html", csrf=csrf, **await _names(request, run))


def _hide(engine: Engine, value: Any) -> Any:
    """A value with every known secret masked."""
    if isinstance(value, str):
        return engine.masker.mask(value)
    if isinstance(value, (dict, list, tuple)):
        return json.loads(engine.masker.mask(json.dumps(value, default=str)))
    return value
