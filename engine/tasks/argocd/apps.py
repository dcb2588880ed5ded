"""`io.kestra.plugin.argocd.apps`: applications of Argo CD, by its command-line tool."""

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.runners import WORK
from engine.tasks.scripts.script_task import ScriptResult, ScriptTask, quoted

RELEASES = "https://github.com/argoproj/argo-cd/releases"
MAX_ANSWER = 4 << 20
FETCH = """\
tools="$(mktemp -d)"
trap 'rm -rf "$tools"' EXIT
arch="$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')"
curl -fsSL -o "$tools/argocd" {releases}"/argocd-linux-$arch"
chmod +x "$tools/argocd"
PATH="$tools:$PATH\""""


class Application(ScriptResult):
    """How the application is, as Argo CD says."""

    syncStatus: str | None = None  # noqa: N815 - appears as written
    healthStatus: str | None = None  # noqa: N815
    resources: list[dict[str, Any]] | None = None
    rawOutput: str = ""  # noqa: N815


class Found(Application):
    """How the application is, and what Argo CD remarks."""

    conditions: list[dict[str, Any]] | None = None


class Synced(Application):
    """How the application is now, and at which commit."""

    revision: str | None = None


class ArgoTask(ScriptTask):
    """Where Argo CD is, who we are there, and the application."""

    default_image: ClassVar[str] = "curlimages/curl:latest"
    server: Property[Text]
    token: Property[Text]
    application: Property[Text]
    insecure: Property[bool] = False
    plaintext: Property[bool] = False
    grpc_web: Property[bool] = False
    server_cert: Property[OptionalText] = None
    argo_cd_version: Property[OptionalText] = Field(
        default=None, alias="argoCDVersion", description="The newest one, unless the image brings its own."
    )

    async def argocd(self, context: RunContext, verb: str, flags: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a command ended with, as outputs, and what it said of the application's `status`."""
        context.mask(self.token)
        work = context.working_dir / WORK
        work.mkdir(parents=True, exist_ok=True)
        server = self.server.strip().removeprefix("https://").removeprefix("http://").rstrip("/")
        words = ["argocd", "app", verb, "--server", server, *flags, "--output", "json"]
        for flag, given in (
            ("--insecure", self.insecure),
            ("--plaintext", self.plaintext),
            ("--grpc-web", self.grpc_web),
        ):
            words += [flag] if given else []
        if self.server_cert:
            (work / "argocd.crt").write_text(self.server_cert)
            words += ["--server-crt", f"{WORK}/argocd.crt"]
        said = f"{WORK}/argocd-{context.task_run_id}.json"
        command = f"{quoted([*words, '--', self.application])} > {said}"
        ended = await self.run_commands(
            context, [self._tool(), command], env={"ARGOCD_AUTH_TOKEN": self.token}, fail_fast=True
        )
        text = await asyncio.to_thread(_text, context.working_dir / said)
        status = _status(context, text)
        outputs = ended.model_dump() | {
            "syncStatus": _of(status, "sync").get("status"),
            "healthStatus": _of(status, "health").get("status"),
            "resources": status.get("resources"),
            "rawOutput": text,
        }
        return outputs, status

    def _tool(self) -> str:
        version = self.argo_cd_version
        path = f"download/v{version.removeprefix('v')}" if version else "latest/download"
        fetch = FETCH.format(releases=shlex.quote(f"{RELEASES}/{path}"))
        return fetch if version else f"if ! command -v argocd > /dev/null; then\n{fetch}\nfi"


class Status(ArgoTask):
    """Tell how an application is."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.argocd.apps.Status
server: https://argocd.example.com
token: "{{ secret('ARGOCD_TOKEN') }}"
application: shop
refresh: true
""",
    )
    type: Literal["io.kestra.plugin.argocd.apps.Status", "io.kestra.plugin.argocd.app.Status"]
    refresh: Property[bool] = False

    async def run(self, context: RunContext) -> Found:
        outputs, status = await self.argocd(context, "get", ["--refresh"] if self.refresh else [])
        return Found(**outputs, conditions=status.get("conditions"))


class Sync(ArgoTask):
    """Bring an application to what its repository says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deploy
type: io.kestra.plugin.argocd.apps.Sync
server: https://argocd.example.com
token: "{{ secret('ARGOCD_TOKEN') }}"
application: shop
revision: v1.4.0
prune: true
""",
    )
    type: Literal["io.kestra.plugin.argocd.apps.Sync", "io.kestra.plugin.argocd.app.Sync"]
    revision: Property[OptionalText] = None
    prune: Property[bool] = False
    dry_run: Property[bool] = False
    force: Property[bool] = False

    async def run(self, context: RunContext) -> Synced:
        flags = ["--revision", self.revision] if self.revision else []
        for flag, given in (("--prune", self.prune), ("--dry-run", self.dry_run), ("--force", self.force)):
            flags += [flag] if given else []
        outputs, status = await self.argocd(context, "sync", flags)
        return Synced(**outputs, revision=_of(status, "sync").get("revision"))


def _text(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MAX_ANSWER + 1).decode("utf-8", "replace").strip()


def _status(context: RunContext, text: str) -> dict[str, Any]:
    try:
        found, _ = json.JSONDecoder().raw_decode(text, max(text.find("{"), 0))
    except (ValueError, RecursionError):
        context.log("What argocd said is not JSON, or too long; see `rawOutput`.", "WARN")
        return {}
    return _of(found, "status")


def _of(document: Any, key: str) -> dict[str, Any]:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}
