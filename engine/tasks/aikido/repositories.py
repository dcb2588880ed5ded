"""`io.kestra.plugin.aikido.repositories`: code that Aikido looks at."""

from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Property, RunContext, RunnableTask
from engine.tasks.aikido_service import AikidoConnected, Exported, SbomTask, ScanTask, Session
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.property_types import OptionalText, Text


class Scan(ScanTask):
    """Scan a repository."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: scan
type: io.kestra.plugin.aikido.repositories.Scan
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
repositoryId: "{{ inputs.repository }}"
waitForCompletion: true
""",
    )
    type: Literal["io.kestra.plugin.aikido.repositories.Scan", "io.kestra.plugin.aikido.repositories.ScanRepository"]
    repository_id: Property[Text]
    sast: Property[bool] = True
    iac: Property[bool] = True
    secrets: Property[bool] = True

    async def begin(self, session: Session) -> bool:
        params = {
            "include_sast_scan": self.sast,
            "include_iac_scan": self.iac,
            "include_secrets_scan": self.secrets,
        }
        await session.ask("POST", f"{_path(self.repository_id)}/scan", params=params)
        return True

    async def scanned_at(self, session: Session) -> int:
        found = await session.tell("GET", _path(self.repository_id))
        return int(found.get("last_scanned_at") or 0)


class ExportSbom(SbomTask):
    """Export the packages and licenses of a repository."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: packages
type: io.kestra.plugin.aikido.repositories.ExportSbom
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
repositoryId: "1234"
format: SBOM_SPDX
""",
    )
    type: Literal[
        "io.kestra.plugin.aikido.repositories.ExportSbom", "io.kestra.plugin.aikido.repositories.ExportRepositorySbom"
    ]
    repository_id: Property[Text]
    scope: Property[Text] = "ALL"
    location: Property[OptionalText] = None
    include_vex: Property[bool] = False

    async def run(self, context: RunContext) -> Exported:
        more = {"scope": self.scope.lower(), "include_vex": int(self.include_vex), "location": self.location or None}
        return await self.exported(context, _path(self.repository_id), **more)


class List(AikidoConnected, RunnableTask):
    """List the repositories."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: repositories
type: io.kestra.plugin.aikido.repositories.List
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
filterName: shop
""",
    )
    type: Literal["io.kestra.plugin.aikido.repositories.List", "io.kestra.plugin.aikido.repositories.ListRepositories"]
    include_inactive: Property[bool] = False
    filter_name: Property[OptionalText] = None
    filter_branch: Property[OptionalText] = None
    page_size: Property[int] = Field(default=20, ge=10, le=200)
    fetch_type: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Fetched:
        found = await (await self.session(context)).pages(
            "repositories/code",
            self.page_size,
            include_inactive=self.include_inactive,
            filter_name=self.filter_name or None,
            filter_branch=self.filter_branch or None,
        )
        return await fetched(context, found, self.fetch_type)


def _path(repository: str) -> str:
    return f"repositories/code/{quote(repository, safe='')}"
