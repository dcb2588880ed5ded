"""`io.kestra.plugin.graalvm.python`: Python."""

from typing import ClassVar, Literal

from engine.tasks.scripts.row_script import EvalTask, TransformTask


class Eval(EvalTask):
    """Run a script in Python, in a process of its own, and hand on what it leaves in variables."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sum
type: io.kestra.plugin.graalvm.python.Eval
outputs: [total]
script: |
  total = 1 + 2
""",
    )
    type: Literal["io.kestra.plugin.graalvm.python.Eval"]


class FileTransform(TransformTask):
    """Change a file row by row with a script in Python, in a process of its own."""

    examples: ClassVar[tuple[str, ...]] = (
        r"""
id: mails
type: io.kestra.plugin.graalvm.python.FileTransform
from: "{{ outputs.people.uri }}"
script: |
  if row["name"] == "richard":
    row = None
  else:
    row["email"] = row["name"] + "@example.com"
""",
    )
    type: Literal["io.kestra.plugin.graalvm.python.FileTransform"]
