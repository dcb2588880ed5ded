"""A flow that asks for everything at once: sixty inputs of every type, three thousand choices, help of five thousand
characters, scripts and emoji where texts are cut; with what a person answers, and what the run must then have."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
FLAG = "\U0001f1e9\U0001f1ea"
HEBREW = "שלום עולם, זה שדה חשוב"
ARABIC = "مرحبا بالعالم"
HELP = f"Say it all. {HEBREW}. {FAMILY} " * 120
HELP = (HELP + "word " * 1000)[:4990] + " its-end"
CUT_LABEL = "A label that is cut in the midst of " + FAMILY * 4  # displayName takes 64 characters
MANY = [f"city-{number:04d}" for number in range(3000)]
MOMENT = datetime(2026, 3, 31, 14, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """One input: how it is declared, what a person gives (None: leaves it), what the run has then."""

    id: str
    declared: dict[str, Any]
    given: Any
    wanted: Any
    content: bytes = b""


def _asked(id_: str, type_: str, given: Any, wanted: Any = ..., **declared: Any) -> Asked:
    content = declared.pop("content", b"")
    return Asked(id_, {"id": id_, "type": type_, **declared}, given, given if wanted is ... else wanted, content)


def _kinds(n: int) -> list[Asked]:
    """One round of every type; `n` makes the ids differ."""
    return [
        _asked(f"text{n}", "STRING", f"{ARABIC} {FAMILY} a\\b *x*", description=HELP if n == 0 else "Any text."),
        _asked(f"city{n}", "SELECT", MANY[2999 - n], values=MANY if n == 0 else MANY[-60:], displayName=CUT_LABEL),
        _asked(f"size{n}", "SELECT", "large", values=["small", "large", "huge"], isRadio=True),
        _asked(f"own{n}", "SELECT", "mauve", values=["red", "green"], allowCustomValue=True),
        _asked(f"tags{n}", "MULTISELECT", [f"tag {FLAG} 3", f"tag {FLAG} 29"],
               values=[f"tag {FLAG} {i}" for i in range(30)]),
        _asked(f"few{n}", "MULTISELECT", ["b"], values=["a", "b", "c"], required=False),
        _asked(f"count{n}", "INT", "42", 42, min=1, max=100),
        _asked(f"share{n}", "FLOAT", "0.25", 0.25, min=0.0),
        _asked(f"sure{n}", "BOOLEAN", False),
        _asked(f"loud{n}", "BOOL", True, defaults=False),
        _asked(f"day{n}", "DATE", "2026-03-31", after="2026-01-01"),
        _asked(f"at{n}", "TIME", "14:30", "14:30:00"),
        _asked(f"when{n}", "DATETIME", MOMENT.isoformat(), "2026-03-31T14:30:00Z"),
        _asked(f"long{n}", "DURATION", "1h30m", "PT1H30M"),
        _asked(f"json{n}", "JSON", '{"a": [1, "שלום"]}', {"a": [1, "שלום"]}),
        _asked(f"yaml{n}", "YAML", "a: 1\nb: [x, y]", {"a": 1, "b": ["x", "y"]}),
        _asked(f"list{n}", "ARRAY", ["3", "4"], [3, 4], itemType="INT"),
        _asked(f"link{n}", "URI", "https://example.com/x?a=1&b=2"),
        _asked(f"mail{n}", "EMAIL", "ann@example.com"),
        _asked(f"kept{n}", "STRING", None, f"kept {FAMILY}", defaults=f"kept {FAMILY}"),
    ]  # fmt: skip


FILE = _asked("file", "FILE", "notes.txt", content="a fileשל\n".encode())
FILES = _asked("files", "ARRAY", ["one.txt", "two.txt"], itemType="FILE", content=b"one of several")
WIDE = _asked("wide", "MULTISELECT", [MANY[7], MANY[199]], values=MANY[:200])
EVERY = [*_kinds(0), *_kinds(1), *_kinds(2)[:17], WIDE, FILE, FILES]
DEPENDENT = _asked(
    "why", "STRING", f"since {HEBREW}", dependsOn={"inputs": ["sure0"], "condition": "{{ not inputs.sure0 }}"}
)
ASKED = {one.id: one for one in (*EVERY, DEPENDENT)}


def flow(*, pause: bool = False) -> str:
    """The flow; with `pause` it asks the same when it goes on."""
    inputs = [one.declared for one in (*EVERY, DEPENDENT)]
    tasks: list[dict[str, Any]] = [{"id": "end", "type": "io.kestra.plugin.core.log.Log", "message": "done"}]
    whole: dict[str, Any] = {"id": "monster", "namespace": "company.team", "tasks": tasks}
    if pause:
        tasks.insert(0, {"id": "wait", "type": "io.kestra.plugin.core.flow.Pause", "onResume": inputs})
    else:
        whole["inputs"] = inputs
    return yaml.safe_dump(whole, allow_unicode=True, sort_keys=False)


def check(got: dict[str, Any], read: Any) -> None:
    """The run has what was given; `read` reads a stored file."""
    got = dict(got)
    file = got.pop("file")
    assert read(file) == FILE.content
    assert file.endswith("/notes.txt")
    several = got.pop("files")
    assert [read(one) for one in several] == [FILES.content] * 2
    assert [one.rpartition("/")[2] for one in several] == FILES.given
    wanted = {one.id: one.wanted for one in ASKED.values() if one.id not in ("file", "files")}
    assert {name: got.get(name) for name in wanted} == wanted
