"""What the YAML files in a folder of flows are: flows, and what teams keep beside them."""

import re
from collections.abc import Mapping
from typing import Any

from engine.core.yaml_text import read
from engine.errors import FlowInvalid

FLOW_KEYS = frozenset({"id", "namespace", "tasks"})
_AT_START = re.compile(r"^(id|namespace|tasks)[ \t]*:", re.MULTILINE)


def is_test(document: Any) -> bool:
    """Whether a document is a test of a flow."""
    return isinstance(document, Mapping) and "testCases" in document


def other_than_flow(document: Any) -> str:
    """What a document is that is certainly no flow ("a dashboard"); empty for flows and for what can't be told."""
    if not isinstance(document, Mapping):
        return ""
    kind = document.get("type")
    if "testCases" in document:
        return "a unit test"
    if "tasks" in document:
        return ""
    if "charts" in document:
        return "a dashboard"
    if "layout" in document or (isinstance(kind, str) and kind.startswith("io.kestra.plugin.ee.apps.")):
        return "an app"
    if "apiVersion" in document and "kind" in document:
        return "a Kubernetes manifest"
    return ""


def is_aside(text: str) -> bool:
    """Whether a text holds something else that may lie beside flows, such as a test."""
    try:
        return bool(other_than_flow(read(text)))
    except FlowInvalid:
        return False


def resembles_flow(document: Any) -> bool:
    """Whether a document has at least two of the properties that every flow has."""
    return isinstance(document, Mapping) and len(FLOW_KEYS & document.keys()) > 1


def text_resembles_flow(text: str) -> bool:
    """The same for a text that can't be read as YAML."""
    return len({found[1] for found in _AT_START.finditer(text)}) > 1
