"""A deterministic simulation: random flows, people and faults, from a seed, and laws that hold at every step."""
