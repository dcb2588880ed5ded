"""`/flow link`: two accounts become one person's, by a code that is given on one platform and typed on the other."""

import secrets
from collections.abc import Callable
from datetime import datetime

from bot import documents
from bot.asking import Asking, Parts
from bot.commands.grammar import Line
from bot.commands.manual import usage
from bot.conversation import Notice, Person, Reply
from bot.people.accounts import Linked
from bot.people.permissions import Asked, ByRole
from bot.texts import Answer, answer, code, listed
from engine.store import chat_audit, chat_links, chat_receipts
from engine.store.chat_audit import Deed
from engine.store.database import Unit

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike
LENGTH = 8


async def link(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`link`, `link <code>`, `link list`."""
    word = line.word(0)
    if not word:
        return await _offer(parts, asking)
    if word.lower() == "list":
        return Reply(await accounts(parts, asking))
    if len(bare(word)) != LENGTH:
        return Reply(usage("link", "A code has eight letters and digits, such as `ABCD-EFGH`."))
    return await _take(parts, asking, bare(word))


def bare(typed: str) -> str:
    """A code as it is kept, however it was typed."""
    return "".join(char for char in typed.upper() if char.isalnum())


async def accounts(parts: Parts, asking: Asking) -> Notice:
    """The accounts of the person who asks."""
    who = await parts.office.eligibility.identities.of(asking.person.id)
    if len(who.accounts) == 1:
        return Notice("info", f"{code(asking.person.id)} is linked with no other account. `/flow link` gives a code.")
    return Notice("info", f"These accounts are yours: {listed(who.accounts, 20)}. `/flow unlink` takes this one out.")


async def _offer(parts: Parts, asking: Asking) -> Reply:
    made = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    now, person = parts.office.now(), asking.person
    shown = f"{made[:4]}-{made[4:]}"
    text = (
        f"Type `/flow link {shown}` with your other account, within 10 minutes. Then both count as one person. "
        "Give the code to nobody: whoever types it is taken for you."
    )
    # The code itself is in no receipt: a delivery that comes again is told to ask anew.
    again = Reply(Notice("info", "You have a code already. If you lost it, type `/flow link` again."))

    def work(unit: Unit) -> bool:
        known = chat_receipts.find(unit.connection, asking.receipt)
        if known is not None and known.is_done:
            return False
        chat_links.offer(unit.connection, person.id, made, now)
        chat_audit.record(unit.connection, _deed(person, "link code", now))
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(again))
        return True

    if not await parts.office.engine.database.transact(work):
        return again
    return Reply(Notice("info", text))


async def _take(parts: Parts, asking: Asking, typed: str) -> Reply:
    identities, now, person = parts.office.eligibility.identities, parts.office.now(), asking.person
    done = Reply(Notice("success", "Linked: both accounts count as one person now. `/flow link list` shows them."))
    wrong = Reply(
        answer("refused", why="That code is wrong, used or too old. Type `/flow link` for a new one.").notice()
    )
    often = Reply(answer("refused", why="Too many wrong codes. Try again in ten minutes.").notice())
    own = Reply(answer("refused", why="That is your own code. Type it with your other account.").notice())
    two = Reply(answer("refused", why="parley.yaml says that these are two people.").notice())

    def work(unit: Unit) -> Reply:
        connection = unit.connection
        known = chat_receipts.find(connection, asking.receipt)
        if known is not None and known.is_done and known.answer is not None:
            stored = documents.load_reply(known.answer)
            return stored if isinstance(stored, Reply) else wrong
        reply = wrong
        if chat_links.is_blocked(connection, person.id, now):
            reply = often
        elif (giver := chat_links.take(connection, person.id, typed, now)) is not None:
            reply = done
            if giver == person.id:
                reply = own
            elif isinstance(identities, Linked) and _are_two(identities, unit, giver, person.id):
                reply = two
            else:
                chat_links.link(connection, giver, person.id, now)
                chat_audit.record(connection, _deed(person, "link", now, with_=giver))
        chat_receipts.finish(connection, asking.receipt, documents.dump_reply(reply))
        return reply

    return await parts.office.engine.database.transact(work)


def _are_two(identities: Linked, unit: Unit, one: str, other: str) -> bool:
    """Whether the file names both accounts, or what they are linked with, as different people."""
    first = identities.written_down(chat_links.accounts_with(unit.connection, one))
    second = identities.written_down(chat_links.accounts_with(unit.connection, other))
    return first is not None and second is not None and first != second


async def unlink(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`unlink`: the account that asks stands for itself again; `unlink <account>`: another one, by who manages all."""
    account = line.word(0) or asking.person.id
    if account != asking.person.id and (refusal := await no_administrator(parts, asking)) is not None:
        return Reply(refusal.notice())
    gone = Reply(Notice("success", f"{code(account)} stands for itself again."))
    none = Reply(answer("refused", why=f"{code(account)} is linked with no other by a code.").notice())
    take_out = takes_out(asking.person, account, parts.office.now())

    def work(unit: Unit) -> Reply:
        known = chat_receipts.find(unit.connection, asking.receipt)
        if known is not None and known.is_done:
            return gone
        reply = gone if take_out(unit) else none
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        return reply

    return await parts.office.engine.database.transact(work)


def takes_out(by: Person, account: str, now: datetime) -> Callable[[Unit], bool]:
    """Whether an account stood for another person and now stands for itself; that is recorded with it."""

    def work(unit: Unit) -> bool:
        is_gone = chat_links.unlink(unit.connection, account)
        if is_gone:
            chat_audit.record(unit.connection, _deed(by, "unlink", now, with_="" if account == by.id else account))
        return is_gone

    return work


async def no_administrator(parts: Parts, asking: Asking, words: str = "unlink") -> Answer | None:
    """Why somebody may not do to another's account what `/flow <words>` does to their own: it takes who manages every
    flow, by a role."""
    if not isinstance(parts.office.permissions, ByRole):
        return answer(
            "refused", why=f"Without `roles` nobody is an administrator here. Their owner can type `/flow {words}`."
        )
    return await parts.office.permissions.refuse(Asked("manage", asking.person, asking.room, "*"))


def _deed(person: Person, action: str, now: datetime, *, with_: str = "") -> Deed:
    # No account in what can not be taken out again: the row knows it as its person.
    return Deed(now, person.id, person.name, person.platform, action, "", details={"with": with_} if with_ else {})
