"""The engine's conformance cases, one test each, and further ones of our own."""

import logging
from pathlib import Path

import pytest

from tests.conformance.engine import load_cases, run_case

CASES = load_cases(Path(__file__).with_name("engine_cases.yaml"))
FURTHER = load_cases(Path(__file__).with_name("further_cases.yaml"))


def test_there_are_enough_cases():
    assert len(CASES) >= 140


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_case(case, caplog):
    caplog.set_level(logging.CRITICAL)
    problem = await run_case(case)
    assert problem is None, problem


@pytest.mark.parametrize("case", FURTHER, ids=lambda case: case["id"])
async def test_further_case(case, caplog):
    caplog.set_level(logging.CRITICAL)
    assert await run_case(case) is None
