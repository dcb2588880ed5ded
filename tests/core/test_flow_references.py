"""Names in templates: what does not exist, what is not there yet, what may be missing, and what is none of these."""

import pytest

from engine.core.flow_source import check
from engine.core.template_reads import reads
from engine.expressions import parse
from engine.tasks import catalogue
from tests.core.language import problems, source

RETURN = "type: io.kestra.plugin.core.debug.Return"


def said(text: str) -> list[tuple[str, str, str]]:
    """(severity, code, the place of the text that is meant) of everything said."""
    lines = source(text).splitlines()
    return [(one.severity, one.code, lines[one.line - 1][one.column - 1 :][:18]) for one in problems(text)]


def task(name: str, format: str = "x", more: str = "") -> str:
    return f'{{id: {name}, {RETURN}, format: "{format}"{more}}}'


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (f"tasks:\n  - {task('a', '{{ outputs.b.value }}')}\n  - {task('b')}", "not-yet", "outputs.b.value }}"),
        (f"tasks:\n  - {task('a', 'x {{ outputs.a.value }}')}", "not-yet", "outputs.a.value }}"),
        (
            "tasks:\n  - id: p\n    type: io.kestra.plugin.core.flow.Parallel\n    tasks:\n"
            f"      - {task('a')}\n      - {task('b', '{{ outputs.a.value }}')}",
            "not-yet",
            "outputs.a.value }}",
        ),
        (
            "tasks:\n  - id: i\n    type: io.kestra.plugin.core.flow.If\n    condition: '{{ true }}'\n"
            f"    then:\n      - {task('a')}\n    else:\n      - {task('b', '{{ outputs.a.value }}')}",
            "not-yet",
            "outputs.a.value }}",
        ),
        (
            "tasks:\n  - id: s\n    type: io.kestra.plugin.core.flow.Switch\n    value: x\n    cases:\n"
            f"      one:\n        - {task('a')}\n      two:\n        - {task('b', '{{ outputs.a.value }}')}",
            "not-yet",
            "outputs.a.value }}",
        ),
        (
            "tasks:\n  - id: d\n    type: io.kestra.plugin.core.flow.Dag\n    tasks:\n"
            f"      - task: {task('a')}\n      - task: {task('b', '{{ outputs.a.value }}')}",
            "not-yet",
            "outputs.a.value }}",
        ),
        (
            "tasks:\n  - id: e\n    type: io.kestra.plugin.core.flow.ForEach\n    values: [x, y]\n    tasks:\n"
            f"      - {task('a')}\n  - {task('b', '{{ outputs.a.value }}')}",
            "loop-output",
            "outputs.a.value }}",
        ),
        (
            "tasks:\n  - id: e\n    type: io.kestra.plugin.core.flow.ForEach\n    values: [x, y]\n    tasks:\n"
            f"      - {task('a')}\n      - {task('b', '{{ outputs.a.value }}')}",
            "loop-output",
            "outputs.a.value }}",
        ),
        (
            "tasks:\n  - id: i\n    type: io.kestra.plugin.core.flow.If\n    condition: '{{ outputs.a.value }}'\n"
            f"    then:\n      - {task('a')}",
            "not-yet",
            "outputs.a.value }}",
        ),
        (f"tasks:\n  - {task('a')}\n  - {task('b', '{{ outputs.a.valu }}')}", "unknown-output", "outputs.a.valu }}\""),
        (
            "tasks:\n  - id: p\n    type: io.kestra.plugin.core.flow.Parallel\n    tasks:\n"
            f"      - {task('a')}\n  - {task('b', '{{ outputs.p.a.value }}')}",
            "unknown-output",
            "outputs.p.a.value ",
        ),
        (f"tasks:\n  - {task('a', '{{ taskrun.value }}')}", "not-in-a-loop", "taskrun.value }}\"}"),
        (f"tasks:\n  - {task('a', '{{ vars.nope }}')}", "unknown-variable", "vars.nope }}\"}"),
        (f"tasks:\n  - {task('a', '{{ input.name }}')}", "unknown-variable", "input.name }}\"}"),
        (f"tasks:\n  - {task('a', '{{ nme }}')}", "unknown-variable", "nme }}\"}"),
        (f"tasks:\n  - {task('a', '{{ made.csv }}')}", "unknown-variable", "made.csv }}\"}"),
        (f"tasks:\n  - {task('a', '{{ tasks.b.state }}')}", "unknown-task", "tasks.b.state }}\"}"),
        (
            f"tasks:\n  - {task('a', '{{ 1 }}')}\nerrors:\n  - {task('b', '{{ outputs.nope.value }}')}",
            "unknown-task",
            "outputs.nope.value",
        ),
        (f"tasks:\n  - {task('a')}\noutputs:\n  - {{id: o, type: STRING, value: \"{{{{ outputs.nope }}}}\"}}",
         "unknown-task", "outputs.nope }}\"}"),
    ],
)  # fmt: skip
def test_what_can_not_be_there_is_a_warning_at_its_column(text, code, place):
    assert said(text) == [("warning", code, place)]


