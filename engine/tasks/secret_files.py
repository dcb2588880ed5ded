"""Keys and certificates as files, for libraries and programs that read them from nowhere else."""

from pathlib import Path


def kept(path: Path, text: str, mode: int = 0o600) -> str:
    """The path of a file that at no moment anybody but its owner may read; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(text, "utf-8")
    return str(path)
