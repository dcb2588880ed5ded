"""What the engine manages, measured: `python -m tests.bench`."""
