"""A copy of a database file as it is at one moment, made while another process writes to it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from engine.errors import StoreFailed

WAIT = 15.0  # seconds for another program that has locked the file


def copy_database(source: Path, target: Path) -> int:
    """Write a compact copy and see that it is whole; its executions. StoreFailed, and then there is no target.

    The file is read as of one moment: what is committed later is not in the copy, and nobody waits for it.
    """
    part = target.with_name(target.name + ".part")
    try:
        part.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise StoreFailed(
            f"There is {part} already, from a copy under way or one that was cut off.", fix="Remove it and try again."
        ) from error
    try:
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=WAIT, isolation_level=None)) as here:
            here.execute("VACUUM INTO ?", (str(part),))
        with closing(sqlite3.connect(f"file:{part}?mode=ro", uri=True)) as copy:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                raise StoreFailed(f"The copy of {source} is damaged ({found}).", fix="Check the disk and try again.")
            number: int = copy.execute("SELECT count(*) FROM execution").fetchone()[0]
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.link(part, target)  # refuses what is there, also what came there meanwhile
    except sqlite3.Error as error:
        raise StoreFailed(
            f"{source} could not be copied: {error}.",
            fix="Check that it is a database of Parley, and the disk's space.",
        ) from error
    except FileExistsError as error:
        raise StoreFailed(f"There is {target} already.", fix="Name another file, or remove it first.") from error
    finally:
        part.unlink(missing_ok=True)
    return number
