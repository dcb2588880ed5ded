"""Flows that look odd and are right: nothing is said about any of them."""

import pytest

from engine.core.flow_source import check
from engine.tasks import catalogue

HEAD = "id: f\nnamespace: a.b\n"
LOG = "tasks:\n  - {id: log, type: T.log.Log, message: hi}\n"
FLOWS = {
    "bom-less comments": """\
# c
---
id: f
namespace: a.b
tasks:
  - {id: log, type: T.log.Log, message: hi}
# end
...
""",
    "merge keys": HEAD
    + """\
variables:
  base: &b {x: 1}
  more: {<<: *b, y: 2}
"""
    + LOG,
    "folded": HEAD
    + """\
tasks:
  - id: a
    type: T.log.Log
    message: >-
      one
      two {{ flow.id }}
""",
    "a program that is as right as one line": HEAD
    + """\
tasks:
  - id: a
    type: io.kestra.plugin.scripts.python.Script
    script: >
      import json


      rows =
      json.loads("[1]")

      print(rows, {'a':
      1})
""",
    "multi line template": HEAD
    + """\
tasks:
  - id: a
    type: T.log.Log
    message: |
      {{ flow.id
         | upper }}
""",
    "unicode": HEAD
    + """\
description: Füße 🚀
tasks:
  - id: a
    type: T.log.Log
    message: 'ñ {{ flow.id ~ "✓" }}'
""",
    "labels map nested": HEAD
    + """\
labels: {team.sub: x, n: 5, b: true}
"""
    + LOG,
    "labels list": HEAD
    + """\
labels:
  - key: a
    value: b
"""
    + LOG,
    "disabled flow": HEAD
    + """\
disabled: true
"""
    + LOG,
    "triggers with seconds": HEAD
    + """\
tasks:
  - {id: log, type: T.log.Log, message: hi}
triggers:
  - id: t
    type: T.trigger.Schedule
    cron: '*/10 * * * * *'
    withSeconds: true
""",
    "trigger when": HEAD
    + """\
tasks:
  - {id: log, type: T.log.Log, message: hi}
triggers:
  - id: t
    type: T.trigger.Schedule
    cron: '@hourly'
    when: "{{ not isWeekend(trigger.date) }}"
""",
    "dates": HEAD
    + """\
tasks:
  - {id: log, type: T.log.Log, message: hi}
triggers:
  - id: t
    type: T.trigger.ScheduleOnDates
    dates: [2030-01-01T10:00:00Z]
    timezone: UTC
""",
    "webhook": HEAD
    + """\
tasks:
  - {id: log, type: T.log.Log, message: hi}
triggers:
  - id: t
    type: T.trigger.Webhook
    key: "{{ secret('K') }}"
    inputs: {}
""",
    "flow trigger": HEAD
    + """\
inputs: [{id: v, type: STRING}]
tasks:
  - {id: log, type: T.log.Log, message: hi}
triggers:
  - id: t
    type: T.trigger.Flow
    inputs: {v: "{{ trigger.outputs.x }}"}
    preconditions: {id: p, flows: [{namespace: z, flowId: y, states: [SUCCESS]}]}
""",
    "set in template": HEAD
    + """\
tasks:
  - id: a
    type: T.log.Log
    message: "{% set x = 1 %}{{ x }}{% for k in {'a': 1} %}{{ k.key }}{% endfor %}"
""",
    "macro": HEAD
    + """\
tasks:
  - id: a
    type: T.log.Log
    message: "{% macro hi(n) %}{{ n }}{% endmacro %}{{ hi('x') }}"
""",
    "render vars": HEAD
    + """\
variables: {g: "hello {{ inputs.n }}"}
inputs: [{id: n, type: STRING, defaults: x}]
tasks:
  - id: a
    type: T.log.Log
    message: "{{ render(vars.g) }}"
""",
    "hyphen ids": HEAD
    + """\
inputs: [{id: my-in, type: STRING, defaults: x}]
tasks:
  - id: my-task
    type: T.debug.Return
    format: "{{ inputs['my-in'] }}"
  - id: b
    type: T.log.Log
    message: "{{ outputs['my-task'].value }}"
""",
    "foreach outputs": HEAD
    + """\
tasks:
  - id: e
    type: T.flow.ForEach
    values: [a, b]
    tasks:
      - {id: r, type: T.debug.Return, format: "{{ taskrun.value }}"}
      - {id: s, type: T.log.Log, message: "{{ outputs.r[taskrun.value].value }}"}
  - {id: l, type: T.log.Log, message: "{{ outputs.r.a.value }} {{ outputs.r | jq('.') }}"}
""",
    "loop outputs": HEAD
    + """\
tasks:
  - id: e
    type: T.flow.Loop
    values: [a, b]
    concurrencyLimit: 1
    breakWhen: "{{ iteration.outputs.o == 'a' }}"
    outputs: [{id: o, type: STRING, value: "{{ outputs.r.value }}"}]
    tasks:
      - {id: r, type: T.debug.Return, format: "{{ item.value }}"}
  - {id: l, type: T.log.Log, message: "{{ loopOutputs(outputs.e.outputs, 'o') }}"}
""",
    "errors use": HEAD
    + """\
tasks: [{id: a, type: T.execution.Fail}]
errors: [{id: e, type: T.log.Log, message: "{{ errorLogs() }} {{ tasks.a.state }} {{ execution.state }}"}]
""",
    "after": HEAD
    + """\
tasks:
  - {id: log, type: T.log.Log, message: hi}
afterExecution: [{id: e, type: T.log.Log, message: "{{ execution.state }}", runIf: "{{ execution.state == 'FAILED' }}"}]
""",
    "listeners": HEAD
    + """\
listeners: []
"""
    + LOG,
    "retry all": HEAD
    + """\
tasks:
  - id: a
    type: T.log.Log
    message: x
    retry: {type: exponential, interval: PT1S, maxInterval: PT1M, maxAttempts: 3, delayFactor: 1.5}
""",
    "quoted ints": HEAD
    + """\
tasks:
  - id: a
    type: T.flow.Parallel
    concurrent: "2"
    tasks: [{id: b, type: T.log.Log, message: 5}]
""",
    "ternary": HEAD
    + """\
tasks:
  - id: a
    type: T.log.Log
    message: "{{ (inputs.x ?? 1) > 0 ? 'a' : 'b' }}"
""",
    "shell braces": HEAD
    + """\
tasks:
  - id: a
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {type: T.runner.Process}
    commands:
      - "{% raw %}docker ps --format '{{.Names}}'{% endraw %}"
      - 'for i in 1 2; do echo ${i}; done'
""",
    "python dict": HEAD
    + """\
tasks:
  - id: a
    type: io.kestra.plugin.scripts.python.Script
    taskRunner: {type: T.runner.Process}
    script: |
      d = {'a': {'b': 1}}
      print(f"{d['a']}")
      secrets = d
""",
    "switch bool keys": HEAD
    + """\
tasks:
  - id: s
    type: T.flow.Switch
    value: "{{ true }}"
    cases:
      true: [{id: a, type: T.log.Log, message: x}]
      1: [{id: b, type: T.log.Log, message: x}]
    defaults: [{id: c, type: T.log.Log, message: x}]
""",
    "subflow outputs": HEAD
    + """\
tasks:
  - {id: s, type: T.flow.Subflow, namespace: x, flowId: y}
  - {id: l, type: T.log.Log, message: "{{ outputs.s.outputs.whatever }}"}
""",
    "empty variables": HEAD
    + """\
variables: {}
"""
    + LOG,
    "null description": HEAD
    + """\
description:
"""
    + LOG,
    "plugin defaults": HEAD
    + """\
pluginDefaults:
  - type: T.log
    values: {level: WARN}
  - {type: T.log.Log, forced: true, values: {message: y}}
"""
    + LOG,
    "kv and files": HEAD
    + """\
tasks:
  - {id: l, type: T.log.Log, message: "{{ kv('a') }} {{ read('x.txt') }} {{ globals.x ?? '' }} {{ envs.home ?? '' }}"}
""",
    "concurrency": HEAD
    + """\
concurrency: {limit: 3, behavior: CANCEL}
"""
    + LOG,
    "sla": HEAD
    + """\
sla:
  - {id: s, type: MAX_DURATION, duration: PT1H, behavior: NONE, labels: {x: y}}
"""
    + LOG,
    "checks": HEAD
    + """\
inputs: [{id: n, type: INT, defaults: 1}]
checks:
  - {condition: "{{ inputs.n > 0 }}", message: no}
"""
    + LOG,
    "deep dot inputs": HEAD
    + """\
inputs: [{id: a.b, type: STRING, defaults: x}, {id: a.c, type: INT, defaults: 1}]
tasks:
  - {id: l, type: T.log.Log, message: "{{ inputs.a.b }}"}
""",
    "wd": HEAD
    + """\
tasks:
  - id: w
    type: T.flow.WorkingDirectory
    namespaceFiles: {enabled: true}
    inputFiles: {a.txt: hi}
    tasks:
      - {id: s, type: io.kestra.plugin.scripts.shell.Commands, taskRunner: {type: T.runner.Process}, commands: [ls]}
""",
    "task with dots list": HEAD
    + """\
tasks:
  - id: a
    type: T.log.Log
    message:
      - one
      - "{{ flow.id }}"
""",
    "pause inputs": HEAD
    + """\
tasks:
  - id: p
    type: T.flow.Pause
    onResume: [{id: ok, type: BOOL, defaults: true}]
    pauseDuration: PT1H
    behavior: FAIL
  - {id: l, type: T.log.Log, message: "{{ outputs.p.onResume.ok }}"}
""",
    "item named input": HEAD
    + """\
inputs: [{id: file, type: STRING, defaults: x}]
tasks:
  - {id: l, type: T.log.Log, message: "{% for file in ['a'] %}{{ file }}{% endfor %}"}
""",
    "http templated": HEAD
    + """\
tasks:
  - id: r
    type: T.http.Request
    uri: "{{ envs.base ?? 'https://x.test' }}/a"
    method: POST
    contentType: application/json
    body: |
      {"a": "{{ flow.id }}", "n": {{ 1 }}}
""",
    "response condition": HEAD
    + """\
tasks:
  - {id: log, type: T.log.Log, message: hi}
triggers:
  - id: t
    type: T.http.Trigger
    uri: https://x.test
    responseCondition: "{{ response.statusCode == 200 and response.body.ok }}"
""",
    "timeouts": HEAD
    + """\
tasks:
  - {id: l, type: T.log.Log, message: x, timeout: "{{ vars.t ?? 'PT1M' }}"}
""",
    "if chain": HEAD
    + """\
tasks:
  - id: i
    type: T.flow.If
    condition: "{{ false }}"
    then: [{id: a, type: T.debug.Return, format: x}]
    else: [{id: b, type: T.debug.Return, format: x}]
  - {id: l, type: T.log.Log, message: "{{ outputs.a.value ?? outputs.b.value }}"}
""",
    "flow in vars deep": HEAD
    + """\
variables:
  a:
    b: [1, 2, {c: '{{ flow.id }}'}]
"""
    + LOG,
    "number namespace part": """\
id: f-1.2
namespace: a.1-b_c
"""
    + LOG,
    "octal and times": HEAD
    + """\
variables: {t: 12:30:00, o: 010, d: 2026-01-01, y: yes, n: no}
"""
    + LOG,
    "labels of the execution that is watched": HEAD
    + LOG
    + """\
triggers:
  - id: after
    type: T.trigger.Flow
    when: "{{ labels.env == 'production' }}"
    preconditions:
      id: some
      where:
        - id: one
          filters: [{field: EXPRESSION, type: IS_TRUE, value: "{{ labels.some == 'label' }}"}]
""",
    "workers of newer flows": HEAD
    + """\
workerSelector: {tags: [gpu], fallback: WAIT}
tasks:
  - {id: log, type: T.log.Log, message: hi, workerSelector: {tags: [gpu]}}
triggers:
  - {id: daily, type: T.trigger.Schedule, cron: "@daily", workerSelector: {tags: [gpu]}}
""",
    "templates where a word is expected": HEAD
    + """\
inputs: [{id: a, type: STRING, defaults: RESUME}, {id: b, type: BOOL, defaults: true}]
tasks:
  - {id: ask, type: T.flow.Pause, pauseDuration: PT1H, behavior: "{{ inputs.a }}"}
  - {id: sub, type: T.flow.Subflow, namespace: a.b, flowId: "{{ inputs.a }}", inheritLabels: "{{ inputs.b }}"}
""",
    "blocks with nothing in them": HEAD
    + """\
labels:
inputs:
variables:
outputs:
pluginDefaults:
checks:
sla:
tasks:
  - id: choose
    type: T.flow.Switch
    value: "{{ flow.id }}"
    cases:
      f: [{id: log, type: T.log.Log, message: hi}]
    defaults:
    errors:
  - {id: ask, type: T.flow.Pause, onResume: }
  - id: dag
    type: T.flow.Dag
    tasks:
      - task: {id: first, type: T.log.Log, message: hi}
        dependsOn:
errors:
  # - {id: tell, type: T.log.Log, message: failed}
finally:
afterExecution:
triggers:
""",
    "durations in small letters, as Java reads them": """\
id: f
namespace: a.b
sla: [{id: s, type: MAX_DURATION, duration: pt1h, behavior: CANCEL}]
tasks:
  - id: folder
    type: T.flow.WorkingDirectory
    cache: {ttl: PT5m, patterns: ["*.txt"]}
    retry: {type: constant, interval: pt10s, maxDuration: PT1h}
    tasks:
      - {id: log, type: T.log.Log, timeout: pt1m, message: "{{ workerTaskrun }} {{ workerTaskrun.id }}"}
""",
    "what belongs to a connection, or to tasks beside it": HEAD
    + """\
tasks:
  - id: sync
    type: io.kestra.plugin.airbyte.cloud.jobs.Sync
    clientId: one
    clientSecret: "{{ secret('AIRBYTE') }}"
    tokenURL: https://airbyte.example.com/token
    connectionId: c
  - id: search
    type: io.kestra.plugin.elasticsearch.Search
    connection: {hosts: ["https://es.example.com"], targetServerVersion: 9}
    request: {query: {match_all: {}}}
  - id: pods
    type: io.kestra.plugin.kubernetes.kubectl.Get
    resourceType: pods
    waitUntilRunning: PT1M
    waitRunning: PT1M
  - id: pod
    type: io.kestra.plugin.kubernetes.core.PodCreate
    waitUntilReady: PT1M
    spec: {containers: [{name: one, image: alpine}]}
""",
    "line ends of another system": (HEAD + LOG).replace("\n", "\r\n"),
    "JSON": '{"id": "f", "namespace": "a.b", "tasks": [{"id": "a", "type": "T.log.Log", "message": "x"}]}',
}


