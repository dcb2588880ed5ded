"""Entries of directories, and changes to them, as LDIF (RFC 2849) and as rows."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.plugin import TaskFailed

Record = dict[str, Any]
"""`dn` and `attributes`; or `dn`, `changeType` and what belongs to it. Values are text, or `{"base64": …}`."""

RENAMES = ("moddn", "modrdn")
OPERATIONS = ("add", "delete", "replace", "increment")
SAFE = re.compile(r"(?![ :<])[\x01-\x09\x0b\x0c\x0e-\x7f]*(?<! )")


def records_of(text: str) -> Iterator[Record]:
    """The records of a file; TaskFailed names the line that is none."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        if line.startswith(" ") and lines:
            lines[-1] = (lines[-1][0], lines[-1][1] + line[1:])
        else:
            lines.append((number, line))
    block: list[tuple[int, str]] = []
    for number, line in [*lines, (0, "")]:
        if line.startswith("#"):
            continue
        if line.strip():
            block.append((number, line))
        elif block:
            if re.match(r"version:\s*1\s*$", block[0][1]):
                block = block[1:]
            if block:
                yield _record(block)
            block = []


def ldif_of(records: Iterable[Mapping[str, Any]]) -> str:
    """Records as LDIF, a blank line between them; TaskFailed when one is none."""
    return "\n".join("".join(f"{line}\n" for line in _lines(record)) for record in records)


def name_of(value: Any) -> str:
    """The name of an entry: bytes in it that are no UTF-8 stand as `\\XX` (RFC 4514, 2.4)."""
    if not isinstance(value, Mapping):
        return str(value)
    text = raw_of(value).decode("utf-8", "surrogateescape").replace("\0", "\\00")
    return re.sub("[\udc80-\udcff]", lambda found: f"\\{ord(found[0]) - 0xDC00:02X}", text)


