"""`/flow explain <run>`, and *Explain* on the card of a failed run: a model says why it failed."""

from bot.asking import Asking, Parts
from bot.cards.parts import STATE_WORDS
from bot.commands.grammar import Line
from bot.commands.references import refused, short
from bot.commands.runs import deed_of, refuse
from bot.conversation import Reply
from bot.explaining.explainer import Asker
from bot.frontend import Unreachable
from bot.texts import code
from engine.core.execution import Execution
from engine.core.state import State

WORD = "explain"


async def explain(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`explain [run]`."""
    return await begin(parts, asking, await parts.execution(line.word(0), asking))


async def begin(parts: Parts, asking: Asking, execution: Execution) -> Reply:
    """The explanation of a failed run, or that the model is asked for it. Whoever may see the log may ask."""
    if refusal := await refuse(parts, asking, execution, "see"):
        return Reply(refusal)
    office, label = parts.office, code(short(execution.id))
    if office.explain is None:
        raise refused("No model is set up here to explain runs. `/flow logs` shows the log.")
    if execution.state is not State.FAILED:
        raise refused(f"Run {label} is {STATE_WORDS[execution.state]}: there is no failure to explain.")
    if not office.explains(execution):
        flow = code(f"{execution.namespace}/{execution.flow_id}")
        raise refused(f"Nothing of {flow} is told to a model: whoever keeps parley.yaml left it out.")
    try:
        accounts = (await office.eligibility.identities.of(asking.person.id)).accounts
    except Unreachable:  # whose they are can't be told now
        accounts = (asking.person.id,)
    asker = Asker(asking.person, asking.room, asking.receipt, asking.answer_url, accounts)
    return await parts.explaining.ask(asker, execution, deed_of(asking, execution, WORD, office.now()))
