"""`io.kestra.plugin.soda`: checks of data, by Soda."""

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.state import State
from engine.plugin import Property, Result, RunContext, TaskFailed
from engine.tasks.property_types import JsonMap, TextList
from engine.tasks.runners import WORK
from engine.tasks.scripts.script_task import ScriptResult, ScriptTask, local_python

WARNED = 1  # what Soda gives when checks warn, and none fails
DRIVER = """
import json, sys
from soda.scan import Scan

folder = sys.argv[1]
with open(f"{folder}/ask.json", encoding="utf-8") as file:
    ask = json.load(file)
scan = Scan()
scan.set_data_source_name("kestra")
scan.set_verbose(ask["verbose"])
scan.add_variables(ask["variables"])
scan.add_configuration_yaml_str(json.dumps(ask["configuration"]))
scan.add_sodacl_yaml_str(json.dumps(ask["checks"]))
code = scan.execute()
found = {name: value for name, value in scan.get_scan_results().items() if name != "logs"}
with open(f"{folder}/told.json", "w", encoding="utf-8") as file:
    json.dump({"code": code, "result": found}, file, default=str)
"""


class Scanned(ScriptResult):
    """What Soda found: `hasWarnings`, `hasFailures`, `hasErrors`, and each of the `checks` with its `outcome`."""

    result: dict[str, Any]


class Scan(ScriptTask):
    """Check data: the task fails when a check does, and ends with a warning when one warns."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.soda.Scan
requirements: [soda-core-postgres]
configuration:
  data_source kestra:
    type: postgres
    host: db.example.com
    username: "{{ secret('DB_USER') }}"
    password: "{{ secret('DB_PASSWORD') }}"
    database: shop
checks:
  checks for orders:
    - row_count > 0
    - missing_count(customer) = 0
""",
    )
    default_image: ClassVar[str] = "sodadata/soda-core"
    type: Literal["io.kestra.plugin.soda.Scan"]
    configuration: Property[JsonMap] = Field(description="With the data source `kestra`.")
    checks: Property[JsonMap]
    variables: Property[JsonMap] = Field(default_factory=dict)
    verbose: Property[bool] = False
    requirements: Property[TextList] = Field(default_factory=list, description="Packages to install first.")

    async def run(self, context: RunContext) -> Scanned | Result:
        place = Path(WORK, f"soda-{context.task_run_id}")
        folder = context.working_dir / place
        asked = {name: getattr(self, name) for name in ("configuration", "checks", "variables", "verbose")}
        await asyncio.to_thread(_placed, folder, json.dumps(asked, default=str))
        python = local_python() if self.chosen_runner(context).is_local else "python"
        lines = []
        if self.requirements:
            lines = [f"{shlex.quote(python)} -m venv --system-site-packages {place}/env"]
            python = f"{place}/env/bin/python"
            lines.append(f"{python} -m pip install --quiet --disable-pip-version-check {shlex.join(self.requirements)}")
        lines.append(f"{shlex.quote(python)} {place}/scan.py {place}")
        done = await self.run_commands(context, lines, fail_fast=True)
        told = json.loads(await asyncio.to_thread((folder / "told.json").read_text, "utf-8"))
        found = Scanned(**{**done.model_dump(), "exitCode": told["code"]}, result=told["result"])
        if told["code"] > WARNED:
            raise TaskFailed(_said(told["result"]), fix="The log has more.", outputs=found.model_dump())
        return Result(found, State.WARNING) if told["code"] == WARNED else found


def _placed(folder: Path, asked: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scan.py").write_text(DRIVER, "utf-8")
    (folder / "ask.json").write_text(asked, "utf-8")


def _said(result: dict[str, Any]) -> str:
    """What went wrong, in a sentence."""
    checks = list(result.get("checks") or ())
    failed = [str(one.get("name")) for one in checks if one.get("outcome") == "fail"]
    if not failed:
        return "Soda could not check the data."
    more = "; …" if len(failed) > 5 else ""
    return f"{len(failed)} of {len(checks)} checks failed: {'; '.join(failed[:5])}{more}."
