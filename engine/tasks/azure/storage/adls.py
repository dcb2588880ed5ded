"""`io.kestra.plugin.azure.storage.adls`: files of a Data Lake, through the blob endpoint of the same account."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.azure_blobs import BlobConnected, fetched
from engine.tasks.checksums import EitherChecksum
from engine.tasks.property_types import Text

File = dict[str, Any]


class LakeConnected(BlobConnected):
    """Which file system of which account."""

    file_system: Property[Text]

    def _client(self, blob: Any, before: Callable[..., None]) -> Any:
        if self.endpoint and ".dfs." in self.endpoint:
            elsewhere = {"endpoint": self.endpoint.replace(".dfs.", ".blob.", 1)}
            return self.model_copy(update=elsewhere)._client(blob, before)
        return super()._client(blob, before)


class Files(Outputs):
    """The files and directories."""

    files: list[File]


class OneFile(Outputs):
    """The file."""

    file: File


class List(LakeConnected, RunnableTask):
    """List what is in a directory."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: reports
type: io.kestra.plugin.azure.storage.adls.List
endpoint: https://company.dfs.core.windows.net
sasToken: "{{ secret('AZURE_SAS') }}"
fileSystem: lake
directoryPath: reports/2026
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.adls.List"]
    directory_path: Property[Text]
    max_files: Property[int] = Field(default=25, ge=1, description="A longer list is cut.")

    async def run(self, context: RunContext) -> Files:
        folder = self.directory_path.strip("/")

        def work(client: Any) -> list[File]:
            container = client.get_container_client(self.file_system)
            start = f"{folder}/" if folder else None
            items = (file_of(self.file_system, item) for item in container.walk_blobs(name_starts_with=start))
            return sorted(items, key=lambda one: str(one["name"]))

        found = await self.azure(context, work)
        if len(found) > self.max_files:
            context.log(f"There are {len(found)} files; the first {self.max_files} are taken (`maxFiles`).", "WARN")
        return Files(files=found[: self.max_files])


class FileTask(LakeConnected, RunnableTask):
    """Which file."""

    file_path: Property[Text]

    @property
    def name(self) -> str:
        """Its name in the file system."""
        return self.file_path.strip("/")


class Read(EitherChecksum, FileTask):
    """Download a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.azure.storage.adls.Read
endpoint: https://company.dfs.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
fileSystem: lake
filePath: reports/2026/january.csv
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.adls.Read"]

    async def run(self, context: RunContext) -> OneFile:
        found = await fetched(self, context, self.file_system, self.name, self)
        about = await self.azure(context, lambda client: _about(client, self.file_system, self.name))
        return OneFile(file={**about, "uri": found["uri"]})


class Upload(FileTask):
    """Upload a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.azure.storage.adls.Upload
endpoint: https://company.dfs.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
fileSystem: lake
filePath: reports/2026/january.csv
from: "{{ outputs.report.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.adls.Upload"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> OneFile:
        path = context.files.path(self.from_)

        def work(client: Any) -> File:
            with path.open("rb") as file:
                client.get_blob_client(self.file_system, self.name).upload_blob(file, overwrite=True)
            return _about(client, self.file_system, self.name)

        found = await self.azure(context, work)
        context.metric("file.size", float(found["size"]))
        return OneFile(file=found)


class Gone(Outputs):
    """Whether there was one."""

    file: File
    deleted: bool


class Delete(FileTask):
    """Delete a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.azure.storage.adls.Delete
endpoint: https://company.dfs.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
fileSystem: lake
filePath: reports/old.csv
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.adls.Delete"]
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Gone:
        def work(client: Any) -> bool:
            blob = client.get_blob_client(self.file_system, self.name)
            if not blob.exists():
                return False
            blob.delete_blob()
            return True

        deleted = await self.azure(context, work)
        if not deleted and self.error_on_missing:
            raise TaskFailed(f"There is no file {self.name!r} in {self.file_system!r}.")
        return Gone(file={"fileSystem": self.file_system, "name": self.name}, deleted=deleted)


def _about(client: Any, system: str, name: str) -> File:
    return file_of(system, client.get_blob_client(system, name).get_blob_properties())


def file_of(system: str, item: Any) -> File:
    """What a flow sees of a file or directory."""
    name, folder = item.name.rstrip("/"), item.name.endswith("/") or item.get("prefix") is not None
    found: File = {"fileSystem": system, "name": name, "fileName": PurePosixPath(name).name, "isDirectory": folder}
    if folder:
        return {**found, "size": 0}
    found["isDirectory"] = str((item.metadata or {}).get("hdi_isfolder", "")).lower() == "true"
    return {
        **found,
        "size": item.size,
        "contentType": item.content_settings.content_type,
        "eTag": str(item.etag).strip('"'),
        "creationTime": item.creation_time and item.creation_time.isoformat(),
        "lastModifed": item.last_modified and item.last_modified.isoformat(),
    }
