"""What proves the record of deeds: hashes that hold its rows together, and signatures over where it stood. Pure.

A seal is a row of the chain. It signs its own number and time, the hash of the row before it (so every row before it)
and the seal before it. Rows that were taken out are believed to be gone by right only when a seal that was made for
that follows on the row that says so. Rows come from the database or from an exported file; both are checked here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.audit_keys import fingerprint, is_signed
from engine.store.tables import instant

START = "0" * 64
FORGET, CHECKPOINT, SEAL, NEW_KEY = "forget", "checkpoint", "seal", "audit key"
MARKS = (FORGET, CHECKPOINT, SEAL, NEW_KEY)  # what the chain says of itself
COVERED = ("id", "at", "person", "platform", "action", "entity", "execution_id", "flow", "details", "facts", "prev")
EMPTY = ("person", "platform", "entity", "execution_id", "flow", "details")  # of a row that is signed
SEAL_FACTS = frozenset({"key", "public", "previous", "of", "signature"})
KEY_FACTS = frozenset({"key", "public", "by", "lost", "signature"})
OLD_ROWS = "old rows"  # what a seal is made for that follows on the removal of a part


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: how many rows were ever written, and the hash of the last one."""

    number: int = 0
    hash: str = START


@dataclass(frozen=True, slots=True)
class Loss:
    """What a row of the record says was lost, or what was: whole it is, but somebody must know why."""

    row: int
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found. `broken` is the number of the first row that is not as it was written, None when all are.

    `first` and `head` bound the rows; `sealed` is the last row that a signature covers whose key is believed, 0 for
    none; `signers` are the fingerprints of those keys. `losses` are those that nobody accepted yet.
    """

    rows: int
    head: Head
    broken: int | None = None
    why: str = ""
    first: int = 1
    sealed: int = 0
    signers: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed or lost."""
        return self.broken is None and not self.losses


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known beforehand. `keys`: public ones that are believed, none: whichever signed first; `must_sign`: one
    of them has to have signed; `accepted`: rows whose loss somebody knows of; `hash`, `witness`: what must be there.
    """

    keys: frozenset[str] = frozenset()
    must_sign: bool = False
    accepted: frozenset[int] = frozenset()
    hash: str = ""
    witness: Head = field(default_factory=Head)


def canonical(value: Any) -> str:
    """A value as the one JSON text that stands for it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def row_hash(row: Mapping[str, Any]) -> str:
    """The hash of a row, over everything in it."""
    covered = [_moment(row[name]) for name in COVERED]
    return hashlib.sha256(canonical(covered).encode()).hexdigest()


def private_key(salt: str, owner: str, content: str) -> str:
    """The key under which a removable text is kept."""
    return hashlib.sha256(canonical([salt, owner, content]).encode()).hexdigest()


def seal_text(number: int, at: Any, prev: str, facts: Mapping[str, Any]) -> str:
    """What a seal signs."""
    said = [facts.get(name) for name in ("public", "previous", "of")]
    return canonical(["parley audit seal", 1, number, _moment(at), prev, *said])


def key_text(number: int, at: Any, prev: str, facts: Mapping[str, Any]) -> str:
    """What the former key signs of the one that follows it; the new one itself, where the former is lost."""
    said = [facts.get(name) for name in ("public", "by", "lost")]
    return canonical(["parley audit key", 1, number, _moment(at), prev, *said])


def _moment(value: Any) -> Any:
    return instant(value) if isinstance(value, datetime) else value


# Marks: what the chain says of itself


