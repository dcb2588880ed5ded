"""Log, Return, OutputValues, execution, KV, state: tasks that touch nothing but the engine."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from engine.core.state import State
from engine.errors import EngineError, TaskFailed
from tests.tasks.context import EXECUTION, NAMESPACE

CORE = "io.kestra.plugin.core"


async def test_log_writes_each_line_at_its_level(make_context):
    context = make_context(inputs={"name": "Ann"})
    await context.run(type=f"{CORE}.log.Log", message=["Hello, {{ inputs.name }}", "and {{ 1 + 1 }}"], level="WARN")
    assert context.lines == [("WARN", "Hello, Ann"), ("WARN", "and 2")]


async def test_return_hands_on_the_text(make_context):
    context = make_context(inputs={"name": "Ann"})
    assert (await context.run(type=f"{CORE}.debug.Return", format="Hi {{ inputs.name }}")).value == "Hi Ann"
    assert (await context.run(type=f"{CORE}.debug.Return")).value is None
    assert context.metrics["length"] == 6


async def test_echo_logs(context):
    await context.run(type=f"{CORE}.debug.Echo", format="{{ flow.id }}")
    assert context.lines == [("INFO", "a_flow")]


async def test_output_values_keeps_what_is_no_template(make_context):
    context = make_context(inputs={"n": 3})
    assert (await context.run(type=f"{CORE}.output.OutputValues")).values == {}
    found = await context.run(type=f"{CORE}.output.OutputValues", values={"n": 1, "m": {"x": ["{{ inputs.n }}", True]}})
    assert found.values == {"n": 1, "m": {"x": ["3", True]}}


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, "Too bad"),
        ("{{ 1 == 1 }}", "Fail on a condition"),
        ("yes", "Fail on a condition"),
        ("{{ 1 == 2 }}", None),
        ("0", None),
        ("-0", None),
        ("", None),
    ],
)
async def test_fail(context, condition, message):
    given = {} if condition is None else {"condition": condition}
    if message is None:
        await context.run(type=f"{CORE}.execution.Fail", errorMessage="Too bad", **given)
        return
    with pytest.raises(TaskFailed, match=message):
        await context.run(type=f"{CORE}.execution.Fail", errorMessage="Too bad", **given)


async def test_assert_counts_what_does_not_hold(make_context):
    context = make_context(inputs={"n": 3})
    conditions = ["{{ inputs.n > 1 }}", "{{ inputs.n > 5 }}", "{{ inputs.missing.deep }}"]
    with pytest.raises(TaskFailed, match=r"2 assertions failed!\nSmall"):
        await context.run(type=f"{CORE}.execution.Assert", conditions=conditions, errorMessage="Small")
    assert context.metrics == {"success": 1, "failed": 2}
    assert context.said("inputs.n > 5", "ERROR")


@pytest.mark.parametrize(
    "labels",
    [
        {"{{ inputs.key }}": "{{ inputs.n }}"},
        [{"key": "{{ inputs.key }}", "value": "{{ inputs.n }}"}],
        '{"size": "3"}',
        "{{ {'size': inputs.n} }}",
    ],
)
async def test_labels_in_all_forms(make_context, labels):
    context = make_context(inputs={"key": "size", "n": 3})
    found = await context.run(type=f"{CORE}.execution.Labels", labels=labels)
    assert found.effects == {"labels": {"size": "3"}}


@pytest.mark.parametrize(
    ("labels", "said"),
    [({"team": "{{ inputs.none }}"}, "The label 'team' has no value"), ('{"": "x"}', "A label has no name")],
)
async def test_a_label_without_a_name_or_a_value_fails(make_context, labels, said):
    with pytest.raises(TaskFailed, match=said):
        await make_context(inputs={"none": None}).run(type=f"{CORE}.execution.Labels", labels=labels)


async def test_system_labels_are_ours(context):
    with pytest.raises(TaskFailed, match=r"offending label: system\.x=1"):
        await context.run(type=f"{CORE}.execution.Labels", labels={"system.x": "1"})


async def test_variables_are_set_and_unset(make_context):
    context = make_context(vars={"a": 1, "deep": {"x": 1}})
    found = await context.run(type=f"{CORE}.execution.SetVariables", variables={"b": "{{ vars.a }}"})
    assert found.effects == {"variables": {"b": "1"}}
    with pytest.raises(TaskFailed, match="following variables already exist: a"):
        await context.run(type=f"{CORE}.execution.SetVariables", variables={"a": "2"}, overwrite=False)
    found = await context.run(type=f"{CORE}.execution.UnsetVariables", variables=["deep.x"])
    assert found.effects == {"unset": ["deep.x"]}
    with pytest.raises(TaskFailed, match=r"no variable 'deep\.y'"):
        await context.run(type=f"{CORE}.execution.UnsetVariables", variables=["deep.y"])
    await context.run(type=f"{CORE}.execution.UnsetVariables", variables=["deep.y"], ignoreMissing=True)


async def test_exit(context):
    assert (await context.run(type=f"{CORE}.execution.Exit", state="CANCELED")).effects == {"exit": "CANCELLED"}
    assert (await context.run(type=f"{CORE}.execution.Exit")).effects == {"exit": "SUCCESS"}


async def test_resume_answers_another_execution(context):
    await context.run(type=f"{CORE}.execution.Resume", executionId="01OTHER", inputs={"approve": True})
    assert context.executions.resumed == [("01OTHER", {"approve": True}, f"flow:{NAMESPACE}.a_flow")]
    await context.run(type=f"{CORE}.execution.Resume")
    assert context.executions.resumed[-1][0] == EXECUTION
    with pytest.raises(TaskFailed, match="go together"):
        await context.run(type=f"{CORE}.execution.Resume", namespace="a")


@pytest.mark.parametrize(
    ("given", "kind", "stored"),
    [
        ("{{ 1 + 1 }}", None, 2),
        ("{{ [1, 2] }}", None, [1, 2]),
        ("plain", None, "plain"),
        ("42", "NUMBER", 42),
        ("42", "STRING", "42"),
        ("true", "BOOLEAN", True),
        ('{"a": 1}', "JSON", {"a": 1}),
        ("PT5M", "DURATION", "PT5M"),
    ],
)
async def test_kv_set_keeps_the_type(context, given, kind, stored):
    await context.run(type=f"{CORE}.kv.Set", key="k", value=given, ttl="PT1M", **({"kvType": kind} if kind else {}))
    assert context.kv.stored == {(NAMESPACE, "k"): stored}
    assert context.kv.ttls[NAMESPACE, "k"] == timedelta(minutes=1).total_seconds()


async def test_what_an_input_holds_is_not_evaluated_again(make_context):
    context = make_context(inputs={"text": "{{ secret('TOKEN') }}"})
    context.secrets["TOKEN"] = "hidden"
    await context.run(type=f"{CORE}.kv.Set", key="k", value="{{ inputs.text }}")
    assert context.kv.stored[NAMESPACE, "k"] == "{{ secret('TOKEN') }}"


async def test_kv_get_delete_and_keys(context):
    for key in ("b", "a1", "a2"):
        await context.run(type=f"{CORE}.kv.Set", key=key, value=key)
    assert (await context.run(type=f"{CORE}.kv.Get", key="b")).value == "b"
    assert (await context.run(type=f"{CORE}.kv.Get", key="c")).value is None
    with pytest.raises(TaskFailed, match=f"No value found for key 'c' in namespace '{NAMESPACE}' and `errorOnMissing`"):
        await context.run(type=f"{CORE}.kv.Get", key="c", errorOnMissing=True)
    with pytest.raises(TaskFailed, match="overwrite: true"):
        await context.run(type=f"{CORE}.kv.Set", key="b", value="x", overwrite=False)
    assert (await context.run(type=f"{CORE}.kv.GetKeys", prefix="a")).keys == ["a1", "a2"]
    assert (await context.run(type=f"{CORE}.kv.Delete", key="b")).deleted
    with pytest.raises(TaskFailed, match="No value found"):
        await context.run(type=f"{CORE}.kv.Delete", key="b", errorOnMissing=True)


async def test_a_number_that_is_none(context):
    with pytest.raises(TaskFailed, match="not a NUMBER"):
        await context.run(type=f"{CORE}.kv.Set", key="k", value="true", kvType="NUMBER")


async def test_state_is_merged(context):
    await context.run(type=f"{CORE}.state.Set", data={"a": 1})
    assert (await context.run(type=f"{CORE}.state.Set", data={"b": 2})).count == 2
    assert (await context.run(type=f"{CORE}.state.Get")).data == {"a": 1, "b": 2}
    assert (await context.run(type=f"{CORE}.state.Set")).count == 2
    assert (await context.run(type=f"{CORE}.state.Get", name="other")).data == {}
    assert (await context.run(type=f"{CORE}.state.Delete")).deleted
    with pytest.raises(TaskFailed, match="no state 'default'"):
        await context.run(type=f"{CORE}.state.Get", errorOnMissing=True)


async def test_state_of_each_iteration_is_its_own(context):
    context.value = "one"
    await context.run(type=f"{CORE}.state.Set", data={"a": 1})
    context.value = "two"
    assert (await context.run(type=f"{CORE}.state.Get")).data == {}


@pytest.mark.parametrize(
    ("there", "value", "after"),
    [
        (None, "new", "new"),
        ("old", "{{ 1 + 1 }}", 2),
        ({"a": {"x": 1}, "b": 1}, {"a": {"y": "{{ inputs.n }}"}}, {"a": {"x": 1, "y": 3}, "b": 1}),
        ({"a": {"x": 1}}, [{"key": "a.y", "value": 2}, {"key": "c", "value": "d"}], {"a": {"x": 1, "y": 2}, "c": "d"}),
        (None, [{"key": "a.b", "value": 1}], {"a": {"b": 1}}),
        ({"a": 1}, [{"value": "whole"}], "whole"),
        ({"a": 1}, [1, 2], [1, 2]),
        ({"a": 1}, [{"value": 1, "other": 2}], [{"value": 1, "other": 2}]),
    ],
)
async def test_put_changes_what_a_key_holds(make_context, there, value, after):
    context = make_context(inputs={"n": 3})
    if there is not None:
        context.kv.stored[NAMESPACE, "k"] = there
    await context.run(type=f"{CORE}.kv.Put", key="k", value=typed(value))
    assert context.kv.stored[NAMESPACE, "k"] == after


def typed(value):
    """The test's context renders texts inside containers to texts; the engine's keeps their types."""
    return {"a": {"y": 3}} if value == {"a": {"y": "{{ inputs.n }}"}} else value


@pytest.mark.parametrize(
    ("there", "value", "said"),
    [
        (None, [{"value": 1}, {"value": 2}], "replaces everything"),
        (None, [{"key": "a", "value": 1}, {"value": 2}], "replaces everything"),
        (None, [{"key": " ", "value": 1}], "`key` is empty"),
        ("text", [{"key": "a", "value": 1}], "a value that is no map"),
    ],
)
async def test_put_refuses_what_does_not_fit(context, there, value, said):
    if there is not None:
        context.kv.stored[NAMESPACE, "k"] = there
    with pytest.raises(TaskFailed, match=said):
        await context.run(type=f"{CORE}.kv.Put", key="k", value=value)


async def test_put_may_demand_that_there_is_one(context):
    with pytest.raises(TaskFailed, match="No value found for key 'k' in namespace"):
        await context.run(type=f"{CORE}.kv.Put", key="k", value="x", errorOnMissing=True)
    assert context.kv.stored == {}


async def test_metrics_are_published(make_context):
    context = make_context(outputs={"import": {"vars": {"rows": 40}}})
    metrics = [
        {"type": "counter", "name": "rows", "value": "{{ outputs.import.vars.rows }}", "tags": {"name": "a"}},
        {"type": "timer", "name": "took", "value": "PT1M30S"},
        {"type": "gauge", "name": "load", "value": 0.5},
    ]
    found = await context.run(type=f"{CORE}.metric.Publish", metrics=metrics)
    assert context.metrics == {"rows": 40, "took": 90, "load": 0.5}
    assert found.metrics[0] == {"type": "counter", "name": "rows", "value": 40, "tags": {"name": "a"}}
    assert found.metrics[1]["value"] == 90
    found = await context.run(
        type=f"{CORE}.metric.Publish", metrics="{{ [{'type': 'counter', 'name': 'n', 'value': 1}] }}"
    )
    assert context.metrics["n"] == 1
    with pytest.raises(ValidationError):
        await context.run(type=f"{CORE}.metric.Publish", metrics=[{"type": "counter", "name": "n"}])


async def test_a_task_is_put_together_while_the_flow_runs(make_context):
    context = make_context(
        inputs={"type": "debug.Return", "property": "format", "text": "a: b # {{ secret('X') }}\n- c"}
    )
    context.secrets["X"] = "hidden"
    spec = """
