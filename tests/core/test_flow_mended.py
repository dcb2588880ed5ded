"""A type or a property that nobody here knows does not hide what else is to be said about a flow."""

import pytest

from engine.core.flow_source import check, load
from engine.errors import FlowInvalid
from engine.tasks import catalogue

HEAD = "id: f\nnamespace: a.b\ninputs:\n  - {id: n, type: INT, defaults: 1}\n  - {id: s, type: STRING, defaults: x}\n"
LATER = """
  - id: again
    type: io.kestra.plugin.core.log.Log
    message: "{{ inputs.m }} {{ outputs.far.anything.at.all }} {{ outputs.none.value }}"
  - id: again
    type: io.kestra.plugin.core.log.Log
    message: x
triggers:
  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: "* 9 * * *"}
"""
MORE = ["unknown-input", "unknown-task", "duplicate-id", "cron-burst"]


def codes(text):
    return [one.code for one in check(text, catalogue())]


def test_a_type_that_is_not_installed_leaves_the_rest_to_be_looked_at():
    far = "  - {id: far, type: io.kestra.plugin.far.Away, x: ['{{ outputs.gone.x }}']}"
    assert codes(f"{HEAD}tasks:\n{far}{LATER}") == ["unknown-type", "unknown-task", *MORE]


def test_so_do_runners_conditions_and_triggers():
    text = f"""{HEAD}tasks:
  - id: far
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: io.kestra.plugin.ee.aws.runner.Batch, region: x}}
    commands: ["echo {{{{ inputs.s }}}}"]{LATER}
  - {{id: s3, type: io.kestra.plugin.far.Trigger, bucket: x}}
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: abc
    conditions:
      - {{type: io.kestra.plugin.far.Condition, x: y}}
"""
    output = ["unknown-output"]  # of a task that is known, whatever runs it
    assert codes(text) == ["unknown-type", "shell-quoting", MORE[0], *output, *MORE[1:], "unknown-type", "unknown-type"]


def test_a_property_that_is_misspelt_counts_as_what_it_is_meant_to_be():
    far = "  - {id: far, type: io.kestra.plugin.core.debug.Return, formatt: '{{ inputs.m }}', zzz: 1}"
    found = codes(f"{HEAD}tasks:\n{far}{LATER}")
    assert found[:3] == ["unknown-property", "unknown-input", "unknown-property"]
    assert found[-2:] == MORE[-2:]


def test_the_assets_of_a_type_that_is_not_installed_may_be_of_any_type():
    far = "  - {id: far, type: io.kestra.plugin.far.Away, assets: {outputs: [{id: vm, type: io.kestra.far.Asset}]}}"
    assert codes(f"{HEAD}tasks:\n{far}{LATER}") == ["unknown-type", *MORE]


INNER = """
      - id: inner
        type: io.kestra.plugin.core.debug.Return
        format: "{{ taskrun.value }} {{ inputs.gone }}"
        zzz: 1
      - id: next
        type: io.kestra.plugin.core.log.Log
        message: "{{ outputs.inner[taskrun.value].value }} {{ outputs.far.inner.value }}"
"""


@pytest.mark.parametrize("kind", ["\n    type: io.kestra.plugin.core.flow.ForEac", "\n    type: 5", ""])
def test_tasks_inside_what_has_no_type_that_is_known_are_looked_at(kind):
    text = f"{HEAD}tasks:\n  - id: far{kind}\n    values: [a]\n    tasks:{INNER.rstrip()}{LATER}"
    found = check(text, catalogue())
    assert [one.code for one in found][1:] == ["unknown-input", "unknown-property", *MORE]
    assert (found[2].path, found[2].message) == ("tasks[0].tasks[0].zzz", "Unknown property `zzz`.")


def test_tasks_inside_a_type_that_is_not_installed_may_be_any():
    far = "  - {id: outer, type: io.kestra.plugin.far.Away, tasks: [{id: far, type: io.kestra.plugin.far.Log}]}"
    assert codes(f"{HEAD}tasks:\n{far}{LATER}") == ["unknown-type", "unknown-type", *MORE]


def test_so_are_cases_and_the_tasks_of_a_graph():
    case = "      a:\n        - {id: far, type: io.kestra.plugin.core.log.Log, message: '{{ inputs.gone }}', zzz: 1}"
    graph = "      - {task: {id: d, type: io.kestra.plugin.core.log.Log, message: '{{ inputs.gone }}', zzz: 1}}"
    text = f"{HEAD}tasks:\n  - id: sw\n    cases:\n{case}\n  - id: dag\n    tasks:\n{graph}{LATER}"
    wrong = ["invalid", "unknown-input", "unknown-property"]
    assert codes(text.replace("outputs.far.anything.at.all", "outputs.far.value")) == [*wrong, *wrong, *MORE]


