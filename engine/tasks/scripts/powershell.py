"""`io.kestra.plugin.scripts.powershell`: PowerShell."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


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
