from datetime import timedelta
from typing import Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from engine.core.property import JsonText, Property, ShellText, has_template
from engine.core.registry import Registry
from engine.core.task import AnyTask, AnyTyped, Part, Task, Typed
from engine.errors import TaskFailed


class Message(Part):
    role: str = "USER"
    content: Property[str]


class Auth(Part):
    username: Property[str] | None = None


class Options(Part):
    auth: Auth = Auth()


class Runner(Typed):
    type: Literal["x.Runner"]
    image: Property[str]


class Call(Task):
    type: Literal["x.Call"]
    text: Property[str] = ""
    number: Property[int] = 1
    ratio: Property[float] = 1.0
    flag: Property[bool] = False
    wait: Property[timedelta] | None = None
    method: Property[Literal["GET", "POST"]] = "GET"
    items: Property[list[str]] = Field(default_factory=list)
    env: Property[dict[str, str]] = Field(default_factory=dict)
    payload: JsonText[str] | None = None
    commands: ShellText[list[str]] = Field(default_factory=list)
    messages: list[Message] = Field(default_factory=list)
    typed_messages: Property[list[Message]] = Field(default_factory=list)
    options: Options = Options()
    runner: AnyTyped | None = None
    condition: str | None = None
    then: tuple[AnyTask, ...] = ()


REGISTRY = Registry([Call, Runner])
ANSWERS: dict[str, Any] = {
    "{{ n }}": "5",
    "{{ d }}": "PT26H",
    "{{ l }}": '["a","b"]',
    "{{ m }}": '{"A": "1"}',
    "{{ t }}": "true",
    "{{ u }}": "ann",
}


def call(**properties: Any) -> Call:
    return Call.model_validate({"id": "a", "type": "x.Call", **properties}, context={"registry": REGISTRY})


def render(value: Any, guard: str) -> Any:
    if isinstance(value, dict):
        return {key: render(item, guard) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, guard) for item in value]
    return f"{guard}:{ANSWERS[value]}" if guard != "none" and value in ANSWERS else ANSWERS.get(value, value)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("text", "{{ n }}", "5"),
        ("text", 5, "5"),
        ("text", True, "true"),
        ("number", "{{ n }}", 5),
        ("number", "7", 7),
        ("ratio", "{{ n }}", 5.0),
        ("flag", "{{ t }}", True),
        ("wait", "{{ d }}", timedelta(hours=26)),
        ("wait", "P1D", timedelta(days=1)),
        ("wait", "-PT5S", timedelta(seconds=-5)),
        ("method", "POST", "POST"),
        ("items", "{{ l }}", ["a", "b"]),
        ("items", ["x", "{{ n }}"], ["x", "5"]),
        ("items", [1, True], ["1", "true"]),
        ("env", "{{ m }}", {"A": "1"}),
        ("env", {"DEBUG": True, "N": 1, "X": "{{ n }}"}, {"DEBUG": "true", "N": "1", "X": "5"}),
        ("payload", "{{ n }}", "json:5"),
        ("commands", ["{{ n }}", "ls"], ["shell:5", "ls"]),
        ("condition", "{{ n }}", "{{ n }}"),
    ],
)
def test_a_property_is_its_type_once_rendered(name, given, expected):
    assert getattr(call(**{name: given}).rendered(render), name) == expected


def test_parts_of_parts_are_rendered_but_not_child_tasks():
    child = {"id": "b", "type": "x.Call", "text": "{{ n }}"}
    found = call(
        messages=[{"content": "{{ n }}"}],
        typed_messages=[{"content": "{{ u }}"}],
        options={"auth": {"username": "{{ u }}"}},
        runner={"type": "x.Runner", "image": "{{ u }}"},
        then=[child],
    ).rendered(render)
    assert found.messages == [Message(content="5")]
    assert found.typed_messages == [Message(content="ann")]
    assert found.options.auth.username == "ann"
    assert found.runner == Runner(type="x.Runner", image="ann")
    assert found.then[0].text == "{{ n }}"


def test_what_is_no_template_is_checked_at_once():
    with pytest.raises(ValidationError):
        call(number="abc")
    with pytest.raises(ValidationError):
        call(method="PATCH")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("number", "{{ l }}", '`number` should be a whole number, but is "["a","b"]".'),
        ("wait", "{{ n }}x{{ n }}", "`wait` should be a duration"),
        ("method", "{{ n }}", "`method` should be one of `GET`, `POST`"),
        ("items", "{{ n }}", "`items` should be a list"),
    ],
)
def test_a_rendered_value_of_another_type_fails_the_task_by_name(name, value, said):
    with pytest.raises(TaskFailed) as caught:
        call(**{name: value}).rendered(render)
    assert said in caught.value.message


def test_what_rendering_gave_is_not_taken_for_a_template():
    found = call(text="{{ n }}").rendered(lambda value, guard: "{{ secret('X') }}")
    assert found.text == "{{ secret('X') }}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ a }}", True),
        ("{% if a %}", True),
        ("{ a }", False),
        ({"a": [{"b": "{{ c }}"}]}, True),
        ({"{{ k }}": 1}, True),
        (5, False),
    ],
)
def test_where_a_template_may_stand(value, expected):
    assert has_template(value) is expected


def test_what_is_to_be_json_may_be_yaml():
    assert call(payload={"a": [1, "x"]}).payload == '{"a":[1,"x"]}'
    later = call(payload={"a": "{{ u }}", "b": ["é"]})
    assert later.payload == {"a": "{{ u }}", "b": ["é"]}
    assert later.rendered(render).payload == '{"a":"json:ann","b":["é"]}'
    with pytest.raises(ValidationError):
        call(text={"a": 1})
    assert [one["type"] for one in TypeAdapter(JsonText[str]).json_schema()["anyOf"]] == ["string", "object", "array"]
