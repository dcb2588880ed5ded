"""Links from chat to the page, each good once, and only for the person it was given to."""

import secrets
from collections.abc import Sequence

from bot import documents
from bot.conversation import Action, Field, Notice, Person, Reply
from bot.forms.drafts import Draft, Drafts
from bot.frontend import Unreachable
from bot.office import Office
from bot.people.identities import CHATS
from bot.texts import Answer, answer, code, listed
from engine.store import chat_audit, chat_receipts, visits
from engine.store.chat_audit import Deed
from engine.store.database import Unit

NO_ADDRESS = (
    "this bot has no web address that you could open: `web.public_url` is not set. Whoever keeps the bot can set it in "
    "parley.yaml."
)


async def secret_form(drafts: Drafts, draft: Draft, person: Person, secret: Sequence[Field], receipt: str) -> Notice:
    """The answer to somebody in chat when a form can't do without its secrets: a link to the whole of it on the page,
    which signs them in there; nobody else may fill it."""
    if (no := await closed_to(drafts.office, person)) is not None:
        return no.notice()
    what, names = code(draft.flow.rpartition("/")[2]), listed(asked.id for asked in secret)
    if drafts.office.pages.base is None:
        return answer("secret", what=what, names=names, instead=f"Nothing was started: {NO_ADDRESS}").notice()
    await drafts.keep(draft)
    again = answer(
        "secret", what=what, names=names, instead="You have a link to the form already; ask anew for another."
    )
    url = await offer(drafts.office, person, f"/form/{draft.form_id}", receipt=receipt, again=Reply(again.notice()))
    if url is None:
        return again.notice()
    instead = "The button leads to its form on the page, as you, once, within 10 minutes."
    told = answer("secret", what=what, names=names, instead=instead)
    return told.notice(Action("", "Enter securely", "link", url=url))


def besides(secret: Sequence[Field], base: str | None) -> str:
    """A sentence above a form in chat that leaves out secrets nobody must give; "" when there are none."""
    if not secret:
        return ""
    where = "To give it, open the page with `/flow web` and start from there." if base else "It may be left out."
    return f"🔒 {listed(asked.id for asked in secret)}: a secret, never typed in chat. {where}"


async def closed_to(office: Office, person: Person) -> Answer | None:
    """Why somebody is given no link: the page would not know that they are of another company."""
    try:
        is_stranger = await office.eligibility.membership.is_stranger(person)
    except Unreachable as silence:
        return answer("unsure", why=silence.reason)
    if not is_stranger:
        return None
    return answer("refused", why="You are from another company, so the page is not open to you.")


async def offer(office: Office, person: Person, back: str, *, receipt: str, again: Reply) -> str | None:
    """A link that opens the page as somebody and leads to `back`; None without a public address, and for a delivery
    that got its link before. `again` is what such a delivery is told."""
    code, now = secrets.token_urlsafe(32), office.now()
    url = office.pages.sign_in(code)
    if url is None or person.platform not in CHATS:
        return None

    def work(unit: Unit) -> bool:
        known = chat_receipts.find(unit.connection, receipt)
        if known is not None and known.is_done:
            return False
        visits.offer(unit.connection, person.id, code, back, now)
        chat_audit.record(unit.connection, Deed(now, person.id, person.name, person.platform, "web link", ""))
        chat_receipts.finish(unit.connection, receipt, documents.dump_reply(again))
        return True

    return url if await office.engine.database.transact(work) else None
