"""How far one execution may go before it is stopped, so that none stops the others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the operator allows (`limits` in the settings)."""

    foreach_values: int = 10_000
    loop_iterations: int = 100_000


DEFAULT = Bounds()