@pytest.mark.parametrize("item", ["12", "far", "", "[a]", "true"])
@pytest.mark.parametrize("block", ["inputs", "tasks", "triggers"])
def test_an_item_that_is_no_mapping_leaves_the_rest_to_be_looked_at(block, item):
    text = f"{HEAD}tasks:{LATER}".replace("outputs.far.anything.at.all", "flow.id")
    text = text.replace(f"{block}:\n", f"{block}:\n  - {item}\n")
    assert sorted(codes(text)) == sorted(["invalid", *MORE])


def test_a_task_with_two_dashes_is_looked_at():
    far = "  - - id: far\n      type: io.kestra.plugin.core.debug.Return\n"
    far += "      format: '{{ inputs.gone }}'\n      zzz: 1"
    text = f"{HEAD}tasks:\n{far}{LATER}".replace("anything.at.all", "value")
    found = check(text, catalogue())
    assert [one.code for one in found] == ["invalid", "unknown-input", "unknown-property", *MORE]
    assert [(one.line, one.column) for one in found[:3]] == [(7, 5), (9, 19), (10, 7)]


def test_two_tasks_with_a_fault_each_are_two():
    far = "  - type: io.kestra.plugin.core.log.Log\n    message: x\n  - id: far\n    level: WARN"
    text = f"{HEAD}tasks:\n{far}{LATER}".replace("outputs.far.anything.at.all", "flow.id")
    found = check(text, catalogue())
    assert [(one.line, one.path) for one in found[:2]] == [(7, "tasks[0].id"), (9, "tasks[1]")]
    assert [one.code for one in found] == ["missing", "invalid", *MORE]


def test_items_that_are_lines_of_one_are_looked_at_as_one():
    far = "  - id: far\n  - type: io.kestra.plugin.core.log.Log\n  - message: '{{ inputs.gone }}'\n  - zzz: 1"
    text = f"{HEAD}tasks:\n{far}{LATER}".replace("outputs.far.anything.at.all", "flow.id")
    assert codes(text) == ["type", "unknown-input", "unknown-property", *MORE]


def test_parts_by_name_in_the_place_of_a_list_are_looked_at():
    text = f"{HEAD}tasks:{LATER}".replace("outputs.far.anything.at.all", "inputs.name")
    listed = "inputs:\n  - {id: n, type: INT, defaults: 1}\n  - {id: s, type: STRING, defaults: x}\n"
    named = "inputs:\n  name: {type: STRING, defaults: x}\n  n: {type: INT, defaults: 1, zzz: 1}\n"
    found = check(text.replace(listed, named), catalogue())
    assert [one.code for one in found] == ["type", "unknown-property", *MORE]
    assert (found[1].line, found[1].column, found[1].path) == (5, 31, "inputs.n.zzz")


@pytest.mark.parametrize(
    ("retry", "told"),
    [
        ("{type: constant, zzz: 1}", ["invalid", "unknown-property"]),
        ("{type: constant, intervall: PT1S}", ["unknown-property"]),
        ("{type: constant, interval: soon, zzz: 1}", ["type", "unknown-property"]),
        ("{type: random, minInterval: PT1S, zzz: 1}", ["invalid", "unknown-property"]),
    ],
)
def test_a_name_that_is_unknown_does_not_hide_what_its_part_lacks(retry, told):
    far = f"  - {{id: far, type: io.kestra.plugin.core.log.Log, message: x, retry: {retry}}}"
    text = f"{HEAD}tasks:\n{far}{LATER}".replace("outputs.far.anything.at.all", "flow.id")
    assert codes(text) == [*told, *MORE]


def test_what_stands_a_level_too_high_is_not_called_missing():
    far = "  - id: far\n    type: io.kestra.plugin.core.log.Log\n    message: x\n    retry: {type: constant}"
    text = f"{HEAD}tasks:\n{far}\n    interval: PT1S{LATER}".replace("outputs.far.anything.at.all", "flow.id")
    assert [one.code for one in check(text, catalogue())].count("invalid") <= 1


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ("  - {id: far, type: io.kestra.plugin.core.log.Log}", "missing"),
        ("  - {id: far, type: io.kestra.plugin.core.log.Log, message: x, timeout: soon}", "type"),
        ("  - {id: far, type: io.kestra.plugin.core.log.Log, message: x, level: LOUD}", "type"),
        ("  - {id: far, type: io.kestra.plugin.core.log.Log, message: x, retry: {type: constant}}", "invalid"),
        ("  - {id: far, message: x}", "invalid"),
        ("  - {id: far, type: io.kestra.plugin.core.trigger.Schedule, cron: x}", "wrong-place"),
        (
            "  - id: far\n    type: io.kestra.plugin.core.flow.ForEach\n"
            "    tasks: [{id: x, type: io.kestra.plugin.core.log.Log, message: x}]",
            "missing",
        ),
    ],
)
def test_what_is_broken_in_another_way_leaves_the_rest_to_be_looked_at_too(broken, code):
    later = LATER.replace(" {{ outputs.far.anything.at.all }}", "")
    assert codes(f"{HEAD}tasks:\n{broken}{later}") == [code, *MORE]


