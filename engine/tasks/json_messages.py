"""Messages that are JSON, from whoever may send them."""

import json
from typing import Any

from engine.errors import ExpressionFailed
from engine.expressions.limits import MAX_DEPTH
from engine.expressions.printing import measure


def value_of(text: str | bytes) -> Any:
    """The value that a message is; ValueError when it is not JSON, or nested deeper than a flow could work with."""
    try:
        found = json.loads(text)
        measure(found)
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    except ExpressionFailed as error:
        raise ValueError(error.message.rstrip(".")) from error
    return found
