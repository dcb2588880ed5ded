"""`io.kestra.plugin.kestra.flows`: flows of this bot or of another server, listed and exported."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core import yaml_text
from engine.errors import FlowInvalid
from engine.plugin import DeployedFlow, Flows, Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.kestra_service import KestraFields
from engine.tasks.property_types import OptionalText, Text, TextList, pairs


class Listed(Outputs):
    """The flows, each as its text says and with its revision."""

    flows: list[dict[str, Any]]


class List(KestraFields, RunnableTask):
    """List the flows of a namespace."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: ours
type: io.kestra.plugin.kestra.flows.List
namespace: company.team
""",
    )
    type: Literal["io.kestra.plugin.kestra.flows.List"]
    namespace: Property[OptionalText] = Field(default=None, description="That of this flow, if left out.")

    async def run(self, context: RunContext) -> Listed:
        namespace = self.namespace or context.namespace
        if (server := self.elsewhere(context)) is not None:
            return Listed(flows=await server.document("GET", "flows", namespace) or [])
        return Listed(flows=[read(flow) for flow in await flows_of(context).list(namespace)])


class Exported(Outputs):
    """A ZIP archive with one file a flow."""

    flowsZip: str  # noqa: N815 - appears as written


class Export(KestraFields, RunnableTask):
    """Export the flows of a namespace and those below it, or all, to a ZIP archive."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: copy
type: io.kestra.plugin.kestra.flows.Export
namespace: company.team
labels: ["team:web"]
""",
    )
    type: Literal["io.kestra.plugin.kestra.flows.Export"]
    namespace: Property[OptionalText] = None
    labels: Property[TextList | None] = Field(default=None, description="`key:value`; flows that have all of them.")

    async def run(self, context: RunContext) -> Exported:
        wanted = dict(_label(text) for text in self.labels or ())
        if (server := self.elsewhere(context)) is not None:
            params = [(f"filters[labels][EQUALS][{key}]", value) for key, value in wanted.items()]
            if self.namespace:
                params.append(("filters[namespace][PREFIX]", self.namespace))
            return await _kept(context, await server.call("GET", "flows", "export", "by-query", params=params))
        found = await flows_of(context).list(self.namespace, below=True)
        fit = [flow for flow in found if not wanted or wanted.items() <= _labels_of(flow).items()]
        return await _kept(context, zipped(fit))


class FlowName(Part):
    """One flow."""

    id: Property[Text]
    namespace: Property[Text]


class ExportById(KestraFields, RunnableTask):
    """Export flows that are named to a ZIP archive."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: copy
type: io.kestra.plugin.kestra.flows.ExportById
flows:
  - namespace: company.team
    id: backup
""",
    )
    type: Literal["io.kestra.plugin.kestra.flows.ExportById"]
    flows: Property[list[FlowName]]

    async def run(self, context: RunContext) -> Exported:
        names = list(dict.fromkeys((flow.namespace, flow.id) for flow in self.flows))
        if (server := self.elsewhere(context)) is not None:
            body = [{"namespace": namespace, "id": identity} for namespace, identity in names]
            return await _kept(context, await server.call("POST", "flows", "export", "by-ids", json=body))
        there = {(flow.namespace, flow.id): flow for flow in await flows_of(context).list(None)}
        if missing := [".".join(name) for name in names if name not in there]:
            raise TaskFailed(f"There is no flow {missing[0]}.", fix="Check `namespace` and `id`.")
        return await _kept(context, zipped(there[name] for name in names))


def flows_of(context: RunContext) -> Flows:
    """The flows there are; TaskFailed where a task runs without them."""
    if context.flows is None:
        raise TaskFailed("This run cannot reach other flows.", fix="Run the flow with `parley up`.")
    return context.flows


def read(flow: DeployedFlow) -> dict[str, Any]:
    """What a flow's text says, with its revision; only its name when the text can't be read. Pure."""
    name = {"id": flow.id, "namespace": flow.namespace}
    try:
        said = yaml_text.plain(yaml_text.read(flow.source))
    except FlowInvalid:
        said = {}
    return {**(said if isinstance(said, dict) else {}), **name, "revision": flow.revision}


def zipped(flows: Iterable[DeployedFlow]) -> bytes:
    """An archive with one file a flow, named for it. Pure."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for flow in flows:
            archive.writestr(zipfile.ZipInfo(f"{flow.namespace}.{flow.id}.yml"), flow.source)
    return whole.getvalue()


async def _kept(context: RunContext, archive: bytes) -> Exported:
    return Exported(flowsZip=await context.files.put(archive, "exported_flows.zip"))


def _label(text: str) -> tuple[str, str]:
    key, colon, value = text.partition(":")
    if not (colon and key.strip()):
        raise TaskFailed(f"The label {text!r} is no `key:value`.", fix="For instance `team:web`.")
    return key.strip(), value.strip()


def _labels_of(flow: DeployedFlow) -> dict[str, str]:
    try:
        return pairs(read(flow).get("labels"))
    except ValueError:
        return {}
