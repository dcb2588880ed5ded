"""Checks of data by Soda, whose library stands on the path in the shape of its own."""

import json
import zipfile

import pytest

from engine.core.state import State
from engine.errors import TaskFailed
from engine.plugin import Result

SODA = {"type": "io.kestra.plugin.soda.Scan", "taskRunner": {"type": "io.kestra.plugin.core.runner.Process"}}
LIBRARY = '''
import json


class Scan:
    """`expect: {name: outcome}` of the checks; an unknown data source is an error, as in Soda."""

    def set_data_source_name(self, name):
        self.source = f"data_source {name}"

    def set_verbose(self, verbose):
        self.verbose = verbose

    def add_variables(self, variables):
        self.variables = variables

    def add_configuration_yaml_str(self, text):
        self.configuration = json.loads(text)

    def add_sodacl_yaml_str(self, text):
        self.checks = json.loads(text)

    def execute(self):
        print("Soda Core 3.5.6", self.variables, self.verbose)
        if self.source not in self.configuration:
            return 3
        said = set(self.checks["expect"].values())
        return 2 if "fail" in said else 1 if "warn" in said else 0

    def get_scan_results(self):
        outcomes = self.checks["expect"].items() if self.source in self.configuration else ()
        found = [{"name": name, "outcome": outcome, "column": None} for name, outcome in outcomes]
        said = {one["outcome"] for one in found}
        flags = {"hasErrors": not found, "hasWarnings": "warn" in said, "hasFailures": "fail" in said}
        return {**flags, "checks": found, "logs": [{"message": "password"}]}
'''


@pytest.fixture
def scan(context, tmp_path):
    """Runs a scan in a working directory of its own."""
    library = tmp_path / "installed" / "soda"
    library.mkdir(parents=True)
    (library / "__init__.py").touch()
    (library / "scan.py").write_text(LIBRARY)
    source = {"data_source kestra": {"type": "duckdb", "path": "{{ 'w.db' }}"}}

    async def run(expect, configuration=source, **given):
        env = {"PYTHONPATH": str(library.parent)}
        return await context.run(**SODA, configuration=configuration, checks={"expect": expect}, env=env, **given)

    return run


async def test_checks_that_hold_warn_and_fail(context, scan):
    found = await scan({"row_count > 0": "pass"}, variables={"day": "{{ 1 + 1 }}"}, verbose=True)
    flags = {"hasErrors": False, "hasWarnings": False, "hasFailures": False}
    assert found.result == {**flags, "checks": [{"name": "row_count > 0", "outcome": "pass", "column": None}]}
    assert found.exitCode == 0
    assert context.said(r"Soda Core 3.5.6 \{'day': '2'\} True")
    (asked,) = context.working_dir.rglob("ask.json")
    assert json.loads(asked.read_text())["configuration"] == {"data_source kestra": {"type": "duckdb", "path": "w.db"}}
    warned = await scan({"a": "pass", "b": "warn"})
    assert isinstance(warned, Result)
    assert (warned.state, warned.outputs.result["hasWarnings"], warned.outputs.exitCode) == (State.WARNING, True, 1)
    with pytest.raises(TaskFailed, match=r"2 of 3 checks failed: b; c\.") as caught:
        await scan({"a": "pass", "b": "fail", "c": "fail"})
    assert (caught.value.outputs["result"]["hasFailures"], caught.value.outputs["exitCode"]) == (True, 2)
    with pytest.raises(TaskFailed, match="could not check the data"):
        await scan({"a": "pass"}, configuration={})


async def test_a_machine_without_soda_says_so(context):
    with pytest.raises(TaskFailed, match="exit code 1"):
        await context.run(**SODA, configuration={}, checks={})
    assert context.said("No module named 'soda'")


async def test_packages_are_installed_into_an_environment_of_its_own(context, tmp_path):
    wheel, about = tmp_path / "soda_core_test-1.0-py3-none-any.whl", "soda_core_test-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("soda/__init__.py", "")
        packed.writestr("soda/scan.py", LIBRARY)
        packed.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: soda-core-test\nVersion: 1.0\n")
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "")
    source = {"data_source kestra": {}}
    given = {"configuration": source, "checks": {"expect": {"a": "pass"}}, "requirements": [str(wheel)]}
    assert (await context.run(**SODA, **given)).exitCode == 0
    assert list(context.working_dir.glob(".parley/soda-*/env/lib/*/site-packages/soda/scan.py"))
