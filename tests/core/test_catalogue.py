import ast
import inspect
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from typing import Literal

import pytest

from engine import tasks
from engine.core.conditions import Condition
from engine.core.registry import Registry
from engine.core.task import Task, Typed
from engine.core.yaml_text import plain, read
from engine.errors import UnknownTaskType
from engine.tasks import catalogue, declared, places, renamed


class Echo(Task):
    """Says what it hears."""

    type: Literal["company.Echo", "company.old.Echo"]


def test_every_type_that_the_source_names_is_the_class_it_says():
    found = places()
    assert found
    for name in found:
        cls = catalogue().find(name)
        assert cls is not None
        assert name in cls.type_names()
        assert found[name].endswith(f":{cls.__name__}")


def test_every_class_with_a_type_is_in_the_catalogue():
    catalogue().classes()

    def concrete(cls: type[Typed]) -> list[type[Typed]]:
        below = [found for derived in cls.__subclasses__() for found in concrete(derived)]
        return [*([cls] if cls.type_names() else []), *below]

    ours = [cls for cls in concrete(Typed) if cls.__module__.startswith("engine.tasks.")]
    assert ours
    for cls in ours:
        for name in cls.type_names():
            assert catalogue().find(name) is cls or not name.endswith(f".{cls.__name__}"), name


def test_the_outputs_a_flow_may_read_are_those_of_what_run_returns():
    """Validation goes by the annotation: a narrower class that is returned has outputs it would call unknown."""
    tried = 0
    for cls in catalogue().classes():
        run = vars(cls).get("run")
        if run is None:
            continue
        tree, annotated = (
            ast.parse(textwrap.dedent(inspect.getsource(run))),
            str(inspect.signature(run).return_annotation),
        )
        returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
        made = [value.func.id for value in returned if isinstance(value, ast.Call) and isinstance(value.func, ast.Name)]
        for name in made:
            tried += 1
            assert not name[0].isupper() or name in annotated, f"{cls.__name__}.run returns a {name}"
    assert tried


def test_reading_the_catalogue_imports_no_task():
    code = (
        "import sys, engine.tasks as t; t.catalogue().names();"
        "print([name for name in sys.modules if name.startswith('engine.tasks.') and 'everyday' not in name])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_resolving_every_type_imports_no_service_sdk():
    code = (
        "import sys, engine.tasks as t; t.catalogue().classes();"
        "heavy = {'openai', 'google.genai', 'ollama', 'docker', 'git', 'discord', 'slack_bolt', 'sqlalchemy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("io.kestra.plugin.notifications.telegram.TelegramSend", "io.kestra.plugin.telegram.TelegramSend"),
        ("io.kestra.plugin.notifications.slack.SlackExecution", "io.kestra.plugin.slack.notifications.SlackExecution"),
        ("io.kestra.plugin.notifications.mail.MailSend", "io.kestra.plugin.email.MailSend"),
        ("io.kestra.plugin.langchain4j.ChatCompletion", "io.kestra.plugin.ai.completion.ChatCompletion"),
        ("io.kestra.plugin.langchain4j.provider.OpenAI", "io.kestra.plugin.ai.provider.OpenAI"),
        ("io.kestra.plugin.fs.http.Request", "io.kestra.plugin.core.http.Request"),
        ("io.kestra.core.tasks.flows.If", "io.kestra.plugin.core.flow.If"),
        ("io.kestra.plugin.core.condition.WeekendCondition", "io.kestra.plugin.core.condition.Weekend"),
        ("io.kestra.plugin.core.log.Log", None),
    ],
)
def test_a_family_that_moved(old, new):
    assert renamed(old) == new


def test_a_source_names_its_types():
    source = (
        'class A(Task):\n    type: Literal[\n        "x.A",\n        "y.A",\n    ]\n\n\nclass B(Part):\n    type: str\n'
    )
    assert list(declared(source)) == [("A", ["x.A", "y.A"])]


@pytest.mark.parametrize(
    ("name", "example"),
    [(cls.type_names()[0], example) for cls in catalogue().classes() for example in cls.examples],
)
def test_an_example_is_one_that_works(name, example):
    declared = plain(read(textwrap.dedent(example)))
    cls = catalogue().resolve(declared)
    part = cls.model_validate(declared, context={"registry": catalogue(), "source": True}, by_name=False, by_alias=True)
    assert isinstance(part, Condition) or getattr(part, "id", "no id at all")
    assert name in example


def test_an_unknown_type_names_the_nearest():
    registry = Registry([Echo])
    assert registry.resolve({"type": "company.old.Echo"}) is Echo
    assert registry.canonical("company.old.Echo") == "company.Echo"
    with pytest.raises(UnknownTaskType, match=r"Did you mean 'company\.Echo'"):
        registry.resolve({"type": "company.Ecko"})
    with pytest.raises(UnknownTaskType, match="parley plugins"):
        registry.resolve({"type": "nothing.Like.This"})


def test_types_of_others_come_from_entry_points(monkeypatch):
    asked = []

    def entry_points(group):
        asked.append(group)
        return [EntryPoint("echo", "tests.core.test_catalogue:Echo", group)]

    monkeypatch.setattr(tasks, "entry_points", entry_points)
    registry = Registry(places=places(), rename=renamed, plugins=tasks._third_party)
    assert registry.find("io.kestra.plugin.core.log.Log") is not None
    assert asked == []
    assert registry.find("company.old.Echo").__name__ == "Echo"
    assert registry.find("company.Nothing") is None
    assert asked == ["parley.tasks"]
