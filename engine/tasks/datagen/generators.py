"""`io.kestra.plugin.datagen.generators`: what made-up data looks like."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.core.task import ByType
from engine.plugin import Property, Typed
from engine.tasks.made_up_values import made_up, maker_of
from engine.tasks.property_types import JsonMap, Text, TextList


class Generator(Typed, ABC):
    """Makes up values."""

    noun = "a generator"
    stands_in = "`generator`"
    locale: Property[TextList] = Field(default_factory=lambda: ["en", "US"], description="Language and country.")

    def values(self, count: int) -> Iterator[Any]:
        """So many new values, one by one; TaskFailed."""
        fake = maker_of(self.locale)
        return (made_up(self.shape, fake) for _ in range(count))

    @property
    @abstractmethod
    def shape(self) -> Any:
        """What a value looks like, with expressions in it."""


class JsonObjectGenerator(Generator):
    """Makes up maps."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.datagen.generators.JsonObjectGenerator
locale: [fr, FR]
value:
  name: "#{name.fullName}"
  address:
    city: "#{address.city}"
""",
    )
    type: Literal["io.kestra.plugin.datagen.generators.JsonObjectGenerator"]
    value: Property[JsonMap]

    @property
    def shape(self) -> Any:
        return self.value


class StringValueGenerator(Generator):
    """Makes up texts."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.datagen.generators.StringValueGenerator
value: "#{name.firstName} lives in #{address.city}."
""",
    )
    type: Literal["io.kestra.plugin.datagen.generators.StringValueGenerator"]
    value: Property[Text]

    @property
    def shape(self) -> Any:
        return self.value


AnyGenerator = Annotated[Generator, ByType("AnyTyped", "a generator", lambda: Generator)]
