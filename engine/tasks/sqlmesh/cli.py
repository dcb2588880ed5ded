"""`io.kestra.plugin.sqlmesh.cli`: models of SQL and Python."""

from typing import ClassVar, Literal

from engine.tasks.scripts.script_task import CommandsTask


class SQLMeshCLI(CommandsTask):
    """Run commands of `sqlmesh`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.sqlmesh.cli.SQLMeshCLI
namespaceFiles:
  enabled: true
commands:
  - sqlmesh run
""",
    )
    default_image: ClassVar[str] = "ghcr.io/kestra-io/sqlmesh"
    type: Literal["io.kestra.plugin.sqlmesh.cli.SQLMeshCLI"]
