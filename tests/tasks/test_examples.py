"""Every task class: its docstring, and examples that a flow may hold as they stand."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import engine.tasks
from engine.core.task import Typed
from engine.plugin import RunnableTask
from engine.tasks import catalogue
from engine.tasks.runners import Runner

ROOT = Path(engine.tasks.__file__).parent
OTHERS = ("core/flow", "core/trigger", "core/condition", "scripts/library")


def classes() -> Iterator[type[Typed]]:
    for file in sorted(ROOT.rglob("*.py")):
        path = file.relative_to(ROOT)
        if path.as_posix().startswith(OTHERS) or path.name == "__init__.py":
            continue
        name = ".".join(("engine.tasks", *path.with_suffix("").parts))
        for found in vars(importlib.import_module(name)).values():
            if (
                inspect.isclass(found)
                and found.__module__ == name
                and issubclass(found, RunnableTask | Runner)
                and found.type_names()
            ):
                yield found


ALL = list(classes())


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
