"""Words behind a flow that belong to no input: `run deploy web`. They are never passed over. Pure."""

import re
from collections.abc import Sequence

from bot.commands.grammar import quote
from bot.texts import code, listed

_PAIR = re.compile(r"(\S+?) ?[:=] ?(\S+)")


def about(words: Sequence[str], flow: str, inputs: Sequence[str]) -> str:
    """What to say of them: how it is written that was most likely meant."""
    said = code(" ".join(words), 100)
    if not inputs:
        return f"{code(flow)} asks for nothing, so I don't know what {said} is for. Nothing was started."
    meant = [f"{name}={value}" for name, value in _PAIR.findall(" ".join(words)) if name in inputs]
    if not meant:
        meant = [f"{inputs[0]}={quote(' '.join(words))}"]
        among = f" {code(flow)} asks for {listed(inputs)}." if len(inputs) > 1 else ""
    else:
        among = " There are no blanks around `=`."
    written = f"/flow run {flow} {' '.join(meant)}"
    return f"For which input is {said}?{among} Write for example {code(written, 300)}. Nothing was started."
