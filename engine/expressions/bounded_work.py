"""What runs inside the process that `bounded` starts."""

import json
import re
import sys
from typing import Any

from engine.errors import ExpressionFailed
from engine.expressions.bounded import limit_process
from engine.expressions.failures import fail
from engine.expressions.jq_programs import run
from engine.expressions.limits import MAX_TEXT
from engine.expressions.printing import measure
from engine.expressions.regexes import fitting_of, replace_with, replacement_template, split_with


def main() -> None:
    """Answer the one request on standard input."""
    limit_process()
    request = json.load(sys.stdin)
    try:
        found = _work(request)
        measure(found)
        answer = json.dumps({"result": found})
        if len(answer) > MAX_TEXT * 2:
            fail(f"{request['work']} gives a result of more than {MAX_TEXT:,} characters.")
    except ExpressionFailed as error:
        answer = json.dumps({"error": error.message})
    sys.stdout.write(answer)


def _work(request: dict[str, str]) -> Any:
    if request["work"] == "jq":
        return run(request["program"], request["document"])
    expression = re.compile(request["pattern"], re.ASCII)
    text, argument = request["text"], request["argument"]
    if request["work"] == "split":
        return split_with(expression, text, int(argument))
    if request["work"] == "fit":
        return fitting_of(expression, json.loads(text))
    if request["work"] == "replace":
        return replace_with(expression, text, replacement_template(argument, expression))
    found = expression.search(text)
    return [found[0], *found.groups()] if found else None
