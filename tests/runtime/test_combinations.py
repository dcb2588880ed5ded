"""Handlers, retries, allowances and limits, each inside the others: what runs, how it ends, what is told when."""

import re

import pytest

from engine.core.state import State

CORE = "io.kestra.plugin.core"
FAIL = "execution.Fail"


def flow(text):
    """`T.log.Log` stands for the whole name of a type."""
    return re.sub(r"\bT\.(?=[a-z]+\.[A-Z])", f"{CORE}.", text)


def shape(execution):
    """`task value STATE`, indented by how deep it stands; the order is that in which the runs were made."""
    depths, lines = {None: -1}, []
    for run in execution.task_runs.values():
        depths[run.id] = depths[run.parent_id] + 1
        tries = f" x{len(run.attempts)}" if len(run.attempts) > 1 else ""
        name = f"{run.task_id} {run.value}" if run.value is not None else run.task_id
        lines.append(f"{'  ' * depths[run.id]}{name} {run.state}{tries}")
    return lines


def say(task_id, message="", more=""):
    return f"{{id: {task_id}, type: T.log.Log, message: '{message or task_id}'{more}}}"


RETRY = "retry: {type: constant, interval: PT0.01S, maxAttempts: 2}"
ONCE = 'condition: "{{ taskrun.attemptsCount == 0 }}"'

