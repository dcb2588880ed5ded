"""`io.kestra.plugin.jdbc.mariadb`: MariaDB, which speaks MySQL's protocol."""

from typing import ClassVar, Literal

from engine.tasks.jdbc import mysql
from engine.tasks.sql_task import QueryTask, SqlTrigger


class MariaDbConnected(mysql.MySqlConnected):
    """A connection to MariaDB."""

    driver: ClassVar[str] = "jdbc:mariadb:"
    product: ClassVar[str] = "MariaDB"


class Query(MariaDbConnected, mysql.Query):
    """Run one statement in MariaDB."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: overdue
type: io.kestra.plugin.jdbc.mariadb.Query
url: jdbc:mariadb://db.example.com:3306/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, customer FROM invoices WHERE NOT paid
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.mariadb.Query"]  # type: ignore[assignment]


class Queries(MariaDbConnected, mysql.Queries):
    """Run several statements in MariaDB."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.jdbc.mariadb.Queries
url: jdbc:mariadb://db.example.com:3306/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  DELETE FROM carts WHERE seen < now() - INTERVAL 30 DAY;
  OPTIMIZE TABLE carts;
transaction: false
""",
    )
    type: Literal["io.kestra.plugin.jdbc.mariadb.Queries"]  # type: ignore[assignment]


class Trigger(MariaDbConnected, SqlTrigger):
    """Start an execution when a statement in MariaDB gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_orders
type: io.kestra.plugin.jdbc.mariadb.Trigger
url: jdbc:mariadb://db.example.com:3306/shop
sql: SELECT * FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    query: ClassVar[type[QueryTask]] = Query
    type: Literal["io.kestra.plugin.jdbc.mariadb.Trigger"]