def value_of(raw: bytes) -> Any:
    """A value as rows hold it."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}
    return {"base64": base64.b64encode(raw).decode()} if "\0" in text else text


def raw_of(value: Any) -> bytes:
    """A value as directories hold it; TaskFailed when it is none."""
    if isinstance(value, Mapping) and isinstance(value.get("base64"), str):
        return _decoded(value["base64"])
    if isinstance(value, bool):
        return b"TRUE" if value else b"FALSE"
    if isinstance(value, str | int | float):
        return str(value).encode()
    raise TaskFailed(f"{value!r} is no value of a directory.", fix='Give text, or {"base64": "…"}.')


def _record(block: list[tuple[int, str]]) -> Record:
    (number, line), *rest = block
    name, value = _pair(number, line)
    if name.lower() != "dn":
        raise TaskFailed(f"Line {number}: {line[:80]!r} begins no entry.", fix="An entry begins with `dn: …`.")
    found: Record = {"dn": name_of(value)}
    if rest and _pair(*rest[0])[0].lower() == "control":
        raise TaskFailed(f"Line {rest[0][0]}: controls are not supported.", fix="Take them out.")
    if not rest or _pair(*rest[0])[0].lower() != "changetype":
        return {**found, "attributes": _attributes(rest)}
    kind, rest = str(_pair(*rest[0])[1]).lower(), rest[1:]
    found["changeType"] = "moddn" if kind in RENAMES else kind
    if kind == "add":
        return {**found, "attributes": _attributes(rest)}
    if kind == "modify":
        return {**found, "modifications": list(_modifications(rest))}
    if kind in RENAMES:
        told = {name.lower(): name_of(value) for name, value in (_pair(*one) for one in rest)}
        if "newrdn" not in told:
            raise TaskFailed(f"Line {number}: {found['dn']} gets no new name.", fix="Write `newrdn: …`.")
        place = {"newsuperior": told["newsuperior"]} if told.get("newsuperior") else {}
        return {**found, "newDn": {"newrdn": told["newrdn"], "deleteoldrdn": told.get("deleteoldrdn") == "1", **place}}
    if kind != "delete":
        raise TaskFailed(f"Line {number}: there is no change {kind!r}.", fix="It is add, modify, delete or moddn.")
    return found


def _attributes(lines: list[tuple[int, str]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in lines:
        name, value = _pair(*one)
        found.setdefault(name, []).append(value)
    return found


def _modifications(lines: list[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    current: dict[str, Any] | None = None
    for number, line in lines:
        if line.strip() == "-":
            if current is not None:
                yield current
            current = None
            continue
        name, value = _pair(number, line)
        if current is None:
            if name.lower() not in OPERATIONS:
                raise TaskFailed(f"Line {number}: there is no change {name!r}.", fix="It is add, delete or replace.")
            current = {"operation": name.upper(), "attribute": str(value), "values": []}
        else:
            current["values"].append(value)
    if current is not None:
        yield current


def _pair(number: int, line: str) -> tuple[str, Any]:
    name, colon, rest = line.partition(":")
    if not colon or rest.startswith("<"):  # a file or an address to read is not for us to open
        raise TaskFailed(f"Line {number}: {line[:80]!r} is no attribute.", fix="Write it as `name: value`.")
    if rest.startswith(":"):
        return name.strip(), value_of(_decoded(rest[1:].strip()))
    return name.strip(), rest.lstrip(" ")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise TaskFailed(f"{text[:40]!r} is not Base64: {error}.") from error


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(record, Mapping) or not isinstance(record.get("dn"), str):
        raise TaskFailed(
            f"{str(record)[:80]!r} is no entry.", fix="A row needs `dn`, and `attributes` or `changeType`."
        )
    yield _line("dn", record["dn"])
    kind = str(record.get("changeType") or "").lower()
    if kind not in ("", "add", "modify", "delete", *RENAMES):
        raise TaskFailed(f"{record['dn']}: there is no change {kind!r}.", fix="It is add, modify, delete or moddn.")
    if kind:
        yield f"changetype: {kind}"
    if kind == "modify":
        for change in _given(record, "modifications", list):
            if not isinstance(change, Mapping):
                raise TaskFailed(f"{record['dn']}: {str(change)[:80]!r} is no change.", fix="Give maps.")
            operation, name = str(change.get("operation")).lower(), str(change.get("attribute"))
            if operation not in OPERATIONS:
                raise TaskFailed(f"There is no change {operation!r}.", fix="It is ADD, DELETE or REPLACE.")
            yield _line(operation, name)
            yield from (_line(name, value) for value in _several(change.get("values")))
            yield "-"
    elif kind in RENAMES:
        told = _given(record, "newDn", Mapping)
        yield _line("newrdn", told.get("newrdn", ""))
        yield f"deleteoldrdn: {int(bool(told.get('deleteoldrdn')))}"
        if told.get("newsuperior"):
            yield _line("newsuperior", told["newsuperior"])
    elif kind != "delete":
        for name, values in _given(record, "attributes", Mapping).items():
            yield from (_line(str(name), value) for value in _several(values))


def _given(record: Mapping[str, Any], name: str, kind: type) -> Any:
    found = record.get(name) or ([] if kind is list else {})
    if not isinstance(found, kind):
        raise TaskFailed(f"{record['dn']}: `{name}` is no {'list' if kind is list else 'map'}: {str(found)[:80]!r}.")
    return found


def _several(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [] if values is None else [values]


def _line(name: str, value: Any) -> str:
    raw = raw_of(value)
    text = raw.decode("ascii", errors="replace")
    if not re.fullmatch(r"[\w;.-]+", name, re.ASCII):
        raise TaskFailed(f"{name!r} is no name of an attribute.")
    if raw.isascii() and SAFE.fullmatch(text):
        return f"{name}: {text}"
    return f"{name}:: {base64.b64encode(raw).decode()}"
