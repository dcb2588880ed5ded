"""Links from chat to the page, each good once, and only for the person it was given to."""

import secrets

from bot import documents
from bot.conversation import Person, Reply
from bot.office import Office
from engine.store import chat_audit, chat_receipts, visits
from engine.store.chat_audit import Deed
from engine.store.database import Unit

CHATS = ("slack", "discord")
NO_ADDRESS = (
    "this bot has no web address that you could open: `web.public_url` is not set. Whoever keeps the bot can set it in "
    "parley.yaml."
)


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
        chat_audit.record(unit.connection, Deed(now, person.id, person.name, person.platform, "web link", person.id))
        chat_receipts.finish(unit.connection, receipt, documents.dump_reply(again))
        return True

    return url if await office.engine.database.transact(work) else None
