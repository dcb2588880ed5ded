"""`io.kestra.plugin.databricks.dbfs`: files in the file system of a workspace of Databricks."""

import base64
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask
from engine.tasks.databricks_service import DatabricksConnected
from engine.tasks.property_types import Text
from engine.tasks.runners import WORK

BLOCK = 1 << 20  # the API takes and gives no more at once


class Stored(Outputs):
    """The file."""

    uri: str


class Upload(DatabricksConnected, RunnableTask):
    """Write a file over what is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: put
type: io.kestra.plugin.databricks.dbfs.Upload
host: https://dbc-1234.cloud.databricks.com
authentication:
  token: "{{ secret('DATABRICKS_TOKEN') }}"
from: "{{ inputs.file }}"
to: /Shared/orders.parquet
""",
    )
    type: Literal["io.kestra.plugin.databricks.dbfs.Upload"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]

    async def run(self, context: RunContext) -> None:
        source = context.files.path(self.from_)
        workspace = await self.workspace(context)
        made = await workspace.ask("POST", "api/2.0/dbfs/create", json={"path": self.to, "overwrite": True})
        with source.open("rb") as content:
            while block := content.read(BLOCK):
                sent = {"handle": made["handle"], "data": base64.b64encode(block).decode()}
                await workspace.ask("POST", "api/2.0/dbfs/add-block", json=sent)
        await workspace.ask("POST", "api/2.0/dbfs/close", json={"handle": made["handle"]})
        context.metric("file.size", source.stat().st_size)


class Download(DatabricksConnected, RunnableTask):
    """Fetch a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: get
type: io.kestra.plugin.databricks.dbfs.Download
host: https://dbc-1234.cloud.databricks.com
authentication:
  token: "{{ secret('DATABRICKS_TOKEN') }}"
from: /Shared/orders.parquet
""",
    )
    type: Literal["io.kestra.plugin.databricks.dbfs.Download"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Stored:
        workspace = await self.workspace(context)
        target = context.working_dir / WORK / f"dbfs-{context.task_run_id}"
        target.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        with target.open("wb") as content:
            while True:
                asked = {"path": self.from_, "offset": str(size), "length": str(BLOCK)}
                block = await workspace.ask("GET", "api/2.0/dbfs/read", params=asked)
                if not block.get("bytes_read"):
                    break
                size += content.write(base64.b64decode(block["data"]))
        context.metric("file.size", size)
        return Stored(uri=await context.files.put(target, PurePosixPath(self.from_).name))
