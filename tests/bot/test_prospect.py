"""What happens if it is approved: the next tasks with their values, files that change, the last decision."""

import pytest

from bot.approvals.diffs import diff
from bot.approvals.prospect import MAX_FORKS, MAX_TASKS, MAX_WALK, facts, following, forks, rest, templates
from bot.cards.outline import find
from engine.core.flow_source import load
from engine.runtime.foresight import Unknown
from engine.tasks import catalogue
from tests.bot.rig import BOB, DEV, Rig
from tests.shared import seed
from tests.wire.loopback import Answered, serving

SHIP = """
id: ship
namespace: company.team
inputs:
  - {id: version, type: STRING, defaults: v7}
tasks:
  - {id: build, type: io.kestra.plugin.core.debug.Return, format: "image-{{ inputs.version }}"}
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: approve, type: BOOLEAN}
      - {id: note, type: STRING}
  - id: decide
    type: io.kestra.plugin.core.flow.If
    condition: "{{ outputs.wait.onResume.approve }}"
    then:
      - id: deploy
        type: io.kestra.plugin.core.http.Request
        uri: "https://deploy.test/{{ outputs.build.value }}?ok={{ outputs.wait.onResume.approve }}"
        method: POST
        body: "{{ secret('DEPLOY') }} {{ outputs.wait.onResume.note }}"
      - {id: report, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.deploy.code ?? 'none' }}"}
    else:
      - {id: sad, type: io.kestra.plugin.core.log.Log, message: no}
  - {id: look, type: io.kestra.plugin.core.debug.Return, format: "{{ http('https://deploy.test/') }}"}
  - {id: again, type: io.kestra.plugin.core.flow.Pause}
  - {id: never, type: io.kestra.plugin.core.log.Log, message: x}
"""


def flow(text):
    return load(text, catalogue())


def ids(text, task, limit=9):
    return [step.task.id for step in following(flow(text), task, limit)]


def test_what_follows_a_yes_up_to_the_next_question():
    assert ids(SHIP, "wait") == ["deploy", "report", "look", "again"]
    assert ids(SHIP, "wait", 2) == ["deploy", "report"]
    assert ids(SHIP, "again") == ["never"]
    assert ids(SHIP, "nobody") == []
    assert ids(seed("gen_img_approval.yaml").read_text(), "wait_for_approval")[0] == "approved"


def test_an_approval_leads_into_its_own_branch_first():
    text = """
id: a
namespace: b
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Approval
    onApprove: [{id: yes_, type: io.kestra.plugin.core.log.Log, message: x}]
    onDeny: [{id: no_, type: io.kestra.plugin.core.log.Log, message: x}]
  - {id: after, type: io.kestra.plugin.core.log.Log, message: x}
"""
    assert ids(text, "ask") == ["yes_", "after"]
    assert find(flow(text), "ask") is not None


def test_values_stand_beside_their_tasks_and_unknown_ones_say_why():
    steps = following(flow(SHIP), "wait", 2)
    assert [name for step in steps for name, _ in step.written] == ["uri", "method", "body", "message"]
    assert len(templates(steps)) == 4
    first, second = facts(steps, ["https://x", "POST", Unknown(), Unknown(("deploy",))])
    assert first.label == "Then deploy"
    assert first.value.startswith("`http.Request` · uri: https://x · method: POST · body: `{{ secret('DEPLOY') }}")
    assert second.value.endswith("(known after `deploy`)")


