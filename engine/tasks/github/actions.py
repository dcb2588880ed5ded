"""`io.kestra.plugin.github.actions`: workflows at GitHub."""

from typing import ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Property, RunContext
from engine.tasks.github.service import RepositoryTask
from engine.tasks.property_types import JsonMap, Text, scalar_to_text


class RunWorkflow(RepositoryTask):
    """Start a workflow that has the trigger `workflow_dispatch`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deploy
type: io.kestra.plugin.github.actions.RunWorkflow
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
repository: company/shop
workflowId: deploy.yml
ref: main
inputs:
  environment: production
""",
    )
    type: Literal[
        "io.kestra.plugin.github.actions.RunWorkflow",
        "io.kestra.plugin.github.workflows.RunWorkflow",
        "io.kestra.plugin.github.workflows.Dispatch",
    ]
    workflow_id: Property[Text]
    ref: Property[Text]
    inputs: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> None:
        inputs = {str(name): scalar_to_text(value) for name, value in (self.inputs or {}).items()}
        path = self.path(f"actions/workflows/{quote(self.workflow_id, safe='')}/dispatches")
        await self.github(context, "POST", path, json={"ref": self.ref, "inputs": inputs})
