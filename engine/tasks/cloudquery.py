"""`io.kestra.plugin.cloudquery`: copies of what cloud services hold."""

import json
from typing import Any, ClassVar, Literal

import yaml

from engine.errors import NotFound, Refused
from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.property_types import JsonList
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult, ScriptTask
from engine.tasks.working_files import STORAGE

IMAGE = "ghcr.io/cloudquery/cloudquery:latest"


class CloudQueryCLI(CommandsTask):
    """Run commands of `cloudquery`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: copy
type: io.kestra.plugin.cloudquery.CloudQueryCLI
commands:
  - /app/cloudquery sync config.yml --log-console
env:
  CLOUDQUERY_API_KEY: "{{ secret('CLOUDQUERY_API_KEY') }}"
inputFiles:
  config.yml: "{{ read('config.yml') }}"
""",
    )
    default_image: ClassVar[str] = IMAGE
    type: Literal["io.kestra.plugin.cloudquery.CloudQueryCLI"]


class Sync(ScriptTask):
    """Copy what sources hold to destinations, as the given configurations say."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: copy
type: io.kestra.plugin.cloudquery.Sync
env:
  CLOUDQUERY_API_KEY: "{{ secret('CLOUDQUERY_API_KEY') }}"
configs:
  - kind: source
    spec:
      name: hackernews
      path: cloudquery/hackernews
      version: v3.0.13
      tables: ["*"]
      destinations: [duckdb]
      spec:
        item_concurrency: 100
  - kind: destination
    spec:
      name: duckdb
      path: cloudquery/duckdb
      version: v4.2.10
      spec:
        connection_string: hn.db
""",
    )
    default_image: ClassVar[str] = IMAGE
    type: Literal["io.kestra.plugin.cloudquery.Sync"]
    configs: Property[JsonList]
    incremental: Any = None
    log_console: Property[bool] = True

    async def run(self, context: RunContext) -> ScriptResult:
        if not self.configs:
            raise TaskFailed("`configs` is empty.", fix="Give at least one source and one destination.")
        documents = [await self._document(context, config) for config in self.configs]
        (context.working_dir / "config.yml").write_text("\n---\n".join(documents), "utf-8")
        flag = " --log-console" if self.log_console else ""
        return await self.run_commands(context, [f"/app/cloudquery sync config.yml{flag}"])

    async def _document(self, context: RunContext, config: Any) -> str:
        if not isinstance(config, str):
            return yaml.safe_dump(json.loads(json.dumps(config, default=str)), sort_keys=False)
        if not config.strip().startswith(STORAGE):
            return config
        try:
            return (await context.files.read(config.strip())).decode("utf-8")
        except (NotFound, Refused, UnicodeDecodeError) as error:
            raise TaskFailed(f"The configuration {config.strip()} cannot be read: {error}") from error
