"""`/flow web`: a link that opens the page as the person who asked for it in chat.

The link works once and for ten minutes. Opening it only asks; the button on that page signs the browser in, so chats
that preview addresses use nothing up. The browser is then the chat account itself: same roles, four eyes, record.
"""

from bot import documents
from bot.asking import Asking, Parts
from bot.commands.grammar import Line
from bot.commands.handing_on import account_of
from bot.commands.linking import no_administrator
from bot.commands.manual import usage
from bot.conversation import Action, Notice, Reply
from bot.people.identities import CHATS
from bot.people.page_links import NO_ADDRESS, closed_to, offer
from bot.texts import answer, code
from engine.store import chat_audit, chat_receipts, visits
from engine.store.chat_audit import Deed
from engine.store.database import Unit


async def web(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`web`, `web off`; `web off <account>`: of somebody else, by who manages all."""
    word = line.word(0).lower()
    if word == "off":
        return await _off(parts, asking, line.word(1))
    if word:
        return Reply(usage("web", "It takes no name: the link is for you."))
    if asking.person.platform not in CHATS:
        return Reply(Notice("info", "You are on the page already. In Slack or Discord this word gives a link to it."))
    if (no := await closed_to(parts.office, asking.person)) is not None:
        return Reply(no.notice())
    if parts.office.pages.base is None:
        return Reply(answer("refused", why=f"You can't: {NO_ADDRESS}").notice())
    text = (
        "The link opens the page as you, once, within 10 minutes. Give it to nobody: whoever opens it acts as you. "
        "`/flow web off` signs every browser of yours out."
    )
    # The link itself is in no receipt: a delivery that comes again is told to ask anew.
    again = Reply(Notice("info", "You have a link already. If you lost it, type `/flow web` again."))
    url = await offer(parts.office, asking.person, "/", receipt=asking.receipt, again=again)
    return Reply(Notice("info", text, (Action("", "Open the page", "link", url=url),))) if url else again


async def _off(parts: Parts, asking: Asking, typed: str) -> Reply:
    account = account_of(typed, asking.person) if typed else asking.person.id
    if not account:
        return Reply(usage("web", "Name an account: `slack:U0123`, `discord:42`."))
    who = await parts.office.eligibility.identities.of(account)
    now, person = parts.office.now(), asking.person
    is_own = person.id in who.accounts
    if not is_own and (refusal := await no_administrator(parts, asking, "web off")) is not None:
        return Reply(refusal.notice())
    whom, theirs = ("you", "you") if is_own else (code(account), "they")
    done = Reply(
        Notice("success", f"No browser is signed in as {whom} any more, and links {theirs} were given are void.")
    )

    def work(unit: Unit) -> None:
        known = chat_receipts.find(unit.connection, asking.receipt)
        if known is not None and known.is_done:
            return
        ended = visits.end_all(unit.connection, who.accounts)
        details = {"browsers": ended} | ({} if is_own else {"whose": account})
        deed = Deed(now, person.id, person.name, person.platform, "sign out", "", details=details)
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(done))

    await parts.office.engine.database.transact(work)
    return done
