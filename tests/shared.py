"""Test data that lies beside the checkout: the seed flows, the conformance cases, Discord's API description.

In CI it must be there; elsewhere a test that needs it is skipped with a sentence.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared(relative: str) -> Path:
    """A file or folder of the shared test data; skips when it is absent, fails when `CI` is set."""
    base = Path(os.environ.get("PARLEY_SHARED", ROOT.parent / "shared"))
    path = base / relative
    if not path.exists():
        message = f"{relative} is not there; set PARLEY_SHARED to the folder that holds it."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def seed(name: str) -> Path:
    """One of the four seed flows, byte for byte; PARLEY_SEEDS may name another folder."""
    folder = os.environ.get("PARLEY_SEEDS")
    return Path(folder) / name if folder else shared(f"seeds/{name}")


def part(available: bool, what: str, how: str) -> None:
    """Skip a test without its heavy real part on a laptop, fail it in CI."""
    if not available:
        message = f"{what} is not here: {how}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
