"""Template: gone from the language; a flow that still names it is told what took its place."""

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from engine.core.task import Task

INSTEAD = (
    "templates are gone from the language: make the template a flow of its own and run it with "
    "`io.kestra.plugin.core.flow.Subflow` (`args` become its `inputs`)"
)


class Template(Task):
    """Refuse a flow that uses a template, and say what to write instead."""

    examples: ClassVar[tuple[str, ...]] = ()
    type: Literal["io.kestra.plugin.core.flow.Template", "io.kestra.core.tasks.flows.Template"]

    @model_validator(mode="before")
    @classmethod
    def _is_gone(cls, declaration: Any) -> Any:
        raise ValueError(INSTEAD)
