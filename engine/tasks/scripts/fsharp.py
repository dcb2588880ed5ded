"""`io.kestra.plugin.scripts.fsharp`: F# by F# Interactive."""

from typing import ClassVar, Literal

from engine.tasks.scripts.dotnet_sdk import IMAGE, SdkFields
from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch, WatchFields


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
    default_image: ClassVar[str] = IMAGE
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
    default_image: ClassVar[str] = IMAGE
    program: ClassVar[tuple[str, ...]] = ("dotnet", "fsi")
    suffix: ClassVar[str] = ".fsx"
    type: Literal["io.kestra.plugin.scripts.fsharp.Script", "io.kestra.plugin.scripts.dotnet.FSharp"]


class ScriptTrigger(SdkFields, ScriptWatch):
    """Run a script in F# again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.fsharp.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  exit (if System.IO.File.Exists "/data/inbox/ready" then 3 else 0)
""",
    )
    fields: ClassVar[type[WatchFields]] = SdkFields
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.fsharp.ScriptTrigger"]


class CommandsTrigger(SdkFields, CommandsWatch):
    """Run commands in an image with .NET again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.fsharp.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - test ! -e /data/inbox/ready || dotnet fsi /data/check.fsx
""",
    )
    fields: ClassVar[type[WatchFields]] = SdkFields
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.fsharp.CommandsTrigger"]
