"""Flows that want too much: each goes to a limit or past it. And two that only want their turn."""

BESIDE = "{id: beside, namespace: n, tasks: [{id: a, type: io.kestra.plugin.core.output.OutputValues, values: {a: b}}]}"
ASKS = "{id: asks, namespace: n, tasks: [{id: ask, type: io.kestra.plugin.core.flow.Pause}]}"
HANGS = """
id: hangs
namespace: n
tasks:
  - id: hang
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {type: io.kestra.plugin.core.runner.Process}
    commands: [sleep infinity]
"""
EACH = """
id: each
namespace: n
inputs: [{id: last, type: INT}]
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{ range(1, inputs.last) }}"
    concurrencyLimit: 0
    tasks: [{id: one, type: io.kestra.plugin.core.debug.Return, format: "{{ taskrun.value }}"}]
"""
LOOP = EACH.replace("id: each", "id: loop").replace("flow.ForEach", "flow.Loop").replace("taskrun.value", "item.value")
ENDLESS = """
id: endless
namespace: n
tasks:
  - id: again
    type: io.kestra.plugin.core.flow.LoopUntil
    condition: "{{ false }}"
    checkFrequency: {interval: PT0S, maxIterations: null}
    tasks: [{id: one, type: io.kestra.plugin.core.debug.Return, format: x}]
"""
PING = """
id: %s
namespace: n
tasks: [{id: deeper, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: %s}]
"""
LARGE = """
id: large
namespace: n
inputs: [{id: size, type: INT}]
tasks:
  - id: large
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {type: io.kestra.plugin.core.runner.Process}
    commands:
      - printf '::{"outputs":{"text":"%s"}}::\\n' "$(head -c {{ inputs.size }} /dev/zero | tr '\\0' x)"
"""
TALKATIVE = """
id: talkative
namespace: n
tasks:
  - id: talk
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {type: io.kestra.plugin.core.runner.Process}
    commands: [seq 10000]
"""
FORKS = """
id: forks
namespace: n
tasks:
  - id: fork
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {type: io.kestra.plugin.core.runner.Process}
    timeout: PT2S
    interpreter: [/bin/bash, -c]
    env: {PIDS: "%s"}
    commands:
      - |
        breed() {
          echo $BASHPID >> "$PIDS"
          if [ "$1" -gt 0 ]; then breed $(($1 - 1)) & breed $(($1 - 1)) & fi
          sleep 1000
        }
        away() {
          setsid bash -c 'echo $$ >> "$PIDS"; sleep 1000' &
          (setsid bash -c 'echo $$ >> "$PIDS"; exec sleep 1000' &)
        }
        away
        env -i PIDS="$PIDS" setsid bash -c 'echo $$ >> "$PIDS"; sleep 1000' &
        breed 4
"""
