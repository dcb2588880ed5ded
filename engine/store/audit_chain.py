"""The chain under the record of deeds: rows are only ever added, and any change of one shows.

Each row carries the hash of the row before it, and its own hash over all it says. Who did it and with which words lies
in a table beside: a row knows those only by a key, the hash of the text and a salt, so they can be taken out when a
person must be forgotten, but not altered. That, and the removal of old rows, is told by a row of the chain itself.
"""

import json
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    true,
    type_coerce,
)

from engine.store.audit_proof import (
    CHECKPOINT,
    FORGET,
    MARKS,
    Head,
    Marks,
    Trust,
    Verdict,
    canonical,
    check,
    private_key,
    row_hash,
)
from engine.store.chat_tables import audit, audit_private, people, settings
from engine.store.statements import put, serial

END = "audit end"  # the setting that holds the end of the chain, so that rows cut off it are missed
# Details in which nothing stands that a person wrote.
OURS = frozenset({"room", "message", "button", "card", "page", "code", "shown", "policy", "vote", "then", "what"})
AT_ONCE = 500  # keys in one statement
_write, _write_private = insert(audit), insert(audit_private)
_owned = (audit_private.c.owner == bindparam("of"), audit_private.c.content == bindparam("said"))
_known = select(audit_private.c.key).where(*_owned).limit(1)
_end = select(settings.c.value).where(settings.c.name == END)
_ends = select(audit.c.id, audit.c.hash, _end.scalar_subquery().label("noted")).order_by(audit.c.id.desc()).limit(1)


def head(connection: Connection) -> Head:
    """The end of the chain now."""
    row = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).one_or_none()
    return Head(row.id, row.hash) if row else Head()


def append(connection: Connection, facts: Mapping[str, Any] | None = None, **values: Any) -> Head:
    """Add a row behind the last one; on a server, one process at a time until the commit."""
    serial(connection, "audit chain")
    last = end(connection)
    row = {"platform": "", "entity": "", "execution_id": "", "flow": "", "details": "", **values}
    row |= {"id": last.number + 1, "facts": canonical(facts or {}), "prev": last.hash}
    row = {name: _storable(value) for name, value in row.items()}
    row["hash"] = row_hash(row)
    connection.execute(_write, row)
    put(connection, settings, {"name": END, "value": canonical([row["id"], row["hash"]])})
    return Head(row["id"], row["hash"])


def end(connection: Connection) -> Head:
    """What the next row follows: the last one, or one that was noted as such, should that have been cut off."""
    row = connection.execute(_ends).one_or_none()
    return max(Head(row.id, row.hash), _read_end(row.noted), key=lambda one: one.number) if row else _noted(connection)


def _noted(connection: Connection) -> Head:
    """The end of the chain as it was noted with the last row."""
    return _read_end(connection.execute(_end).scalar_one_or_none())


def _read_end(said: str | None) -> Head:
    try:
        number, end = json.loads(said or "[0, null]")
    except (ValueError, TypeError):
        return Head()
    return Head(number, end) if isinstance(number, int) and isinstance(end, str) else Head()


def person_key(connection: Connection, person: str, name: str) -> str:
    """The key that stands for a person under a name; always the same until they are forgotten."""
    content = _storable(canonical({"id": person, "name": name}))
    found: str | None = connection.execute(_known, {"of": person, "said": content}).scalar_one_or_none()
    return found or _keep(connection, person, content)


def details_key(connection: Connection, details: Mapping[str, Any]) -> str:
    """The key of what was said or given; "" for nothing."""
    return _keep(connection, "", _storable(canonical(details))) if details else ""


def _keep(connection: Connection, owner: str, content: str) -> str:
    salt = secrets.token_hex(16)
    key = private_key(salt, owner, content)
    connection.execute(_write_private, {"key": key, "salt": salt, "owner": owner, "content": content})
    return key


def _storable(value: Any) -> Any:
    """Text as both databases give it back: without the NUL that PostgreSQL can't keep, and without half characters."""
    if not isinstance(value, str):
        return value
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


# Taking out


def forget(connection: Connection, ids: Sequence[str], now: datetime) -> int:
    """Take a person out under all their ids: their names, what they said and gave, and what others said of them.

    What happened stays, by nobody in particular. Gives how many texts are gone; a row of the chain lists their keys.
    """
    own = select(audit_private.c.key, audit_private.c.content).where(audit_private.c.owner.in_(ids))
    persons = connection.execute(own).all()
    known = connection.execute(select(people.c.id, people.c.name).where(people.c.id.in_(ids))).all()
    names = {*(str(read(row.content).get("name", "")) for row in persons), *(row.name for row in known)}
    keys = {row.key for row in persons}
    said = select(audit.c.details).where(audit.c.details != "", audit.c.person.in_(keys))
    keys |= set(connection.execute(said).scalars())
    others = select(audit_private.c.key, audit_private.c.content).where(audit_private.c.owner == "")
    by_id, by_name = _pattern(ids), _pattern(names)
    keys |= {
        row.key
        for row in connection.execute(others)
        if by_id.search(row.content) or (by_name.search(row.content) and by_name.search(_written(row.content)))
    }
    there = sorted(keys)
    gone = 0
    for start in range(0, len(there), AT_ONCE):
        these = audit_private.c.key.in_(there[start : start + AT_ONCE])
        gone += connection.execute(delete(audit_private).where(these)).rowcount
    connection.execute(delete(people).where(people.c.id.in_(ids)))
    if gone:
        append(connection, {"keys": there}, at=now, person="", action=FORGET)
    return gone


