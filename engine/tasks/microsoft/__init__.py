"""`io.kestra.plugin.microsoft`: services of Microsoft."""
