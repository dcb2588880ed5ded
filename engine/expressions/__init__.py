"""The expression language: `{{ … }}` and `{% … %}` as Kestra's flows use them, evaluated without reaching Python.

    parse(text) → Template      .render(variables, services)  .evaluate(…)  .names()  .functions()  .filters()
    render(value, variables, services, guard="none" | "json" | "shell" | "powershell")     text, also inside containers
    evaluate(text, variables, services)                                     a value with its type

Only ExpressionFailed and NameMissing are raised. Everything a template may use is bounded by `limits`.
"""

from engine.expressions import (  # noqa: F401 - these fill the tables of filters, functions and tests
    calendar_functions,
    checks,
    collection_filters,
    date_filters,
    document_filters,
    encoding_filters,
    execution_functions,
    ion_documents,
    number_filters,
    rerendering,
    text_filters,
    value_functions,
    yaml_documents,
)
from engine.expressions.operations import FILTERS, FUNCTIONS, TESTS
from engine.expressions.printing import to_json, to_text, truthy
from engine.expressions.rendering import Guard, evaluate, render
from engine.expressions.services import Services
from engine.expressions.templates import Template, parse

__all__ = [
    "FILTERS",
    "FUNCTIONS",
    "TESTS",
    "Guard",
    "Services",
    "Template",
    "evaluate",
    "parse",
    "render",
    "to_json",
    "to_text",
    "truthy",
]
