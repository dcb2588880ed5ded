"""`io.kestra.plugin.microsoft.fabric.data`: work on data in Microsoft Fabric."""
