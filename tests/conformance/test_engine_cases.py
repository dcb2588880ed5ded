"""The engine's conformance cases, one test each, and further ones of our own."""

import logging
from pathlib import Path

import pytest

from tests.conformance.engine import load_cases, run_case

CASES = load_cases(Path(__file__).with_name("engine_cases.yaml"))
FURTHER = load_cases(Path(__file__).with_name("further_cases.yaml"))
KNOWN: frozenset[str] = frozenset()  # ids of cases that do not pass yet


def test_enough_cases_pass():
    assert len(CASES) - len(KNOWN) >= 140
    assert {case["id"] for case in CASES} >= KNOWN


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_case(case, caplog):
    caplog.set_level(logging.CRITICAL)
    problem = await run_case(case)
    if case["id"] in KNOWN:
        assert problem is not None, "this case passes now: take it off the list"
        pytest.xfail(problem)
    assert problem is None, problem


@pytest.mark.parametrize("case", FURTHER, ids=lambda case: case["id"])
async def test_further_case(case, caplog):
    caplog.set_level(logging.CRITICAL)
    assert await run_case(case) is None
