"""`io.kestra.plugin.airflow`: what Apache Airflow runs."""
