"""Every class that a flow can name: its docstring, examples that a flow may hold as they stand, tests that use it."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import engine.tasks
from engine.core.task import Typed
from engine.plugin import RunnableTask
from engine.tasks import catalogue
from engine.tasks.core.flow.template import Template
from engine.tasks.runners import Runner

ROOT = Path(engine.tasks.__file__).parent
OTHERS = ("core/flow", "core/trigger", "core/condition", "scripts/library")


def classes() -> Iterator[type[Typed]]:
    for file in sorted(ROOT.rglob("*.py")):
        path = file.relative_to(ROOT)
        if path.as_posix().startswith(OTHERS):
            continue
        name = ".".join(("engine.tasks", *path.with_suffix("").parts)).removesuffix(".__init__")
        for found in vars(importlib.import_module(name)).values():
            if (
                inspect.isclass(found)
                and found.__module__ == name
                and issubclass(found, RunnableTask | Runner)
                and found.type_names()
            ):
                yield found


ALL = list(classes())
EVERY = catalogue().classes()
TESTS = ROOT.parent.parent / "tests"
OWN = {Path(__file__).name, "test_core_types.py"}  # which list names, and run nothing
WORDS = {
    path: set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    for path in [*TESTS.rglob("*.py"), *TESTS.rglob("*.yaml")]
    if path.name not in OWN
}


def test_there_are_tasks():
    assert len(ALL) > 50


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_the_type_path_is_the_file_path(cls):
    path = cls.__module__.removeprefix("engine.tasks.")
    names = cls.type_names()
    assert any(name.removeprefix("io.kestra.plugin.") == f"{path}.{cls.__name__}" for name in names[:1])
    for name in names:
        assert catalogue().resolve({"type": name}) is cls


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_examples_parse(cls):
    assert (cls.__doc__ or "").strip().endswith(".")
    assert cls.examples, "every class shows how it is used"
    for text in cls.examples:
        declaration = yaml.safe_load(text)
        found = catalogue().resolve(declaration)
        task = found.model_validate(declaration, context={"registry": catalogue()})
        assert issubclass(found, RunnableTask)
        assert isinstance(task, cls) or "taskRunner" in declaration


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.type_names()[0])
def test_nothing_is_without_examples(cls):
    assert cls.examples or cls is Template, "every class shows how it is used"


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.type_names()[0])
def test_nothing_is_without_a_test(cls):
    """A test names the class and its family; those of services do so where the service's own protocol is spoken."""
    names = [tuple(name.split(".")[-2:]) for name in cls.type_names()]
    assert any(family in words and own in words for family, own in names for words in WORDS.values())
