"""`io.kestra.plugin.scripts.php`: PHP."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


class Commands(CommandsTask):
    """Run shell commands in an image with PHP."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.php.Commands
namespaceFiles:
  enabled: true
commands:
  - php report.php
""",
    )
    default_image: ClassVar[str] = "php"
    type: Literal["io.kestra.plugin.scripts.php.Commands"]


class Script(LanguageScript):
    """Run a script in PHP."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.php.Script
script: |
  <?php echo 1 + 2;
""",
    )
    default_image: ClassVar[str] = "php"
    program: ClassVar[tuple[str, ...]] = ("php",)
    suffix: ClassVar[str] = ".php"
    type: Literal["io.kestra.plugin.scripts.php.Script"]
