"""`parley schema` and `parley plugins`: what the language offers."""

import json
import sys
from pathlib import Path

from engine.core.flow_schema import flow_schema
from engine.tasks import catalogue


def print_schema(out: Path | None) -> None:
    """Write the JSON Schema of flows to a file or stdout."""
    text = json.dumps(flow_schema(catalogue()), separators=(",", ":"), ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")


def print_types(as_json: bool) -> None:
    """List types with their first sentence of documentation and their other names."""
    registry = catalogue()
    rows = []
    for name in sorted(registry.canonical_names()):
        cls = registry.resolve({"type": name})
        about = (cls.__doc__ or "").strip().splitlines()[0]
        rows.append({"type": name, "about": about, "aliases": [alias for alias in cls.type_names() if alias != name]})
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return
    for row in rows:
        sys.stdout.write(f"{row['type']}\n    {row['about']}\n")