def _pattern(words: Collection[str]) -> re.Pattern[str]:
    """The words as a whole, as they stand in JSON text; of none, what is found nowhere."""
    escaped = [re.escape(json.dumps(word, ensure_ascii=False)[1:-1]) for word in words if word]
    return re.compile(rf"(?<!\w)(?:{'|'.join(escaped)})(?!\w)" if escaped else r"(?!)")


def _written(content: str) -> str:
    """What people wrote and gave, of a text: a name, which anybody may choose, is not looked for in our own words."""
    return canonical(list(_texts({name: said for name, said in read(content).items() if name not in OURS})))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)


def checkpoint(connection: Connection, what: Mapping[str, Any], now: datetime) -> Head:
    """A row that says what a clean-up removed (counts and kinds, nothing personal) and where the chain stood."""
    stood = head(connection)
    return append(connection, {**what, "head": [stood.number, stood.hash]}, at=now, person="", action=CHECKPOINT)


def older(connection: Connection, before: datetime) -> int:
    """How many rows at the beginning of the record are from before a moment."""
    return int(connection.execute(select(func.count()).select_from(audit).where(_old(connection, before))).scalar_one())


def purge(
    connection: Connection,
    before: datetime,
    now: datetime,
    seal: Callable[[], object] | None = None,
    *,
    most: int | None = None,
) -> int:
    """Remove the rows from before a moment, the oldest `most` of them; a row of the chain says how many, and the hash
    of the last. `seal` signs it, without which a signed chain does not verify any more."""
    serial(connection, "audit chain")
    oldest = select(audit.c.id).where(_old(connection, before)).order_by(audit.c.id).limit(most).subquery()
    count, last_id = connection.execute(select(func.count(), func.max(oldest.c.id))).one()
    if not count:
        return 0
    last = connection.execute(select(audit.c.hash).where(audit.c.id == last_id)).scalar_one()
    # Written before anything goes, so that the chain is never without an end.
    checkpoint(connection, {"removed": count, "last": [last_id, last]}, now)
    # Their details go with them: no other row has the same.
    texts = select(audit.c.details).where(audit.c.id <= last_id)
    connection.execute(delete(audit_private).where(audit_private.c.key.in_(texts)))
    connection.execute(delete(audit).where(audit.c.id <= last_id))
    still = select(audit.c.person)
    connection.execute(delete(audit_private).where(audit_private.c.owner != "", audit_private.c.key.not_in(still)))
    if seal is not None:
        seal()
    return int(count)


def _old(connection: Connection, before: datetime) -> ColumnElement[bool]:
    """Rows ahead of the first that is not from before a moment."""
    first_kept = connection.execute(select(func.min(audit.c.id)).where(audit.c.at >= before)).scalar()
    return audit.c.id < first_kept if first_kept is not None else true()


# Checking


def verify(connection: Connection, known: str = "", trust: Trust | None = None) -> Verdict:
    """Check every row. `known` is a hash that `verify` gave earlier: it must still be in the chain, or be told of."""
    trust = replace(trust or Trust(), hash=known)
    marks = Marks.of(connection.execute(_rows().where(audit.c.action.in_(MARKS))).mappings(), trust)
    kept = {row.key: _is_kept(row) for row in connection.execute(select(audit_private))}
    return check(connection.execute(_rows()).mappings(), marks, kept, trust, noted=_noted(connection))


def _rows() -> Select[Any]:
    """All rows, with times as they were hashed."""
    columns = (type_coerce(audit.c.at, BigInteger).label("at") if one is audit.c.at else one for one in audit.columns)
    return select(*columns).order_by(audit.c.id)


def _is_kept(row: Row[Any]) -> bool:
    try:
        return bool(private_key(row.salt, row.owner, row.content) == row.key)
    except TypeError:  # no text any more
        return False


# Reading


def export(connection: Connection, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Every row with what is known of its person and details, oldest first."""
    query = select(audit).order_by(audit.c.id)
    if since is not None:
        query = query.where(audit.c.at >= since)
    texts = {row.key: row for row in connection.execute(select(audit_private))}
    for row in connection.execute(query).mappings():
        names = {"person": texts.get(row["person"]), "details": texts.get(row["details"])}
        who, said = (read(text.content) if text else {} for text in names.values())
        yield {
            "number": row["id"],
            "at": row["at"].isoformat(),
            "person": who.get("id", ""),
            "name": who.get("name", ""),
            **{name: row[name] for name in ("platform", "action", "entity", "execution_id", "flow")},
            "details": said,
            "facts": read(row["facts"]),
            "prev": row["prev"],
            "hash": row["hash"],
            # By which a program without the database checks that name and details are those of the row.
            "proof": {name: [row[name], text.salt if text else ""] for name, text in names.items() if row[name]},
        }


def read(text: str) -> dict[str, Any]:
    """A kept text as what it says; what somebody made unreadable as it stands, for `verify` tells of that."""
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {"unreadable": text}
