"""`namespaceFiles`: which files of which namespaces are put into a working directory."""

import asyncio
import shutil
from pathlib import Path
from typing import Literal

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.property_types import TextList
from engine.tasks.working_files import glob, inside


class NamespaceFiles(Part):
    """Files of the flow's namespace, or of others; of a path that several have, the last namespace's."""

    enabled: Property[bool] = True
    include: Property[TextList | None] = None
    exclude: Property[TextList | None] = None
    namespaces: Property[TextList | None] = None
    if_exists: Property[Literal["OVERWRITE", "FAIL", "WARN", "IGNORE"]] = "OVERWRITE"
    folder_per_namespace: Property[bool] = False


async def place_namespace_files(context: RunContext, wanted: NamespaceFiles | bool | None) -> None:
    """Copy what `namespaceFiles` asks for into the working directory; TaskFailed when a file may not be replaced."""
    chosen = NamespaceFiles() if wanted is True else wanted
    if not chosen or not chosen.enabled:
        return
    found = await matching(context, chosen)
    folder = context.working_dir
    targets = {inside(folder, name): source for name, source in found.items()}
    there = {target for target in targets if target.exists()} if chosen.if_exists != "OVERWRITE" else set[Path]()
    for target in sorted(there):
        name = target.relative_to(folder).as_posix()
        if chosen.if_exists == "FAIL":
            raise TaskFailed(
                f"The file {name} is in the working directory already.", fix="Set `namespaceFiles.ifExists`."
            )
        if chosen.if_exists == "WARN":
            context.log(f"The file {name} of the namespace is left out: there is one already.", "WARN")

    def copy() -> None:
        for target, source in targets.items():
            if target not in there:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    await asyncio.to_thread(copy)


async def matching(context: RunContext, chosen: NamespaceFiles) -> dict[str, Path]:
    """Path below the working directory → file of a namespace that is meant."""
    include = [glob(pattern) for pattern in chosen.include or ["**"]]
    exclude = [glob(pattern) for pattern in chosen.exclude or []]
    found: dict[str, Path] = {}
    for namespace in chosen.namespaces or [context.namespace]:
        prefix = f"{namespace}/" if chosen.folder_per_namespace else ""
        for name, source in (await context.files.namespace_files(namespace)).items():
            if any(one.fullmatch(name) for one in include) and not any(one.fullmatch(name) for one in exclude):
                found[prefix + name] = source
    return found