@pytest.mark.parametrize("name", FLOWS)
def test_nothing_is_said(name):
    assert check(FLOWS[name].replace("T.", "io.kestra.plugin.core."), catalogue(), "") == []


def test_what_has_no_effect_any_more_is_no_error():
    run = "{id: run, type: io.kestra.plugin.docker.Run, containerImage: alpine, warningOnStdErr: false}"
    [found] = check(f"{HEAD}tasks:\n  - {run}\n", catalogue(), "")
    assert (found.code, found.severity) == ("old-property", "warning")


def test_what_is_not_served_is_told_as_that():
    task = "{id: run, type: io.kestra.plugin.fs.ssh.Command, host: h, proxyCommand: nc %h %p, commands: [id]}"
    [found] = check(f"{HEAD}tasks:\n  - {task}\n", catalogue(), "")
    assert (found.code, found.severity) == ("not-served", "warning")


def test_so_is_what_stands_in_a_part_of_a_task():
    connection = "{trustStoreFile: a.jks, trustStorePassphrase: x, oauthTokenProvider: {task: 1}}"
    task = f"{{id: get, type: io.kestra.plugin.kubernetes.kubectl.Get, resourceType: pod, connection: {connection}}}"
    found = check(f"{HEAD}tasks:\n  - {task}\n", catalogue(), "")
    assert [(one.code, one.path) for one in found] == [
        ("not-served", "tasks[0].connection.trustStoreFile"),
        ("not-served", "tasks[0].connection.oauthTokenProvider"),
    ]
