"""Every complaint has its proof, and what is open is known."""

import ast
from functools import cache

import pytest

from tests.scenarios.complaints import COMPLAINTS, Complaint
from tests.shared import ROOT

OPEN: set[int] = set()  # curing one takes it out of here


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the test functions of a file, however many cases each has."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_each_number_is_there_once():
    assert [one.number for one in COMPLAINTS] == list(range(1, 59))


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=lambda one: str(one.number))
def test_each_stands_in_one_way_and_its_tests_exist(complaint: Complaint):
    assert complaint.said
    assert [bool(way) for way in (complaint.tests, complaint.cannot, complaint.open)].count(True) == 1
    assert len(set(complaint.tests)) == len(complaint.tests)
    for test in complaint.tests:
        path, _, name = test.partition("::")
        assert name in names_in(path), f"{test} does not exist"


def test_what_is_open_is_known():
    still = {one.number: one.open for one in COMPLAINTS if one.open}
    assert still.keys() == OPEN, f"open are now: {still}"
