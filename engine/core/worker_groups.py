"""Names of worker groups: what a task asks for, and what a worker serves."""

from collections.abc import Iterable
from itertools import combinations

MOST_TAGS = 3  # that a task may ask for together: a worker listens for every combination of so many of its groups


def of_tags(tags: Iterable[str]) -> str:
    """The group of workers that have all of some tags."""
    return "+".join(sorted(set(tags)))


def served_by(groups: Iterable[str]) -> tuple[str, ...]:
    """The groups whose tasks a worker runs that was started for some: each, and each combination of them."""
    own = sorted(set(groups))
    return tuple(of_tags(some) for size in range(1, MOST_TAGS + 1) for some in combinations(own, size))
