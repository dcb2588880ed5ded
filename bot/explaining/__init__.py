"""A model's words on why a run failed: what it is told, what it answers, and who hears it."""
