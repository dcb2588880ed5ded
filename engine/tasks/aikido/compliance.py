"""`io.kestra.plugin.aikido.compliance`: how far an account follows a framework."""

from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.aikido_service import AikidoConnected

PATHS = {"SOC2": "soc2", "ISO27001": "iso", "ISO": "iso", "NIS2": "nis2"}


class Overview(Outputs):
    """What Aikido found, rule by rule, and how many rules are followed."""

    overview: dict[str, Any] | None = None
    totalComplyingRuleCount: int | None = None  # noqa: N815 - appears as written
    totalRuleCount: int | None = None  # noqa: N815


class GetReport(AikidoConnected, RunnableTask):
    """Fetch the overview of a compliance framework."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: soc2
type: io.kestra.plugin.aikido.compliance.GetReport
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
framework: SOC2
""",
    )
    type: Literal[
        "io.kestra.plugin.aikido.compliance.GetReport", "io.kestra.plugin.aikido.compliance.GetComplianceReport"
    ]
    framework: Property[Literal["SOC2", "ISO27001", "ISO", "NIS2"]]

    async def run(self, context: RunContext) -> Overview:
        session = await self.session(context)
        found = await session.ask("GET", f"report/{PATHS[self.framework]}/overview")
        if isinstance(found, list):
            found = found[0] if found else None
        if not found:
            raise TaskFailed(f"Aikido has no report about {self.framework}.", fix="Switch the framework on in Aikido.")
        found = rest_service.mapped(found, "Aikido")
        return Overview(
            overview=found.get("overview"),
            totalComplyingRuleCount=found.get("total_complying_rule_count"),
            totalRuleCount=found.get("total_rule_count"),
        )
