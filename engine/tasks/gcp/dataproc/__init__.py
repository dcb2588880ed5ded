"""`io.kestra.plugin.gcp.dataproc`: Spark on machines of Google."""
