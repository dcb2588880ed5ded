"""`io.kestra.plugin.modal.cli`: functions in the cloud of Modal."""

from typing import ClassVar, Literal

from engine.tasks.scripts.script_task import CommandsTask


class ModalCLI(CommandsTask):
    """Run commands of `modal`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.modal.cli.ModalCLI
namespaceFiles:
  enabled: true
commands:
  - modal run gpu.py
""",
    )
    default_image: ClassVar[str] = "ghcr.io/kestra-io/modal"
    type: Literal["io.kestra.plugin.modal.cli.ModalCLI"]
