"""The files of flows in folders."""

import os
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".yaml", ".yml")


def flow_files(folder: Path) -> Iterator[Path]:
    """The YAML files of a folder at any depth, in order, without hidden ones and those in hidden folders; a file that
    is named itself, whatever it is called."""
    if folder.is_file():
        yield folder
        return
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]  # a `.git` is large, and looked at often
        found += [Path(root, name) for name in names if name.endswith(SUFFIXES) and not name.startswith(".")]
    yield from (path for path in sorted(found) if path.is_file())
