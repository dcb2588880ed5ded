"""Values of databases as JSON."""

import json
from decimal import Decimal

import pytest

from engine.tasks.sql_rows import json_value


@pytest.mark.parametrize(
    ("found", "given"),
    [("12", 12), ("12.00", 12.0), ("1E+3", 1000), ("0.5", 0.5), ("NaN", None), ("-Infinity", None)],
)
def test_a_decimal_is_a_number(found, given):
    value = json_value(Decimal(found))
    assert (value, type(value)) == (given, type(given))


@pytest.mark.parametrize("found", ["1E+5000", "9E+999999999", "1E-5000"])
def test_a_decimal_that_is_too_long_for_a_template_is_a_text(found):
    assert json.loads(json.dumps(json_value(Decimal(found)))) == found
