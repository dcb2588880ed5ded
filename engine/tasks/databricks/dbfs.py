"""`io.kestra.plugin.databricks.dbfs`: files in the file system of a workspace of Databricks."""

import asyncio
import base64
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import (
    Look,
    Outputs,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    StoredUri,
    TaskFailed,
)
from engine.tasks import rest_service
from engine.tasks.arrivals import MOST_KNOWN, Arrivals, WatchFields
from engine.tasks.databricks_service import DatabricksConnected, Workspace
from engine.tasks.name_patterns import fitting
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.runners import own_file
from engine.tasks.trigger_fields import fields_of

BLOCK = 1 << 20  # the API takes and gives no more at once


class Stored(Outputs):
    """The file."""

    uri: StoredUri


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
        handle = rest_service.held(made, "Databricks", "handle")
        with source.open("rb") as content:
            while block := content.read(BLOCK):
                sent = {"handle": handle, "data": base64.b64encode(block).decode()}
                await workspace.ask("POST", "api/2.0/dbfs/add-block", json=sent)
        await workspace.ask("POST", "api/2.0/dbfs/close", json={"handle": handle})
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
        target = own_file(context, "dbfs")
        size = 0
        with target.open("wb") as content:
            while True:
                asked = {"path": self.from_, "offset": str(size), "length": str(BLOCK)}
                block = await workspace.ask("GET", "api/2.0/dbfs/read", params=asked)
                if not block.get("bytes_read") or not (data := rest_service.decoded(block, "Databricks", "data")):
                    break
                size += content.write(data)
        context.metric("file.size", size)
        return Stored(uri=await context.files.put(target, PurePosixPath(self.from_).name))


class Changed(Outputs):
    """The files that are new or have changed, as Databricks tells of them, each with its `changeType`."""

    files: list[dict[str, Any]]
    size: int


class FolderFields(DatabricksConnected, WatchFields):
    """Which folder is looked at, and what of it."""

    from_: Property[Text] = Field(alias="from")
    recursive: Property[bool] = False
    reg_exp: Property[OptionalText] = Field(default=None, description="Which the whole path of a file fits.")


class Trigger(FolderFields, PollingTrigger):
    """Start an execution when there are new files in a folder, or changed ones; they stay where they are."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: incoming
type: io.kestra.plugin.databricks.dbfs.Trigger
interval: PT1M
host: https://dbc-1234.cloud.databricks.com
authentication:
  token: "{{ secret('DATABRICKS_TOKEN') }}"
from: /mnt/incoming
recursive: true
on: CREATE
""",
    )
    type: Literal["io.kestra.plugin.databricks.dbfs.Trigger"]

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, FolderFields, context)
        there = await _listed(await fields.workspace(context), fields)
        arrivals = Arrivals(context, fields.on)
        named = sorted(there.values(), key=lambda one: str(one["path"]))
        news = arrivals.news(named, MOST_KNOWN, name=lambda one: str(one["path"]), version=_version)
        files = [{**one, "changeType": change} for one, change in news]
        return Look(Changed(files=files, size=len(files)) if files else None, arrivals.memory)


def _version(file: dict[str, Any]) -> str:
    return f"{file.get('modification_time')}:{file.get('file_size')}"


async def _listed(workspace: Workspace, fields: FolderFields) -> dict[str, dict[str, Any]]:
    """The files that are meant, by their paths; TaskFailed when there are more than can be remembered."""
    found: dict[str, dict[str, Any]] = {}
    folders = [fields.from_]
    for folder in folders:
        for one in (await workspace.ask("GET", "api/2.0/dbfs/list", params={"path": folder})).get("files") or ():
            path = str(rest_service.held(one, "Databricks", "path"))
            if not one.get("is_dir"):
                found[path] = one
            elif fields.recursive:
                folders.append(path)
    wanted = set(await asyncio.to_thread(fitting, list(found), fields.reg_exp, "regExp"))
    found = {path: one for path, one in found.items() if path in wanted}
    if len(found) > MOST_KNOWN:
        raise TaskFailed(
            f"{len(found)} files lie in {fields.from_}; {MOST_KNOWN} at most can be watched.",
            fix="Say by `regExp` which are meant.",
        )
    return found