@dataclass(slots=True)
class Marks:
    """The marks of a chain, read ahead, and what may be believed of them."""

    keys: dict[str, int] = field(default_factory=dict)  # a text that was taken out → the row that says so
    ends: dict[tuple[int, str], int] = field(default_factory=dict)  # an end of a removed part → the row that says so
    seals: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    handed: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # keys that took another's place
    wrong: dict[int, str] = field(default_factory=dict)  # rows whose signature is none
    good: set[str] = field(default_factory=set)  # keys that are believed
    introduced: set[str] = field(default_factory=set)  # keys that say of themselves that they follow a lost one
    retired: dict[str, int] = field(default_factory=dict)  # a key → the row from which on it signs no more

    @classmethod
    def of(cls, rows: Iterable[Mapping[Any, Any]], trust: Trust) -> "Marks":
        """Read them, oldest first; what can't be read is left out: the walk along the chain finds it broken."""
        marks = cls()
        for row in rows:
            try:
                marks._read(row, json.loads(row["facts"]))
            except (ValueError, TypeError, AttributeError, KeyError):
                continue
        marks._judge(trust)
        return marks

    def _read(self, row: Mapping[Any, Any], facts: Any) -> None:
        number, action = row["id"], row["action"]
        if action == FORGET:
            self.keys.update(dict.fromkeys(facts.get("keys", ()), number))
        elif action == CHECKPOINT and "last" in facts:
            end, hash_ = facts["last"]
            self.ends[end, hash_] = number
        elif action in (SEAL, NEW_KEY):
            is_seal = action == SEAL
            signer = facts["public"] if is_seal or not facts["by"] else facts["by"]
            text = (seal_text if is_seal else key_text)(number, row["at"], row["prev"], facts)
            named = facts.keys() == (SEAL_FACTS if is_seal else KEY_FACTS) and facts["key"] == fingerprint(
                facts["public"]
            )
            (self.seals if is_seal else self.handed)[number] = facts
            says_more = any(row[name] for name in EMPTY)
            if says_more or not named or not is_signed(signer, facts["signature"], text):
                self.wrong[number] = "it is not signed by the key it names"

    def _judge(self, trust: Trust) -> None:
        """Which keys are believed: those known beforehand, those they handed over to, and those that handed over to
        them, since every seal covers all that came before."""
        self.good |= trust.keys
        if not trust.keys:
            first = next((facts["public"] for number, facts in self.seals.items() if number not in self.wrong), None)
            self.good |= {first} if first else set()
        links = [(number, facts) for number, facts in self.handed.items() if number not in self.wrong]
        for _ in links:
            for number, facts in links:
                new, old = facts["public"], facts["by"] or facts["lost"]
                if new in self.good or (old in self.good and (facts["by"] or number in trust.accepted)):
                    self.good |= {new, old}
        for number, facts in links:
            if facts["by"]:
                self.retired.setdefault(facts["by"], number)
            else:
                self.introduced.add(facts["public"])

    @property
    def signed_from(self) -> float:
        """The row up to which the record was not signed yet; removals are believed there as they stand."""
        if not self.seals:
            return float("inf")
        number, facts = next(iter(self.seals.items()))
        return 0 if facts.get("previous") else number

    def is_sealed(self, number: int, of: str) -> bool:
        """Whether a seal that is believed was made for a row that tells of a removal, right behind it."""
        if number < self.signed_from:
            return True
        behind = number + 1
        while behind in self.handed:  # a new key took over with this very seal
            behind += 1
        facts = self.seals.get(behind)
        return facts is not None and facts.get("of") == of and not self.wrong_seal(behind, facts)

    def wrong_seal(self, number: int, facts: Mapping[str, Any]) -> str:
        """Why a seal is not believed; "" when it is."""
        if number in self.wrong:
            return self.wrong[number]
        public = facts["public"]
        if public not in self.good | self.introduced:  # of the latter the row that introduced it is told as a loss
            return f"it is signed with a key that nobody vouches for, {fingerprint(public)}"
        if self.retired.get(public, number) < number:
            return f"it is signed with a key that was replaced in row {self.retired[public]}"
        return ""


# Checking


