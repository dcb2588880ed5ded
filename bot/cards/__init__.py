"""Cards: what chat shows of runs and pauses, drawn from the engine's rows and carried to the platforms."""