@pytest.mark.parametrize(
    "text",
    [
        f"tasks:\n  - {task('a')}\nerrors:\n  - {task('b', '{{ outputs.a.value }}')}",
        f"tasks:\n  - {task('a')}\nfinally:\n  - {task('b', '{{ outputs.a.value }}')}",
        f"tasks:\n  - {task('a')}\nafterExecution:\n  - {task('b', '{{ outputs.a.value }}')}",
        f"tasks:\n  - {task('a', more=', runIf: false')}\n  - {task('b', '{{ outputs.a.value }}')}",
        f"tasks:\n  - {task('a', more=', disabled: true')}\n  - {task('b', '{{ outputs.a.value }}')}",
        "tasks:\n  - id: i\n    type: io.kestra.plugin.core.flow.If\n    condition: '{{ true }}'\n"
        f"    then:\n      - {task('a')}\n  - {task('b', '{{ outputs.a.value }}')}",
    ],
)
def test_what_may_be_missing_is_a_hint(text):
    assert said(text) == [("hint", "may-be-missing", "outputs.a.value }}")]


@pytest.mark.parametrize(("name", "given"), [("a", "outputs.a"), ("a-b", "outputs['a-b']")])
def test_a_task_that_clears_away_what_may_be_missing_may_run_only_with_it(name, given):
    text = f"tasks:\n  - {task(name)}\nfinally:\n  - {task('c', f'{{{{ {given}.value }}}}')}"
    (found,) = problems(text)
    assert (
        found.suggestion
        == f"Guard it: `?? ''`, or let the task run only with it: `runIf: \"{{{{ {given} is defined }}}}\"`."
    )
    guarded = f', runIf: "{{{{ {given} is defined }}}}"'
    assert said(f"tasks:\n  - {task(name)}\nfinally:\n  - {task('c', f'{{{{ {given}.value }}}}', more=guarded)}") == []


@pytest.mark.parametrize(
    ("run_if", "reader"),
    [
        ("", "{{ inputs.go == 'no' or outputs.a.value == 1 }}"),
        ("", "{{ inputs.go == 'yes' and outputs.a.value ? 1 : 2 }}"),
        ("{{ outputs.i.evaluationResult }}", "{{ outputs.a.value }}"),
        ("{{ outputs.i.evaluationResult == true }}", "{{ outputs.a.value }}"),
        ("{{ not outputs.i.evaluationResult }}", "{{ outputs.c.value }}"),
        ("{{ outputs.i.evaluationResult == false }}", "{{ outputs.c.value }}"),
    ],
)
def test_what_is_read_only_where_it_is_there_gets_no_hint(run_if, reader):
    only = f', runIf: "{run_if}"' if run_if else ""
    text = (
        "inputs: [{id: go, type: STRING}]\ntasks:\n  - id: i\n    type: io.kestra.plugin.core.flow.If\n"
        f"    condition: '{{{{ inputs.go }}}}'\n    then:\n      - {task('a')}\n    else:\n      - {task('c')}\n"
    )
    assert said(text + f"  - {task('b', reader, more=only)}") == []
    assert said(text + f"  - {task('b', '{{ outputs.a.value }}')}") != []
    other = "outputs.c" if "outputs.a" in reader else "outputs.a"
    if run_if:
        assert said(text + f"  - {task('b', f'{{{{ {other}.value }}}}', more=only)}") != []


