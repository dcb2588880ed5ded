"""`io.kestra.plugin.kestra.logs`: what an execution of this bot or of another server wrote."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, Literal

from engine.plugin import RunContext, RunnableTask, TaskFailed
from engine.tasks.core.log import Fetched, FetchFields
from engine.tasks.fetched_rows import stored
from engine.tasks.kestra_service import KestraFields, Server


class Fetch(KestraFields, FetchFields, RunnableTask):
    """Write the log of an execution (this one, unless another is named) to a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: what_went_wrong
type: io.kestra.plugin.kestra.logs.Fetch
executionId: "{{ trigger.executionId }}"
namespace: "{{ trigger.namespace }}"
flowId: "{{ trigger.flowId }}"
level: WARN
""",
    )
    type: Literal["io.kestra.plugin.kestra.logs.Fetch"]

    async def run(self, context: RunContext) -> Fetched:
        if (server := self.elsewhere(context)) is None:
            return await self.fetched(context)
        if not self.execution_id:
            raise TaskFailed("It is not said which execution of the other server.", fix="Give `executionId`.")
        uri, size = await stored(context, self._lines(server, self.execution_id), "log.jsonl")
        return Fetched(uri=uri, size=size)

    async def _lines(self, server: Server, execution_id: str) -> AsyncIterator[Mapping[str, Any]]:
        for task in self.tasks_id or [""]:
            params = {"minLevel": self.level, **({"taskId": task} if task else {})}
            for line in await server.document("GET", "logs", execution_id, params=params) or ():
                yield line
