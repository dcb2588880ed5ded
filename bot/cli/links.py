"""`parley links` and `parley unlink`: which accounts count as one person's, and taking one out."""

import json
import sys
from pathlib import Path
from urllib.parse import quote

from bot.cli.loopback import ask, operator
from bot.commands.linking import takes_out
from engine.runtime import Engine
from engine.store import chat_links


def links(data: Path | None) -> None:
    """Print the accounts that codes linked, a person a line."""
    for accounts in ask(data, "GET", "/links", lambda engine: engine.database.read(chat_links.people), _people):
        sys.stdout.write(f"{' '.join(accounts)}\n")


def unlink(account: str, data: Path | None) -> None:
    """Let an account stand for itself again; exit 1 when it does already."""

    async def here(engine: Engine) -> bool:
        return await engine.database.transact(takes_out(operator(), account, engine.clock.now()))

    path = f"/links/{quote(account, safe='')}"
    if not ask(data, "DELETE", path, here, lambda text: bool(json.loads(text)["unlinked"])):
        sys.stderr.write(f"{account} is linked with no other by a code.\n")
        sys.exit(1)
    sys.stderr.write(f"{account} stands for itself again.\n")


def _people(text: str) -> list[list[str]]:
    found: list[list[str]] = json.loads(text)["people"]
    return found
