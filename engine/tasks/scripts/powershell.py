"""`io.kestra.plugin.scripts.powershell`: PowerShell."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.property_types import TextList
from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import POWERSHELL_COMMAND, CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch

QUOTE = "'"


class PowerShellTask(ScriptTask):
    """What both tasks have: PowerShell itself reads the commands, also those of `beforeCommands`."""

    default_image: ClassVar[str] = "ghcr.io/kestra-io/powershell:latest"
    interpreter: Property[TextList] = Field(
        default_factory=lambda: ["pwsh", "-NoProfile", "-NonInteractive", POWERSHELL_COMMAND]
    )


class Commands(PowerShellTask, CommandsTask):
    """Run commands in PowerShell, one after the other; with `failFast` the first error ends them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.powershell.Commands
namespaceFiles:
  enabled: true
commands:
  - ./report.ps1 -Month "{{ inputs.month }}"
""",
    )
    type: Literal["io.kestra.plugin.scripts.powershell.Commands"]


class Script(PowerShellTask, LanguageScript):
    """Run a script in PowerShell. As in Kestra it ends with 0 or 1: an `exit 3` in it is told as 1."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.powershell.Script
script: |
  Write-Output (1 + 2)
""",
    )
    program: ClassVar[tuple[str, ...]] = ("pwsh", "-File")
    suffix: ClassVar[str] = ".ps1"
    type: Literal["io.kestra.plugin.scripts.powershell.Script"]

    def command(self, file: str) -> list[str]:
        return [f"& '{file.replace(QUOTE, QUOTE * 2)}'"] if self.is_powershell() else super().command(file)


class ScriptTrigger(ScriptWatch):
    """Run a script in PowerShell again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.powershell.ScriptTrigger
interval: PT1M
exitCondition: exit 1
script: |
  if (Test-Path /data/inbox/ready) { exit 1 }
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.powershell.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with PowerShell again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.powershell.CommandsTrigger
interval: PT1M
exitCondition: exit 1
commands:
  - if (Test-Path /data/inbox/ready) { exit 1 }
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.powershell.CommandsTrigger"]
