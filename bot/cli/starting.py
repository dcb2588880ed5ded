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

    It would stop everything for a tenth of a second otherwise, again and again.
    """
    gc.freeze()
    gc.enable()
