"""Calls in a template that fail whatever the values are: arguments that nothing takes, programs that cannot be read."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from engine.core.foreign_operations import NAMES
from engine.core.template_roots import OF_TOOLS
from engine.errors import ExpressionFailed
from engine.expressions import FILTERS, FUNCTIONS, TESTS, Template, jq_programs, nodes
from engine.expressions.access import has_method
from engine.expressions.date_arithmetic import moved
from engine.expressions.execution_functions import ENTERPRISE, OF_ENTERPRISE
from engine.expressions.operations import Operation

EXAMPLE = datetime(2024, 3, 5, tzinfo=UTC)
OF_STATE = ("taskId", "state", "value")  # what `tasksWithState` tells of each


def failing(template: Template) -> Iterator[tuple[str, str, nodes.Node]]:
    """Sentence, advice and where, of each."""
    functions = template.functions()
    for node in template.every_node:
        if isinstance(node, nodes.Filter) and node.name in FILTERS:
            yield from _refused("filter", FILTERS[node.name], node)
            yield from _misgiven(node)
        elif isinstance(node, nodes.Test) and node.name in TESTS:
            yield from _refused("test", TESTS[node.name], node)
        elif isinstance(node, nodes.Call) and node.name in functions and node.name in ENTERPRISE:
            yield OF_ENTERPRISE.format(node.name), ENTERPRISE[node.name], node
        elif isinstance(node, nodes.Call) and node.name in functions and node.name in FUNCTIONS:
            yield from _refused("function", FUNCTIONS[node.name], node)
        elif isinstance(node, nodes.Attribute) and node.arguments is not None:
            yield from _no_method(node)
        elif isinstance(node, nodes.Attribute) and isinstance(node.key, nodes.Constant):
            yield from _untold(node, node.key.value)


def _refused(
    what: str, operation: Operation, node: nodes.Filter | nodes.Test | nodes.Call
) -> Iterator[tuple[str, str, nodes.Node]]:
    given = node.arguments
    if refusal := operation.refusal(len(given.positional), [name for name, _ in given.named]):
        yield f"The {what} `{node.name}` {refusal}.", f"It takes {operation.signature}.", node


def _misgiven(node: nodes.Filter) -> Iterator[tuple[str, str, nodes.Node]]:
    parameters = FILTERS[node.name].parameters
    given = {**dict(zip(parameters, node.arguments.positional, strict=False)), **dict(node.arguments.named)}
    if node.name == "replace" and isinstance(given.get("replace_pairs"), nodes.Constant):
        texts = [_quoted(one.value) for one in node.arguments.positional if isinstance(one, nodes.Constant)]
        pair = ": ".join(texts) if len(texts) == 2 else "'a': 'b'"
        yield "The filter `replace` takes a map of texts and what to put there.", f"Write `replace({{{pair}}})`.", node
    if node.name == "number" and (number := _number_in(node.operand)) is not None:
        advice = f"Leave the filter out, or write a text: `'{number}'`."
        yield f"The filter `number` reads texts, and {number} is a number already.", advice, node
    unit = given.get("unit")
    if node.name == "dateAdd" and isinstance(unit, nodes.Constant) and isinstance(unit.value, str):
        try:
            moved(EXAMPLE, 1, unit.value)
        except ExpressionFailed as error:
            yield error.message, error.fix, node
    program = given.get("expression")
    if node.name == "jq" and isinstance(program, nodes.Constant) and isinstance(program.value, str):
        try:
            jq_programs.check(program.value)
        except ExpressionFailed as error:
            yield error.message, error.fix, node


def _number_in(operand: nodes.Node) -> int | float | Decimal | None:
    """A number that `number` is sure to meet: itself, or what stands for a missing value (`x ?? 0`)."""
    met = operand.right if isinstance(operand, nodes.Binary) and operand.operator == "??" else operand
    value = met.value if isinstance(met, nodes.Constant) else None
    return value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def _no_method(node: nodes.Attribute) -> Iterator[tuple[str, str, nodes.Node]]:
    name = node.key.value if isinstance(node.key, nodes.Constant) else None
    if isinstance(node.target, nodes.Name) and node.target.name in OF_TOOLS:
        return  # `ti.xcom_pull()`: there is no `ti`
    if isinstance(name, str) and not has_method(name):
        near = FILTERS.get(name) or FILTERS.get(name.lower())
        other = NAMES.get(name.replace("_", "").lower(), "")
        advice = (
            f"Write `value | {near.name}`."
            if near
            else f"Write `{other}`."
            if other
            else "Values are changed by filters: `value | filter`."
        )
        yield f"No value has a method `{name}()`.", advice, node


def _untold(node: nodes.Attribute, key: object) -> Iterator[tuple[str, str, nodes.Node]]:
    """`tasksWithState('FAILED')[0].id`: what is not told of a task."""
    one = node.target
    every = one.operand if isinstance(one, nodes.Filter) and one.name in ("first", "last") else None
    if isinstance(one, nodes.Attribute) and isinstance(one.key, nodes.Constant) and isinstance(one.key.value, int):
        every = one.target
    if isinstance(every, nodes.Call) and every.name == "tasksWithState" and key not in OF_STATE:
        advice = "Write `taskId`." if key in ("id", "name", "task") else f"It has {', '.join(OF_STATE)}."
        yield f"What `tasksWithState` tells of a task has no `{key}`.", advice, node


def _quoted(value: object) -> str:
    escaped = str(value).replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
