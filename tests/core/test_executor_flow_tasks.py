"""The tasks of `core.flow` as flows declare them: names, examples, and what is refused."""

import pytest
import yaml

from engine.core.flow_source import load
from engine.core.flowable import FlowableTask
from engine.errors import FlowInvalid
from engine.tasks import catalogue
from tests.core.flows import CORE, flow, log, task

NAMES = [
    *(
        "AllowFailure",
        "Approval",
        "Dag",
        "EachParallel",
        "EachSequential",
        "ForEach",
        "ForEachItem",
        "If",
        "Loop",
        "LoopUntil",
    ),
    *("Parallel", "Pause", "Sequential", "Sleep", "Subflow", "Switch", "WorkingDirectory"),
]


def loaded(declared):
    return load(yaml.safe_dump(flow(declared), sort_keys=False), catalogue()).tasks[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_task_are_flows(name):
    cls = catalogue().resolve({"type": f"{CORE}flow.{name}"})
    assert cls.examples
    for example in cls.examples:
        assert type(loaded(yaml.safe_load(example))) is cls


@pytest.mark.parametrize("name", sorted({*NAMES} - {"Sleep", "Subflow", "Approval", "ForEach", "Loop"}))
def test_the_older_names_of_a_task_still_count(name):
    older = "WaitFor" if name == "LoopUntil" else name
    assert catalogue().resolve({"type": f"io.kestra.core.tasks.flows.{older}"}).__name__ == name


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (task("flow.Dag", "d", tasks=[]), "No task defined"),
        (task("flow.Dag", "d", tasks=[{"task": log("a"), "dependsOn": ["x", "y"]}]), "in dependency: x, y"),
        (
            task("flow.Dag", "d", tasks=[{"task": log(a), "dependsOn": [b]} for a, b in (("a", "b"), ("b", "a"))]),
            "Cyclic dependency detected: a, b",
        ),
        (task("flow.Switch", "s", value="x"), "No task defined, neither cases or default have any tasks"),
        (task("flow.If", "i", condition="x", then=[]), "then"),
        (task("flow.Parallel", "p", tasks=[]), "tasks"),
        (task("flow.WorkingDirectory", "w", tasks=[]), "The 'tasks' property cannot be empty"),
        (task("flow.WorkingDirectory", "w", tasks=[task("flow.Pause", "p")]), "Only runnable tasks are allowed"),
        (
            task("flow.WorkingDirectory", "w", tasks=[log("l")], cache={"patterns": ["x"], "ttl": "soon"}),
            "a duration such as",
        ),
        (task("flow.WorkingDirectory", "w", tasks=[task("execution.Exit", "x")]), "Only runnable tasks are allowed"),
        (task("flow.WorkingDirectory", "w", tasks=[log("a", workerGroup={"key": "x"})]), "Cannot set a Worker Group"),
        (task("flow.WorkingDirectory", "w", tasks=[log("a", workerSelector={"tags": ["x"]})]), "Cannot set a Worker"),
        (log("a", workerSelector={"tags": ["a", "b", "c", "d"]}), "at most 3 tags together, not for 4"),
        (log("a", workerSelector={"tags": []}), "`tags`"),
    ],
)
def test_what_makes_no_sense_is_refused(declared, message):
    with pytest.raises(FlowInvalid) as refused:
        loaded(declared)
    assert any(message in problem.message for problem in refused.value.problems)


def test_yaml_keys_of_cases_are_texts():
    switch = loaded(task("flow.Switch", "s", value="{{ 1 == 1 }}", cases={True: [log("a")], 2: [log("b")]}))
    assert list(switch.cases) == ["true", "2"]


def test_a_task_tells_every_task_below_it():
    pause = loaded(task("flow.Pause", "p", onPause=log("a"), tasks=[log("b")], errors=[log("c")]))
    assert isinstance(pause, FlowableTask)
    assert [(section, [one.id for one in tasks]) for section, tasks in pause.lists()] == [
        ("onPause", ["a"]),
        ("tasks", ["b"]),
        ("errors", ["c"]),
        ("finally", []),
    ]
