"""`io.kestra.plugin.gcp.cli`: the command line of Google's cloud."""

from typing import ClassVar, Literal

from engine.plugin import Property, RunContext
from engine.tasks.property_types import OptionalText
from engine.tasks.runners import WORK
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult
from engine.tasks.secret_files import kept


class GCloudCLI(CommandsTask):
    """Run commands of `gcloud`, as the given service account."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: buckets
type: io.kestra.plugin.gcp.cli.GCloudCLI
projectId: my-project
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
commands:
  - gcloud storage ls
""",
    )
    default_image: ClassVar[str] = "google/cloud-sdk"
    type: Literal["io.kestra.plugin.gcp.cli.GCloudCLI"]
    project_id: Property[OptionalText] = None
    service_account: Property[OptionalText] = None

    async def run(self, context: RunContext) -> ScriptResult:
        env = {"CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        if self.project_id:
            env["CLOUDSDK_CORE_PROJECT"] = self.project_id
        if self.service_account:
            context.mask(self.service_account)
            key = kept(context.working_dir / WORK / "service-account.json", self.service_account)
            env["GOOGLE_APPLICATION_CREDENTIALS"] = key
            env["CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"] = key
        return await self.run_commands(context, await self.rendered_lines(context, self.commands), env=env)