@pytest.fixture
async def bot(tmp_path, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_DEPLOY", "hunter2-hunter2")
    rig = await Rig(tmp_path).start(SHIP)
    yield rig
    await rig.stop()


def told(card, label):
    return next((fact.value for fact in card.facts if fact.label == label), "")


async def test_the_card_shows_what_a_yes_would_run_with_secrets_as_stars(bot):
    card = await bot.asked()
    deploy = told(card, "Then deploy")
    assert deploy.startswith("`http.Request` · uri: <https://deploy.test/image-v7?ok=true> · method: POST · body: ")
    assert deploy.endswith(r"\*\*\*\*\*\*")
    assert "hunter2" not in str(card)
    message = "`log.Log` · message: `{{ outputs.deploy.code ?? 'none' }}` (known after `deploy`)"
    assert told(card, "Then report") == message
    assert told(card, "Then look").endswith("(known when it runs)"), "nothing is called for a preview"


HIDDEN = """
id: ship
namespace: company.team
variables: {{url: "{url}", look: "{{{{ http('{url}/hidden') }}}}"}}
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume: [{{id: room, type: STRING, defaults: "{{{{ http('{url}/default') }}}}"}}]
  - {{id: plain, type: io.kestra.plugin.core.debug.Return, format: "{{{{ http('{url}/plain') }}}}"}}
  - {{id: deep, type: io.kestra.plugin.core.debug.Return, format: "{{{{ render(vars.look) }}}}"}}
  - {{id: room, type: io.kestra.plugin.core.debug.Return, format: "{{{{ outputs.wait.onResume.room }}}}"}}
"""


async def test_nothing_is_called_while_somebody_only_looks(tmp_path):
    with serving(lambda request: Answered("called")) as service:
        rig = await Rig(tmp_path).start(HIDDEN.format(url=service.url))
        try:
            await rig.asked()
            (pause,) = await rig.engine.pauses()
            service.requests.clear()  # what the form asks for was asked when it was drawn
            asked = ["http(vars.url)", "render(vars.look)", "outputs.wait.onResume.room"]
            texts = [f"{{{{ {one} }}}}" for one in asked]
            assert await rig.engine.foresee(pause.id, {}, texts) == [Unknown(), Unknown(), Unknown()]
            assert service.requests == []
        finally:
            await rig.stop()


async def test_the_last_decision_at_the_same_place_is_told(bot):
    first = await bot.asked()
    assert told(first, "Last time") == ""
    await bot.press(first, "Approve", BOB, DEV)
    second = await bot.asked()
    assert told(second, "Last time").startswith("approved by Bob (Discord), ")


FILES = """
id: publish
namespace: company.team
tasks:
  - id: write
    type: io.kestra.plugin.core.storage.Write
    content: "{{ inputs.text }}"
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - id: upload
    type: io.kestra.plugin.core.namespace.UploadFiles
    namespace: company.team
    filesMap:
      docs/page.txt: "{{ outputs.write.uri }}"
inputs:
  - {id: text, type: STRING}
"""


async def test_files_that_would_change_are_shown_as_a_diff(bot):
    await bot.engine.deploy(FILES)
    first = await bot.asked('run publish text="one\\ntwo"')
    assert "+one" in first.body
    assert "--- /dev/null" in first.body
    await bot.press(first, "Approve")
    await bot.engine.wait((await bot.engine.pause_row(first.entity)).execution_id, timeout=20)
    second = await bot.asked('run publish text="one\\nthree"')
    assert "--- a/docs/page.txt\n+++ b/docs/page.txt" in second.body
    assert "-two" in second.body
    assert "+three" in second.body


def test_a_diff_is_cut_and_cannot_leave_its_block():
    assert diff("a", "x", "x") == ""
    long = diff("a", None, "\n".join(f"line {n} ```" for n in range(500)))
    assert long.count("```") == 2
    assert long.endswith("\n…\n```")
    assert len(long) < 1300


def test_a_duration_is_shown_as_flows_write_it():
    steps = following(
        flow(
            "id: nap\nnamespace: company.team\ntasks:\n  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\n"
            "  - {id: rest, type: io.kestra.plugin.core.flow.Sleep, duration: PT2S}\n"
        ),
        "wait",
    )
    assert templates(steps) == ["PT2S"]


def test_only_what_the_flow_says_is_shown_and_a_runner_as_it_says_it():
    steps = following(
        flow(
            "id: ship\nnamespace: company.team\ntasks:\n  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\n"
            "  - {id: go, type: io.kestra.plugin.scripts.shell.Commands, commands: [make ship],"
            " taskRunner: {type: io.kestra.plugin.core.runner.Process}}\n"
        ),
        "wait",
    )
    assert steps[0].written == (
        ("commands", ["make ship"]),
        ("taskRunner", {"type": "io.kestra.plugin.core.runner.Process"}),
    )


CORE = "io.kestra.plugin.core"
PAUSE = f"{{id: wait, type: {CORE}.flow.Pause, onResume: [{{id: ok, type: BOOLEAN}}]}}"


def log(id_, more=""):
    return f"{{id: {id_}, type: {CORE}.log.Log, message: x{more}}}"


def written(*tasks, more=""):
    return f"id: shape\nnamespace: company.team\n{more}tasks: [{', '.join(tasks)}]\n"


def branch(condition):
    return f'{{id: fork, type: {CORE}.flow.If, condition: "{condition}", then: [{log("yes_")}], else: [{log("no_")}]}}'


SWITCH = f"{{id: by, type: {CORE}.flow.Switch, value: '{{{{ outputs.wait.onResume.ok }}}}', "
SWITCH += f"cases: {{'true': [{log('t')}], 'false': [{log('f')}]}}, defaults: [{log('d')}]}}"
EACH = f'{{id: each, type: {CORE}.flow.ForEach, values: \'["eu", "us"]\', tasks: [%s]}}'
CALL = f"{{id: call, type: {CORE}.flow.Subflow, namespace: a.b, flowId: other, inputs: {{v: '{{{{ flow.id }}}}'}}}}"
SAYS = "`log.Log` \u00b7 message: x"
LATER = "{{ outputs.first.value == 'x' }}"


@pytest.mark.parametrize(
    ("tasks", "lines"),
    [
        ([PAUSE], {"Then": "nothing more runs"}),
        ([PAUSE, log("off", ", disabled: true")], {"Then": "nothing more runs"}),
        ([PAUSE, branch("{{ outputs.wait.onResume.ok }}")], {"Then yes_": SAYS}),
        ([PAUSE, branch("{{ not outputs.wait.onResume.ok }}")], {"Then no_": SAYS}),
        ([PAUSE, branch("{{ outputs['wait'].onResume.ok == false }}")], {"Then no_": SAYS}),
        ([PAUSE, branch("{{ flow.id == 'shape' }}")], {"Then yes_": SAYS}),
        ([PAUSE, SWITCH], {"Then t": SAYS}),
        (
            [PAUSE, log("first"), branch(LATER)],
            {
                "Then first": SAYS,
                "Then fork": f"`flow.If` \u00b7 condition: `{LATER}` (known after `first`) \u00b7 "
                "then: `yes_`; else: `no_`",
            },
        ),
        ([PAUSE, log("kept", ", runIf: '{{ outputs.wait.onResume.ok }}'")], {"Then kept": SAYS}),
        ([PAUSE, log("gone", ", runIf: '{{ not outputs.wait.onResume.ok }}'")], {"Then": "nothing more runs"}),
        (
            [PAUSE, log("first"), log("may", f', runIf: "{LATER}"')],
            {
                "Then first": SAYS,
                "Then may": f"{SAYS} \u00b7 only if `{LATER}`",
            },
        ),
        (
            [PAUSE, f"{{id: both, type: {CORE}.flow.Parallel, tasks: [{log('a')}, {log('b')}]}}"],
            {"Then a": SAYS, "Then b": SAYS},
        ),
        (
            [PAUSE, EACH % f"{log('a')}, {log('b')}"],
            {"Then each": '`flow.ForEach` \u00b7 values: \\["eu", "us"\\] \u00b7 tasks: `a`, `b`'},
        ),
        ([EACH % f"{PAUSE}, {log('a')}", log("b")], {
            "Then a": SAYS,
            "Then each": '`flow.ForEach` \u00b7 values: \\["eu", "us"\\] \u00b7 its next round, where one is left',
            "Then b": SAYS,
        }),
        (
            [f"{{id: both, type: {CORE}.flow.Parallel, tasks: [{PAUSE}, {log('beside')}]}}", log("after")],
            {"Then after": SAYS},
        ),
        (
            [PAUSE, CALL],
            {"Then call": '`flow.Subflow` \u00b7 namespace: a.b \u00b7 flowId: other \u00b7 inputs: `{"v": "shape"}`'},
        ),
        (
            [PAUSE, *(log(f"t{n}") for n in range(12))],
            {**{f"Then t{n}": SAYS for n in range(4)},
             "Then": "8 more: `t4`, `t5`, `t6`, `t7`, `t8`, `t9` and 2 more"},
        ),
        (
            [PAUSE, *(log(f"t{n}") for n in range(5)), PAUSE.replace("wait", "again"), log("never")],
            {**{f"Then t{n}": SAYS for n in range(4)},
             "Then": "2 more up to the question `again`: `t4`, `again`"},
        ),
    ],
)  # fmt: skip
async def test_the_card_tells_which_tasks_follow(tmp_path, tasks, lines):
    rig = await Rig(tmp_path).start(written(*tasks))
    try:
        card = await rig.asked("run shape")
        assert {fact.label: fact.value for fact in card.facts if fact.label.startswith("Then")} == lines
    finally:
        await rig.stop()


async def test_what_runs_at_the_end_in_any_case_follows_too_and_how_it_ended_is_not_known(tmp_path):
    condition = "{{ execution.state == 'FAILED' }}"
    cry = log("cry", f', runIf: "{condition}"')
    rig = await Rig(tmp_path).start(written(PAUSE, more=f"finally: [{log('tidy')}]\nafterExecution: [{cry}]\n"))
    try:
        card = await rig.asked("run shape")
        assert told(card, "Then tidy") == "`log.Log` \u00b7 message: x"
        assert told(card, "Then cry") == f"`log.Log` \u00b7 message: x \u00b7 only if `{condition}`"
    finally:
        await rig.stop()


def test_a_flow_without_end_is_counted_as_far_as_it_is_looked_at():
    text = written(PAUSE, *(log(f"t{n}") for n in range(400)))
    every = following(flow(text), "wait", MAX_WALK)
    assert len(every) == MAX_WALK
    assert rest(every)[0].value.startswith(f"at least {MAX_WALK - MAX_TASKS} more: ")
    assert len(forks(flow(written(PAUSE, *(log(f"t{n}", ", runIf: true") for n in range(400)))), "wait")) == MAX_FORKS


async def test_a_choice_that_nobody_made_yet_leads_nowhere_for_sure(tmp_path):
    asks = PAUSE.replace("{id: ok, type: BOOLEAN}", "{id: ok, type: SELECT, values: ['true', 'false']}")
    rig = await Rig(tmp_path).start(written(asks, SWITCH))
    try:
        card = await rig.asked("run shape")
        assert told(card, "Then by") == (
            "`flow.Switch` \u00b7 value: `{{ outputs.wait.onResume.ok }}` (known after `wait`)"
            " \u00b7 true: `t`; false: `f`; defaults: `d`"
        )
    finally:
        await rig.stop()


FILES_IN_A_BRANCH = f"{{id: fork, type: {CORE}.flow.If, condition: '{{{{ not outputs.wait.onResume.ok }}}}', then: ["
FILES_IN_A_BRANCH += f"{{id: wipe, type: {CORE}.namespace.DeleteFiles, namespace: company.team, files: '**'}}], else: ["
FILES_IN_A_BRANCH += f"{{id: tidy, type: {CORE}.namespace.DeleteFiles, namespace: company.team, files: 'old/**'}}]}}"


async def test_files_change_in_the_branch_that_a_yes_leads_to(tmp_path):
    rig = await Rig(tmp_path).start(written(PAUSE, FILES_IN_A_BRANCH))
    try:
        rig.engine.files.put_namespace_file("company.team", "old/a.txt", b"x\n")
        rig.engine.files.put_namespace_file("company.team", "new/b.txt", b"x\n")
        card = await rig.asked("run shape")
        assert "old/a.txt" in card.body
        assert "new/b.txt" not in card.body
    finally:
        await rig.stop()


NAMED = "{id: call, type: io.kestra.plugin.core.output.OutputValues, values: {outputs: {image: 'a picture'}}}"


async def test_an_output_that_is_itself_called_outputs_is_known(tmp_path):
    say = log("say").replace("message: x", "message: '{{ outputs.call.values.outputs.image }}'")
    rig = await Rig(tmp_path).start(written(NAMED, PAUSE, say))
    try:
        assert told(await rig.asked("run shape"), "Then say") == "`log.Log` \u00b7 message: a picture"
    finally:
        await rig.stop()