@pytest.mark.parametrize(("read", "severity"), [("envs.MY_KEY", "warning"), ("envs.myKey ?? 'x'", "hint")])
def test_names_of_the_environment_are_in_small_letters(read, severity):
    (found,) = problems(f"tasks:\n  - {task('a', f'{{{{ {read} }}}}')}")
    name = read.partition(" ")[0].lower()
    assert (found.severity, found.suggestion) == (severity, f"Write `{name}`.")
    assert said(f"tasks:\n  - {task('a', f'{{{{ {name} }}}}')}") == []


def test_what_is_switched_off_gets_no_hint():
    off = ", disabled: true"
    reader = task("b", "{{ outputs.a.value }} {{ labels.nope }}", more=off)
    assert said(f"labels: {{team: x}}\ntasks:\n  - {task('a', more=off)}\n  - {reader}") == []


def test_a_label_that_the_flow_does_not_set_is_a_hint():
    text = f"labels: {{team: x}}\ntasks:\n  - {task('a', '{{ labels.team }} {{ labels.nope }}')}"
    assert said(text) == [("hint", "unknown-label", 'labels.nope }}"}')]


LATER = f"  - {task('b')}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ outputs.b.value ?? 'x' }}",
        "{{ outputs.nope.value ?? outputs.b.value }}",
        "{{ outputs.b is defined ? outputs.b.value : 'x' }}",
        "{% if outputs.b is defined %}{{ outputs.b.value }}{% endif %}",
        "{{ outputs.b.value | default('x') }}",
        "{{ inputs.nope ?? 'x' }} {{ vars.nope ?? 'x' }} {{ labels.nope ?? 'x' }}",
        "{{ labels.system.correlationId }} {{ flow.id }} {{ taskrun.value ?? '' }} {{ envs.x }} {{ globals.y }}",
        "{% for each in [1] %}{{ each.value }}{% endfor %}",
        "{% set input = {'a': 1} %}{{ input.a }}",
        "{{ outputs[inputs.name ?? 'x'].value }}",
        "{{ secret('A') }} {{ kv('B') }} {{ trigger.date }} {{ trigger.outputs.theirs }} {{ execution.id }}",
    ],
)
def test_a_guard_or_another_source_is_no_slip(template):
    assert said(f'tasks:\n  - id: a\n    {RETURN}\n    format: "{template}"\n{LATER}') == []


GOOD = f"""
variables: {{base: x}}
inputs:
  - {{id: names, type: JSON, defaults: []}}
  - {{id: a.b, type: STRING, defaults: x}}
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{{{ inputs.names }}}}"
    tasks:
      - {task("one")}
      - {task("two", "{{ outputs.one[taskrun.value].value }}")}
      - {task("third", "{{ currentEachOutput(outputs.one).value }} {{ inputs.a.b }}")}
      - id: inner
        type: io.kestra.plugin.core.flow.ForEach
        values: [x]
        tasks:
          - {task("deep", "{{ outputs.one[parents[0].taskrun.value].value }}")}
  - {task("after", "{{ outputs.one['x'].value }} {{ outputs.one | keys }}")}
  - {task("all", "{% for o in outputs.one %}{{ o }}{% endfor %}")}
  - id: gate
    type: io.kestra.plugin.core.flow.If
    condition: "{{{{ outputs.after.value is not null and tasks.after.state == 'SUCCESS' }}}}"
    then:
      - {task("yes", "{{ outputs.gate.evaluationResult }} {{ outputs.after.value }}")}
      - {task("yes2", "{{ outputs.yes.value }}")}
  - id: again
    type: io.kestra.plugin.core.flow.If
    condition: "{{{{ outputs.after.value is not null and tasks.after.state == 'SUCCESS' }}}}"
    then:
      - {task("same", "{{ outputs.yes.value }}")}
  - id: graph
    type: io.kestra.plugin.core.flow.Dag
    tasks:
      - task: {task("d1")}
      - task: {task("d2", "{{ outputs.d1.value }}")}
        dependsOn: [d1]
      - task: {task("d3", "{{ outputs.d1.value }}")}
        dependsOn: [d2]
  - id: many
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - id: p1
        type: io.kestra.plugin.core.flow.Sequential
        tasks:
          - {task("s1")}
          - {task("s2", "{{ outputs.s1.value }} {{ outputs.d3.value }}")}
  - {task("end", "{{ outputs.s2.value }} {{ vars.base }}")}
  - id: until
    type: io.kestra.plugin.core.flow.LoopUntil
    condition: "{{{{ outputs.look.value == 'x' and outputs.until.iterationCount > 0 }}}}"
    tasks:
      - {task("look")}
  - id: set
    type: io.kestra.plugin.core.execution.SetVariables
    variables: {{late: x}}
  - {task("sees", "{{ vars.late }}")}
  - id: ask
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {{id: reason, type: STRING, required: false}}
  - {task("told", "{{ outputs.ask.onResume.reason }}")}
outputs:
  - {{id: result, type: STRING, value: "{{{{ outputs.end.value }}}}"}}
extend:
  title: Not rendered {{{{ outputs.nothing.value }}}}
  description: "{{{{ broken"
"""


