"""`io.kestra.plugin.scripts.lua`: Lua."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


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
