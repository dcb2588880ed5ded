"""The flows of a file: the text of one, or of several with `---` between them, as `kestra flow validate` takes them."""

import re
from dataclasses import dataclass

from engine.core.yaml_text import read
from engine.errors import FlowInvalid

# A line that begins a document of YAML.
_MARK = re.compile(r"^---(?:[ \t]+#[^\n]*|[ \t]*)(?:\n|\Z)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FlowText:
    """What a file says of one flow. `line`, from 1, and `start`, in characters from 0, say where in the file."""

    text: str
    line: int = 1
    start: int = 0

    @property
    def placed(self) -> str:
        """The text behind as many empty lines as the file has before it: what is told about it names the file's."""
        return "\n" * (self.line - 1) + self.text


def flow_texts(text: str) -> tuple[FlowText, ...]:
    """The text of each flow of a file, in order; the file's whole text when it holds one or none."""
    ends = [0, *(mark.end() for mark in _MARK.finditer(text))]
    nexts = [*(mark.start() for mark in _MARK.finditer(text)), len(text)]
    parts = [
        FlowText(text[start:end], text.count("\n", 0, start) + 1, start)
        for start, end in zip(ends, nexts, strict=True)
        if not _is_empty(text[start:end])
    ]
    return tuple(parts) if len(parts) > 1 else (FlowText(text),)


def with_flow(text: str, namespace: str, flow_id: str, new: str) -> str | None:
    """A file's text with a new one for one of its flows; None when it holds other flows, but not this."""
    parts = flow_texts(text)
    there = next((part for part in parts if _is_of(part.text, namespace, flow_id)), None)
    if there is not None and len(parts) > 1:
        rest = text[there.start + len(there.text) :]
        return text[: there.start] + (new if new.endswith("\n") or not rest else f"{new}\n") + rest
    return new if there is not None or (len(parts) == 1 and _name(text) is None) else None


def flow_text(text: str, namespace: str, flow_id: str) -> FlowText:
    """What a file says of one flow; all that the file says when none of its flows is this."""
    return next((part for part in flow_texts(text) if _is_of(part.text, namespace, flow_id)), FlowText(text))


def _is_empty(text: str) -> bool:
    lines = text.removeprefix("\ufeff").split("\n")
    return all(not line.strip() or line.lstrip().startswith("#") or line.startswith(("%", "...")) for line in lines)


def _is_of(text: str, namespace: str, flow_id: str) -> bool:
    name = _name(text)
    if name is not None:
        return name == (namespace, flow_id)
    said = (("namespace", namespace), ("id", flow_id))  # the text is broken, so what it seems to say has to do
    return all(re.search(rf"^{key}:[ \t]*[\"']?{re.escape(one)}(?![\w.-])", text, re.MULTILINE) for key, one in said)


def _name(text: str) -> tuple[str, str] | None:
    """Namespace and id of a text that can be read and is a flow."""
    try:
        document = read(text)
    except FlowInvalid:
        return None
    if not isinstance(document, dict) or "tasks" not in document:
        return None
    return str(document.get("namespace")), str(document.get("id"))
