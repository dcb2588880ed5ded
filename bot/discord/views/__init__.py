"""Pure renderers: what a front end shows → component JSON within every limit, and what did not fit (`Rendered`)."""

from bot.discord.views.cards import card, notice
from bot.discord.views.components import Overflow, Rendered
from bot.discord.views.forms import modal
from bot.discord.views.listings import listing, transcript
from bot.discord.views.steps import refusal, step

__all__ = ["Overflow", "Rendered", "card", "listing", "modal", "notice", "refusal", "step", "transcript"]
