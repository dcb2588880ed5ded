"""`parley preview`: every form and card of a flow, without an account."""

import sys
from pathlib import Path

from bot.pictures.flow_graph import flow_graph
from bot.preview.pictures import PLATFORMS, page, text
from bot.preview.scenes import scenes
from bot.settings import read_settings, shipped_flows
from bot.written_flows import WrittenFlows, only_flow
from engine.core.flow import Flow
from engine.core.flow_source import load
from engine.errors import NotFound, SettingInvalid
from engine.tasks import catalogue


def preview(name: str, platform: str, out: Path | None, flows: list[Path] | None) -> None:
    """Print the scenes as text; with a folder, write one HTML page a scene and platform, and the flow as a picture. Who
    decides its questions, and whether its failure can be explained, stands in parley.yaml."""
    if platform not in (*PLATFORMS, "all"):
        raise SettingInvalid(f"There is no platform {platform!r}.", fix="Write slack, discord, web or all.")
    flow, settings = find(name, flows), read_settings()
    found = scenes(flow, None, settings.approvals, settings.roles, settings.explain, settings.prices)
    for scene in found:
        sys.stdout.write(text(scene) + "\n")
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    picture = out / f"{flow.id}-graph.svg"
    picture.write_text(flow_graph(flow), encoding="utf-8")
    sys.stderr.write(f"wrote {picture}\n")
    for scene in found:
        for one in PLATFORMS if platform == "all" else (platform,):
            file = out / f"{scene.name}.{one}.html"
            file.write_text(page(scene, one), encoding="utf-8")
            sys.stderr.write(f"wrote {file}\n")


def find(name: str, flows: list[Path] | None) -> Flow:
    """The flow of a file or of NAMESPACE/ID in the flow folders; NotFound says where it was looked for."""
    if Path(name).is_file():
        return load(only_flow(Path(name)).placed, catalogue(), file=name)
    folders = [*(flows or read_settings().flows), shipped_flows("demo"), shipped_flows("tour")]
    namespace, _, flow_id = name.rpartition("/")
    if (found := WrittenFlows(folders).find(namespace, flow_id)) is not None:
        return load(found.said.placed, catalogue(), file=str(found.file))
    raise NotFound(f"There is no flow {name}.", fix=f"Looked in {', '.join(str(folder) for folder in folders)}.")
