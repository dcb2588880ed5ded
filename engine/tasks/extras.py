"""Libraries that only some tasks need: installed with an extra of this package, and missed with a sentence."""

import importlib
from typing import Any

from engine.plugin import TaskFailed


def extra(module: str, name: str) -> Any:
    """A library of the extra `name`; TaskFailed says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing(module, name) from error


def missing(module: str, name: str) -> TaskFailed:
    """Says that a library of the extra `name` is not there, and how to install it."""
    return TaskFailed(
        f"The library `{module.partition('.')[0]}` is not installed, which this task needs.",
        fix=f"Install it with `pip install 'parley-bot[{name}]'`.",
    )
