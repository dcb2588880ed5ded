"""`io.kestra.plugin.jdbc.redshift`: Amazon Redshift, which speaks PostgreSQL's protocol."""

from typing import ClassVar, Literal

from engine.tasks.jdbc.postgresql import PostgresConnected
from engine.tasks.sql_task import QueriesTask, QueryTask, SqlTrigger


class RedshiftConnected(PostgresConnected):
    """A connection to Redshift."""

    driver: ClassVar[str] = "jdbc:redshift:"


class Query(RedshiftConnected, QueryTask):
    """Run one statement in Redshift."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sold
type: io.kestra.plugin.jdbc.redshift.Query
url: jdbc:redshift://cluster.example.eu-central-1.redshift.amazonaws.com:5439/dev
username: "{{ secret('REDSHIFT_USER') }}"
password: "{{ secret('REDSHIFT_PASSWORD') }}"
sql: SELECT sum(qtysold) AS sold FROM sales
fetchType: FETCH_ONE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.redshift.Query"]


class Queries(RedshiftConnected, QueriesTask):
    """Run several statements in Redshift."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.redshift.Queries
url: jdbc:redshift://cluster.example.eu-central-1.redshift.amazonaws.com:5439/dev
username: "{{ secret('REDSHIFT_USER') }}"
password: "{{ secret('REDSHIFT_PASSWORD') }}"
sql: |
  TRUNCATE staging;
  COPY staging FROM 's3://reports/orders.csv' IAM_ROLE '{{ secret('ROLE') }}' CSV;
""",
    )
    type: Literal["io.kestra.plugin.jdbc.redshift.Queries"]


class Trigger(RedshiftConnected, SqlTrigger):
    """Start an execution when a statement in Redshift gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_orders
type: io.kestra.plugin.jdbc.redshift.Trigger
interval: PT10M
url: jdbc:redshift://cluster.example.eu-central-1.redshift.amazonaws.com:5439/dev
username: "{{ secret('REDSHIFT_USER') }}"
password: "{{ secret('REDSHIFT_PASSWORD') }}"
sql: SELECT * FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    query: ClassVar[type[QueryTask]] = Query
    type: Literal["io.kestra.plugin.jdbc.redshift.Trigger"]
