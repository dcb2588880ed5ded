"""`io.kestra.plugin.microsoft.fabric`: data in Microsoft Fabric."""