def test_what_real_flows_do_is_no_slip():
    assert problems(GOOD) == []


def test_the_outputs_of_a_called_flow_are_its_own_names():
    text = """
    tasks:
      - id: call
        type: io.kestra.plugin.core.flow.Subflow
        namespace: a.b
        flowId: c
        outputs: {x: "{{ outputs.theirs.value }}"}
    """
    assert [one for one in problems(text) if one.code != "old-type"] == []


def test_reads_have_places_and_say_what_is_conditional():
    found = reads(parse("a\n{{ inputs.x ? outputs.a['b'].c : f(vars.d[inputs.e]) }}"))
    assert [(one.path, one.at, one.conditional) for one in found] == [
        (("inputs", "x"), (2, 4), False),
        (("outputs", "a", "b", "c"), (2, 15), True),
        (("vars", "d"), (2, 36), True),
        (("inputs", "e"), (2, 43), True),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("message: |\n      first\n        {{ outputs.nope }}", 8, 12),
        ("message: |2\n        first\n       {{ outputs.nope }}", 8, 11),
        ("message: >-\n      first\n\n      more {{ outputs.nope }}", 9, 15),
        ("message: first\n      {{ outputs.nope }}", 7, 10),
        ("message: 'first\n      it''s {{ outputs.nope }}'", 7, 16),
        ('message: "a\\tb {{ outputs.nope }}"', 6, 23),
        ("level: INFO\n    message: ['{{ 1 }}', \"b\\u00e9 {{ outputs.nope }}\"]", 7, 38),
    ],
)
def test_the_place_inside_a_text_is_found_in_every_notation(text, line, column):
    text = f"tasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    {text}"
    lines = source(text).splitlines()
    (found,) = check(source(text), catalogue())
    assert lines[found.line - 1][found.column - 1 :].startswith("outputs.nope")
    assert (found.line, found.column) == (line, column)


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        ("flow.name", "Did you mean `flow.id`?"),
        ("flow.xyz", "It has id, namespace, revision, tenantId."),
        ("execution.startDat", "Did you mean `execution.startDate`?"),
        ("taskrun.attempsCount", "Did you mean `taskrun.attemptsCount`?"),
        ("task.name", "Did you mean `task.id`?"),
    ],
)
def test_a_part_that_a_name_does_not_have_is_told(expression, advice):
    (found,) = problems(f"tasks:\n  - {task('a', f'{{{{ {expression} }}}}')}")
    assert (found.severity, found.code, found.suggestion) == ("warning", "unknown-variable", advice)


@pytest.mark.parametrize(
    "expression", ["flow.id", "flow.xyz ?? 1", "execution.other", "taskrun.startDate", "execution.state", "task['id']"]
)
def test_other_parts_are_left_alone(expression):
    assert problems(f"tasks:\n  - {task('a', f'{{{{ {expression} }}}}')}") == []


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        ("inptus.x", "Did you mean `inputs`?"),
        ("Outputs.x.value", "Did you mean `outputs`?"),
        ("taskRun.value", "Did you mean `taskrun`?"),
        ("executions.id", "Did you mean `execution`?"),
        ("param.x", "Did you mean `inputs`?"),
        ("now", "It is a function: write `now()`."),
        ("read", "It is a function: write `read(…)`."),
        ("secret(KEY)", "A text stands in quotes: `'KEY'`."),
        ("namespace", "Write `flow.namespace`."),
        (
            "namespace.github.token",
            "Variables of a namespace are of Kestra's Enterprise Edition: keep it as a key, and write "
            "`kv('github').token`.",
        ),
        ("flow.ID", "Did you mean `flow.id`?"),
        ("foo.bar", "Values stand under `inputs`, `vars` and `outputs`; braces that are no template, in `{% raw %}`."),
    ],
)
def test_a_name_that_stands_nowhere_is_told_with_what_was_meant(expression, advice):
    (found,) = problems(f"tasks:\n  - {task('a', f'{{{{ {expression} }}}}')}")
    assert (found.severity, found.code, found.suggestion) == ("warning", "unknown-variable", advice)


