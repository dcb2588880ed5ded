"""`io.kestra.plugin.kestra.namespaces`: the namespaces of this bot or of another server."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask
from engine.tasks.kestra.flows import flows_of
from engine.tasks.kestra_service import KestraFields
from engine.tasks.property_types import OptionalText


class Listed(Outputs):
    """Names of namespaces."""

    namespaces: list[str]


class List(KestraFields, RunnableTask):
    """List the namespaces that have flows, and those above them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all_of_company
type: io.kestra.plugin.kestra.namespaces.List
prefix: company
existingOnly: true
""",
    )
    type: Literal["io.kestra.plugin.kestra.namespaces.List"]
    prefix: Property[OptionalText] = None
    page: Property[int | None] = Field(default=None, ge=1, description="Only this one; without it, all are fetched.")
    size: Property[int] = Field(default=10, ge=1, description="Namespaces a page.")
    existing_only: Property[bool] = Field(default=False, description="Only those that have flows themselves.")

    async def run(self, context: RunContext) -> Listed:
        if (server := self.elsewhere(context)) is not None:
            asked = [("existing", "true" if self.existing_only else "false")]
            if self.prefix:
                asked.append(("filters[q][EQUALS]", self.prefix))
            found = server.found("namespaces", "search", asked=asked, size=self.size, page=self.page)
            return Listed(namespaces=[str(one["id"]) async for one in found])
        names = await _with_flows(context)
        if not self.existing_only:
            names |= {
                ".".join(steps[:end]) for name in names if (steps := name.split(".")) for end in range(len(steps))
            }
        fit = sorted(name for name in names if name and name.startswith(self.prefix or ""))
        first = ((self.page or 1) - 1) * self.size
        return Listed(namespaces=fit[first : first + self.size] if self.page else fit)


class NamespacesWithFlows(KestraFields, RunnableTask):
    """List the namespaces that have flows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: where_flows_are
type: io.kestra.plugin.kestra.namespaces.NamespacesWithFlows
prefix: company
""",
    )
    type: Literal["io.kestra.plugin.kestra.namespaces.NamespacesWithFlows"]
    prefix: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Listed:
        if (server := self.elsewhere(context)) is not None:
            params = {"q": self.prefix} if self.prefix else None
            return Listed(namespaces=await server.document("GET", "flows", "distinct-namespaces", params=params) or [])
        return Listed(
            namespaces=sorted(name for name in await _with_flows(context) if name.startswith(self.prefix or ""))
        )


async def _with_flows(context: RunContext) -> set[str]:
    return {flow.namespace for flow in await flows_of(context).list(None)}
