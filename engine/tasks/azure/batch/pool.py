"""`io.kestra.plugin.azure.batch.pool`: how many machines there are."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.azure_batch import BatchConnected, below
from engine.tasks.property_types import Text

EVERY, STEADY, READY = timedelta(seconds=10), timedelta(minutes=5), timedelta(minutes=20)
IDLE = {"$filter": "state eq 'idle'", "$select": "id,state"}


class Resized(Outputs):
    """The pool: its `id`, `targetDedicatedNodes` and `targetLowPriorityNodes`."""

    pool: dict[str, Any]


class Resize(BatchConnected, RunnableTask):
    """Give a pool another number of machines, and wait until the first of them is ready."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: more
type: io.kestra.plugin.azure.batch.pool.Resize
endpoint: https://shop.westeurope.batch.azure.com
account: shop
accessKey: "{{ secret('AZURE_BATCH_KEY') }}"
poolId: nightly
targetDedicatedNodes: 4
""",
    )
    type: Literal["io.kestra.plugin.azure.batch.pool.Resize"]
    pool_id: Property[Text]
    target_dedicated_nodes: Property[int] = Field(default=0, ge=0)
    target_low_priority_nodes: Property[int] = Field(default=0, ge=0)

    async def run(self, context: RunContext) -> Resized:
        if not self.pool_id.strip():
            raise TaskFailed("It is not said which pool.", fix="Give `poolId`.")
        pool = below("pools", self.pool_id.strip())
        state = (await self.ask(context, "GET", pool)).get("state")
        if state != "active":
            raise TaskFailed(
                f"The pool {self.pool_id} is not active, but {state}.", fix="Name another, or make the pool anew."
            )
        wanted = {
            "targetDedicatedNodes": self.target_dedicated_nodes,
            "targetLowPriorityNodes": self.target_low_priority_nodes,
        }
        await self.ask(context, "POST", f"{pool}/resize", wanted)

        async def steady() -> dict[str, Any] | None:
            found = await self.ask(context, "GET", pool)
            return found if found.get("allocationState") == "steady" else None

        what = f"The change of the pool {self.pool_id}"
        done = await rest_service.waited(
            context, steady, every=EVERY, most=STEADY, what=what, fix="Look at it in Azure."
        )
        for error in done.get("resizeErrors") or ():
            context.log(f"{error.get('code')}: {error.get('message')}", "WARN")

        async def idle() -> bool | None:
            return True if [row async for row in self.rows(context, f"{pool}/nodes", IDLE)] else None

        if any(wanted.values()):
            what = f"The start of the first machine of {self.pool_id}"
            await rest_service.waited(context, idle, every=EVERY, most=READY, what=what, fix="Look at it in Azure.")
        return Resized(pool={"id": done.get("id"), **{name: done.get(name) for name in wanted}})