type: io.kestra.plugin.core.{{ inputs.type }}
{{ inputs.property }}: {{ inputs.text }}
"""
    found = await context.run(type=f"{CORE}.templating.TemplatedTask", spec=spec)
    assert found.value == "a: b # {{ secret('X') }}\n- c"


async def test_maps_and_lists_become_parts_of_a_templated_task(make_context):
    hostile = "{{ secret('X') }}"
    parts = {"n": 1, "deep": {"a": [hostile, "b: c {# d #}"], hostile: 2}}
    context = make_context(flow={"id": "Big Flow"}, inputs={"parts": parts, "names": ["x", "y"]})
    context.secrets["X"] = "hidden"
    spec = """
id: "{{ flow.id | slugify }}-inner"
type: io.kestra.plugin.core.output.OutputValues
values:
  parts:
    {{ inputs.parts | yaml | indent(4) }} # under its key
  names: {{ inputs.names | yaml | indent(4, " ") }}
  beside: "{{ inputs.names | first }}"
"""
    found = await context.run(type=f"{CORE}.templating.TemplatedTask", spec=spec)
    assert found.values == {"parts": parts, "names": ["x", "y"], "beside": "x"}
    context = make_context(
        flow={"id": "f"}, inputs={"parts": {"a": "{% endraw %}" + hostile + "{% raw %}"}, "names": ["x"]}
    )
    with pytest.raises(TaskFailed, match="holds `endraw`"):
        await context.run(type=f"{CORE}.templating.TemplatedTask", spec=spec)


async def test_text_from_outside_stays_one_word_of_a_templated_command(make_context):
    context = make_context(inputs={"name": 'x"; touch gone; "'})
    spec = f"""
