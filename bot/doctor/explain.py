"""The model that explains failed runs: whether it is reached, is there, and takes our key. It is asked once."""

from bot.explaining import models
from bot.explaining.section import ExplainSection
from bot.findings import Finding
from bot.settings import BotSettings
from engine.secrets import Masker, Secrets
from engine.tasks.ai.conversation import Turn

NAME = "explain"


async def explain(settings: BotSettings) -> list[Finding]:
    """Nothing where no model is set up."""
    section = settings.explain
    if section is None:
        return []
    masker = Masker()
    asked = [Turn("user", "Answer with the one word: ready.")]
    try:
        await models.ask(section, settings, Secrets(settings, masker), masker, asked)
    except models.Unexplained as error:
        cause = masker.mask(str(error.__cause__)) if error.__cause__ else ""
        text = f"{error.message} {cause}".strip() if cause and cause not in error.message else error.message
        return [Finding(NAME, "wrong", text, error.fix)]
    return [Finding(NAME, "ok", f"{section.model} answers{_left_out(section)}")]


def _left_out(section: ExplainSection) -> str:
    return f"; it hears nothing of {', '.join(section.leave_out)}" if section.leave_out else ""
