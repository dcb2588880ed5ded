"""`io.kestra.plugin.scripts.go`: Go."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask, ScriptTask
from engine.tasks.scripts.script_trigger import CommandsWatch, ScriptWatch


class Commands(CommandsTask):
    """Run shell commands in an image with Go."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.scripts.go.Commands
namespaceFiles:
  enabled: true
commands:
  - go run report.go
""",
    )
    default_image: ClassVar[str] = "golang"
    type: Literal["io.kestra.plugin.scripts.go.Commands"]


class Script(LanguageScript):
    """Run a script in Go."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: sum
type: io.kestra.plugin.scripts.go.Script
script: |
  package main
  import "fmt"
  func main() { fmt.Println(1 + 2) }
""",
    )
    default_image: ClassVar[str] = "golang"
    program: ClassVar[tuple[str, ...]] = ("go", "run")
    suffix: ClassVar[str] = ".go"
    type: Literal["io.kestra.plugin.scripts.go.Script"]


class ScriptTrigger(ScriptWatch):
    """Run a script in Go again and again; start an execution when it ends as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.go.ScriptTrigger
interval: PT1M
exitCondition: exit 1
script: |
  package main
  import "os"
  func main() {
      if _, err := os.Stat("/data/inbox/ready"); err == nil {
          os.Exit(1)
      }
  }
""",
    )
    task: ClassVar[type[ScriptTask]] = Script
    type: Literal["io.kestra.plugin.scripts.go.ScriptTrigger"]


class CommandsTrigger(CommandsWatch):
    """Run commands in an image with Go again and again, until they end as `exitCondition` says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.scripts.go.CommandsTrigger
interval: PT1M
exitCondition: exit 1
commands:
  - go run example.com/check@latest
""",
    )
    task: ClassVar[type[ScriptTask]] = Commands
    type: Literal["io.kestra.plugin.scripts.go.CommandsTrigger"]
