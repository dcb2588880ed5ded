"""`io.kestra.plugin.spark`: jobs on a Spark cluster."""

from typing import ClassVar, Literal

from engine.tasks.scripts.script_task import CommandsTask


class SparkCLI(CommandsTask):
    """Run commands of Spark."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.spark.SparkCLI
namespaceFiles:
  enabled: true
commands:
  - spark-submit --master spark://spark.example.com:7077 job.py
""",
    )
    default_image: ClassVar[str] = "apache/spark"
    type: Literal["io.kestra.plugin.spark.SparkCLI"]
