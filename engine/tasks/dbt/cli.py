"""`io.kestra.plugin.dbt.cli`: transformations in a warehouse."""

import asyncio
import json
from pathlib import Path
from typing import ClassVar, Literal

import yaml
from pydantic import Field

from engine.core.state import State
from engine.errors import NotFound
from engine.plugin import Part, Property, Result, RunContext, TaskFailed
from engine.tasks.dbt.dbt_log import AlertWebhook, DbtOutput, alerting
from engine.tasks.dbt.run_results import manifest_value, told
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult, ScriptTask, local_python, quoted
from engine.tasks.working_files import inside

FUSION_IMAGE = "ghcr.io/kestra-io/dbt-fusion"
INSTALLED, PROFILES = "./bin/dbt", ".profile/profiles.yml"  # what a Setup leaves in the working directory


class KeptManifest(Part):
    """Where in the KV store a manifest is kept between runs."""

    key: Property[Text]
    namespace: Property[OptionalText] = None


class DbtTask(ScriptTask):
    """What every dbt task has: the project, its profiles, and what it left behind."""

    default_image: ClassVar[str] = "ghcr.io/kestra-io/dbt"
    project_dir: Property[OptionalText] = None
    profiles: Property[OptionalText] = None
    parse_run_results: Property[bool] = True

    async def dbt(
        self, context: RunContext, commands: list[str], heard: DbtOutput | None = None, *, log_format: str = "json"
    ) -> ScriptResult:
        """Run commands and hand on what dbt wrote about them, also when it failed."""
        folder = context.working_dir
        project = inside(folder, self.project_dir) if self.project_dir else folder
        env = {"DBT_USE_COLORS": "false", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        if log_format != "none":
            env["DBT_LOG_FORMAT"] = log_format
        if self.project_dir:
            env["DBT_PROJECT_DIR"] = str(project)
        if self.profiles:
            if (folder / "profiles.yml").exists():
                context.log("profiles.yml is there already; `profiles` takes its place.", "WARN")
            (folder / "profiles.yml").write_text(self.profiles, "utf-8")
            env["DBT_PROFILES_DIR"] = str(folder)
        elif inside(folder, PROFILES).exists():
            env["DBT_PROFILES_DIR"] = str(inside(folder, PROFILES).parent)
        try:
            result = await self.run_commands(context, commands, env=env, heard=heard or DbtOutput(context))
        except TaskFailed as error:
            outputs = dict(error.outputs or {})
            if outputs and self.parse_run_results:
                outputs["outputFiles"] = {**outputs["outputFiles"], **await told(context, project)}
                raise TaskFailed(error.message, fix=error.fix, outputs=outputs) from error
            raise
        if not self.parse_run_results:
            return result
        return result.model_copy(update={"outputFiles": result.outputFiles | await told(context, project)})


class DbtCLI(DbtTask, CommandsTask):
    """Run commands of `dbt`; `outputFiles` hold `run_results.json` and `manifest.json` when it wrote them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: build
type: io.kestra.plugin.dbt.cli.DbtCLI
containerImage: ghcr.io/kestra-io/dbt-duckdb:latest
namespaceFiles:
  enabled: true
commands:
  - dbt deps
  - dbt build
profiles: |
  my_project:
    outputs:
      dev:
        type: duckdb
        path: ":memory:"
    target: dev
""",
    )
    type: Literal["io.kestra.plugin.dbt.cli.DbtCLI"]
    store_manifest: KeptManifest | None = None
    load_manifest: KeptManifest | None = None
    log_format: Property[Literal["JSON", "TEXT", "DEBUG", "NONE"]] = "JSON"
    engine: Property[Literal["CORE", "FUSION"]] = Field(default="CORE", description="Whose image, unless one is said.")
    alert_webhook: AlertWebhook | None = Field(default=None, description="Where warnings and errors go as they come.")

    def usual_image(self) -> str:
        return FUSION_IMAGE if self.engine == "FUSION" else self.default_image

    async def run(self, context: RunContext) -> ScriptResult | Result:
        project = inside(context.working_dir, self.project_dir) if self.project_dir else context.working_dir
        if self.load_manifest:
            await self._load(context, project, self.load_manifest)
        if self.alert_webhook and self.log_format != "JSON":
            context.log("`alertWebhook` needs `logFormat: JSON`; nothing is sent.", "WARN")
        lines = await self.rendered_lines(context, self.commands)
        async with alerting(context, self.alert_webhook) as alerts:
            heard = DbtOutput(context, alerts)
            try:
                result = await self.dbt(context, lines, heard, log_format=self.log_format.lower())
            finally:
                if self.store_manifest:
                    await self._store(context, project / "target" / "manifest.json", self.store_manifest)
        return Result(result, State.WARNING) if heard.is_warned else result

    async def _load(self, context: RunContext, project: Path, kept: KeptManifest) -> None:
        """Place a manifest in `target/`, and beside the project, where flows of older Kestra look for it."""
        try:
            found = await context.kv.get(kept.namespace or context.namespace, kept.key)
        except NotFound:
            context.log(f"There is no manifest under {kept.key!r} yet, so none is loaded.", "WARN")
            return
        text = found if isinstance(found, str) else json.dumps(found)
        (project / "target").mkdir(parents=True, exist_ok=True)
        for path in (project / "target" / "manifest.json", project / "manifest.json"):
            path.write_text(text, "utf-8")

    async def _store(self, context: RunContext, path: Path, kept: KeptManifest) -> None:
        found = await asyncio.to_thread(manifest_value, path)
        if found is None:
            context.log("dbt wrote no target/manifest.json, so none is stored.", "WARN")
            return
        await context.kv.set(kept.namespace or context.namespace, kept.key, found)


