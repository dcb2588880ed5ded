"""What keeps the start of a bot short, and its answers even afterwards."""

import gc
import sys


def begin() -> None:
    """Before the bot is loaded: almost all of that stays, so that looking through it for garbage finds none."""
    gc.disable()
    # Our log shows tracebacks as Python does; structlog would load rich for prettier ones that nobody asks for.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]


def settle() -> None:
    """Once it is ready: what is in memory now stays, so that the collector looks at what comes and goes only.

    Measured, in CPU time of the longest collection: with the 224,000 objects of a bot that is ready and 130,000 of
    executions under way 130 to 140 ms otherwise, and 23 to 30 ms so; with 1.3 million of executions 400 and 290 ms.
    Python's own thresholds stay. With (50000, 20, 100) in their place the oldest are looked at less often, but one
    collection of those in the middle took 200 ms, where all of them took 1 ms before.
    """
    gc.freeze()
    gc.enable()