@pytest.mark.parametrize(
    "block",
    [
        'labels: {a: "{{ inptus.x }}"}',
        'variables: {a: "{{ inptus.x }}"}',
        'inputs: [{id: a, type: STRING, defaults: "{{ inptus.x }}"}]',
        'outputs: [{id: a, type: STRING, value: "{{ inptus.x }}"}]',
        'checks: [{condition: "{{ inptus.x }}", message: no}]',
        'sla: [{id: s, type: EXECUTION_ASSERTION, behavior: FAIL, assert: "{{ inptus.x }}"}]',
        'triggers: [{id: t, type: io.kestra.plugin.core.trigger.Webhook, key: k, when: "{{ inptus.x }}"}]',
    ],
)
def test_a_slip_in_the_first_name_is_told_wherever_it_stands(block):
    assert [one[:2] for one in said(f"{block}\ntasks:\n  - {task('a')}")] == [("warning", "unknown-variable")]


def test_conditions_of_a_trigger_ask_for_what_the_other_flow_is():
    asked = "{{ namespace ~ flowId ~ state ~ hasRetryAttempt }}"
    trigger = "{id: t, type: io.kestra.plugin.core.trigger.Flow, dependsOn: [{flowId: other, when: '%s'}]}"
    assert said(f"triggers: [{trigger % asked}]\ntasks:\n  - {task('a')}") == []
    assert [one[2][:4] for one in said(f"tasks:\n  - {task('a', '{{ flowId }}')}")] == ["flow"]


def test_there_is_an_item_in_the_errors_of_what_a_loop_holds():
    inner = f"{{id: s, type: io.kestra.plugin.core.flow.Sequential, tasks: [{task('a')}], errors: [%s]}}"
    outer = f"tasks:\n  - {{id: l, type: {LOOP}, values: [1], tasks: [{inner % task('b', '{{ item.value }}')}]}}"
    assert said(outer) == []


def test_what_is_a_little_like_a_name_is_no_slip_where_others_may_be_known():
    trigger = '{id: t, type: io.kestra.plugin.core.trigger.Webhook, key: k, when: "{{ flowed == inbox }}"}'
    assert said(f"tasks:\n  - {task('a')}\ntriggers:\n  - {trigger}") == []


def test_a_guarded_slip_is_a_hint():
    assert said(f"tasks:\n  - {task('a', '{{ inptus.x ?? 1 }}')}") == [
        ("hint", "unknown-variable", 'inptus.x ?? 1 }}"}')
    ]


def test_a_slip_does_not_hide_another_and_what_a_task_sets_is_none():
    set_ = "{id: s, type: io.kestra.plugin.core.execution.SetVariables, variables: {input: 1}}"
    text = f"tasks:\n  - {set_}\n  - {task('a', '{{ input }} {{ inptus.x }} {{ vars.nope }}')}"
    assert [one[2][:9] for one in said(text)] == ["inptus.x ", "vars.nope"]


LOOP = "io.kestra.plugin.core.flow.Loop"
SCRIPT = "{id: s, type: io.kestra.plugin.scripts.shell.Commands, commands: ['%s']%s}"
OF_S = task("z", "{{ outputs.s.outputFiles['a.txt'] }}")


