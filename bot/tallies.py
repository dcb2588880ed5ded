"""What the bot has counted since it started, for `/metrics`."""

from bot.conversation import FieldErrors, Form, Notice, Reply
from engine.tallies import Tally

DELIVERIES = Tally("platform", "kind", "outcome")  # commands, clicks and forms
REDELIVERIES = Tally("platform", "kind")  # copies that got the answer of the first
RATE_LIMITS = Tally("platform")  # times a platform asked us to slow down
# What the outbox made of refusals: tried later, posted again, kept for want of a token, given up; and what it lost.
REFUSALS = Tally("platform", "outcome")
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
