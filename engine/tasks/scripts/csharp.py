"""`io.kestra.plugin.scripts.csharp`: C# by dotnet-script."""

from typing import ClassVar, Literal

from engine.tasks.scripts.dotnet_sdk import IMAGE, SdkFields
from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch, WatchFields

OTHERS = ("io.kestra.plugin.scripts.dotnet.",)  # their only name until C# and F# were told apart


class Commands(CommandsTask):
    """Run shell commands in an image with .NET."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.csharp.Commands
namespaceFiles:
  enabled: true
commands:
  - dotnet run --project report
""",
    )
    peers: ClassVar[tuple[str, ...]] = OTHERS
    default_image: ClassVar[str] = IMAGE
    type: Literal["io.kestra.plugin.scripts.csharp.Commands", "io.kestra.plugin.scripts.dotnet.Commands"]


class Script(LanguageScript):
    """Run a script in C# by dotnet-script, which is installed where it is not there yet."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.csharp.Script
script: |
  Console.WriteLine(1 + 2);
""",
    )
    peers: ClassVar[tuple[str, ...]] = OTHERS
    default_image: ClassVar[str] = IMAGE
    program: ClassVar[tuple[str, ...]] = ("dotnet-script",)
    suffix: ClassVar[str] = ".csx"
    prepared: ClassVar[tuple[str, ...]] = (
        'export PATH="$PATH:$HOME/.dotnet/tools"',
        "command -v dotnet-script >/dev/null 2>&1"
        " || dotnet tool install -g dotnet-script --ignore-failed-sources || true",
    )
    type: Literal["io.kestra.plugin.scripts.csharp.Script", "io.kestra.plugin.scripts.dotnet.Script"]


class ScriptTrigger(SdkFields, ScriptWatch):
    """Run a script in C# by dotnet-script again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.csharp.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  Environment.Exit(File.Exists("/data/inbox/ready") ? 3 : 0);
""",
    )
    peers: ClassVar[tuple[str, ...]] = OTHERS
    fields: ClassVar[type[WatchFields]] = SdkFields
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.csharp.ScriptTrigger", "io.kestra.plugin.scripts.dotnet.ScriptTrigger"]


class CommandsTrigger(SdkFields, CommandsWatch):
    """Run commands in an image with .NET again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.csharp.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - test ! -e /data/inbox/ready || dotnet test /data/project
""",
    )
    peers: ClassVar[tuple[str, ...]] = OTHERS
    fields: ClassVar[type[WatchFields]] = SdkFields
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.csharp.CommandsTrigger", "io.kestra.plugin.scripts.dotnet.CommandsTrigger"]
