import json
import re
from typing import Any

import jsonschema
import pytest

from engine.core.flow import Flow
from engine.core.flow_problems import properties
from engine.core.flow_schema import OLDER, flow_schema
from engine.core.task import Task
from engine.core.yaml_text import plain, read
from engine.tasks import MOVED, catalogue
from tests.core.language import source
from tests.shared import seed, shared


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = flow_schema(catalogue())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def complaints(validator: jsonschema.Draft7Validator, text: str) -> list[str]:
    return [f"{list(one.absolute_path)} {one.message}" for one in validator.iter_errors(plain(read(text)))]


@pytest.mark.parametrize(
    "name",
    [
        "check_weather.yaml",
        "add_tasks_to_todoist.yaml",
        "gen_img_approval.yaml",
        "ai-summarize-weekly-git-commits.yaml",
    ],
)
def test_an_editor_finds_nothing_wrong_with_a_seed(validator, name):
    assert complaints(validator, seed(name).read_text(encoding="utf-8")) == []


def test_an_editor_finds_nothing_wrong_with_flows_that_run(validator):
    cases = plain(read(shared("conformance/engine_cases.yaml").read_text(encoding="utf-8")))["cases"]
    flows: list[Any] = [case["flow"] for case in cases if case["kind"] == "run"]
    found = {
        flow["id"]: [f"{list(e.absolute_path)} {e.message[:200]}" for e in validator.iter_errors(flow)]
        for flow in flows
    }
    assert {name: errors for name, errors in found.items() if errors} == {}


def test_an_editor_finds_nothing_wrong_with_the_examples(validator):
    parts: Any = validator.schema["$defs"]
    by_type = {
        name.replace("\\", ""): branch["then"]
        for kind in ("AnyTask", "AnyTrigger", "AnyCondition", "AnyTyped")
        for branch in parts[kind]["allOf"]
        for name in branch["if"]["properties"]["type"]["pattern"].strip("^()$").split("|")
    }
    examples = [plain(read(text)) for cls in catalogue().classes() for text in cls.examples]
    found = [
        f"{example['type']}: {wrong.message[:200]}"
        for example in examples
        for wrong in validator.evolve(schema=by_type[example["type"]]).iter_errors(example)
    ]
    assert len(examples) > 800
    assert found == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tasks:\n  - {id: a, type: io.kestra.plugin.core.http.Request, uri: x, methd: GET}", "'methd' was unexpected"),
        ("tasks:\n  - {id: a, type: io.kestra.plugin.core.http.Request}", "'uri' is a required property"),
        ("tasks:\n  - {id: a, type: io.kestra.plugin.core.http.Requst, uri: x}", "is not valid under any"),
        ("tasks:\n  - {id: a, type: io.kestra.plugin.core.trigger.Schedule, cron: x}", "is not valid under any"),
        ("inputs:\n  - {id: a, type: INT, min: x}", "is not"),
        ("checks:\n  - {message: x}", "is not valid under any"),
        ("foo: 1", "'foo' was unexpected"),
    ],
)
def test_an_editor_finds_mistakes(validator, text, said):
    assert any(said in one for one in complaints(validator, source(text)))


@pytest.mark.parametrize(
    "text",
    [
        "tasks:\n  - {id: a, type: io.kestra.core.tasks.log.Log, message: x, when: '{{ true }}'}",
        "checks:\n  - {when: '{{ true }}', message: x}",
        "labels: [{key: a, value: b}]",
        "labels: {a: 1, b: true}",
        "taskDefaults:\n  - {type: x, values: {a: 1}}",
    ],
)
def test_other_names_and_forms_are_known_to_editors(validator, text):
    assert complaints(validator, source(text)) == []


def test_what_defaults_may_give_is_required_only_without_them(validator):
    text = "tasks:\n  - {id: a, type: io.kestra.plugin.core.flow.Sequential, tasks: [%s]}"
    request = "{id: b, type: io.kestra.plugin.core.http.Request}"
    defaults = "pluginDefaults:\n  - {type: io.kestra.plugin.core.http, values: {uri: x}}\n"
    assert any("'uri' is a required property" in one for one in complaints(validator, source(text % request)))
    assert complaints(validator, source(defaults + text % request)) == []
    wrong = text % request.replace("}", ", methd: GET}")
    assert any("'methd' was unexpected" in one for one in complaints(validator, source(defaults + wrong)))


def test_a_schema_stays_small_and_every_common_property_says_what_it_is():
    schema = flow_schema(catalogue())
    assert len(json.dumps(schema, separators=(",", ":"))) < 6_000 * len(catalogue().classes())
    silent = {
        name
        for definition in schema["$defs"].values()
        for name, one in definition.get("properties", {}).items()
        if "description" not in one and "$ref" not in one and name != "type"
    }
    common = {*properties(Task), *properties(Flow), "url", "uri", "commands", "apiKey", "message", "namespace"}
    assert silent & common == set()


def test_every_family_that_moved_is_valid_by_its_older_name():
    assert [older for older, _ in MOVED if not re.match(OLDER, older)] == []


def test_older_families_are_valid_and_not_proposed(validator):
    types = flow_schema(catalogue())["$defs"]["AnyTaskType"]["anyOf"]
    proposed = [one["const"] for one in types if "const" in one]
    assert "io.kestra.plugin.core.log.Log" in proposed
    assert not [name for name in proposed if name.startswith("io.kestra.core.")]
    for name in ("io.kestra.core.tasks.log.Log", "io.kestra.plugin.notifications.unheard.Of"):
        assert complaints(validator, source(f"tasks:\n  - {{id: a, type: {name}, message: x}}")) == []
