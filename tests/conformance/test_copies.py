"""The cases here are those of the shared folder, to the byte."""

import pytest

from tests.shared import ROOT, shared


@pytest.mark.parametrize("name", ["engine_cases.yaml", "expression_cases.yaml"])
def test_the_copy_is_the_original(name):
    assert (ROOT / "tests" / "conformance" / name).read_bytes() == shared(f"conformance/{name}").read_bytes()