CASES = {
    "a Dag with a retry, errors and finally": (
        f"""
tasks:
  - id: dag
    type: T.flow.Dag
    tasks:
      - task: {{id: a, type: T.{FAIL}, {RETRY}}}
      - task: {say("b")}
        dependsOn: [a]
    errors: [{say("e", "e {{ tasks.a.state }}")}]
    finally: [{say("f")}]
errors: [{say("outer")}]
""",
        ["dag FAILED", "  a FAILED x2", "  e SUCCESS", "  f SUCCESS", "outer SUCCESS"],
        ["Task failure", "Task failure", "e FAILED", "f", "outer"],
    ),
    "a Dag whose dependency is disabled": (
        f"""
tasks:
  - id: dag
    type: T.flow.Dag
    tasks:
      - task: {say("a", more=", disabled: true")}
      - task: {say("b")}
        dependsOn: [a]
""",
        ["dag SUCCESS", "  b SUCCESS"],
        ["b"],
    ),
    "a retry of a Parallel is that of its tasks": (
        f"""
tasks:
  - id: both
    type: T.flow.Parallel
    {RETRY}
    tasks: [{{id: a, type: T.{FAIL}, {ONCE}}}, {say("b")}]
    errors: [{say("never")}]
""",
        ["both SUCCESS", "  a SUCCESS x2", "  b SUCCESS"],
        ["Task failure", "Fail on a condition", "b"],
    ),
    "allowed failures in a ForEach": (
        f"""
tasks:
  - id: each
    type: T.flow.ForEach
    values: [a, b]
    tasks:
      - {{id: x, type: T.{FAIL}, condition: "{{{{ taskrun.value == 'a' }}}}", allowFailure: true}}
      - {say("y", "{{ taskrun.value }}")}
    errors: [{say("never")}]
    finally: [{say("f")}]
""",
        ["each WARNING", "  x a WARNING", "  y a SUCCESS", "  x b SUCCESS", "  y b SUCCESS", "  f SUCCESS"],
        ["Task failure", "Fail on a condition", "a", "b", "f"],
    ),
    "a Loop whose tasks fail, with errors, finally and a retry": (
        f"""
tasks:
  - id: loop
    type: T.flow.Loop
    values: [a, b]
    concurrencyLimit: 1
    transmitFailed: false
    tasks:
      - {{id: x, type: T.{FAIL}, condition: "{{{{ item.value == 'a' }}}}", {RETRY}}}
      - {say("y", "{{ item.value }}")}
    errors: [{say("e")}]
    finally: [{say("f")}]
""",
        [
            *("loop SUCCESS", "  x 0 FAILED x2", "  e 0 SUCCESS", "  f 0 SUCCESS"),
            *("  x 1 SUCCESS", "  y 1 SUCCESS", "  f 1 SUCCESS"),
        ],
        [*["Task failure", "Fail on a condition"] * 2, "e", "f", "b", "f"],
    ),
    "allowFailure and allowWarning of the same flowable": (
        f"""
tasks:
  - id: steps
    type: T.flow.Sequential
    allowFailure: true
    allowWarning: true
    tasks: [{{id: x, type: T.{FAIL}}}, {say("never")}]
    errors: [{say("e")}]
  - {say("after")}
""",
        ["steps SUCCESS", "  x FAILED", "  e SUCCESS", "after SUCCESS"],
        ["Task failure", "e", "after"],
    ),
    "a warning that the level above allows, and one that it does not": (
        f"""
tasks:
  - id: quiet
    type: T.flow.Sequential
    allowWarning: true
    tasks: [{{id: x, type: T.{FAIL}, allowFailure: true}}]
  - id: loud
    type: T.flow.If
    condition: true
    then: [{{id: y, type: T.{FAIL}, allowFailure: true}}]
""",
        ["quiet SUCCESS", "  x WARNING", "loud WARNING", "  y WARNING"],
        ["Task failure", "Task failure"],
    ),
    "handlers of every level, from the inside out": (
        f"""
tasks:
  - id: outer
    type: T.flow.Parallel
    tasks:
      - id: inner
        type: T.flow.Sequential
        tasks: [{{id: x, type: T.{FAIL}}}]
        errors: [{say("e1")}]
        finally: [{say("f1")}]
    errors: [{say("e2")}]
    finally: [{say("f2")}]
errors: [{say("e3")}]
finally: [{say("f3")}]
afterExecution: [{say("after", "{{ execution.state }}")}]
""",
        [
            "outer FAILED",
            "  inner FAILED",
            "    x FAILED",
            "    e1 SUCCESS",
            "    f1 SUCCESS",
            "  e2 SUCCESS",
            "  f2 SUCCESS",
            "e3 SUCCESS",
            "f3 SUCCESS",
            "after SUCCESS",
        ],
        ["Task failure", "e1", "f1", "e2", "f2", "e3", "f3", "FAILED"],
    ),
    "a flowable that is skipped runs none of its lists": (
        f"""
tasks:
  - id: steps
    type: T.flow.Sequential
    runIf: "false"
    tasks: [{{id: x, type: T.{FAIL}}}]
    errors: [{say("e")}]
    finally: [{say("f")}]
  - {say("after", "{{ tasks.steps.state }}")}
""",
        ["steps SKIPPED", "after SUCCESS"],
        ["SKIPPED"],
    ),
    "a Switch without a branch that may fail": (
        f"""
tasks:
  - {{id: which, type: T.flow.Switch, value: z, allowFailure: true, cases: {{a: [{say("never")}]}}}}
  - {say("after")}
""",
        ["which WARNING", "after SUCCESS"],
        ["No branch of task 'which' fits and it has no default.", "after"],
    ),
    "a retry after the end": (
        f"tasks: [{say('a')}]\nafterExecution: [{{id: x, type: T.{FAIL}, {ONCE}, {RETRY}}}, {say('b')}]\n",
        ["a SUCCESS", "x SUCCESS x2", "b SUCCESS"],
        ["a", "Task failure", "Fail on a condition", "b"],
    ),
    "the retry of the flow is not for what comes after its end": (
        f"{RETRY}\ntasks: [{say('a')}]\nafterExecution: [{{id: x, type: T.{FAIL}}}]\n",
        ["a SUCCESS", "x FAILED"],
        ["a", "Task failure"],
    ),
    "lists of variables grow, each item once": (
        """
variables: {l: [a], m: {n: [1]}, gone: x}
tasks:
  - {id: s, type: T.execution.SetVariables, variables: {l: [a, b], m: {n: [2], o: z}, gone: null}}
  - {id: t, type: T.log.Log, message: "{{ vars }}"}
""",
        ["s SUCCESS", "t SUCCESS"],
        ['{"l":["a","b"],"m":{"n":[1,2],"o":"z"},"gone":"x"}'],
    ),
    "a failure in finally changes nothing": (
        f"tasks: [{say('a')}]\nfinally: [{{id: f, type: T.{FAIL}}}]\n",
        ["a SUCCESS", "f FAILED"],
        ["a", "Task failure"],
    ),
    "a WorkingDirectory with errors and finally": (
        f"""
tasks:
  - id: folder
    type: T.flow.WorkingDirectory
    tasks: [{{id: x, type: T.{FAIL}}}, {say("never")}]
    errors: [{say("e")}]
    finally: [{say("f")}]
""",
        ["folder FAILED", "  x FAILED", "  e SUCCESS", "  f SUCCESS"],
        ["Task failure", "e", "f"],
    ),
    "a Parallel that takes too long": (
        f"""
tasks:
  - id: both
    type: T.flow.Parallel
    timeout: PT0.05S
    tasks: [{{id: nap, type: T.flow.Sleep, duration: PT60S}}, {say("b")}]
    errors: [{say("e")}]
    finally: [{say("f")}]
errors: [{say("outer")}]
""",
        ["both FAILED", "  nap KILLED", "  b SUCCESS", "  e SUCCESS", "  f SUCCESS", "outer SUCCESS"],
        ["b", "Timeout after PT0.05S.", "e", "f", "outer"],
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_runs_and_in_which_order_it_is_told(deploy, run, engine, name):
    text, expected, told = CASES[name]
    await deploy(flow(text))
    done = await engine.wait((await run()).id, until="settled", timeout=20)
    assert shape(done) == expected
    assert [line.message for line in await engine.logs(done.id)] == told


SLOW = "{id: nap, type: T.flow.Sleep, duration: PT60S}"


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        ("failFast: true", "KILLED"),
        ("onChildFailure: CANCEL", "CANCELLED"),
        ("onChildFailure: '{{ vars.then }}'", "FAILED"),
    ],
)
@pytest.mark.parametrize("kind", ["Parallel", "Dag"])
async def test_what_runs_beside_a_failure_may_be_stopped(deploy, run, engine, kind, asked, state):
    fails = f"{{id: x, type: T.{FAIL}, {ONCE}}}"
    steps = f"{{id: steps, type: T.flow.Sequential, tasks: [{SLOW}, {say('y')}]}}"
    tasks = [f"{{task: {one}}}" for one in (fails, steps)] if kind == "Dag" else [fails, steps]
    await deploy(
        flow(f"""
variables: {{then: fail}}
tasks:
  - id: both
    type: T.flow.{kind}
    {asked}
    tasks: [{", ".join(tasks)}]
    errors: [{say("e")}]
""")
    )
    done = await run()
    assert shape(done) == ["both FAILED", "  x FAILED", f"  steps {state}", f"    nap {state}", "  e SUCCESS"]
    assert done.state is State.FAILED


