"""`io.kestra.plugin.opentofu.cli`: infrastructure as code."""

from typing import ClassVar, Literal

from engine.tasks.scripts.script_task import CommandsTask


class OpenTofuCLI(CommandsTask):
    """Run commands of `tofu`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: provision
type: io.kestra.plugin.opentofu.cli.OpenTofuCLI
namespaceFiles:
  enabled: true
beforeCommands:
  - tofu init -input=false
commands:
  - tofu apply -input=false -auto-approve
""",
    )
    default_image: ClassVar[str] = "ghcr.io/opentofu/opentofu"
    type: Literal["io.kestra.plugin.opentofu.cli.OpenTofuCLI"]
