"""What tasks that tidy up many namespaces share: which namespaces are meant, and which versions of a thing stay."""

from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import model_validator

from engine.plugin import Part, Property, RunnableTask
from engine.tasks.property_types import OptionalInteger, OptionalMoment, OptionalText, TextList


class Versions(Part):
    """Which versions go: all but the newest ones, or those from before a date (the newest always stays then)."""

    type: Literal["version"]
    before: Property[OptionalMoment] = None
    keep_amount: Property[OptionalInteger] = None

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if self.before is not None and self.keep_amount is not None:
            raise ValueError("cannot set both `before` and `keepAmount`")
        if isinstance(self.keep_amount, int) and self.keep_amount < 0:
            raise ValueError("`keepAmount` is a number of versions, 0 or more")
        return self

    @property
    def spares_the_newest(self) -> bool:
        """Whether the newest version stays whatever it is; false when every version is meant."""
        return self.before is not None or bool(self.keep_amount)


class NamespacesTask(RunnableTask):
    """A task for all namespaces, or for those it names."""

    namespaces: Property[TextList | None] = None
    namespace_pattern: Property[OptionalText] = None
    include_child_namespaces: Property[bool] = True

    @model_validator(mode="after")
    def _namespaces_are_named_once(self) -> Self:
        if self.namespaces is not None and self.namespace_pattern is not None:
            raise ValueError("has both `namespaces` and `namespacePattern`: give one of them")
        return self

    def covers(self, namespace: str) -> bool:
        """Whether a namespace is meant."""
        if self.namespace_pattern is not None:
            return fnmatchcase(namespace, self.namespace_pattern)
        if self.namespaces is None:
            return True
        below = self.include_child_namespaces
        return any(namespace == name or (below and namespace.startswith(f"{name}.")) for name in self.namespaces)