@pytest.mark.parametrize("kind", ["Parallel", "Dag"])
@pytest.mark.parametrize(("limit", "at_once"), [("1", 1), ("2", 2), ("0", 3), ("many", 0)])
async def test_how_many_run_at_once_may_be_a_template(deploy, run, engine, kind, limit, at_once):
    pauses = [f"{{id: p{number}, type: T.flow.Pause}}" for number in range(3)]
    tasks = [f"{{task: {one}}}" for one in pauses] if kind == "Dag" else pauses
    await deploy(
        flow(f"""
variables: {{limit: '{limit}'}}
tasks: [{{id: all, type: T.flow.{kind}, concurrent: "{{{{ vars.limit }}}}", tasks: [{", ".join(tasks)}]}}]
""")
    )
    begun = await run()
    assert sum(one.state is State.PAUSED for one in begun.task_runs.values()) == at_once
    if not at_once:
        assert begun.state is State.FAILED
        (line,) = await engine.logs(begun.id, level="ERROR")
        assert "`concurrent` is 'many': write a whole number, 0 for all at once." in line.message


async def test_a_restart_takes_up_what_was_stopped(deploy, run, engine):
    slow = "{id: nap, type: T.flow.Sleep, duration: \"{{ kv('nap', errorOnMissing=false) ?? 'PT60S' }}\"}"
    await deploy(
        flow(f"""
tasks:
  - id: both
    type: T.flow.Parallel
    failFast: true
    tasks: [{slow}, {{id: x, type: T.{FAIL}, {ONCE}}}]
    errors: [{{id: e, type: T.kv.Set, key: nap, value: PT0.01S, kvType: STRING}}]
""")
    )
    broken = await run()
    assert shape(broken) == ["both FAILED", "  nap KILLED", "  x FAILED", "  e SUCCESS"]
    await engine.restart(broken.id, by="local:ann")
    done = await engine.wait(broken.id, until="settled", timeout=20)
    assert [re.sub(r" x\d$", "", line) for line in shape(done)] == ["both SUCCESS", "  nap SUCCESS", "  x SUCCESS"]


