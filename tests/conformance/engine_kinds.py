"""The other kinds of engine cases."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import httpx

from engine.core import cron, plugin_defaults
from engine.core.conditions import ConditionContext, Upstream
from engine.core.execution import Execution, TaskRun, TaskRuns
from engine.core.outputs import outputs_of, settled
from engine.core.state import State
from engine.errors import EngineError, FlowInvalid, InputInvalid, Refused
from engine.expressions import Services, render
from engine.rendering import typed_value
from engine.store.documents import plain
from engine.tasks import catalogue
from tests.conformance.engine import Trial, Unlike, at, expect, just_before, only, trial
from tests.conformance.engine_runs import all_of, compare, include, labels_include, run, runs, subset

NOW = at("2024-01-01T00:00:00Z")
HELLO = {"id": "x", "type": "io.kestra.plugin.core.log.Log", "message": "hello"}


async def validate(case: Mapping[str, Any]) -> None:
    """Saving a flow."""
    only(case, "the case", ("flow", "expect", "other_flows"))
    wanted = case["expect"]
    only(wanted, "expect", ("valid", "errors_contain"))
    async with trial() as t:
        for other in case.get("other_flows", ()):
            await t.deploy(other)
        try:
            await t.deploy(case["flow"])
        except FlowInvalid as error:
            said = [str(error), *(problem.message for problem in error.problems)]
            if wanted.get("valid"):
                raise Unlike(f"the flow was refused: {said}") from error
            for part in wanted.get("errors_contain", ()):
                if not any(part in text for text in said):
                    raise Unlike(f"no error contains {part!r}: {said}") from error
            return
    if not wanted.get("valid"):
        raise Unlike("the flow was accepted")


async def inputs(case: Mapping[str, Any]) -> None:
    """Typing of given inputs."""
    only(case, "the case", ("inputs_declaration", "given", "expect"))
    wanted = case["expect"]
    only(wanted, "expect", ("typed", "enabled", "error_contains"))
    flow = {"id": "inputs", "namespace": "conf.tests", "inputs": case["inputs_declaration"], "tasks": [HELLO]}
    async with trial() as t:
        await t.deploy(flow)
        resolved = await t.engine.check_inputs(t.engine.flows.get("conf.tests", "inputs"), case["given"])
        if "enabled" in wanted:
            expect("enabled", wanted["enabled"], dict(resolved.enabled))
        try:
            made = await t.engine.create("conf.tests", "inputs", case["given"], started_by="case")
        except InputInvalid as error:
            first = error.problems[0].message
            if "error_contains" not in wanted or wanted["error_contains"] not in first:
                raise Unlike(f"refused: {first}") from error
            return
        if "error_contains" in wanted:
            raise Unlike(f"not refused: {plain(made.inputs)}")
        if "typed" in wanted:
            expect("typed", wanted["typed"], plain(made.inputs))


async def outputs_shape(case: Mapping[str, Any]) -> None:
    """The `outputs` variable."""
    only(case, "the case", ("task_runs", "expect"))
    ids = {entry["id"]: f"e.{number}" for number, entry in enumerate(case["task_runs"], 1)}
    made = [
        TaskRun(
            id=ids[entry["id"]],
            task_id=entry["task"],
            state=State.SUCCESS,
            histories=((State.SUCCESS, NOW),),
            parent_id=ids.get(entry.get("parent")),
            value=entry.get("value"),
            outputs=entry.get("outputs"),
        )
        for entry in case["task_runs"]
    ]
    expect("outputs", case["expect"], plain(settled(outputs_of(TaskRuns(made)))))


def scheduled_flow(trigger: Mapping[str, Any]) -> dict[str, Any]:
    """A flow with one trigger."""
    return {"id": "scheduled", "namespace": "conf.tests", "tasks": [HELLO], "triggers": [dict(trigger)]}


async def fired(t: Trial, flow_id: str, date: str) -> Execution | None:
    """The execution for a date, once the engine has come to rest after it."""
    t.clock.jump_to(at(date))
    for _ in range(200):
        await asyncio.sleep(0.01)
        await t.quiet()
        for execution in await all_of(t, flow_id):
            variables = execution.origin.variables if execution.origin else {}
            if at(variables.get("date", date)) == at(date):
                return execution
        if t.clock.now() > at(date) + timedelta(seconds=1):
            break
    return None


async def schedule(case: Mapping[str, Any]) -> None:
    """A schedule at one of its dates."""
    only(case, "the case", ("trigger", "evaluate_at", "expect"))
    wanted = case["expect"]
    only(wanted, "expect", ("fires", "date", "next", "previous", "next_absent"))
    async with trial(just_before(at(case["evaluate_at"]))) as t:
        await t.deploy(scheduled_flow(case["trigger"]))
        await t.quiet()
        execution = await fired(t, "scheduled", case["evaluate_at"])
        expect("fires", wanted["fires"], execution is not None)
        if execution is None:
            return
        variables = plain(execution.origin.variables if execution.origin else {})
        for name in ("date", "next", "previous"):
            if name in wanted:
                expect(name, at(wanted[name]), at(variables[name]) if name in variables else None)
                if at(wanted[name]).utcoffset() != at(variables[name]).utcoffset():
                    raise Unlike(f"{name}: expected {wanted[name]}, came {variables[name]}")
        if wanted.get("next_absent") and "next" in variables:
            raise Unlike(f"next: expected none, came {variables['next']}")


async def schedule_next(case: Mapping[str, Any]) -> None:
    """The next date of a cron expression."""
    only(case, "the case", ("trigger", "after", "expect"))
    only(case["expect"], "expect", ("next",))
    from zoneinfo import ZoneInfo

    trigger = case["trigger"]
    only(trigger, "trigger", ("cron", "timezone", "withSeconds"))
    zone = ZoneInfo(trigger.get("timezone", "UTC"))
    found = cron.next_after(trigger["cron"], at(case["after"]), zone, trigger.get("withSeconds", False))
    wanted = case["expect"]["next"]
    expect("next", None if wanted is None else at(wanted), found)


async def schedule_execution(case: Mapping[str, Any]) -> None:
    """The execution a schedule makes."""
    only(case, "the case", ("flow", "fire_at", "expect"))
    wanted = case["expect"]
    only(wanted, "expect", ("inputs", "labels_include", "trigger"))
    async with trial(just_before(at(case["fire_at"]))) as t:
        await t.deploy(case["flow"])
        await t.quiet()
        execution = await fired(t, case["flow"]["id"], case["fire_at"])
        if execution is None:
            raise Unlike("no execution was created")
        if "inputs" in wanted:
            expect("inputs", wanted["inputs"], plain(execution.inputs))
        if "labels_include" in wanted:
            labels_include(execution, wanted["labels_include"])
        variables = plain(execution.origin.variables if execution.origin else {})
        for name, value in wanted.get("trigger", {}).items():
            expect(f"trigger.{name}", at(value), at(variables[name]))


async def condition(case: Mapping[str, Any]) -> None:
    """One condition of a trigger."""
    only(case, "the case", ("condition", "execution", "expect"))
    registry = catalogue()
    declared = case["condition"]
    made: Any = registry.resolve(declared).model_validate(declared, context={"registry": registry})
    upstream = None
    extra: dict[str, Any] = {}
    if "execution" in case:
        given = case["execution"]
        only(given, "execution", ("namespace", "flowId", "state", "labels", "outputs", "attempts"))
        state = State(given.get("state", "SUCCESS"))
        attempts = tuple(tuple(State(one) for one in each) for each in given.get("attempts", ()))
        labels = {key: str(value) for key, value in given.get("labels", {}).items()}
        upstream = Upstream(given["namespace"], given["flowId"], state, labels, given.get("outputs"), attempts)
        extra = {"trigger": {"outputs": given.get("outputs"), "state": state.value}}

    def one(text: str, names: Mapping[str, Any], typed: bool) -> Any:
        return typed_value(text, names, Services()) if typed else render(text, names, Services())

    expect("condition", case["expect"], made.holds(ConditionContext(one, extra, upstream)))


async def defaults(case: Mapping[str, Any]) -> None:
    """Merging of pluginDefaults."""
    only(case, "the case", ("task", "flow_defaults", "global_defaults", "expect"))
    merged = plugin_defaults.apply(
        {"tasks": [case["task"]]}, case.get("flow_defaults") or (), case.get("global_defaults") or ()
    )
    expect("merged", case["expect"], json.loads(json.dumps(merged["tasks"][0])))


async def concurrency(case: Mapping[str, Any]) -> None:
    """A flow with a concurrency limit."""
    only(case, "the case", ("flow", "start", "expect", "inputs"))
    only(case["expect"], "expect", ("executions",))
    async with trial() as t:
        await t.deploy(case["flow"])
        made: list[Execution] = []
        for _ in range(case["start"]):
            if made:
                await began(t, made[-1].id)
            made.append(await t.start(case["flow"], case.get("inputs", {}), {}))
        for wanted, execution in zip(case["expect"]["executions"], made, strict=True):
            only(wanted, "executions", ("state", "history_prefix", "task_run_count", "log_equals"))
            await t.settle(execution.id)
            came = await t.settle(execution.id)
            prefix = wanted.get("history_prefix", [])
            expect("history", prefix, [state.value for state, _ in came.histories][: len(prefix)])
            await compare(t, came, {k: v for k, v in wanted.items() if k != "history_prefix"})


async def began(t: Trial, execution_id: str) -> None:
    """Wait until an execution is past CREATED."""
    while (await t.engine.decider.current(execution_id)).state is State.CREATED:
        await asyncio.sleep(0.002)


async def replay(case: Mapping[str, Any]) -> None:
    """A replay of an execution that has ended."""
    only(case, "the case", ("flow", "inputs", "from_task", "expect", "other_flows", "execution_labels"))
    wanted = case["expect"]
    only(wanted, "expect", ("original", "new_execution_at_creation", "final"))
    async with trial() as t:
        for other in case.get("other_flows", ()):
            await t.deploy(other)
        await t.deploy(case["flow"])
        made = await t.start(case["flow"], case.get("inputs", {}), case.get("execution_labels", {}))
        first = await t.settle(made.id)
        if "original" in wanted:
            await compare(t, first, wanted["original"])
        source = case.get("from_task")
        run_id = next((run.id for run in first.task_runs.values() if run.task_id == source), None)
        if source is not None and run_id is None:
            raise Unlike(f"{source} never ran")
        new = await t.engine.replay(first.id, from_task_run=run_id, by="case")
        at_creation(t, first, new, wanted.get("new_execution_at_creation", {}))
        if "final" in wanted:
            await compare(t, await t.settle(new.id), wanted["final"])


def at_creation(t: Trial, first: Execution, new: Execution, wanted: Mapping[str, Any]) -> None:
    """A new execution before anything ran."""
    known = (
        "same_id", "state", "history_count", "task_run_count", "task_runs", "task_runs_include", "original_id",
        "parent_id",
    )  # fmt: skip
    only(wanted, "the new execution", known)
    wanted = t.known(wanted)
    came = {
        "same_id": new.id == first.id,
        "state": new.state.value,
        "history_count": len(new.histories),
        "task_run_count": len(new.task_runs),
        "original_id": new.original_id,
        "parent_id": new.parent_id,
    }
    for name, value in came.items():
        if name in wanted:
            expect(name, wanted[name], value)
    if "task_runs" in wanted:
        runs(new, wanted["task_runs"], None)
    if "task_runs_include" in wanted:
        include(new, wanted["task_runs_include"], "at creation")


async def restart_revision(case: Mapping[str, Any]) -> None:
    """A restart under a named revision."""
    only(case, "the case", ("flow", "inputs", "expect"))
    async with trial() as t:
        await t.deploy(case["flow"])
        made = await t.start(case["flow"], case.get("inputs", {}), {})
        first = await t.settle(made.id)
        new = await t.engine.restart(first.id, by="case", revision=first.revision)
        at_creation(t, first, new, case["expect"])


async def change_status(case: Mapping[str, Any]) -> None:
    """Another final state for an ended execution."""
    only(case, "the case", ("flow", "inputs", "to", "expect"))
    wanted = case["expect"]
    only(wanted, "expect", ("state", "refused_targets"))
    async with trial() as t:
        await t.deploy(case["flow"])
        made = await t.start(case["flow"], case.get("inputs", {}), {})
        await t.settle(made.id)
        for target in wanted.get("refused_targets", ()):
            try:
                await t.engine.change_status(made.id, State(target), by="case")
            except Refused:
                continue
            raise Unlike(f"{target} was not refused")
        after = await t.engine.change_status(made.id, State(case["to"]), by="case")
        expect("state", wanted["state"], after.state.value)
        expect("stored state", wanted["state"], (await t.engine.execution(made.id)).state.value)


async def flow_trigger(case: Mapping[str, Any]) -> None:
    """Executions that executions of other flows trigger."""
    only(case, "the case", ("flows", "run", "run_sequence", "inputs", "expect"))
    wanted = case["expect"]
    only(wanted, "expect", ("triggered", "triggered_after_each", "triggered_flow_outputs", "triggered_count"))
    async with trial() as t:
        for flow in case["flows"]:
            await t.deploy(flow)
        by_id = {flow["id"]: flow for flow in case["flows"]}
        sequence = case.get("run_sequence") or [case["run"]]
        counts = []
        for flow_id in sequence:
            made = await t.start(by_id[flow_id], case.get("inputs", {}), {})
            await t.settle(made.id)
            await t.quiet()
            counts.append(len(await triggered(t, by_id)))
        if "triggered_after_each" in wanted:
            expect("triggered after each", wanted["triggered_after_each"], counts)
        found = await triggered(t, by_id)
        if "triggered_count" in wanted:
            expect("triggered", wanted["triggered_count"], len(found))
        if "triggered_flow_outputs" in wanted:
            came = [next(iter(plain(one.outputs or {"": None}).values())) for one in found]
            expect("outputs of what was triggered", t.known(wanted["triggered_flow_outputs"]), came)
        for entry, execution in zip(wanted.get("triggered", ()), found, strict="triggered" in wanted):
            await compare_triggered(t, t.known(entry), execution)


async def triggered(t: Trial, by_id: Mapping[str, Any]) -> list[Execution]:
    """Executions that a trigger made, in order of creation."""
    found = [one for flow_id in by_id for one in await all_of(t, flow_id) if one.started_by == "trigger"]
    return sorted(found, key=lambda one: one.id)


async def compare_triggered(t: Trial, wanted: Mapping[str, Any], execution: Execution) -> None:
    """One execution that a trigger made."""
    only(wanted, "triggered", ("flow_id", "state", "task_run_count", "output", "trigger", "labels_include"))
    expect("flow", wanted["flow_id"], execution.flow_id)
    rest = {key: value for key, value in wanted.items() if key not in ("flow_id", "output")}
    if "output" in wanted:
        rest["outputs"] = [{"path": "value", **wanted["output"]}]
    await compare(t, execution, rest)


async def webhook(case: Mapping[str, Any]) -> None:
    """A request to a webhook, over HTTP."""
    only(case, "the case", ("flow", "request", "expect"))
    wanted, request = case["expect"], case["request"]
    only(wanted, "expect", ("status", "trigger", "message", "executions_created", "inputs", "output"))
    only(request, "request", ("method", "key", "body", "query", "headers", "namespace", "flow_id", "flowId"))
    from tests.conformance.page import page_of

    async with trial() as t:
        await t.deploy(case["flow"])
        namespace = request.get("namespace", case["flow"]["namespace"])
        flow_id = request.get("flow_id", request.get("flowId", case["flow"]["id"]))
        path = f"/api/v1/executions/webhook/{namespace}/{flow_id}/{request['key']}"
        if request.get("query"):
            path += "?" + str(request["query"]).lstrip("?")
        async with page_of(t.engine) as client:
            answer: httpx.Response = await client.request(
                request.get("method", "POST"), path, content=request.get("body"), headers=request.get("headers")
            )
        expect("status", wanted["status"], answer.status_code)
        await t.quiet()
        found = await all_of(t, case["flow"]["id"])
        if "executions_created" in wanted:
            expect("executions created", wanted["executions_created"], len(found))
        if "message" in wanted and wanted["message"] not in answer.text:
            raise Unlike(f"the answer does not contain {wanted['message']!r}: {answer.text}")
        if "trigger" in wanted:
            subset("trigger", wanted["trigger"], plain(found[0].origin.variables if found and found[0].origin else {}))
        if "inputs" in wanted:
            expect("inputs", wanted["inputs"], plain(found[0].inputs))
        if "output" in wanted:
            await compare(t, await t.settle(found[0].id), {"outputs": [{"path": "value", **wanted["output"]}]})


async def checks(case: Mapping[str, Any]) -> None:
    """`checks` of a flow."""
    only(case, "the case", ("flow", "inputs", "expect"))
    wanted = case["expect"]
    only(wanted, "expect", ("execution_created", "state", "message"))
    async with trial() as t:
        await t.deploy(case["flow"])
        flow = t.engine.flows.get(case["flow"]["namespace"], case["flow"]["id"])
        if "message" in wanted:
            resolved = await t.engine.check_inputs(flow, case.get("inputs", {}))
            failing = await t.engine.failing_checks(flow, plain(resolved.values))
            if not any(wanted["message"] in check.message for check in failing):
                raise Unlike(f"no failing check says {wanted['message']!r}: {failing}")
        try:
            made = await t.start(case["flow"], case.get("inputs", {}), {})
        except EngineError as error:
            expect(f"created ({error})", wanted.get("execution_created", True), False)
            return
        expect("created", wanted.get("execution_created", True), True)
        if "state" in wanted:
            expect("state", wanted["state"], (await t.settle(made.id)).state.value)


async def kv(case: Mapping[str, Any]) -> None:
    """The KV tasks."""
    only(case, "the case", ("existing", "set", "wait_seconds", "expect"))
    wanted = case["expect"]
    only(wanted, "expect", ("value", "type", "get_raises", "listed", "error_contains"))
    namespace, declared = "conf.tests", case["set"]
    flow = {
        "id": "kv",
        "namespace": namespace,
        "tasks": [{"id": "set", "type": "io.kestra.plugin.core.kv.Set", **declared}],
    }
    async with trial() as t:
        existing = case.get("existing") or []
        for entry in [existing] if isinstance(existing, Mapping) and "key" in existing else existing:
            pair = entry if isinstance(entry, Mapping) else {"key": entry, "value": existing[entry]}
            await t.engine.kv.set(namespace, pair["key"], pair["value"])
        await t.deploy(flow)
        made = await t.start(flow, {}, {})
        done = await t.settle(made.id)
        said = " ".join(line.message for line in await t.engine.logs(made.id))
        if "error_contains" in wanted:
            if done.state is not State.FAILED or wanted["error_contains"] not in said:
                raise Unlike(f"kv.Set ended {done.state}: {said}")
            return
        if done.state is not State.SUCCESS:
            raise Unlike(f"kv.Set ended {done.state}: {said}")
        t.clock.jump(timedelta(seconds=case.get("wait_seconds", 0)))
        if "listed" in wanted:
            expect("listed", wanted["listed"], declared["key"] in await t.engine.kv.keys(namespace))
        try:
            value = await t.engine.kv.get(namespace, declared["key"])
        except EngineError as error:
            if "get_raises" not in wanted:
                raise
            if isinstance(wanted["get_raises"], str) and wanted["get_raises"] not in str(error):
                raise Unlike(f"get said {error}") from error
            return
        if wanted.get("get_raises"):
            raise Unlike(f"get gave {value!r}")
        if "value" in wanted:
            expect("value", wanted["value"], plain(value))
        if "type" in wanted:
            expect("type", wanted["type"], (await t.engine.kv.entry(namespace, declared["key"])).kind)


KINDS: dict[str, Callable[[Mapping[str, Any]], Awaitable[None]]] = {
    "run": run,
    "foreach_item": run,
    "validate": validate,
    "inputs": inputs,
    "outputs_shape": outputs_shape,
    "schedule": schedule,
    "schedule_next": schedule_next,
    "schedule_execution": schedule_execution,
    "condition": condition,
    "plugin_defaults": defaults,
    "concurrency": concurrency,
    "replay": replay,
    "restart_revision": restart_revision,
    "change_status": change_status,
    "flow_trigger": flow_trigger,
    "webhook": webhook,
    "checks": checks,
    "kv": kv,
}
