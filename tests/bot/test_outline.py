"""What comes before and after a step, read from flows as the parser gives them."""

from bot.cards.outline import continues_with, find, message_before, message_text, places
from engine.core.flow_source import load
from engine.tasks import catalogue
from tests.shared import seed

NESTED = """
id: nested
namespace: a.b
tasks:
  - id: outer
    type: io.kestra.plugin.core.flow.Sequential
    tasks:
      - id: each
        type: io.kestra.plugin.core.flow.ForEach
        values: [1, 2]
        tasks:
          - {id: wait, type: io.kestra.plugin.core.flow.Pause}
      - id: route
        type: io.kestra.plugin.core.flow.Switch
        value: x
        cases:
          a: [{id: one, type: io.kestra.plugin.core.log.Log, message: x}]
        defaults: [{id: two, type: io.kestra.plugin.core.log.Log, message: x}]
  - id: graph
    type: io.kestra.plugin.core.flow.Dag
    tasks:
      - task: {id: inner, type: io.kestra.plugin.core.log.Log, message: x}
  - {id: last, type: io.kestra.plugin.core.flow.Pause}
errors:
  - {id: mourn, type: io.kestra.plugin.core.log.Log, message: x}
"""


def test_the_seeds_approval_continues_with_its_then_branch_and_shows_the_message_before():
    flow = load(seed("gen_img_approval.yaml").read_text(), catalogue())
    assert continues_with(flow, "wait_for_approval") == "try_again → approved"
    assert message_before(flow, "wait_for_approval").startswith("Are you happy with the image")
    assert message_before(flow, "gen_img") is None


def test_every_task_is_found_however_deep():
    flow = load(NESTED, catalogue())
    names = [place.task.id for place in places(flow)]
    assert names == ["outer", "each", "wait", "route", "one", "two", "graph", "inner", "last", "mourn"]
    assert [parent.task.id for parent in find(flow, "wait").parents] == ["outer", "each"]
    assert find(flow, "nobody") is None


def test_what_follows_lies_beside_or_above():
    flow = load(NESTED, catalogue())
    assert continues_with(flow, "wait") == "route"
    assert continues_with(flow, "one") == "graph"
    assert continues_with(flow, "last") == ""
    assert continues_with(flow, "nobody") == ""


def test_the_text_of_a_payload_is_its_readable_part():
    assert message_text('{"text": "hello", "blocks": []}') == "hello"
    assert message_text({"content": "hi"}) == "hi"
    assert message_text("{ not json") == "{ not json"
    assert message_text(None) == ""