DISABLED = f"[{say('x', more=', disabled: true')}]"


@pytest.mark.parametrize(
    "given",
    [
        f"flow.Sequential, tasks: {DISABLED}",
        f"flow.Parallel, tasks: {DISABLED}",
        f"flow.AllowFailure, tasks: {DISABLED}",
        f"flow.ForEach, values: [1, 2], tasks: {DISABLED}",
        f"flow.EachSequential, value: [1, 2], tasks: {DISABLED}",
        f"flow.EachParallel, value: [1, 2], tasks: {DISABLED}",
        f"flow.Loop, values: [1, 2], tasks: {DISABLED}",
        f"flow.If, condition: true, then: {DISABLED}",
        f"flow.Switch, value: a, cases: {{a: {DISABLED}}}",
        f"flow.Dag, tasks: [{{task: {DISABLED[1:-1]}}}]",
        f"flow.LoopUntil, condition: 'true', tasks: {DISABLED}",
        f"flow.WorkingDirectory, tasks: {DISABLED}",
    ],
)
async def test_a_flowable_whose_tasks_are_all_disabled_succeeds(deploy, run, given):
    await deploy(flow(f"tasks: [{{id: a, type: T.{given}}}]\n"))
    assert shape(await run()) == ["a SUCCESS"]


AGAIN = {
    "ForEach": (
        "flow.ForEach\n    values: [a, b, c]\n    tasks:",
        "taskrun.value == 'b'",
        [
            "both SUCCESS",
            "  x a SUCCESS",
            "  y a SUCCESS",
            "  x b SUCCESS x2",
            "  y b SUCCESS",
            "  x c SUCCESS",
            "  y c SUCCESS",
        ],
    ),
    "Loop": (
        "flow.Loop\n    concurrencyLimit: 1\n    values: [a, b]\n    tasks:",
        "item.value == 'a'",
        ["both SUCCESS", "  x 0 SUCCESS x2", "  y 0 SUCCESS", "  x 1 SUCCESS", "  y 1 SUCCESS"],
    ),
    "LoopUntil": (
        'flow.LoopUntil\n    condition: "{{ outputs.both.iterationCount == 2 }}"\n'
        "    checkFrequency: {interval: PT0.01S}\n"
        "    tasks:",
        "outputs.both.iterationCount == 1",
        ["both SUCCESS", "  x SUCCESS", "  y SUCCESS"],
    ),
    "Parallel": ("flow.Parallel\n    tasks:", "true", ["both SUCCESS", "  x SUCCESS x2", "  y SUCCESS"]),
}


@pytest.mark.parametrize("kind", AGAIN)
async def test_a_restart_in_the_middle_goes_on_from_there(deploy, run, engine, kind):
    head, when, expected = AGAIN[kind]
    condition = f'"{{{{ {when} and taskrun.attemptsCount == 0 }}}}"'
    await deploy(
        flow(f"""
tasks:
  - id: both
    type: T.{head}
      - {{id: x, type: T.{FAIL}, condition: {condition}}}
      - {say("y")}
    errors: [{say("e")}]
""")
    )
    broken = await run()
    assert broken.state is State.FAILED
    assert ("  e 0 SUCCESS" if kind == "Loop" else "  e SUCCESS") in shape(broken)
    await engine.restart(broken.id, by="local:ann")
    assert shape(await engine.wait(broken.id, until="ended", timeout=20)) == expected