def test_the_handlers_of_a_loop_know_its_item_and_the_outputs_of_its_tasks():
    say = [task(name, "{{ item.value }} {{ outputs.a.value ?? '' }}") for name in "bc"]
    inner = f"tasks: [{task('a', '{{ item.value }}')}], errors: [{say[0]}], finally: [{say[1]}]"
    assert problems(f"tasks:\n  - {{id: l, type: {LOOP}, values: [1], {inner}}}") == []


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        (f"tasks:\n  - {task('a', '{{ item.value }}')}", "not-in-a-loop", "`item` is there only inside a Loop."),
        (f"tasks:\n  - {task('a', '{{ parent.taskrun.value }}')}", "not-here", "`parent` is there only inside a task"),
        (
            "tasks:\n  - {id: l, type: io.kestra.plugin.core.log.Log, message: x}\n"
            f"  - {task('a', '{{ outputs.l.value }}')}",
            "unknown-output",
            "`l` is a Log, which hands on nothing.",
        ),
        (
            f"tasks:\n  - {SCRIPT % ('ls', ', outputFiles: [b.txt]')}\n  - {OF_S}",
            "unknown-output",
            "`s` hands on no file `a.txt`: its `outputFiles` do not name it.",
        ),
    ],
)
def test_what_is_never_there_is_told(text, code, sentence):
    (found,) = problems(text)
    assert (found.severity, found.code) == ("warning", code)
    assert found.message.startswith(sentence)


@pytest.mark.parametrize(
    "text",
    [
        f"tasks:\n  - id: l\n    type: {LOOP}\n    values: [1]\n    tasks: [{task('a', '{{ item.value }}')}]",
        "tasks:\n  - id: e\n    type: io.kestra.plugin.core.flow.ForEach\n    values: [1]\n    tasks:\n"
        "      - id: q\n        type: io.kestra.plugin.core.flow.Sequential\n"
        f"        tasks: [{task('a', '{{ parent.taskrun.value }}')}]",
        f"tasks:\n  - {SCRIPT % ('ls {{ outputDir }}', ', outputDirectory: true')}",
        f"tasks:\n  - {SCRIPT % ('ls > {{ outputDir }}/a.txt', '')}\n  - {OF_S}",
        f"tasks:\n  - {SCRIPT % ('ls', ', outputFiles: [./a.txt]')}\n  - {OF_S}",
        f"tasks:\n  - {SCRIPT % ('ls', ', outputFiles: [a*.txt]')}\n  - {OF_S}",
        "tasks:\n  - id: w\n    type: io.kestra.plugin.core.flow.WorkingDirectory\n    outputFiles: [a.txt]\n"
        f"    tasks:\n      - {SCRIPT % ('ls', '')}\n  - {OF_S.replace('outputs.s', 'outputs.w')}",
    ],
)
def test_what_is_there_is_no_slip(text):
    assert [one for one in problems(text) if one.code != "old-property"] == []


@pytest.mark.parametrize(
    ("template", "meant"),
    [
        ("outputs.log-site-up ?? outputs.log-site-down ?? 'none'", ["log-site-up", "log-site-down"]),
        ("outputs.get-original-task.value | upper", ["get-original-task"]),
    ],
)
def test_words_of_a_name_with_a_minus_are_no_names_of_their_own(template, meant):
    names = ("log-site-down", "log-site-up", "get-original-task")
    tasks = "\n".join(f"  - {task(name)}" for name in names)
    text = f"tasks:\n{tasks}\n  - {task('last', f'{{{{ {template} }}}}')}"
    found = [(one.severity, one.suggestion) for one in problems(text)]
    assert found == [("warning", f"A `-` in a name is read as minus; write `outputs['{one}']`.") for one in meant]


@pytest.mark.parametrize(
    ("template", "advice"),
    [
        ("vars.db-host", "it is written `vars['db-host']`, and the flow has none."),
        ("vars.db-host-name ~ inputs.b", "it is written `vars['db-host-name']`, and the flow has none."),
        ("vars.db-host-name | upper", "it is written `vars['db-host-name']`, and the flow has none."),
        ("vars.log-sites", "write `vars['log-site']`."),
        ("vars.db - host", ""),
    ],
)
def test_a_name_with_a_minus_that_there_is_not(template, advice):
    head = "variables: {log-site: x}\ninputs: [{id: b, type: STRING, defaults: x}]\n"
    [found] = problems(f"{head}tasks:\n  - {task('last', f'{{{{ {template} }}}}')}\n")
    assert found.suggestion.endswith(advice)
    assert bool(advice) == found.suggestion.startswith("A `-` in a name is read as minus")