type: io.kestra.plugin.scripts.shell.Commands
taskRunner: {{type: {CORE}.runner.Process}}
commands: ['echo "{{{{ inputs.name }}}}" > said.txt']
"""
    await context.run(type="io.kestra.core.tasks.templating.TemplatedTask", spec=spec)
    assert (context.working_dir / "said.txt").read_text() == 'x"; touch gone; "\n'
    assert not (context.working_dir / "gone").exists()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("type: io.kestra.plugin.core.templating.TemplatedTask\nspec: x", "cannot be of type"),
        ("type: io.kestra.plugin.core.flow.Sleep\nduration: PT1S", "must be a runnable task"),
        ("type: io.kestra.plugin.core.log.Log\nmesage: x", "`message` is missing"),
        ("type: io.kestra.plugin.core.log.Logg\nmessage: x", "Did you mean"),
        ("just text", "no mapping with a `type`"),
        ("type: [", "no YAML"),
    ],
)
async def test_a_templated_task_that_is_none_is_told(context, spec, said):
    with pytest.raises(EngineError, match=said):
        await context.run(type=f"{CORE}.templating.TemplatedTask", spec=spec)


async def test_labels_may_hold_maps(context):
    found = await context.run(type=f"{CORE}.execution.Labels", labels={"where": {"x": [1, True]}})
    assert found.effects == {"labels": {"where": '{"x":[1,true]}'}}


async def test_a_stand_in_gives_what_it_was_told(context):
    told = {"type": "parley.test.Fixture", "outputs": {"said": "{{ not rendered }}"}}
    found = await context.run(**told, state="WARNING")
    assert (found.outputs, found.state) == ({"said": "{{ not rendered }}"}, State.WARNING)
    with pytest.raises(TaskFailed, match="lets this task fail"):
        await context.run(**told, state="FAILED")
