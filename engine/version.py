"""Which Parley runs."""

from importlib.metadata import PackageNotFoundError, version


def running_version() -> str:
    """The version that is installed; "unknown" in a folder of sources."""
    try:
        return version("parley-bot")
    except PackageNotFoundError:
        return "unknown"
