"""`io.kestra.plugin.core.output`: values for later tasks."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask
from engine.tasks.property_types import JsonMap


class Values(Outputs):
    """The rendered map."""

    values: dict[str, Any]


class OutputValues(RunnableTask):
    """Render a map, however deep, and hand it on as `outputs.<id>.values`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: facts
type: io.kestra.plugin.core.output.OutputValues
values:
  name: "{{ inputs.name }}"
  where: ["{{ flow.namespace }}", "{{ flow.id }}"]
""",
    )
    is_pure: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.output.OutputValues"]
    values: Property[JsonMap] = Field(default={})

    async def run(self, context: RunContext) -> Values:
        return Values(values=self.values)
