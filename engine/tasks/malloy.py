"""`io.kestra.plugin.malloy`: analyses in Malloy."""

from typing import ClassVar, Literal

from engine.tasks.scripts.script_task import CommandsTask


class CLI(CommandsTask):
    """Run commands of `malloy-cli`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.malloy.CLI
namespaceFiles:
  enabled: true
commands:
  - malloy-cli run model.malloy
""",
    )
    default_image: ClassVar[str] = "ghcr.io/kestra-io/malloy"
    type: Literal["io.kestra.plugin.malloy.CLI"]
