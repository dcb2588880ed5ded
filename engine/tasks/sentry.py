"""`io.kestra.plugin.sentry`: events in Sentry."""

import json
import re
import uuid
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from engine.plugin import Instead, JsonText, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.chat_messages import payload_object
from engine.tasks.execution_facts import ExecutionFacts, facts
from engine.tasks.execution_text import summary_text
from engine.tasks.http_options import DEFAULT, MessageOptions
from engine.tasks.outbound import deliver
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.webhook_task import rows

EVENT_ID = re.compile(r"[0-9a-f]{32}")
MAX_EVENT = 1 << 20
CLIENT = "parley"


class SentryTask(RunnableTask):
    """What both tasks have."""

    dsn: Property[Text]
    endpoint_type: Property[Literal["ENVELOPE", "STORE"]] = "ENVELOPE"
    event_id: Property[OptionalText] = None
    options: Property[MessageOptions | None] = None

    async def report(self, context: RunContext, event: dict[str, Any]) -> None:
        """Send an event; TaskFailed when Sentry refuses."""
        url, key = endpoint(self.dsn, self.endpoint_type)
        for secret in (self.dsn, key):
            if secret:
                context.mask(secret)
        number = (self.event_id or str(event.get("event_id") or "") or uuid.uuid4().hex).replace("-", "").lower()
        if not EVENT_ID.fullmatch(number):
            raise TaskFailed(f"The event id {number!r} is not 32 hexadecimal digits.", fix="Leave it out.")
        body = json.dumps({**event, "event_id": number}, ensure_ascii=False).encode()
        if len(body) > MAX_EVENT:
            raise TaskFailed(f"The event has {len(body)} bytes, Sentry takes {MAX_EVENT}.", fix="Send less.")
        kind = "application/json"
        if self.endpoint_type == "ENVELOPE":
            item = {"type": "event", "length": len(body), "content_type": "application/json"}
            head = {"event_id": number, "sdk": {"name": CLIENT, "version": "1"}}
            body = b"\n".join([json.dumps(head).encode(), json.dumps(item).encode(), body]) + b"\n"
            kind = "application/x-sentry-envelope"
        headers = {"Content-Type": kind}
        if key:
            headers["X-Sentry-Auth"] = f"Sentry sentry_version=7, sentry_client={CLIENT}/1, sentry_key={key}"
        await deliver(context, url, service="Sentry", options=self.options or DEFAULT, headers=headers, content=body)


class SentryAlert(SentryTask):
    """Report the flow's own event, or that the execution failed."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.sentry.SentryAlert
dsn: "{{ secret('SENTRY_DSN') }}"
payload: |
  {"platform": "other", "level": "error", "message": {"message": "Execution {{ execution.id }} failed"}}
""",
    )
    type: Literal["io.kestra.plugin.sentry.SentryAlert"]
    payload: JsonText[OptionalText] = None

    async def run(self, context: RunContext) -> None:
        if self.payload is not None and self.payload.strip():
            await self.report(context, payload_object(self.payload, "Sentry"))
            return
        about = facts(await context.execution_map())
        said = {"message": f"Execution {about.id} failed"}
        await self.report(context, {"platform": "other", "level": "error", "message": said, "extra": rows(about, None)})


class SentryExecution(SentryTask):
    """Report a summary of an execution."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.sentry.SentryExecution
dsn: "{{ secret('SENTRY_DSN') }}"
executionId: "{{ trigger.executionId }}"
level: WARNING
""",
    )
    type: Literal["io.kestra.plugin.sentry.SentryExecution"]
    payload: Annotated[Any, Instead("")] = None
    execution_id: Property[OptionalText] = None
    custom_fields: Property[JsonMap | None] = None
    custom_message: Property[OptionalText] = None
    template_render_map: Any = None
    platform: Property[Text] = "OTHER"
    level: Property[Text] = "ERROR"
    transaction: Property[OptionalText] = None
    server_name: Property[OptionalText] = None
    extra: Property[JsonMap | None] = None
    errors: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> None:
        await self.report(context, self.event(facts(await context.execution_map(self.execution_id))))

    def event(self, about: ExecutionFacts) -> dict[str, Any]:
        """The event in Sentry's JSON."""
        named = {
            "platform": self.platform.lower(),
            "level": self.level.lower(),
            "transaction": self.transaction or f"/execution/id/{about.id}",
            "server_name": self.server_name,
            "message": {"message": summary_text(about, self.custom_message, {})},
            "extra": rows(about, self.custom_fields) | (self.extra or {}),
            "errors": self.errors,
        }
        return {key: value for key, value in named.items() if value}


def endpoint(dsn: str, kind: str) -> tuple[str, str]:
    """Where events go, and the key: from `https://<key>@<host>/<path>/<project>`; any other URL is used as it is."""
    parts = urlsplit(dsn.strip())
    head, _, project = parts.path.rpartition("/")
    if not parts.username or not project.isdigit():
        return dsn.strip(), ""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{head}/api/{project}/{kind.lower()}/", parts.username