class Setup(ScriptTask):
    """Install dbt into the working directory, with its profiles: for older flows, whose next tasks then run it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: setup
type: io.kestra.plugin.dbt.cli.Setup
requirements: [dbt-duckdb]
profiles:
  shop:
    outputs:
      dev:
        type: duckdb
        path: ":memory:"
    target: dev
""",
    )
    default_image: ClassVar[str] = "python"
    instead: ClassVar[str] = "io.kestra.plugin.dbt.cli.DbtCLI"
    instead_how: ClassVar[str] = "whose `profiles` are text, and whose `containerImage` holds dbt"
    type: Literal["io.kestra.plugin.dbt.cli.Setup"]
    profiles: Property[JsonMap | Text]
    requirements: Property[TextList]
    python_path: Property[OptionalText] = None

    async def run(self, context: RunContext) -> ScriptResult:
        folder = context.working_dir
        profiles = self.profiles if isinstance(self.profiles, str) else yaml.safe_dump(self.profiles, sort_keys=False)
        inside(folder, PROFILES).parent.mkdir(parents=True, exist_ok=True)
        inside(folder, PROFILES).write_text(profiles, "utf-8")
        python = self.python_path or (local_python() if self.chosen_runner(context).is_local else "python")
        pip = "./bin/pip install --disable-pip-version-check --quiet"
        make = f"{quoted([python])} -m venv --system-site-packages ."
        install = [f"{pip} {quoted(self.requirements)}"] if self.requirements else []
        env = {"PYTHONUNBUFFERED": "true", "PIP_ROOT_USER_ACTION": "ignore"}
        return await self.run_commands(context, [make, *install], env=env)


class DbtCommand(DbtTask):
    """One command of dbt, its options as properties."""

    verb: ClassVar[str] = ""
    dbt_path: Property[OptionalText] = Field(default=None, description="`dbt`, or what a Setup installed.")
    fail_fast: Property[bool] = False
    warn_error: Property[bool] = False
    debug: Property[bool] = False
    target: Property[OptionalText] = None
    threads: Property[OptionalInteger] = None
    full_refresh: Property[bool | None] = None
    selector: Property[OptionalText] = None
    select: Property[TextList | None] = None
    models: Property[TextList | None] = None
    exclude: Property[TextList | None] = None

    async def run(self, context: RunContext) -> ScriptResult:
        program = self.dbt_path or (INSTALLED if inside(context.working_dir, INSTALLED).exists() else "dbt")
        return await self.dbt(context, [quoted(self.words(program))])

    def words(self, program: str) -> list[str]:
        """The command line."""
        words = [program]
        words += ["--debug"] if self.debug else []
        words += ["--fail-fast"] if self.fail_fast else []
        words += ["--warn-error"] if self.warn_error else []
        words += self.verb.split()
        words += ["--project-dir", self.project_dir] if self.project_dir else []
        words += ["--threads", str(self.threads)] if self.threads else []
        words += ["--full-refresh"] if self.full_refresh else []
        words += ["--target", self.target] if self.target else []
        words += ["--selector", self.selector] if self.selector else []
        for option, given in (("--select", self.select), ("--models", self.models), ("--exclude", self.exclude)):
            words += [option, *given] if given else []
        return words


