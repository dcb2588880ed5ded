"""What the bot has counted since it started, for `/metrics`."""

from bot.conversation import FieldErrors, Form, Notice, Reply
from engine.tallies import Distribution, Tally

DELIVERIES = Tally("platform", "kind", "outcome")  # commands, clicks and forms
REDELIVERIES = Tally("platform", "kind")  # copies that got the answer of the first
RATE_LIMITS = Tally("platform")  # times a platform asked us to slow down
# What the outbox made of refusals: tried later, posted again, kept for want of a token, given up; and what it lost.
REFUSALS = Tally("platform", "outcome")
PATIENCE = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 3 * 24 * 3600)  # seconds in which people answer
FIRST_CLICK = Distribution(PATIENCE)  # from a question to the first press of a button under it, whatever came of it
DECISION = Distribution(PATIENCE)  # from a question to the answer that decided it, by a person
EXPLANATIONS = Tally("outcome")  # questions to the model that explains failed runs


def outcome(reply: Reply | FieldErrors) -> str:
    """How a delivery was answered, in a word."""
    if isinstance(reply, FieldErrors):
        return "corrected"
    match reply.body:
        case Form():
            return "form"
        case Notice(code="E26"):
            return "broken"
        case Notice(tone="warning" | "danger"):
            return "refused"
        case _:
            return "done"
