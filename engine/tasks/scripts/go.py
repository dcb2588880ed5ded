"""`io.kestra.plugin.scripts.go`: Go."""

from typing import ClassVar, Literal

from engine.tasks.scripts.language import LanguageScript
from engine.tasks.scripts.script_task import CommandsTask


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
