"""`io.kestra.plugin.aikido.containers`: container images that Aikido looks at."""

from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Property, RunContext, RunnableTask
from engine.tasks.aikido_service import AikidoConnected, Exported, SbomTask, ScanTask, Session
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.property_types import OptionalText, Text


class Scan(ScanTask):
    """Scan a container image."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: scan
type: io.kestra.plugin.aikido.containers.Scan
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
containerId: "{{ inputs.container }}"
""",
    )
    type: Literal["io.kestra.plugin.aikido.containers.Scan", "io.kestra.plugin.aikido.containers.ScanContainer"]
    container_id: Property[Text]

    async def begin(self, session: Session) -> bool:
        told = await session.tell("POST", f"{_path(self.container_id)}/scan")
        return told.get("success") == 1

    async def scanned_at(self, session: Session) -> int:
        found = await session.tell("GET", _path(self.container_id))
        return int(found.get("last_scanned_at") or 0)


class ExportSbom(SbomTask):
    """Export the packages and licenses of a container image."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: packages
type: io.kestra.plugin.aikido.containers.ExportSbom
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
containerId: "77"
format: SBOM
""",
    )
    type: Literal[
        "io.kestra.plugin.aikido.containers.ExportSbom", "io.kestra.plugin.aikido.containers.ExportContainerSbom"
    ]
    container_id: Property[Text]

    async def run(self, context: RunContext) -> Exported:
        return await self.exported(context, _path(self.container_id))


class List(AikidoConnected, RunnableTask):
    """List the container images."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: images
type: io.kestra.plugin.aikido.containers.List
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
filterTag: latest
""",
    )
    type: Literal["io.kestra.plugin.aikido.containers.List", "io.kestra.plugin.aikido.containers.ListContainers"]
    filter_name: Property[OptionalText] = None
    filter_tag: Property[OptionalText] = None
    page_size: Property[int] = Field(default=20, ge=10, le=100)
    fetch_type: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Fetched:
        found = await (await self.session(context)).pages(
            "containers",
            self.page_size,
            filter_name=self.filter_name or None,
            filter_tag=self.filter_tag or None,
        )
        return await fetched(context, found, self.fetch_type)


def _path(container: str) -> str:
    return f"containers/{quote(container, safe='')}"
