"""`io.kestra.plugin.scripts.dotnet`: C# by dotnet-script."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with C# by dotnet-script."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.dotnet.Commands
namespaceFiles:
  enabled: true
commands:
  - dotnet script report.csx
""",
    )
    default_image: ClassVar[str] = "ghcr.io/kestra-io/dotnet-script"
    type: Literal["io.kestra.plugin.scripts.dotnet.Commands"]


class Script(LanguageScript):
    """Run a script in C# by dotnet-script."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.dotnet.Script
script: |
  Console.WriteLine(1 + 2);
""",
    )
    default_image: ClassVar[str] = "ghcr.io/kestra-io/dotnet-script"
    program: ClassVar[tuple[str, ...]] = ("dotnet", "script")
    suffix: ClassVar[str] = ".csx"
    type: Literal["io.kestra.plugin.scripts.dotnet.Script"]