async def test_what_calls_a_flow_tells_why_it_failed_not_what_handled_that(deploy, run, engine):
    fails = f"{{id: x, type: T.{FAIL}, errorMessage: the disk is full}}"
    handler = "{id: k, type: T.kv.Set, key: k, value: 1}, {id: e, type: T.execution.Fail, errorMessage: no chat}"
    await deploy(flow(f"tasks: [{fails}]\nerrors: [{handler}]\n"), "child")
    await deploy(flow("tasks: [{id: call, type: T.flow.Subflow, namespace: company.team, flowId: child}]\n"))
    done = await run()
    [line] = [line.message for line in await engine.logs(done.id)]
    assert line.startswith("The subflow company.team/child ended FAILED: the disk is full (run ")


CHECKED = """
inputs: [{id: n, type: STRING}]
checks: [{condition: "{{ inputs.n | trim == 'fine' }}", message: "not {{ inputs.n }}", behavior: FAIL_EXECUTION}]
tasks: [{id: a, type: T.log.Log, message: a}]
"""


async def test_a_flow_that_a_check_makes_failed_ends_for_who_called_it(deploy, run, engine):
    await deploy(flow(CHECKED), "child")
    call = "type: T.flow.Subflow, namespace: company.team, flowId: child, inputs: {n: well}"
    await deploy(flow(f"tasks:\n  - {{id: a, {call}, transmitFailed: false}}\n  - {{id: b, {call}, {RETRY}}}\n"))
    done = await run()
    assert shape(done) == ["a SUCCESS", "b FAILED x2"]
    assert [line.message.partition(" (run")[0] for line in await engine.logs(done.id)] == [
        "The subflow company.team/child ended FAILED: not well"
    ] * 2


async def test_batches_that_a_check_makes_failed_are_counted(deploy, run):
    await deploy(flow(CHECKED), "child")
    await deploy(
        flow("""
tasks:
  - {id: file, type: T.storage.Write, content: "well\\nfine\\n"}
  - id: each
    type: T.flow.ForEachItem
    items: "{{ outputs.file.uri }}"
    namespace: company.team
    flowId: child
    inputs: {n: "{{ read(taskrun.items) }}"}
""")
    )
    [items] = [one for one in (await run()).task_runs.values() if one.task_id == "each_items"]
    assert items.outputs["iterations"] == {"CREATED": 0, "RUNNING": 0, "FAILED": 1, "SUCCESS": 1}


async def test_a_batch_that_failed_is_told_with_its_reason(deploy, run, engine):
    condition = "\"{{ inputs.at contains 'b' }}\""
    fails = f"{{id: x, type: T.{FAIL}, condition: {condition}}}"
    await deploy(flow(f"inputs: [{{id: at, type: STRING}}]\ntasks: [{fails}]\n"), "child")
    await deploy(
        flow("""
tasks:
  - {id: file, type: T.storage.Write, content: "b1\\na1\\nb2\\n"}
  - id: each
    type: T.flow.ForEachItem
    items: "{{ outputs.file.uri }}"
    batch: {regexPattern: "([a-z])"}
    namespace: company.team
    flowId: child
    inputs: {at: "{{ read(taskrun.items) }}"}
""")
    )
    done = await run()
    assert done.state is State.FAILED
    [items] = [one for one in done.task_runs.values() if one.task_id == "each_items"]
    assert items.outputs["numberOfBatches"] == 2
    [line] = [line.message for line in await engine.logs(done.id)]
    assert line.startswith("Batch 1 ended FAILED: Fail on a condition (run ")


async def test_of_many_batches_that_failed_the_log_tells_a_few(deploy, run, engine):
    await deploy(flow(f"tasks: [{{id: x, type: T.{FAIL}}}]\n"), "child")
    rows = "\\n".join(map(str, range(30)))
    await deploy(
        flow(f"""
tasks:
  - {{id: file, type: T.storage.Write, content: "{rows}"}}
  - id: each
    type: T.flow.ForEachItem
    items: "{{{{ outputs.file.uri }}}}"
    namespace: company.team
    flowId: child
""")
    )
    done = await run()
    lines = [line.message for line in await engine.logs(done.id)]
    assert len(lines) == 21
    assert lines[-1] == "Further batches failed too."
