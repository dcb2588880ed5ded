"""PurgeFlows: forget old revisions of flows."""

from fnmatch import fnmatchcase
from typing import ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalText
from engine.tasks.purging import NamespacesTask, Versions


class PurgedRevisions(Outputs):
    """How many revisions were forgotten."""

    size: int


class PurgeFlows(NamespacesTask):
    """Forget old revisions of flows; the newest of each stays, and those that executions under way run."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.flow.PurgeFlows
namespaces: [company]
flowPattern: "report_*"
behavior:
  type: version
  keepAmount: 5
""",
    )
    type: Literal["io.kestra.plugin.core.flow.PurgeFlows"]
    flow_pattern: Property[OptionalText] = None
    behavior: Property[Versions] = Versions(type="version", keep_amount=1)

    async def run(self, context: RunContext) -> PurgedRevisions:
        if context.flows is None:
            raise TaskFailed("This run cannot reach the flows.", fix="Run the flow with `parley up`.")
        if self.behavior.keep_amount == 0:
            raise TaskFailed("`keepAmount` is 0, but the newest revision always stays.", fix="Give 1 or more.")
        size = await context.flows.purge_revisions(
            self._fits, keep=self.behavior.keep_amount, before=self.behavior.before
        )
        context.log(f"Purged {size} flow revisions.")
        return PurgedRevisions(size=size)

    def _fits(self, namespace: str, flow_id: str) -> bool:
        return self.covers(namespace) and (self.flow_pattern is None or fnmatchcase(flow_id, self.flow_pattern))
