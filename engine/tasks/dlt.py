"""`io.kestra.plugin.dlt`: pipelines of dlt, which loads data into tables."""

import re
from typing import ClassVar, Literal

from engine.plugin import RunContext
from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult

IMAGE = "ghcr.io/kestra-io/dlt"
DLT = re.compile(r"\s*dlt (?!.*--non-interactive)")
INIT = re.compile(r"\s*dlt\b.*\binit\b")
INSTALL = "if [ -f requirements.txt ]; then pip install -r requirements.txt; fi"


class CLI(CommandsTask):
    """Run commands of `dlt`, which asks nothing; what `dlt init` wants is installed."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.dlt.CLI
namespaceFiles:
  enabled: true
commands:
  - python pipeline.py
  - dlt pipeline orders info
""",
    )
    default_image: ClassVar[str] = IMAGE
    type: Literal["io.kestra.plugin.dlt.CLI", "io.kestra.plugin.dlt.DltCLI"]

    async def run(self, context: RunContext) -> ScriptResult:
        lines: list[str] = []
        for line in await self.rendered_lines(context, self.commands):
            lines += [DLT.sub("dlt --non-interactive ", line, count=1), *([INSTALL] if INIT.match(line) else [])]
        return await self.run_commands(context, lines)


class Run(LanguageScript):
    """Run a pipeline written in Python."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.dlt.Run
outputFiles: [orders.duckdb]
script: |
  import dlt

  pipeline = dlt.pipeline(pipeline_name="orders", destination="duckdb", dataset_name="shop")
  print(pipeline.run([{"id": 1, "total": 9.5}], table_name="orders"))
""",
    )
    default_image: ClassVar[str] = IMAGE
    program: ClassVar[tuple[str, ...]] = ("python",)
    suffix: ClassVar[str] = ".py"
    type: Literal["io.kestra.plugin.dlt.Run", "io.kestra.plugin.dlt.DltRun"]