class Build(DbtCommand):
    """Run, test, seed and snapshot a project: `dbt build`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: build
type: io.kestra.plugin.dbt.cli.Build
projectDir: warehouse
select: [orders+]
fullRefresh: true
""",
    )
    verb: ClassVar[str] = "build"
    type: Literal["io.kestra.plugin.dbt.cli.Build"]


class Run(DbtCommand):
    """Build a project's models: `dbt run`."""

    examples: ClassVar[tuple[str, ...]] = ("id: models\ntype: io.kestra.plugin.dbt.cli.Run\nexclude: [staging]\n",)
    verb: ClassVar[str] = "run"
    type: Literal["io.kestra.plugin.dbt.cli.Run"]


class Test(DbtCommand):
    """Test a project's models: `dbt test`."""

    examples: ClassVar[tuple[str, ...]] = ("id: tests\ntype: io.kestra.plugin.dbt.cli.Test\nwarnError: true\n",)
    verb: ClassVar[str] = "test"
    type: Literal["io.kestra.plugin.dbt.cli.Test"]


class Compile(DbtCommand):
    """Compile a project to the SQL it runs: `dbt compile`."""

    examples: ClassVar[tuple[str, ...]] = ("id: compile\ntype: io.kestra.plugin.dbt.cli.Compile\nselect: [orders+]\n",)
    verb: ClassVar[str] = "compile"
    type: Literal["io.kestra.plugin.dbt.cli.Compile"]


class Deps(DbtCommand):
    """Fetch the packages of a project: `dbt deps`."""

    examples: ClassVar[tuple[str, ...]] = ("id: deps\ntype: io.kestra.plugin.dbt.cli.Deps\nprojectDir: warehouse\n",)
    verb: ClassVar[str] = "deps"
    type: Literal["io.kestra.plugin.dbt.cli.Deps"]


class Freshness(DbtCommand):
    """Look how old the sources are: `dbt source freshness`."""

    examples: ClassVar[tuple[str, ...]] = ("id: freshness\ntype: io.kestra.plugin.dbt.cli.Freshness\ntarget: prod\n",)
    verb: ClassVar[str] = "source freshness"
    type: Literal["io.kestra.plugin.dbt.cli.Freshness"]


class List(DbtCommand):
    """List what is in a project: `dbt list`."""

    examples: ClassVar[tuple[str, ...]] = ("id: list\ntype: io.kestra.plugin.dbt.cli.List\nselect: [tag:nightly]\n",)
    verb: ClassVar[str] = "list"
    type: Literal["io.kestra.plugin.dbt.cli.List"]


class Seed(DbtCommand):
    """Load the CSV files of a project: `dbt seed`."""

    examples: ClassVar[tuple[str, ...]] = ("id: seed\ntype: io.kestra.plugin.dbt.cli.Seed\nfullRefresh: true\n",)
    verb: ClassVar[str] = "seed"
    type: Literal["io.kestra.plugin.dbt.cli.Seed"]


class Snapshot(DbtCommand):
    """Keep how mutable tables were: `dbt snapshot`."""

    examples: ClassVar[tuple[str, ...]] = ("id: snapshot\ntype: io.kestra.plugin.dbt.cli.Snapshot\ntarget: prod\n",)
    verb: ClassVar[str] = "snapshot"
    type: Literal["io.kestra.plugin.dbt.cli.Snapshot"]
