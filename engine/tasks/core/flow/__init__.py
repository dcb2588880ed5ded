"""`io.kestra.plugin.core.flow`: tasks that decide which tasks run, wait, or start other flows."""
