"""What a run of a flow is sure to refuse, or to take for something else, though it can be read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.core.finding import Finding
from engine.core.property import has_template
from engine.core.task import Typed
from engine.core.template_reads import keys
from engine.core.yaml_text import Path

HTTP = "io.kestra.plugin.core.http."  # whose parts ask for one address, and no other kind of it
SET = "io.kestra.plugin.core.kv.Set"
SCHEMES = ("http://", "https://")
_HOST = re.compile(r"(?:[\w-]+\.)+\w+(?:[:/?].*)?|localhost(?:[:/?].*)?")
_KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_TEMPLATE = re.compile(r"\{[{%#]")
_WHOLE = re.compile(r"\s*\{\{([^{}]+)\}\}\s*")


def findings(every: Iterable[tuple[Path, Any]]) -> Iterator[Finding]:
    """What is to be said of the parts of a flow."""
    for path, part in every:
        yield from _address(path, part)
        yield from _key(path, part)
        files = getattr(part, "input_files", None)
        if isinstance(files, list | tuple):
            message, advice = (
                "`inputFiles` should be a mapping, but is a list.",
                "Write `name: text` in each line, without `- `.",
            )
            yield Finding((*path, "inputFiles"), message, "input-file", "warning", advice)
        for name, content in files.items() if isinstance(files, Mapping) else ():
            yield from _file((*path, "inputFiles", name), content)


def _address(path: Path, part: Any) -> Iterator[Finding]:
    """`uri: example.com/x`: an address without its scheme."""
    uri = getattr(part, "uri", None)
    if not isinstance(part, Typed) or not part.type_names()[0].startswith(HTTP) or not isinstance(uri, str):
        return
    start = _TEMPLATE.split(uri)[0].strip().lower()
    if _HOST.fullmatch(start) or ("://" in start and not start.startswith(SCHEMES)):
        advice = f"Write `https://{uri.strip()}`." if "://" not in start else "Begin it with `https://`."
        yield Finding((*path, "uri"), "`uri` is no http or https address.", "address", "warning", advice)


def _key(path: Path, part: Any) -> Iterator[Finding]:
    """`key: my key` of a value that is to be kept."""
    key = getattr(part, "key", None)
    if not isinstance(part, Typed) or part.type_names()[0] != SET or not isinstance(key, str):
        return
    if not has_template(key) and not _KEY.fullmatch(key):
        message = "A key begins with a letter or a digit, and has those, `.`, `_` and `-` alone."
        meant = re.sub(r"[^\w.-]+", "-", key, flags=re.ASCII).strip("-._")
        yield Finding((*path, "key"), message, "key", "warning", f"Write for example `{meant}`." if meant else "")


def _file(path: Path, content: Any) -> Iterator[Finding]:
    """A value of `inputFiles` that is no text, or the text of a map of files."""
    if isinstance(content, dict | list | tuple):
        message = f"`{path[-1]}` is given a list or a map, where the text of the file belongs."
        advice = "Write `|` behind its name: what stands below it is its text, then."
        yield Finding(path, message, "input-file", "warning", advice)
    whole = _WHOLE.fullmatch(content) if isinstance(content, str) else None
    read = keys(whole[1]) if whole else ()
    if read[:1] == ("outputs",) and len(read) > 2 and read[-1] == "outputFiles":
        name = whole[1].strip() if whole else ""
        message = f"`{name}` are all files of that task: the text of their map becomes the file."
        advice = f"Write `{name}['{path[-1]}']` for one of them."
        yield Finding(path, message, "input-file", "hint", advice)
