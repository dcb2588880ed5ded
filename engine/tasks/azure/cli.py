"""`io.kestra.plugin.azure.cli`: the command line of Microsoft's cloud."""

from typing import ClassVar, Literal

from engine.plugin import Property, RunContext
from engine.tasks.property_types import OptionalText
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult

LOGIN = 'az login --output none -u "$PARLEY_AZURE_USER" -p "$PARLEY_AZURE_PASSWORD"'


class AzCLI(CommandsTask):
    """Run commands of `az`, signed in as a person or a service principal."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: groups
type: io.kestra.plugin.azure.cli.AzCLI
servicePrincipal: true
tenant: "{{ secret('AZURE_TENANT') }}"
username: "{{ secret('AZURE_CLIENT_ID') }}"
password: "{{ secret('AZURE_CLIENT_SECRET') }}"
commands:
  - az group list
""",
    )
    default_image: ClassVar[str] = "mcr.microsoft.com/azure-cli"
    type: Literal["io.kestra.plugin.azure.cli.AzCLI"]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    tenant: Property[OptionalText] = None
    service_principal: Property[bool] = False

    async def run(self, context: RunContext) -> ScriptResult:
        lines = await self.rendered_lines(context, self.commands)
        env: dict[str, str] = {}
        if self.username and self.password:
            context.mask(self.password)
            env = {"PARLEY_AZURE_USER": self.username, "PARLEY_AZURE_PASSWORD": self.password}
            login = LOGIN
            if self.tenant:
                env["PARLEY_AZURE_TENANT"] = self.tenant
                login += ' --tenant "$PARLEY_AZURE_TENANT"'
            lines.insert(0, login + (" --service-principal" if self.service_principal else ""))
        return await self.run_commands(context, lines, env=env)
