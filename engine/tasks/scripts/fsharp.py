"""`io.kestra.plugin.scripts.fsharp`: F# by F# Interactive."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with .NET."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.fsharp.Commands
namespaceFiles:
  enabled: true
commands:
  - dotnet fsi report.fsx
""",
    )
    default_image: ClassVar[str] = "mcr.microsoft.com/dotnet/sdk:10.0"
    type: Literal["io.kestra.plugin.scripts.fsharp.Commands"]


class Script(LanguageScript):
    """Run a script in F#."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.fsharp.Script
script: |
  printfn "%d" (1 + 2)
""",
    )
    default_image: ClassVar[str] = "mcr.microsoft.com/dotnet/sdk:10.0"
    program: ClassVar[tuple[str, ...]] = ("dotnet", "fsi")
    suffix: ClassVar[str] = ".fsx"
    type: Literal["io.kestra.plugin.scripts.fsharp.Script"]
