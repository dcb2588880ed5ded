"""`io.kestra.plugin.spark`: jobs on a Spark cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import LateProperty, Property, RunContext
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList, scalar_to_text
from engine.tasks.runners import own_file
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult, ScriptTask, quoted
from engine.tasks.working_files import place


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


class SubmitTask(ScriptTask):
    """A job handed to a cluster by `spark-submit`."""

    default_image: ClassVar[str] = "apache/spark"
    master: Property[Text]
    name: Property[OptionalText] = None
    args: Property[TextList] = Field(default_factory=list)
    app_files: Property[JsonMap | None] = None
    verbose: Property[bool] = False
    configurations: Property[JsonMap | None] = None
    deploy_mode: Property[Literal["CLIENT", "CLUSTER"]] = "CLIENT"
    spark_submit_path: Property[Text] = "spark-submit"

    async def submitted(self, context: RunContext, main: Path, **more: str) -> ScriptResult:
        """What became of the job whose program is `main`; TaskFailed."""
        flags = {
            "--master": self.master,
            "--deploy-mode": self.deploy_mode.lower(),
            "--name": self.name,
            "--files": await placed(context, self.app_files),
            **{f"--{name.replace('_', '-')}": value for name, value in more.items()},
        }
        words = [self.spark_submit_path, *(word for flag, value in flags.items() if value for word in (flag, value))]
        for name, value in (self.configurations or {}).items():
            words += ["--conf", f"{name}={scalar_to_text(value)}"]
        words += [*(["--verbose"] if self.verbose else []), str(main), *self.args]
        return await self.run_commands(context, [quoted(words)])

    async def written(self, context: RunContext, script: str, suffix: str) -> Path:
        """The file of a script."""
        text = await self.rendered_text(context, script, guard="none")
        path = own_file(context, "main", f".{suffix}")
        path.write_text(text, "utf-8")
        return path


async def placed(context: RunContext, files: Mapping[str, Any] | None) -> str:
    """Files put below the working directory, as the list that `spark-submit` takes."""
    return ",".join(str(path) for path in await place(context, files or {}))


class PythonSubmit(SubmitTask):
    """Run a PySpark script on a cluster."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pi
type: io.kestra.plugin.spark.PythonSubmit
master: spark://spark.example.com:7077
args: ["10"]
mainScript: |
  import sys
  from pyspark.sql import SparkSession

  spark = SparkSession.builder.appName("count").getOrCreate()
  print(spark.range(int(sys.argv[1])).count())
  spark.stop()
""",
    )
    type: Literal["io.kestra.plugin.spark.PythonSubmit"]
    main_script: LateProperty[str]
    python_files: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> ScriptResult:
        main = await self.written(context, self.main_script, "py")
        return await self.submitted(context, main, py_files=await placed(context, self.python_files))


class RSubmit(SubmitTask):
    """Run a script of SparkR on a cluster."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.spark.RSubmit
master: spark://spark.example.com:7077
mainScript: |
  library(SparkR)
  sparkR.session()
  print(count(as.DataFrame(faithful)))
""",
    )
    type: Literal["io.kestra.plugin.spark.RSubmit"]
    main_script: LateProperty[str]

    async def run(self, context: RunContext) -> ScriptResult:
        return await self.submitted(context, await self.written(context, self.main_script, "R"))


class JarSubmit(SubmitTask):
    """Run a program of a JAR file on a cluster."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: job
type: io.kestra.plugin.spark.JarSubmit
master: spark://spark.example.com:7077
mainResource: "{{ inputs.jar }}"
mainClass: com.example.Orders
""",
    )
    type: Literal["io.kestra.plugin.spark.JarSubmit"]
    main_resource: Property[Text]
    main_class: Property[Text]
    jars: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> ScriptResult:
        (main,) = await place(context, {"app.jar": self.main_resource})
        jars = await placed(context, self.jars)
        return await self.submitted(context, main, **{"class": self.main_class, "jars": jars})
