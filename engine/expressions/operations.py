"""The tables of filters, functions and tests, and how their arguments are bound."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from engine.expressions.values import ABSENT, Value

REST: Final = "*"  # as the only parameter: any number of arguments


@dataclass(frozen=True, slots=True)
class Operation:
    """A filter, function or test: `run` gets the frame if `contextual`, a filter's or test's value, then arguments."""

    name: str
    run: Callable[..., Value]
    parameters: tuple[str, ...]
    defaults: tuple[Value, ...]
    contextual: bool
    lenient: bool  # declares no parameters, so whatever is given is ignored
    cost: int  # steps it takes besides the parts of its expression

    def refusal(self, positional: int, named: Collection[str]) -> str:
        """What is wrong with so many arguments and those by name ("needs the argument 'x'"), or nothing."""
        if self.lenient or self.parameters == (REST,):
            return ""
        most = len(self.parameters)
        if positional > most:
            return f"takes {'one argument' if most == 1 else f'{most} arguments'}, not {positional}"
        given = {*self.parameters[:positional], *named}
        for name in named:
            if name not in self.parameters:
                return f"has no argument {name!r}"
        for parameter, default in zip(self.parameters, self.defaults, strict=True):
            if parameter not in given and default is ABSENT:
                return f"needs the argument {parameter!r}"
        return ""

    @property
    def signature(self) -> str:
        """`(delimiter, limit)`."""
        return f"({', '.join(self.parameters)})"


class Operations(dict[str, Operation]):
    """Operations by name."""

    def add(
        self,
        name: str,
        *parameters: str,
        contextual: bool = False,
        also: tuple[str, ...] = (),
        cost: int = 0,
        **defaults: Value,
    ) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
        """Register a function under a template name; a parameter that is not among the `defaults` is required."""

        def register(run: Callable[..., Value]) -> Callable[..., Value]:
            given = tuple(defaults.get(parameter, ABSENT) for parameter in parameters)
            for one in (name, *also):
                self[one] = Operation(one, run, parameters, given, contextual, not parameters, cost)
            return run

        return register


FILTERS: Final = Operations()
FUNCTIONS: Final = Operations()
TESTS: Final = Operations()
