"""`io.kestra.plugin.scripts.php`: PHP."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


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


class ScriptTrigger(ScriptWatch):
    """Run a script in PHP again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.php.ScriptTrigger
interval: PT1M
exitCondition: exit 3
script: |
  <?php exit(file_exists("/data/inbox/ready") ? 3 : 0);
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.php.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with PHP again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.php.CommandsTrigger
interval: PT1M
exitCondition: exit 3
commands:
  - |
    php -r 'exit(file_exists("/data/inbox/ready") ? 3 : 0);'
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.php.CommandsTrigger"]
