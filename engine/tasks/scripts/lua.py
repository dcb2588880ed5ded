"""`io.kestra.plugin.scripts.lua`: Lua."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


class Commands(CommandsTask):
    """Run shell commands in an image with Lua."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.lua.Commands
namespaceFiles:
  enabled: true
commands:
  - lua report.lua
""",
    )
    default_image: ClassVar[str] = "nickblah/lua"
    type: Literal["io.kestra.plugin.scripts.lua.Commands"]


class Script(LanguageScript):
    """Run a script in Lua."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.lua.Script
script: |
  print(1 + 2)
""",
    )
    default_image: ClassVar[str] = "nickblah/lua"
    program: ClassVar[tuple[str, ...]] = ("lua",)
    suffix: ClassVar[str] = ".lua"
    type: Literal["io.kestra.plugin.scripts.lua.Script"]


class ScriptTrigger(ScriptWatch):
    """Run a script in Lua again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.lua.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  local file = io.open("/data/inbox/ready")
  os.exit(file and 3 or 0)
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.lua.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Lua again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.lua.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - lua -e 'os.exit(io.open("/data/inbox/ready") and 3 or 0)'
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.lua.CommandsTrigger"]
