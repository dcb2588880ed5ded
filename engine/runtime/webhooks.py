"""Triggers that requests fire. Of a Webhook the key in the address is the credential."""

import asyncio
import hmac
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.aside import LONG
from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.property import has_template
from engine.core.request_triggers import Arrived, Heard, RequestTrigger, Sent, Spoken, is_binary
from engine.core.state import State
from engine.errors import EngineError, NotFound, Refused
from engine.files import execution_folder
from engine.identifiers import new_id
from engine.runtime.creation import Creator
from engine.runtime.flows import Flows
from engine.runtime.schedules import Schedules
from engine.runtime.starts import Start, Starts
from engine.store.database import Database
from engine.store.documents import dumps, plain
from engine.store.triggers import trigger_key
from engine.tasks.core.trigger.webhook import Webhook

Form = Callable[[], Awaitable[Sequence[Sent]]]  # reads the parts of a body; Refused when it is none


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
        form: Form | None = None,
    ) -> Execution | Spoken | None:
        """The execution a request starts, or started when it came before; what the trigger answers without one; None
        when conditions don't hold; `raw` is the body before it became text, `form` reads its parts where it has some.
        NotFound (flow or key), Refused."""
        flow = self.flows.get(namespace, flow_id)
        trigger = await self._trigger(flow, key)
        if flow.disabled:
            raise Refused(f"Cannot execute a disabled flow: {namespace}.{flow_id}.", fix="Enable it in its file first.")
        arrived = Arrived(body, headers or {}, parameters or {})
        credentials, now = await self._credentials(flow, trigger), self.creator.clock.now()
        judged = partial(trigger.admit, arrived, credentials, now)
        heard = await asyncio.to_thread(judged) if len(body) > LONG else judged()
        if isinstance(heard, Spoken):
            return heard
        execution_id = new_id(self.creator.clock.now())
        content = body.encode() if raw is None else raw
        stores = isinstance(trigger, Webhook) and (form is not None or trigger.fetch_type == "STORE")
        try:
            variables = await self._taken_in(trigger, arrived, heard, content, form, _folder(flow, execution_id))
            start = await self._start(flow, trigger, variables, execution_id)
        except EngineError:
            await self._forget(flow, execution_id, stored=stores)
            raise
        if start is None:
            await self._forget(flow, execution_id, stored=stores)
            return None
        return await self.creator.create(
            self.database,
            start.prepared,
            started_by="webhook",
            origin=Origin(trigger.id, trigger.type, variables),
            labels=start.labels,
            dedupe=None if heard.key is None else f"{trigger_key(flow.namespace, flow.id, trigger.id)} {heard.key}",
            trigger_id=trigger.id,
        )

    async def _taken_in(
        self, trigger: RequestTrigger, arrived: Arrived, heard: Heard, content: bytes, form: Form | None, folder: str
    ) -> Mapping[str, Any]:
        """What expressions see of a request; what of it is a file is put into a folder of storage."""
        if not isinstance(trigger, Webhook):
            return heard.variables
        variables = {name: value for name, value in heard.variables.items() if name != "body"}
        if form is not None:
            return {**variables, **await self._parts(await form(), folder)}
        if trigger.fetch_type == "FETCH":
            is_text = not is_binary(arrived.header("content-type"))
            return {**variables, "body": heard.variables["body"] if is_text else b64encode(content).decode() or None}
        if trigger.fetch_type == "STORE" and content:
            variables["uri"] = await asyncio.to_thread(self.creator.files.put, folder, content, "body")
        return variables

    async def _parts(self, sent: Sequence[Sent], folder: str) -> Mapping[str, Any]:
        """The files of a form, stored, and its fields."""
        parts, fields = list[Mapping[str, Any]](), dict[str, list[str]]()
        for number, one in enumerate(sent):
            if not one.filename.strip():
                fields.setdefault(one.name, []).append(one.content.decode("utf-8", errors="replace"))
                continue
            uri = await asyncio.to_thread(self.creator.files.put, f"{folder}/{number}", one.content, one.filename)
            about = {"name": one.name, "filename": one.filename, "size": len(one.content), "uri": uri}
            parts.append({**about, **({"contentType": one.content_type} if one.content_type else {})})
        return {"parts": parts, "formFields": fields}

    async def _start(
        self, flow: Flow, trigger: RequestTrigger, variables: Mapping[str, Any], execution_id: str
    ) -> Start | None:
        """The execution for a request, None when conditions don't hold."""
        starts, names = Starts(self.creator), {"trigger": variables}
        if not await starts.holds(flow, trigger, names):
            return None
        return await starts.start(flow, trigger, variables, names, execution_id=execution_id)

    async def _forget(self, flow: Flow, execution_id: str, *, stored: bool) -> None:
        """Of a request that starts nothing no file is kept."""
        if stored:
            await asyncio.to_thread(self.creator.files.delete_execution, flow.namespace, flow.id, execution_id)

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


def _folder(flow: Flow, execution_id: str) -> str:
    """Where what a request brought lies: it goes with the execution."""
    return f"{execution_folder(flow.namespace, flow.id, execution_id)}/webhook"
