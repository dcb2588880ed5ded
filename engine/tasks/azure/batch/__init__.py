"""`io.kestra.plugin.azure.batch`: programs that run on many machines of Azure's."""
