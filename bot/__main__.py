"""`parley` and `python -m bot`: the command line, with every error as a sentence."""

import sys

from bot.cli import app
from engine.errors import EngineError, NotFound, SettingInvalid


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (SettingInvalid, NotFound) as error:
        sys.stderr.write(f"parley: {error}\n")
        sys.exit(2)
    except EngineError as error:
        sys.stderr.write(f"parley: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
