"""Variables of a flow that hold templates: read without `render()` they stand there as they are written."""

from tests.core.language import problems

FLOW = """variables:
  day: "{{{{ trigger.date | date('yyyy-MM-dd') }}}}"
  file: "{{{{ vars.day }}}}.csv"
  place: here
tasks:
  - {{id: said, type: io.kestra.plugin.core.log.Log, message: "{message}"}}{more}
"""


def said(message: str, more: str = "") -> list[tuple[str, str, str]]:
    text = FLOW.format(message=message, more=more)
    return [(one.severity, one.path, one.suggestion) for one in problems(text) if one.code == "not-rendered"]


def test_a_variable_that_is_not_rendered_is_a_hint_told_once():
    assert said("{{ vars.day }} {{ vars.day }} {{ vars.place }} {{ vars.file | upper }}") == [
        ("hint", "tasks[0].message", "Write `render(vars.day)`."),
        ("hint", "tasks[0].message", "Write `render(vars.file)`."),
    ]


def test_what_is_rendered_or_may_be_set_meanwhile_is_none():
    assert said("{{ render(vars.file) }} {{ vars.place }}") == []
    assert said("{{ render(vars.day ~ vars.file) }}") == []
    sets = "\n  - {id: set, type: io.kestra.plugin.core.execution.SetVariables, variables: {day: x}}"
    assert said("{{ vars.day }}", sets) == []


def test_templates_of_other_tools_are_left_as_they_are():
    text = FLOW.format(message="{{ vars.play }} {{ vars.day }} {{ vars.both }}", more="")
    text = text.replace(
        "variables:", "variables:\n  play: 'echo {{ result.stdout }}'\n  both: '{{ result }} {{ flow.id }}'"
    )
    found = [one.suggestion for one in problems(text) if one.code == "not-rendered"]
    assert found == ["Write `render(vars.day)`.", "Write `render(vars.both)`."]


def test_one_that_is_read_in_many_places_is_told_once_with_them():
    more = "".join(
        f'\n  - {{id: s{n}, type: io.kestra.plugin.core.log.Log, message: "{{{{ vars.day }}}}"}}' for n in range(5)
    )
    text = FLOW.format(message="{{ vars.file }}", more=more)
    found = [(one.path, one.message) for one in problems(text) if one.code == "not-rendered"]
    said = "`vars.day` holds a template, which stands here as it is written"
    assert found == [
        ("tasks[0].message", "`vars.file` holds a template, which stands here as it is written."),
        (
            "tasks[1].message",
            f"{said}; so it does in `tasks[2].message`, `tasks[3].message`, `tasks[4].message` and 1 more.",
        ),
    ]
