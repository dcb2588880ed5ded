"""The labels a trigger gives to what it starts."""

import logging
from collections.abc import Callable
from typing import Any

from engine.core.labels import SYSTEM, Pairs, read_labels
from engine.errors import ExpressionFailed

log = logging.getLogger(__name__)


def labels_of_trigger(declared: Any, render: Callable[[str], str]) -> Pairs:
    """The labels, rendered, as Kestra's LabelService does: none of the system's, and none whose value is empty or can't
    be rendered, which the log tells."""
    kept = []
    for key, value in read_labels(declared):
        try:
            text = "" if key.startswith(SYSTEM) else render(value)
        except ExpressionFailed as error:
            log.warning("The label %r of a trigger can't be rendered and is left out: %s", key, error)
            continue
        if key and text:
            kept.append((key, text))
    return tuple(kept)
