"""What the summary of an execution says, from its own `errors` and from a flow that listens to it."""

import pytest

from tests.runtime.test_executions import until
from tests.wire.slack_webhook import slack_webhook

__all__ = ["slack_webhook"]

FAILS = """
tasks:
  - {id: fine, type: io.kestra.plugin.core.debug.Return, format: x}
  - {id: breaks, type: io.kestra.plugin.core.execution.Fail}
errors:
  - {id: alert, type: io.kestra.plugin.slack.notifications.SlackExecution, url: "URL"}
  - {id: after, type: io.kestra.plugin.core.debug.Return, format: y}
"""
HEARS = """
tasks:
  - id: alert
    type: io.kestra.plugin.slack.notifications.SlackExecution
    url: "URL"
    executionId: "{{ trigger.executionId }}"
triggers:
  - {id: hear, type: io.kestra.plugin.core.trigger.Flow, dependsOn: [{states: [FAILED]}]}
"""


@pytest.mark.parametrize("who", ["own", "other"])
async def test_a_summary_names_the_task_that_failed_first_and_the_last(engine, deploy, run, slack_webhook, who):
    """As Kestra's newest does, also while the handlers of `errors` are at work."""
    await deploy(FAILS.replace("URL", slack_webhook.url), "fails")
    if who == "other":
        await deploy(HEARS.replace("URL", slack_webhook.url), "hears")
    await run(flow_id="fails")
    await until(lambda: not engine.is_busy)
    message = slack_webhook.messages[0 if who == "own" else 1]
    state, last = ("RUNNING", "alert") if who == "own" else ("FAILED", "after")
    assert f"fails ➛ {state}*\n> Failed on task `breaks` after " in message["text"]
    told = {field["title"]: field["value"] for field in message["attachments"][0]["fields"]}
    assert (told["Execution Status"], told["Final task ID"]) == (state, last)
