"""`io.kestra.plugin.aikido.domains`: domains that Aikido looks at from outside."""

from typing import ClassVar, Literal

from engine.plugin import Property, TaskFailed
from engine.tasks.aikido_service import ScanTask, Session

PAGE = 100


class Scan(ScanTask):
    """Scan a domain."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: scan
type: io.kestra.plugin.aikido.domains.Scan
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
domainId: "12"
""",
    )
    type: Literal["io.kestra.plugin.aikido.domains.Scan", "io.kestra.plugin.aikido.domains.ScanDomain"]
    domain_id: Property[int]

    async def begin(self, session: Session) -> bool:
        told = await session.tell("POST", "domains/scan", json={"domain_id": self.domain_id})
        return told.get("success") == 1

    async def scanned_at(self, session: Session) -> int:
        for one in await session.pages("domains", PAGE):
            if one.get("id") == self.domain_id:
                return int(one.get("last_scanned_at") or 0)
        raise TaskFailed(f"Aikido has no domain {self.domain_id}.", fix="Its id is in the list of domains.")
