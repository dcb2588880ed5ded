"""Triggers that requests fire. Of a Webhook the key in the address is the credential."""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.property import has_template
from engine.core.request_triggers import Arrived, RequestTrigger, Spoken
from engine.core.state import State
from engine.errors import NotFound, Refused
from engine.runtime.creation import Creator
from engine.runtime.flows import Flows
from engine.runtime.schedules import Schedules
from engine.runtime.starts import Starts
from engine.store.database import Database
from engine.store.documents import dumps, plain
from engine.store.triggers import trigger_key
from engine.tasks.core.trigger.webhook import Webhook
from engine.trigger_context import trigger_folder


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a webhook's caller; without `content` it is the execution."""

    status: int
    content: str | None = None
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Starts executions for requests."""

    database: Database
    flows: Flows
    creator: Creator
    schedules: Schedules

    async def fire(
        self,
        namespace: str,
        flow_id: str,
        key: str,
        *,
        body: str = "",
        raw: bytes | None = None,
        headers: Mapping[str, Sequence[str]] | None = None,
        parameters: Mapping[str, Sequence[str]] | None = None,
    ) -> Execution | Spoken | None:
        """The execution a request starts, or started when it came before; what the trigger answers without one; None
        when conditions don't hold; `raw` is the body before it became text. NotFound (flow or key), Refused."""
        flow = self.flows.get(namespace, flow_id)
        trigger = await self._trigger(flow, key)
        if flow.disabled:
            raise Refused(f"Cannot execute a disabled flow: {namespace}.{flow_id}.", fix="Enable it in its file first.")
        arrived = Arrived(body, headers or {}, parameters or {})
        heard = trigger.admit(arrived, await self._credentials(flow, trigger), self.creator.clock.now())
        if isinstance(heard, Spoken):
            return heard
        variables = dict(heard.variables)
        kind = trigger.fetch_type if isinstance(trigger, Webhook) else "FETCH"
        if kind != "FETCH":
            variables.pop("body", None)
        starts, names = Starts(self.creator), {"trigger": variables}
        if not await starts.holds(flow, trigger, names):
            return None
        if kind == "STORE":
            content = body.encode() if raw is None else raw
            files = self.creator.files
            variables["uri"] = await asyncio.to_thread(files.put, trigger_folder(flow, trigger.id), content, "body")
        start = await starts.start(flow, trigger, variables, names)
        return await self.creator.create(
            self.database,
            start.prepared,
            started_by="webhook",
            origin=Origin(trigger.id, trigger.type, variables),
            labels=start.labels,
            dedupe=None if heard.key is None else f"{trigger_key(flow.namespace, flow.id, trigger.id)} {heard.key}",
            trigger_id=trigger.id,
        )

    async def trigger_of(self, execution: Execution) -> RequestTrigger:
        """The trigger that started an execution; NotFound."""
        flow = await self.flows.fetch(execution.namespace, execution.flow_id, execution.revision)
        wanted = execution.origin.id if execution.origin else None
        for trigger in flow.triggers:
            if isinstance(trigger, RequestTrigger) and trigger.id == wanted:
                return trigger
        raise NotFound(f"No webhook started the execution {execution.id}.")

    async def reply(self, ended: Execution) -> Reply:
        """What the caller of a webhook with `wait` is answered, once its execution has ended; ExpressionFailed."""
        trigger = await self.trigger_of(ended)
        if not isinstance(trigger, Webhook):
            return Reply(200)
        flow = await self.flows.fetch(ended.namespace, ended.flow_id, ended.revision)
        renderer = self.creator.renderer
        code: Any = 500 if ended.state is State.FAILED else 200
        if trigger.response_code is not None:
            seen, services = renderer.variables(flow, ended, None), renderer.services(flow.namespace)
            code = await renderer.value(trigger.response_code, seen, services)
        try:
            status = int(code)
        except (TypeError, ValueError) as error:
            raise Refused(
                f"`responseCode` is no number: {code!r}.", fix="Check the expression that makes it."
            ) from error
        if not 200 <= status <= 599:
            raise Refused(f"`responseCode` is {status}.", fix="Give a status from 200 to 599.")
        if not trigger.return_outputs:
            return Reply(status)
        outputs = plain(ended.outputs or {})
        if trigger.response_content_type != "text/plain":
            return Reply(status, dumps(outputs), "application/json")
        only = next(iter(outputs.values())) if len(outputs) == 1 else None
        return Reply(status, only if isinstance(only, str) else dumps(outputs), "text/plain")

    async def _credentials(self, flow: Flow, trigger: RequestTrigger) -> dict[str, str]:
        """What judges a request, rendered and masked."""
        found = {name: await self._rendered(flow, str(getattr(trigger, name) or "")) for name in trigger.credentials}
        for secret in found.values():
            self.creator.masker.add(secret)
        return found

    async def _rendered(self, flow: Flow, text: str) -> str:
        if has_template(text):
            services = self.creator.renderer.services(flow.namespace)
            text = str(await self.creator.renderer.value(text, self.creator.variables(flow), services))
        return text.strip()

    async def _trigger(self, flow: Flow, key: str) -> RequestTrigger:
        """The trigger with this key; every key is compared, in constant time."""
        found = None
        for trigger in flow.triggers:
            if not isinstance(trigger, RequestTrigger) or trigger.disabled:
                continue
            if self.schedules.is_disabled(trigger_key(flow.namespace, flow.id, trigger.id)):
                continue
            own = await self._rendered(flow, trigger.key)
            if not trigger.has_open_key:
                self.creator.masker.add(own)
            if own and hmac.compare_digest(own.encode(), key.encode()):
                found = trigger
        if found is None:
            raise NotFound(f"There is no webhook with this key on flow {flow.namespace}.{flow.id}.")
        return found
