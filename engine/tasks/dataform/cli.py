"""`io.kestra.plugin.dataform.cli`: SQL models in BigQuery."""

from typing import ClassVar, Literal

from engine.tasks.scripts.script_task import CommandsTask


class DataformCLI(CommandsTask):
    """Run commands of `dataform`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.dataform.cli.DataformCLI
namespaceFiles:
  enabled: true
commands:
  - dataform run
""",
    )
    default_image: ClassVar[str] = "dataformco/dataform:latest"
    type: Literal["io.kestra.plugin.dataform.cli.DataformCLI", "io.kestra.plugin.gcp.dataform.cli.DataformCLI"]
