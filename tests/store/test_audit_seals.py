"""Signatures over the record: what somebody who writes the database can't change unnoticed, and can."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from engine.audit_keys import AuditKey, AuditKeys, fingerprint
from engine.store import audit_chain, audit_seals
from engine.store.audit_chain import END
from engine.store.audit_proof import FORGET, OLD_ROWS, Head, Trust, canonical, row_hash, seal_text
from engine.store.audit_seals import NOTE
from engine.store.chat_tables import audit, audit_private, settings
from tests.store.test_audit_chain import DEEDS, NOW, change, other, record

OURS = AuditKeys((AuditKey(b"1" * 32),))
NEXT = AuditKeys((AuditKey(b"2" * 32), *OURS.keys))
THIEF = AuditKeys((AuditKey(b"3" * 32),))
KNOWN = Trust(frozenset({OURS.newest.public}))


async def seal(database, keys=OURS, of="time", known=None, **more):
    known = known or Head()
    return await database.transact(lambda unit: audit_seals.seal(unit.connection, keys, NOW, of, known=known, **more))


async def verify(database, trust=KNOWN, known=""):
    return await database.read(lambda c: audit_chain.verify(c, known, trust))


async def written_anew(database, keys=None, first=1, **changed):
    """What somebody does who can write the database: every row from one on as they like, with hashes that fit, and
    their own signatures where they have a key."""
    rows = await database.read(
        lambda c: [dict(row) for row in c.execute(select(audit).order_by(audit.c.id)).mappings()]
    )
    made, prev = [], next((row["hash"] for row in rows if row["id"] == first - 1), audit_chain.Head().hash)
    for row in rows:
        if row["id"] < first:
            continue
        row |= {"prev": prev} | (changed if row["id"] == first else {})
        if row["action"] == "seal" and keys is not None:
            public = keys.newest.public
            facts = {**json.loads(row["facts"]), "public": public, "key": fingerprint(public), "previous": None}
            facts["signature"] = keys.newest.sign(seal_text(row["id"], row["at"], prev, facts))
            row["facts"] = canonical(facts)
        row["hash"] = prev = row_hash(row)
        made.append(row)
    noted = canonical([made[-1]["id"], prev])
    await change(
        database,
        delete(audit).where(audit.c.id >= first),
        insert(audit).values(made),
        update(settings).where(settings.c.name == END).values(value=noted),
    )


async def test_a_seal_covers_all_before_it_and_says_how_far(database):
    await record(database)
    sealed = await seal(database)
    assert (sealed.head.number, (await seal(database)).head) == (6, sealed.head), "nothing new needs no second seal"
    await record(database, DEEDS[:2])
    verdict = await verify(database)
    assert (verdict.is_whole, verdict.rows, verdict.sealed) == (True, 8, 6)
    assert verdict.signers == (fingerprint(OURS.newest.public),)
    assert (await verify(database, Trust())).sealed == 6, "without a key beforehand the first that signed is believed"


@pytest.mark.parametrize("number", [1, 3, 5])
async def test_history_that_was_written_anew_before_a_seal(sqlite, number):
    """With fitting hashes the chain alone would believe it."""
    await record(sqlite)
    await seal(sqlite)
    await written_anew(sqlite, first=number, action="reject")
    verdict = await verify(sqlite)
    assert (verdict.broken, verdict.why) == (6, "it is not signed by the key it names")
    assert not (await verify(sqlite, Trust())).is_whole


async def test_a_changed_row_and_a_removed_one(sqlite):
    await record(sqlite)
    await seal(sqlite)
    await change(sqlite, update(audit).where(audit.c.id == 2).values(action="approve"))
    assert (await verify(sqlite)).broken == 2
    await change(sqlite, delete(audit).where(audit.c.id == 2))
    assert (await verify(sqlite)).broken == 3


@pytest.mark.parametrize(
    "column", [column.name for column in audit.columns if column.name not in ("id", "action", "prev", "hash")]
)
async def test_a_seal_itself_says_nothing_else(sqlite, column):
    await record(sqlite)
    await seal(sqlite)
    row = await sqlite.read(lambda c: c.execute(select(audit).where(audit.c.id == 6)).mappings().one())
    value = canonical({**json.loads(row["facts"]), "more": 1}) if column == "facts" else other(row[column])
    await written_anew(sqlite, first=6, **{column: value})
    assert (await verify(sqlite)).broken == 6


async def test_a_last_seal_that_was_made_something_else(sqlite):
    """That is a row that was signed no more, which only who knows the seal can miss."""
    await record(sqlite)
    sealed = await seal(sqlite)
    await written_anew(sqlite, first=6, action="approve")
    assert (await verify(sqlite)).sealed == 0
    verdict = await verify(sqlite, Trust(KNOWN.keys, witness=sealed.head))
    assert (verdict.broken, "not the row that this machine sealed" in verdict.why) == (6, True)


async def test_a_forged_seal_and_a_swapped_key(sqlite):
    await record(sqlite)
    await seal(sqlite)
    await written_anew(sqlite, THIEF, action="approve")
    verdict = await verify(sqlite)
    thief = fingerprint(THIEF.newest.public)
    assert (verdict.broken, verdict.why) == (6, f"it is signed with a key that nobody vouches for, {thief}")
    without = await verify(sqlite, Trust())
    assert (without.is_whole, without.signers) == (True, (thief,)), "who knows no key must compare the fingerprint"


async def test_a_seal_of_another_place_does_not_fit(sqlite):
    await record(sqlite)
    await seal(sqlite)
    await record(sqlite, DEEDS[:1])
    await seal(sqlite)
    early = await sqlite.read(lambda c: c.execute(select(audit.c.facts).where(audit.c.id == 6)).scalar_one())
    await written_anew(sqlite, first=8, facts=early)
    assert (await verify(sqlite)).broken == 8


async def test_without_any_seal_left_a_key_that_was_given_must_have_signed(sqlite):
    await record(sqlite)
    await seal(sqlite)
    await change(
        sqlite,
        delete(audit).where(audit.c.id == 6),
        delete(settings).where(settings.c.name.in_([END, NOTE])),
    )
    assert (await verify(sqlite)).is_whole, "from within the database alone nobody can tell"
    demanded = await verify(sqlite, Trust(KNOWN.keys, must_sign=True))
    assert demanded.why == "no row is signed by the key that was given"


async def test_a_cut_end_or_an_earlier_state_shows_to_who_knows_the_last_seal(database):
    await record(database)
    early = await seal(database)
    await record(database)
    late = await seal(database, known=early.head)
    await change(
        database,
        delete(audit).where(audit.c.id > early.head.number),
        delete(settings).where(settings.c.name.in_([END, NOTE])),
    )
    assert (await verify(database)).is_whole, "an old state is a true one: only what lies outside of it can tell"
    verdict = await verify(database, Trust(KNOWN.keys, witness=late.head))
    assert (verdict.broken, "sealed row 12, which is not there" in verdict.why) == (7, True)
    assert (await verify(database, known=late.head.hash)).broken == 7
    # The next seal of who knows it says so for good, and whoever knows of it can go on.
    again = await seal(database, known=late.head)
    assert again.missing == late.head
    verdict = await verify(database)
    assert (verdict.broken, verdict.is_whole, [loss.row for loss in verdict.losses]) == (
        None,
        False,
        [again.head.number],
    )
    assert "row 12 was sealed before it, and is not in the record" in verdict.losses[0].why
    assert (await verify(database, Trust(KNOWN.keys, accepted=frozenset({again.head.number})))).is_whole


async def test_rows_after_the_last_seal_are_not_covered_and_the_verdict_says_so(sqlite):
    await record(sqlite)
    await seal(sqlite)
    await record(sqlite, DEEDS[:2])
    await written_anew(sqlite, first=7, action="approve")
    verdict = await verify(sqlite)
    assert (verdict.is_whole, verdict.sealed, verdict.head.number) == (True, 6, 8)


async def test_a_new_key_signs_once_the_old_one_handed_over(database):
    await record(database)
    await seal(database)
    await record(database, DEEDS[:1])
    await seal(database, NEXT)
    rows = await database.read(lambda c: list(audit_chain.export(c)))
    assert [row["action"] for row in rows[-3:]] == ["run", "audit key", "seal"]
    new = Trust(frozenset({NEXT.newest.public}))
    for trust in (KNOWN, new, Trust()):
        verdict = await verify(database, trust)
        assert (verdict.is_whole, verdict.sealed, len(verdict.signers)) == (True, 9, 2)
    refused = await seal(database, OURS)
    assert refused.foreign == NEXT.newest.public, "who still has only the former key signs nothing"
    await record(database, DEEDS[:1])
    await database.transact(
        lambda unit: audit_seals._append(
            unit.connection, "seal", OURS.newest, {"public": OURS.newest.public, "previous": None, "of": "time"}, NOW
        )
    )
    verdict = await verify(database, new)
    assert (verdict.broken, verdict.why) == (11, "it is signed with a key that was replaced in row 8")


async def test_nobody_else_can_hand_over(sqlite):
    await record(sqlite)
    await seal(sqlite)
    await record(sqlite, DEEDS[:1])
    forged = {"public": THIEF.newest.public, "by": OURS.newest.public, "lost": ""}
    await sqlite.transact(lambda unit: audit_seals._append(unit.connection, "audit key", THIEF.newest, forged, NOW))
    assert (await verify(sqlite)).broken == 8


async def test_a_lost_key_is_said_plainly_until_somebody_knows_of_it(database):
    await record(database)
    await seal(database)
    await record(database, DEEDS[:1])
    assert (await seal(database, THIEF)).foreign == OURS.newest.public
    sealed = await seal(database, THIEF, after_loss=True)
    verdict = await verify(database)
    assert (verdict.broken, verdict.sealed, [loss.row for loss in verdict.losses]) == (None, 6, [8])
    assert fingerprint(OURS.newest.public) in verdict.losses[0].why
    known = await verify(database, Trust(KNOWN.keys, accepted=frozenset({8})))
    assert (known.is_whole, known.sealed) == (True, sealed.head.number)
    assert (await verify(database, Trust(frozenset({THIEF.newest.public})))).is_whole, "who is given the new key"


async def test_several_bots_sign_with_keys_of_their_own_that_are_listed(database):
    both = frozenset({OURS.newest.public, THIEF.newest.public})
    await record(database)
    await seal(database, trusted=both)
    await record(database, DEEDS[:1])
    await seal(database, THIEF, trusted=both)
    await record(database, DEEDS[:1])
    await seal(database, trusted=both)
    verdict = await verify(database, Trust(both))
    assert (verdict.is_whole, verdict.sealed, len(verdict.signers)) == (True, 10, 2)
    assert (await verify(database)).broken == 8, "who knows one of them only"


async def test_a_person_is_taken_out_of_a_signed_record(database):
    await record(database)
    await seal(database)

    def work(unit):
        audit_chain.forget(unit.connection, ["slack:U1"], NOW)
        return audit_seals.seal(unit.connection, OURS, NOW, FORGET, known=Head())

    sealed = await database.transact(work)
    verdict = await verify(database)
    assert (verdict.is_whole, verdict.sealed) == (True, sealed.head.number)


async def test_what_was_taken_out_must_be_signed_as_such(sqlite):
    """Else whoever writes the database could delete what somebody said, and have the bot sign that."""
    await record(sqlite)
    await seal(sqlite)
    await sqlite.transact(lambda unit: audit_chain.forget(unit.connection, ["slack:U1"], NOW))
    await seal(sqlite)  # for the time being, as the bot does
    verdict = await verify(sqlite)
    assert (verdict.broken, verdict.why) == (
        1,
        "its person was removed, and row 7, which says so, was not signed as it was written",
    )


async def test_old_rows_go_from_a_signed_record(database):
    await record(database)
    await seal(database)
    await record(database, DEEDS)
    known = await seal(database)
    until = NOW + timedelta(days=1)

    def work(unit, before):
        return audit_chain.purge(
            unit.connection,
            before,
            NOW,
            lambda: audit_seals.seal(unit.connection, OURS, NOW, OLD_ROWS, known=known.head),
        )

    assert await database.transact(lambda unit: work(unit, NOW + timedelta(hours=2))) == 2
    assert (await verify(database)).is_whole
    assert await database.transact(lambda unit: work(unit, until)) == 12
    verdict = await verify(database, Trust(KNOWN.keys, witness=known.head))
    assert (verdict.is_whole, verdict.rows, verdict.first) == (True, 2, 15)
    await record(database)
    await seal(database, known=known.head)
    assert (await verify(database)).is_whole


async def test_old_rows_that_somebody_else_removed(sqlite):
    """Nobody may begin the record anew at a later row, not even if the bot then signs."""
    await record(sqlite)
    known = await seal(sqlite)
    await record(sqlite)
    await seal(sqlite, known=known.head)
    await sqlite.transact(lambda unit: audit_chain.purge(unit.connection, NOW + timedelta(days=1), NOW))
    await change(sqlite, delete(settings).where(settings.c.name == NOTE))
    assert await sqlite.read(lambda c: len(c.execute(select(audit_private)).all())) == 0
    await seal(sqlite, known=known.head)
    verdict = await verify(sqlite)
    assert (verdict.broken, "was not signed as it was written" in verdict.why) == (13, True)


@pytest.mark.parametrize("value", ["{", "[1]", '["a", 2, 3]', "7"])
async def test_a_note_of_the_last_seal_that_nobody_can_read_stops_nothing(sqlite, value):
    await record(sqlite)
    first = await seal(sqlite)
    await change(sqlite, update(settings).where(settings.c.name == NOTE).values(value=value))
    await record(sqlite)
    await seal(sqlite, known=first.head)
    assert (await verify(sqlite)).is_whole


@pytest.mark.parametrize("facts", ["no JSON", "[1]", '{"public": 7}', "{}"])
async def test_a_seal_that_nobody_can_read(sqlite, facts):
    await record(sqlite)
    await seal(sqlite)
    await written_anew(sqlite, first=6, facts=facts)
    assert (await verify(sqlite)).broken == 6
