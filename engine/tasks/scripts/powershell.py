"""`io.kestra.plugin.scripts.powershell`: PowerShell."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with PowerShell."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.powershell.Commands
namespaceFiles:
  enabled: true
commands:
  - pwsh -File report.ps1
""",
    )
    default_image: ClassVar[str] = "ghcr.io/kestra-io/powershell:latest"
    type: Literal["io.kestra.plugin.scripts.powershell.Commands"]


class Script(LanguageScript):
    """Run a script in PowerShell."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.powershell.Script
script: |
  Write-Output (1 + 2)
""",
    )
    default_image: ClassVar[str] = "ghcr.io/kestra-io/powershell:latest"
    program: ClassVar[tuple[str, ...]] = ("pwsh", "-File")
    suffix: ClassVar[str] = ".ps1"
    type: Literal["io.kestra.plugin.scripts.powershell.Script"]
