"""What a flow will show in chat: its form, each question it asks, and each answer form. Pure.

Defaults and choices are rendered as in chat; an expression that needs more than the flow is shown as it is written,
since there is no run to render it with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.approvals import estimate
from bot.approvals.answering import answer_fields, reject_fields, shape_of
from bot.approvals.approvers import GROUP_WORDS, Approver, labels
from bot.approvals.assignment import people_of
from bot.approvals.estimate import Estimate
from bot.approvals.policy import NO_RULE, ApprovalRule, rule_for
from bot.approvals.prices import NO_PRICES, Prices
from bot.approvals.prospect import MAX_TASKS, MAX_WALK, Outlook, facts, following, rest, stated, templates
from bot.approvals.silence import ending
from bot.approvals.votes import meter
from bot.cards.outline import continues_with, in_loop, message_before, message_text, places
from bot.cards.pause_cards import Decided, PauseView, pause_card
from bot.cards.run_cards import RunView, run_card
from bot.conversation import Card, Field, Form, Listing, Notice
from bot.explaining.section import ExplainSection
from bot.forms.questions import fields_of, form, intro
from bot.links import ActionIds, Pages
from bot.people.roles import Role
from engine.core.execution import Execution, TaskRun, TaskRuns
from engine.core.flow import Flow
from engine.core.flowable import PauseTerms, PausingTask
from engine.core.inputs import Input, resolve
from engine.core.property import has_template
from engine.core.state import State
from engine.core.task import Task
from engine.errors import EngineError, ExpressionFailed
from engine.expressions import Services, evaluate, render
from engine.runtime.doorkeeper import Ending
from engine.runtime.foresight import Unknown, needed

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)  # a fixed moment, so that two previews of one flow are the same
TOOK = timedelta(minutes=2)
SERVICES = Services(now=lambda: NOON)
PAUSE_ID = "01PREVIEW0000000000000000A"
RUN_ID = "01PREVIEW0000000000000RUN1"


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing people see, and when."""

    name: str
    body: Card | Form | Listing | Notice
    at: datetime = NOON + TOOK  # when it is seen


def scenes(
    flow: Flow,
    public_url: str | None = None,
    rules: Sequence[ApprovalRule] = (),
    roles: Sequence[Role] = (),
    explain: ExplainSection | None = None,
    prices: Prices = NO_PRICES,
) -> list[Scene]:
    """Everything the flow shows, in order; its questions and its failure with what parley.yaml says of them."""
    ids, pages = ActionIds(b"preview"), Pages(public_url)
    found = []
    asked = _asked(flow, flow.inputs)
    if asked:
        about = intro(flow.description or "")
        found.append(Scene(f"{flow.id}-form", form("draft:preview", f"Run {flow.id}", "Run", asked, intro=about)))
    found.append(Scene(f"{flow.id}-running", _run(flow, State.RUNNING, ids, pages)))
    for place in places(flow):
        if place.task.type.endswith((".Pause", ".Approval", ".HumanTask")):
            found += _pause(flow, place.task, ids, pages, rules, roles, prices)
    is_explained = explain is not None and explain.covers(f"{flow.namespace}/{flow.id}")
    found.append(Scene(f"{flow.id}-failed", _run(flow, State.FAILED, ids, pages, is_explained=is_explained)))
    found.append(Scene(f"{flow.id}-ended", _run(flow, State.SUCCESS, ids, pages)))
    return found


