"""Something else in the place of a list: the advice fits what the items of that list are."""

import pytest

from tests.core.language import problems
from tests.core.test_core_types import CORE

SAY = f"tasks:\n  - {{id: say, type: {CORE}.log.Log, message: hi}}\n"
SHELL = "tasks:\n  - id: sh\n    type: io.kestra.plugin.scripts.shell.Commands\n    commands: [ls]\n"


@pytest.mark.parametrize(
    ("text", "path", "advice"),
    [
        (
            f"{SAY}sla:\n  duration: PT1H\n  behavior: FAIL\n",
            "sla",
            "Begin the item with `- `. It lacks `id` and `type`.",
        ),
        (
            f"{SAY}sla:\n  long: {{type: MAX_DURATION, duration: PT1H}}\n",
            "sla",
            "Begin each item with `- `, and give it its id: `- id: long`.",
        ),
        (f"{SAY}checks:\n  condition: '{{{{ true }}}}'\n", "checks", "Begin the item with `- `. It lacks `message`."),
        (f"{SAY}checks:\n  a: {{condition: true, message: no}}\n", "checks", "Begin each item with `- `."),
        (
            f"{SAY}checks: '{{{{ 1 > 0 }}}}'\n",
            "checks",
            "Write each item as a mapping behind `- `, with `condition` and `message`.",
        ),
        ("tasks:\n", "tasks", "Below it, indented, each item stands behind `- `, with `id` and `type`."),
        (f"{SAY}inputs: who\n", "inputs", "Write each item as a mapping behind `- `, with `id` and `type`."),
        (
            f"{SHELL}    outputFiles:\n      out: '*.csv'\n",
            "tasks[0].outputFiles",
            "Write each item as a text behind `- `, without a name.",
        ),
        (f"{SAY}inputs:\n  name:\n    type: STRING\n", "inputs", "and give it its id: `- id: name`."),
        (f"{SAY}inputs:\n  who: STRING\n", "inputs", "give it its id: `- id: who` and below it `type: STRING`."),
    ],
)
def test_what_is_no_list_is_told_how_its_items_are_written(text, path, advice):
    found = [(one.path, one.suggestion) for one in problems(text) if one.severity == "error"]
    assert [where for where, _ in found] == [path]
    assert found[0][1].endswith(advice)
