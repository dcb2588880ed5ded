"""taskCache: what a task handed on comes again, while the same is asked of it."""

from datetime import timedelta

import pytest

from engine.core.state import State
from tests.runtime.marks import marks

MARK = """
inputs:
  - {id: say, type: STRING, defaults: hello}
tasks:
  - {id: mark, type: tests.Mark, text: "{{ inputs.say }}", taskCache: {enabled: true, ttl: PT1H}}
  - {id: told, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.mark.text }}"}
"""


def marked(settings):
    return [line.partition(" ")[2] for line in marks(settings.data)]


async def test_what_was_asked_before_is_not_done_again_until_its_time_is_over(deploy, run, engine, settings, clock):
    await deploy(MARK)
    for say, done in (("hello", 1), ("hello", 1), ("bye", 2), ("hello", 2)):
        ended = await run({"say": say})
        assert ended.state is State.SUCCESS
        assert next(iter(ended.task_runs.values())).outputs == {"text": say}
        assert len(marked(settings)) == done
        assert say in [line.message for line in await engine.logs(ended.id)]
    clock.jump(timedelta(hours=2))
    await run({"say": "hello"})
    assert marked(settings) == ["hello", "bye", "hello"]


async def test_the_values_of_a_loop_are_told_apart_and_a_switched_off_cache_keeps_nothing(deploy, run, settings):
    await deploy("""
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks:
      - {id: mark, type: tests.Mark, taskCache: {}}
  - {id: plain, type: tests.Mark, text: plain, taskCache: {enabled: false}}
""")
    await run()
    await run()
    assert marked(settings) == ["mark", "mark", "plain", "plain"]


async def test_what_failed_or_changed_the_execution_is_not_kept(deploy, run, engine):
    await deploy("""
tasks:
  - {id: labels, type: io.kestra.plugin.core.execution.Labels, labels: {team: red}, taskCache: {enabled: true}}
  - id: fails
    type: io.kestra.plugin.core.execution.Assert
    conditions: ["{{ kv('there', errorOnMissing=false) == 1 }}"]
    taskCache: {enabled: true}
""")
    for state in (State.FAILED, State.FAILED):
        ended = await run()
        assert ended.state is state
        assert ("team", "red") in ended.labels
    await engine.kv.set("company.team", "there", 1)
    assert (await run()).state is State.SUCCESS


async def test_an_output_whose_file_is_gone_is_made_anew(deploy, run, engine):
    await deploy("""
tasks:
  - {id: write, type: io.kestra.plugin.core.storage.Write, content: hello, taskCache: {enabled: true}}
  - {id: size, type: io.kestra.plugin.core.storage.Size, uri: "{{ outputs.write.uri }}"}
""")

    async def uri():
        ended = await run()
        assert ended.state is State.SUCCESS
        return next(iter(ended.task_runs.values())).outputs["uri"]

    first = await uri()
    assert await uri() == first
    engine.files.path(first).unlink()
    assert await uri() != first


async def test_a_secret_among_kept_outputs_is_encrypted(deploy, run, engine, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_TOKEN", "correct-horse-battery")
    await deploy("""
tasks:
  - {id: mark, type: tests.Mark, text: "{{ secret('TOKEN') }}", taskCache: {enabled: true}}
  - id: check
    type: io.kestra.plugin.core.execution.Assert
    conditions: ["{{ outputs.mark.text == secret('TOKEN') }}"]
""")
    for _ in range(2):
        assert (await run()).state is State.SUCCESS
    [key] = await engine.kv.keys("company.team", "cache_f_mark_")
    assert "correct-horse" not in (await engine.kv.entry("company.team", key)).value


@pytest.mark.parametrize("text", ["{{ workingDir }}", "{{ taskrun.id }}"])
async def test_what_differs_each_time_is_done_each_time(deploy, run, settings, text):
    await deploy(f'tasks:\n  - {{id: mark, type: tests.Mark, text: "{text}", taskCache: {{enabled: true}}}}\n')
    await run()
    await run()
    assert len(marked(settings)) == 2
