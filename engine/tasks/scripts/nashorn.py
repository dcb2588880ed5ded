"""`io.kestra.plugin.scripts.nashorn`: JavaScript under the name of an older runtime."""

from typing import ClassVar, Literal

from engine.tasks.scripts.row_script import EvalTask, NodeScript, TransformTask


class Eval(NodeScript, EvalTask):
    """Run a script in JavaScript, in a process of its own, and hand on what it leaves in variables."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sum
type: io.kestra.plugin.scripts.nashorn.Eval
outputs: [total]
script: |
  var total = 1 + 2
""",
    )
    type: Literal["io.kestra.plugin.scripts.nashorn.Eval"]


class FileTransform(NodeScript, TransformTask):
    """Change a file row by row with a script in JavaScript, in a process of its own."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: mails
type: io.kestra.plugin.scripts.nashorn.FileTransform
from: "{{ outputs.people.uri }}"
script: |
  if (row.name === "richard") {
    row = null
  } else {
    row.email = row.name + "@example.com"
  }
""",
    )
    type: Literal["io.kestra.plugin.scripts.nashorn.FileTransform"]