def _asked(flow: Flow, inputs: Sequence[Input]) -> tuple[Field, ...]:
    """A field for each input, also for those that are asked for after others only."""

    def rendered(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
        try:
            return (evaluate if typed else render)(text, {**_known(flow), **extra}, SERVICES)
        except ExpressionFailed:
            return None if typed else text

    resolved = resolve(inputs, {}, rendered)
    written = {one.id: one.defaults for one in inputs if one.defaults is not None}
    return fields_of(
        inputs, replace(resolved, defaults={**written, **resolved.defaults}), ids=[one.id for one in inputs]
    )


def _known(flow: Flow) -> dict[str, Any]:
    about = {"id": flow.id, "namespace": flow.namespace, "revision": flow.revision}
    return {"flow": about, "vars": flow.variables}


def _by_default(flow: Flow, value: Any) -> Any:
    """What a text of the flow says when its inputs have their defaults; as it is written where that is not enough."""
    given = {field.id: field.default for field in _asked(flow, flow.inputs) if field.type != "SECRET"}
    known = {name: default for name, default in given.items() if default is not None}
    try:
        return render(value, {**_known(flow), "inputs": known}, SERVICES)
    except ExpressionFailed:
        return value


def _terms(flow: Flow, task: Task) -> PauseTerms:
    """How long a question waits, as far as the flow alone tells."""
    if not isinstance(task, PausingTask):
        return PauseTerms()
    try:
        return task.terms({name: _by_default(flow, text) for name, (text, _) in task.wanted().items()})
    except (EngineError, ValueError):
        return PauseTerms()


def _run(flow: Flow, state: State, ids: ActionIds, pages: Pages, *, is_explained: bool = False) -> Card:
    histories: tuple[tuple[State, datetime], ...] = ((State.CREATED, NOON), (State.RUNNING, NOON))
    if state.is_terminal:
        histories = (*histories, (state, NOON + TOOK))
    outputs = {one.id: str(one.value) for one in flow.outputs} if state is State.SUCCESS else None
    failed = [TaskRun(f"{RUN_ID}.1", flow.tasks[-1].id, state, histories)] if state is State.FAILED else []
    run = Execution(
        RUN_ID, flow.namespace, flow.id, 1, state, histories, TaskRuns(failed), outputs=outputs, started_by="local:you"
    )
    errors = tuple((one.task_id, "Here stands what went wrong.") for one in failed)
    return run_card(RunView(run, flow, "you", NOON + TOOK, errors=errors, is_explained=is_explained), ids, pages)


def _policy(flow: Flow, task: Task, rules: Sequence[ApprovalRule], roles: Sequence[Role]) -> tuple[str, ApprovalRule]:
    """Who decides, as the bot's cards say it, and the entry of the policy that governs the question."""
    rule, only = rule_for(rules, f"{flow.namespace}/{flow.id}", task.id), _assigned(flow, task, roles)
    if rule is NO_RULE and not only:
        return "", rule
    if not rule.names_approvers or not only:
        return labels(only or rule.people), rule
    return f"{labels(rule.people)}, who is also {labels(only)}", rule


def _assigned(flow: Flow, task: Task, roles: Sequence[Role]) -> tuple[Approver, ...]:
    """Whom the flow itself assigns the question to, as far as the flow alone tells."""
    if not isinstance(task, PausingTask):
        return ()
    try:
        asked = task.opened({name: _by_default(flow, text) for name, (text, _) in task.wanted().items()})
    except (EngineError, ValueError):
        return ()
    return people_of(asked.remembered.get("assignment"), roles, tuple(GROUP_WORDS))


def _pause(
    flow: Flow,
    task: Task,
    ids: ActionIds,
    pages: Pages,
    rules: Sequence[ApprovalRule],
    roles: Sequence[Role],
    prices: Prices,
) -> list[Scene]:
    questions = _asked(flow, getattr(task, "on_resume", None) or ())
    made, quick = shape_of(task, questions, quick=True)
    message, terms = message_before(flow, task.id), _terms(flow, task)
    approvers, rule = _policy(flow, task, rules, roles)
    in_the_end = ending(rules, flow.namespace, flow.id, task.id) or Ending(terms.behavior)
    waits_on = in_the_end.behavior is None
    view = PauseView(
        PAUSE_ID,
        RUN_ID,
        task.id,
        flow.namespace,
        flow.id,
        "WAITING",
        NOON,
        NOON,
        "you",
        questions,
        made,
        description=str(_by_default(flow, task.description or "")),
        message=message_text(_by_default(flow, message)) if message else "",
        continues=continues_with(flow, task.id),
        deadline=NOON + terms.deadline if terms.deadline and not waits_on else None,
        behavior=in_the_end.behavior or terms.behavior,
        approvers=approvers,
        need=rule.need,
        meter=meter((), rule),
        outlook=_outlook(flow, task, rule, prices),
        in_loop=in_loop(flow, task.id),
    )
    name = f"{flow.id}-{task.id}"
    found = [Scene(name, pause_card(view, ids, pages))]
    if questions:
        fields = answer_fields(questions, quick=quick)
        found.append(_form(f"{name}-answer", f"Answer: {flow.id}", "Answer", fields))
    rest = reject_fields(questions, made)
    if made.kind == "yes_no" and rest:
        about = "The run goes on with this as a no."
        found.append(_form(f"{name}-reject", f"Reject: {flow.id}", "Reject", rest, about))
    decided = Decided("approve" if made.kind in ("plain", "yes_no") else "answer", "Ann", "slack", NOON + TOOK)
    all_of_them = f"{rule.need} of {rule.need}"
    done = replace(view, state="RESUMED", decided=decided, decided_at=NOON + TOOK, meter=all_of_them)
    found.append(Scene(f"{name}-decided", pause_card(done, ids, pages)))
    if view.deadline:
        late = replace(view, state="EXPIRED", decided_at=view.deadline)
        found.append(Scene(f"{name}-expired", pause_card(late, ids, pages), view.deadline + TOOK))
    return found


def _outlook(flow: Flow, task: Task, rule: ApprovalRule, prices: Prices) -> Outlook:
    """What follows, as far as the flow alone tells; no run went on from here yet."""
    every = following(flow, task.id, MAX_WALK)
    steps = every[:MAX_TASKS]
    *values, cost = [_foreseen(flow, template) for template in (*templates(steps), rule.cost)]
    known = Estimate(currency=prices.currency if prices else "")
    takes = estimate.facts(known, stated(cost, rule.cost, runs=False), goes_on=bool(steps))
    return Outlook((*facts(steps, values), *rest(every)), takes=takes)


def _foreseen(flow: Flow, template: Any) -> Any:
    """A value as a run with the defaults would have it; Unknown where that takes a run."""
    value = _by_default(flow, template)
    return Unknown(needed(template)) if has_template(value) else value


def _form(name: str, title: str, submit: str, fields: Sequence[Field], about: str = "") -> Scene:
    return Scene(name, form("draft:preview", title, submit, fields, intro=intro(about)))