def check(
    rows: Iterable[Mapping[Any, Any]],
    marks: Marks,
    kept: Mapping[str, bool],
    trust: Trust,
    *,
    noted: Head | None = None,
    is_part: bool = False,
) -> Verdict:
    """Walk along the rows. `kept`: whether a removable text is as it was, by its key; `noted`: the last row as the
    database notes it; `is_part`: rows before the first may be missing, as in a file that holds a part."""
    noted = noted or Head()
    last, number, first, sealed, signers, losses = Head(), 0, 1, 0, dict[str, None](), list[Loss]()
    seen = trust.hash in ("", START) or any(trust.hash == end for _, end in marks.ends)
    seals: set[tuple[int, str]] = set()

    def verdict(broken: int | None = None, why: str = "") -> Verdict:
        left = tuple(one for one in losses if one.row not in trust.accepted)
        return Verdict(number, last, broken, why, first, sealed, tuple(signers), left)

    for row in rows:
        wrong = _wrong(row, last, number == 0, marks, kept, is_part=is_part)
        if not wrong and row["id"] == noted.number and row["hash"] != noted.hash:
            wrong = "it is not the row that was written"
        if not wrong and row["id"] == trust.witness.number and row["hash"] != trust.witness.hash:
            wrong = "it is not the row that this machine sealed: the record was written anew"
        if not wrong and row["action"] in (SEAL, NEW_KEY):
            wrong, lost = _signature(row["id"], marks, seals, row["id"] if number == 0 else first)
            losses += lost
        if wrong:
            return verdict(row["id"] if isinstance(row["id"], int) else last.number + 1, wrong)
        first = row["id"] if number == 0 else first
        last, number = Head(row["id"], row["hash"]), number + 1
        if row["action"] == SEAL:
            seals.add((last.number, last.hash))
            public = marks.seals[last.number]["public"]
            if public in marks.good:
                sealed = last.number
                signers[fingerprint(public)] = None
        seen = seen or row["hash"] == trust.hash
    missing = _missing(last, noted, trust)
    if missing:
        return verdict(last.number + 1, missing)
    if not seen:
        return verdict(last.number + 1, "the chain no longer holds the hash that was noted earlier")
    if trust.must_sign and not sealed:
        return verdict(last.number + 1, "no row is signed by the key that was given")
    return verdict()


def _missing(last: Head, noted: Head, trust: Trust) -> str:
    """What was there behind the last row; "" for nothing."""
    if last.number < noted.number:
        gone = f"row {noted.number} was" if noted.number == last.number + 1 else f"rows up to {noted.number} were"
        return f"the end was cut off: {gone} there"
    if last.number < trust.witness.number:
        return (
            f"this machine sealed row {trust.witness.number}, which is not there: the database was put back to an "
            "earlier state, or its end was cut off"
        )
    return ""


def _signature(number: int, marks: Marks, seen: set[tuple[int, str]], first: int) -> tuple[str, list[Loss]]:
    """What is wrong with a row that carries a signature, and what it says was lost."""
    handed = marks.handed.get(number)
    if handed is not None:
        if number in marks.wrong:
            return marks.wrong[number], []
        if handed["by"]:
            is_known = handed["by"] in marks.good and marks.retired.get(handed["by"], number) == number
            return "" if is_known else "the key that hands over is not the one that signed before", []
        if handed["public"] in marks.good:
            return "", []
        who, former = fingerprint(handed["public"]), fingerprint(handed["lost"])
        return "", [Loss(number, f"key {who} took the place of {former}, which it says was lost; nobody else says so")]
    facts = marks.seals.get(number)
    if facts is None:
        return "it can't be read", []
    wrong = marks.wrong_seal(number, facts)
    if wrong:
        return wrong, []
    before = facts.get("previous")
    if before and tuple(before) not in seen and before[0] >= first:
        why = f"row {before[0]} was sealed before it, and is not in the record: an earlier state was put back"
        return "", [Loss(number, why)]
    return "", []


def _wrong(
    row: Mapping[Any, Any], last: Head, is_first: bool, marks: Marks, kept: Mapping[str, bool], *, is_part: bool
) -> str:
    """What is not as it was written; "" when all is."""
    if not isinstance(row["id"], int):
        return "it has no number"
    told = marks.ends.get((row["id"] - 1, row["prev"])) if is_first else None
    begins = is_first and (is_part or (told is not None and marks.is_sealed(told, OLD_ROWS)))
    if not begins and row["id"] != last.number + 1:
        return f"the row before it, {row['id'] - 1}, is missing" if told is None else _unsigned("rows before it", told)
    if not begins and row["prev"] != last.hash:
        return "it does not follow the row before it"
    try:
        if row_hash(row) != row["hash"]:
            return "it was changed"
    except TypeError:  # no text any more
        return "it was changed"
    for what in ("person", "details"):
        key = row[what]
        if not key or kept.get(key):
            continue
        if key in kept:
            return f"its {what} was changed"
        if key not in marks.keys:
            return f"its {what} was removed"
        if not marks.is_sealed(marks.keys[key], FORGET):
            return _unsigned(f"its {what}", marks.keys[key])
    return ""


def _unsigned(what: str, number: int) -> str:
    return f"{what} was removed, and row {number}, which says so, was not signed as it was written"
