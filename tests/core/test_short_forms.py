"""What people write for short, or call by the word of another tool: one sentence says how it is written here."""

import pytest

from tests.core.language import problems
from tests.core.test_core_types import CORE
from tests.core.test_list_items import SAY, SHELL

HOOK = f"{SAY}triggers:\n  - {{id: h, type: {CORE}.trigger.Webhook, key: abcdef"
AI = "io.kestra.plugin.ai"
AGENT = f"tasks:\n  - {{id: a, type: {AI}.agent.AIAgent, prompt: hi, provider: "
LOOP = (
    f"tasks:\n  - id: l\n    type: {CORE}.flow.LoopUntil\n    tasks:\n"
    f"      - {{id: say, type: {CORE}.log.Log, message: hi}}\n"
)
NODE = "tasks:\n  - {id: n, type: io.kestra.plugin.scripts.node.Script, script: x"
PLUGIN = "type: io.kestra.plugin.core.log.Log"


def told(text: str) -> list[tuple[str, str]]:
    return [(one.path, one.suggestion) for one in problems(text)]


@pytest.mark.parametrize(
    ("text", "path", "advice"),
    [
        (f"{SAY}pluginDefaults: abc\n", "pluginDefaults", "behind `- `, with `type` and `values`."),
        (
            f"{SAY}pluginDefaults: {{{PLUGIN}, values: {{level: INFO}}}}\n",
            "pluginDefaults",
            "Begin the item with `- `.",
        ),
        (f"{SAY}pluginDefaults: {{{PLUGIN}}}\n", "pluginDefaults", "Begin the item with `- `. It lacks `values`."),
        (
            f"{SAY}pluginDefaults: [{CORE}.log.Log]\n",
            "pluginDefaults[0]",
            f"`- type: {CORE}.log.Log`, and below it `values`.",
        ),
        (
            f'{SAY}outputs: {{x: "{{{{ flow.id }}}}"}}\n',
            "outputs",
            'its id: `- id: x` and below it `type: STRING` and `value: "{{ flow.id }}"`.',
        ),
        (f"{SAY}outputs: {{x: {{value: 1}}}}\n", "outputs", "give it its id: `- id: x`."),
        (f"{SAY}outputs: [x]\n", "outputs[0]", "Write `- id: x`, and below it `type: STRING` and `value`."),
        (f"{SAY}outputs: ['{{{{ flow.id }}}}']\n", "outputs[0]", "`- id: …`, and below it `type: STRING` and `value`."),
        (f"{SAY}inputs: {{n: 3}}\n", "inputs", "`- id: n` and below it `type: INT` and `defaults: 3`."),
        (f"{SAY}inputs: {{n: true}}\n", "inputs", "`- id: n` and below it `type: BOOL` and `defaults: true`."),
        (f"{SAY}inputs: [who]\n", "inputs[0]", "Write `- id: who`, and below it `type: STRING`."),
        (f"{SAY}triggers: [daily]\n", "triggers[0]", "Write `- id: daily`, and below it its `type`."),
        ("tasks: [say]\n", "tasks[0]", "Write `- id: say`, and below it its `type`."),
        (f"{SAY}labels:\n  - team\n", "labels[0]", "Write `team: …`, without `- `."),
        (f"{SAY}labels:\n  - env=prod\n", "labels[0]", "Write `env: prod`, without `- `."),
        (f"{SAY}labels:\n  - env: prod\n", "labels[0]", "Write `env: prod`, without `- `."),
        (f"{SAY}labels:\n  - {{name: env, value: prod}}\n", "labels[0]", "Write `key` for `name`."),
        (f"{SAY}labels: prod\n", "labels", "Write each label as `name: value` in a line below, indented."),
        (f"{SAY}labels: {{a: [b]}}\n", "labels.a", "Write one text, such as `a, b`."),
        (f"{SAY}version: 1\n", "version", "A label can say it: write it below `labels`, indented."),
        (f"{SAY}enabled: true\n", "enabled", "`disabled: true` switches it off; without it, it is on."),
        (f"{SAY}timezone: Europe/Paris\n", "timezone", "It stands in each trigger of the type Schedule."),
        (f"timeout: PT1H\n{SAY}", "timeout", "An `sla` of the type `MAX_DURATION` limits a whole run."),
        (f"{SAY}params: {{a: b}}\n", "params", "Did you mean `inputs`?"),
        (f"{SAY}inputs: [{{id: a, type: ARRAY}}]\n", "inputs[0].itemType", "such as `itemType: STRING`."),
        (f"{SAY}triggers: [{{id: t, type: {CORE}.trigger.Schedule}}]\n", "triggers[0].cron", '`cron: "0 9 * * *"`.'),
        (f"{HOOK}, path: /x}}\n", "triggers[0].path", "of which the `key` alone is chosen."),
        (f"{HOOK}, method: POST}}\n", "triggers[0].method", "It is called by GET, POST or PUT."),
        (
            f"{HOOK}, enabled: false}}\n",
            "triggers[0].enabled",
            "`disabled: true` switches it off; without it, it is on.",
        ),
        (
            f"{SHELL}    taskRunner: docker\n",
            "tasks[0].taskRunner",
            "Write `type: io.kestra.plugin.scripts.runner.docker.Docker` below it, indented.",
        ),
        (f"{SHELL}    taskRunner: moon\n", "tasks[0].taskRunner", ""),
        (
            f"{SHELL}    taskRunner: {{type: io.kestra.plugin.scripts.runner.docker.Docker, memory: 512m}}\n",
            "tasks[0].taskRunner.memory",
            "Write `memory: 512m` below it, indented.",
        ),
        (f"{AGENT}openai}}\n", "tasks[0].provider", f"Write `type: {AI}.provider.OpenAI` below it, indented."),
        (
            f"{AGENT}{{type: {AI}.provider.OpenAI, modelName: m, apiKey: k}}, tools: [tavily]}}\n",
            "tasks[0].tools[0]",
            f"Write `- type: {AI}.tool.TavilyWebSearch`.",
        ),
        (f"{LOOP}    until: '{{{{ true }}}}'\n", "tasks[0].until", "Did you mean `condition`?"),
        (
            f"{LOOP}    condition: '{{{{ true }}}}'\n    maxAttempts: 3\n",
            "tasks[0].maxAttempts",
            "Write `maxIterations` below `checkFrequency`, indented.",
        ),
        (f"{NODE}, dependencies: [a]}}\n", "tasks[0].dependencies", "in `beforeCommands`, such as `npm install NAME`."),
        (
            f"{NODE}}}\n  - {{id: say, type: {CORE}.log.Log, message: '{{{{ outputs.n.stdout }}}}'}}\n",
            "tasks[1].message",
            'Print `::{"outputs": {"name": "value"}}::`, and write `outputs.n.vars.name`.',
        ),
        (
            f"tasks:\n  - id: e\n    type: {CORE}.flow.ForEachItem\n    items: x\n    namespace: a.b\n"
            "    flowId: c\n    inputs: {x: '{{ item }}'}\n",
            "tasks[0].inputs.x",
            "The file of a batch is `taskrun.items`.",
        ),
        (
            f"tasks:\n  - {{id: say, type: {CORE}.log.Log, message: '{{{{ loop.index }}}}'}}\n",
            "tasks[0].message",
            "In a ForEach the value is `taskrun.value`, and its number `taskrun.iteration`.",
        ),
        (
            f"tasks:\n  - {{id: say, type: {CORE}.log.Log, message: hi, outfile: x}}\n",
            "tasks[0].outfile",
            "`level`, `message`.",
        ),
        (
            f"tasks:\n  - {{id: k, type: {CORE}.kv.Set, key: a, data: b}}\n",
            "tasks[0].data",
            "Did you mean `value`?",
        ),
        (
            f"tasks:\n  - {{id: k, type: {CORE}.kv.Set, key: a, value: b, expire: PT1H}}\n",
            "tasks[0].expire",
            "Did you mean `ttl`?",
        ),
    ],
)
def test_what_is_meant_is_told(text, path, advice):
    ((where, said),) = told(text)
    assert where == path
    assert said.endswith(advice)
    assert bool(said) is bool(advice)


def test_a_loop_in_a_template_counts_its_rounds():
    counted = "{% for x in [1] %}{{ loop.index }}{% endfor %}"
    assert told(f"tasks:\n  - {{id: s, type: {CORE}.log.Log, message: '{counted}'}}\n") == []
