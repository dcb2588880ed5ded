"""`io.kestra.plugin.microsoft.fabric.onelake`: files in the lake of Microsoft Fabric."""

from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.entra import token_of
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.runners import own_file

LAKE, SCOPE = "https://onelake.dfs.fabric.microsoft.com", "https://storage.azure.com/.default"
VERSION = "2021-12-02"  # of the storage API
BLOCK = 8 << 20
FOLDERS = ("Files/", "Tables/")  # all that an item has


class Place(Part):
    """A file of an item, such as a lakehouse, in a workspace, and who asks."""

    tenant_id: Property[OptionalText] = None
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    workspace_id: Property[Text]
    item_id: Property[Text]
    file_path: Property[Text] = Field(description="Below `Files`, unless it begins with `Files/` or `Tables/`.")

    @property
    def path(self) -> str:
        """Where it lies in the lake."""
        plain = self.file_path.lstrip("/")
        below = plain if plain.startswith(FOLDERS) else f"Files/{plain}"
        return f"{self.workspace_id}/{self.item_id}/{below}"

    async def address(self, context: RunContext) -> tuple[str, dict[str, str]]:
        """Its address, and what every call carries; TaskFailed when it is not said who asks."""
        token = await token_of(context, self.tenant_id, self.client_id, self.client_secret, SCOPE)
        base = (context.settings.provider("onelake").base_url or LAKE).rstrip("/")
        return f"{base}/{quote(self.path)}", {"Authorization": f"Bearer {token}", "x-ms-version": VERSION}


class Stored(Outputs):
    """The file."""

    uri: str


class Fetched(Outputs):
    """The file, and how many bytes it has."""

    uri: StoredUri
    size: int


class Upload(Place, RunnableTask):
    """Write a file over what is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: put
type: io.kestra.plugin.microsoft.fabric.onelake.Upload
tenantId: "{{ secret('FABRIC_TENANT_ID') }}"
clientId: "{{ secret('FABRIC_CLIENT_ID') }}"
clientSecret: "{{ secret('FABRIC_CLIENT_SECRET') }}"
workspaceId: 3f2504e0-4f89-11d3-9a0c-0305e82c3301
itemId: 886313e1-3b8a-5372-9b90-0c9aee199e5d
from: "{{ outputs.extract.uri }}"
filePath: raw/orders.csv
""",
    )
    type: Literal["io.kestra.plugin.microsoft.fabric.onelake.Upload"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Stored:
        source = context.files.path(self.from_)
        url, headers = await self.address(context)

        async def ask(method: str, params: dict[str, str], **body: Any) -> None:
            await rest_service.call(context, "OneLake", method, url, headers=headers, params=params, **body)

        await ask("PUT", {"resource": "file"})
        size = 0
        with source.open("rb") as content:
            while block := content.read(BLOCK):
                await ask("PATCH", {"action": "append", "position": str(size)}, content=block)
                size += len(block)
        await ask("PATCH", {"action": "flush", "position": str(size), "close": "true"})
        context.metric("file.size", size)
        workspace, _, below = self.path.partition("/")
        return Stored(uri=f"abfss://{workspace}@onelake.dfs.fabric.microsoft.com/{below}")


class Download(Place, RunnableTask):
    """Fetch a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: get
type: io.kestra.plugin.microsoft.fabric.onelake.Download
tenantId: "{{ secret('FABRIC_TENANT_ID') }}"
clientId: "{{ secret('FABRIC_CLIENT_ID') }}"
clientSecret: "{{ secret('FABRIC_CLIENT_SECRET') }}"
workspaceId: 3f2504e0-4f89-11d3-9a0c-0305e82c3301
itemId: 886313e1-3b8a-5372-9b90-0c9aee199e5d
filePath: silver/latest.parquet
""",
    )
    type: Literal["io.kestra.plugin.microsoft.fabric.onelake.Download"]

    async def run(self, context: RunContext) -> Fetched:
        url, headers = await self.address(context)
        target = own_file(context, "onelake")
        await rest_service.downloaded(context, "OneLake", url, target, of=self.path, headers=headers)
        size = target.stat().st_size
        context.metric("file.size", size)
        return Fetched(uri=await context.files.put(target, PurePosixPath(self.file_path).name), size=size)


class Delete(Place, RunnableTask):
    """Delete a file, or with `recursive` a folder and all that is in it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.microsoft.fabric.onelake.Delete
tenantId: "{{ secret('FABRIC_TENANT_ID') }}"
clientId: "{{ secret('FABRIC_CLIENT_ID') }}"
clientSecret: "{{ secret('FABRIC_CLIENT_SECRET') }}"
workspaceId: 3f2504e0-4f89-11d3-9a0c-0305e82c3301
itemId: 886313e1-3b8a-5372-9b90-0c9aee199e5d
filePath: raw/orders.csv
""",
    )
    type: Literal["io.kestra.plugin.microsoft.fabric.onelake.Delete"]
    recursive: Property[bool] = False

    async def run(self, context: RunContext) -> None:
        if self.path.endswith("/"):
            raise TaskFailed(f"`filePath` names no file: {self.file_path!r}.", fix="Say which file or folder is meant.")
        url, headers = await self.address(context)
        params = {"recursive": str(self.recursive).lower()}
        await rest_service.call(context, "OneLake", "DELETE", url, headers=headers, params=params)