def test_an_id_that_is_none_is_what_templates_call_it():
    text = f"{HEAD}tasks:\n  - {{id: my far, type: io.kestra.plugin.core.debug.Return, format: x}}{LATER}"
    text = text.replace("outputs.far.anything.at.all", "outputs['my far'].value")
    assert codes(text) == ["invalid", *MORE]


@pytest.mark.parametrize("kind", ["io.kestra.plugin.far.Away", "[a]", "{a: b}", "5", "true", ""])
@pytest.mark.parametrize("name", ["far", "my far", "[a]", ""])
def test_whatever_stands_for_a_type_and_an_id_is_told_in_words(kind, name):
    text = f"{HEAD}tasks:\n  - {{id: {name}, type: {kind}}}{LATER}"
    assert codes(text)[-2:] == MORE[-2:]


def test_what_a_wrong_value_would_hand_on_is_not_guessed():
    query = "{id: q, type: io.kestra.plugin.jdbc.postgresql.Query, url: x, sql: select 1, fetchType: FETCHED}"
    log = "{id: a, type: io.kestra.plugin.core.log.Log, message: '{{ outputs.q.rows }}'}"
    text = f"{HEAD}tasks:\n  - {query}\n  - {log}\n"
    assert [(one.code, one.suggestion) for one in check(text, catalogue())] == [("type", "Did you mean `FETCH`?")]


def test_an_input_that_is_wrong_is_still_one():
    text = HEAD.replace("{id: s, type: STRING, defaults: x}", "{id: s, type: Text, min: x}")
    text = f"{text}tasks:\n  - {{id: far, type: io.kestra.plugin.core.log.Log, message: '{{{{ inputs.s }}}}'}}{LATER}"
    text = text.replace(" {{ outputs.far.anything.at.all }}", "")
    assert codes(text)[0] == "unknown-type"
    assert codes(text)[-4:] == MORE


def test_a_flow_without_its_id_is_looked_at_too():
    far = "  - {id: far, type: io.kestra.plugin.far.Away}"
    assert codes(f"{HEAD}tasks:\n{far}{LATER}".removeprefix("id: f\n")) == ["missing", "unknown-type", *MORE]


def test_a_task_in_the_place_of_a_list_is_looked_at():
    far = (
        "  - id: far\n    type: io.kestra.plugin.core.flow.Sequential\n"
        "    tasks: {id: x, type: io.kestra.plugin.core.log.Log, message: x}"
    )
    text = f"{HEAD}tasks:\n{far}{LATER}".replace("outputs.far.anything.at.all", "flow.id")
    assert codes(text) == ["type", *MORE]


def test_a_property_of_a_type_that_is_not_installed_is_not_looked_at():
    text = f"{HEAD}tasks:\n  - {{id: a, type: io.kestra.plugin.core.log.Log, message: x}}\n"
    assert codes(f"{text}triggers:\n  - {{id: t, type: io.kestra.plugin.far.Trigger, cron: x}}\n") == ["unknown-type"]


def test_such_a_flow_does_not_load():
    text = f"{HEAD}tasks:\n  - {{id: far, type: io.kestra.plugin.far.Away}}\n"
    with pytest.raises(FlowInvalid) as broken:
        load(text, catalogue())
    assert [one.code for one in broken.value.problems] == ["unknown-type"]


@pytest.mark.parametrize(
    "more", ["min: [0], zzz: 1", "min: [0], tasks: x", "min: [0], dependsOn: {inputs: soon}", "zzz: 1, min: [0]"]
)
def test_an_input_may_be_wrong_in_two_ways(more):
    text = f"{HEAD}  - {{id: two, type: INT, {more}}}\ntasks:{LATER}"
    found = codes(text.replace(" {{ outputs.far.anything.at.all }}", ""))
    assert len(found) == 2 + len(MORE)
    assert found[2:] == MORE


@pytest.mark.parametrize("entry", ["12", "true", "x", "[a]", "null", "{values: {a: b}}"])
def test_a_default_that_is_no_mapping_is_told(entry):
    text = f"{HEAD}tasks:\n  - {{id: a, type: io.kestra.plugin.core.log.Log, message: x}}\npluginDefaults: [{entry}]\n"
    assert codes(text) == ["plugin-default"]


@pytest.mark.parametrize("commands", ["12", "", "[[a]]", "{a: b}", "true"])
def test_whatever_stands_for_the_commands_of_an_older_script(commands):
    text = f"{HEAD}tasks:\n  - {{id: a, type: io.kestra.core.tasks.scripts.Python, commands: {commands}}}\n"
    assert "old-type" in codes(text)
