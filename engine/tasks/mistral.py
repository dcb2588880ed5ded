"""`io.kestra.plugin.mistral`: Mistral's models, and workflows that run there."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from engine.core.durations import Duration
from engine.plugin import (
    JsonText,
    Look,
    Outputs,
    Part,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    TaskFailed,
)
from engine.tasks import aliases, rest_service
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList, document_from_text
from engine.tasks.structured_output import parse_schema
from engine.tasks.trigger_fields import fields_of

API = "https://api.mistral.ai/v1"
PAGES = 100  # of events of before, in one look
RUNNING = frozenset({"RUNNING", "RETRYING_AFTER_ERROR", None})  # None: it is not known yet
FAILED = frozenset({"FAILED", "TIMED_OUT", "TERMINATED"})
ENDS = ("WorkflowExecutionCompleted", "WorkflowExecutionFailed", "WorkflowExecutionCanceled")


class Mistral(Part):
    """Who asks, and where Mistral is."""

    api_key: Property[Text]
    base_url: Property[OptionalText] = Field(default=None, description=f"`{API}`, unless the settings say otherwise.")

    async def ask(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON of one call; TaskFailed when Mistral refuses."""
        context.mask(self.api_key)
        provider = context.settings.provider("mistral")
        base = (self.base_url or provider.base_url or API).rstrip("/")
        limit = timedelta(seconds=context.time_limit or provider.timeout)
        options = HttpOptions(timeout=Timeouts(read_idle_timeout=limit))
        headers = {"Authorization": f"Bearer {self.api_key}"}
        url = f"{base}/{path}"
        return await rest_service.mapping(context, "Mistral", method, url, options=options, headers=headers, **given)


class Message(Part):
    """One turn of the conversation."""

    type: Literal["SYSTEM", "ASSISTANT", "USER"]
    content: OptionalText = None


class Reply(Outputs):
    """The model's answer, and the whole of what the service sent, as text."""

    response: str
    raw: str


class ChatCompletion(Mistral, RunnableTask):
    """Ask a model of Mistral's."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: digest
type: io.kestra.plugin.mistral.ChatCompletion
apiKey: "{{ secret('MISTRAL_API_KEY') }}"
modelName: mistral-small-latest
messages:
  - type: SYSTEM
    content: You answer in one sentence.
  - type: USER
    content: "{{ inputs.question }}"
""",
    )
    type: Literal["io.kestra.plugin.mistral.ChatCompletion"]
    model_name: Property[Text]
    messages: Property[Annotated[list[Message], BeforeValidator(document_from_text)]]
    json_response_schema: JsonText[OptionalText] = Field(default=None, description="A JSON Schema for the answer.")

    async def run(self, context: RunContext) -> Reply:
        if not self.messages:
            raise TaskFailed("`messages` is empty.", fix="Add what the model is to answer.")
        turns = [{"role": one.type.lower(), "content": one.content or ""} for one in self.messages]
        body: dict[str, Any] = {
            "model": aliases.model(self.model_name, context.settings.models),
            "messages": turns,
        }
        if self.json_response_schema:
            schema = parse_schema(self.json_response_schema)
            if schema.warning:
                context.log(schema.warning, "WARN")
            wanted = {"schema": schema.value, "name": "kestra_schema", "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        told = await self.ask(context, "POST", "chat/completions", json=body)
        choices = told.get("choices") or []
        content = ((choices[0].get("message") or {}).get("content") if choices else None) or ""
        if not isinstance(content, str):  # what thinks tells in parts
            content = "".join(part.get("text") or "" for part in content if part.get("type") == "text")
        return Reply(response=content, raw=json.dumps(told, ensure_ascii=False))


class Ran(Outputs):
    """The run of the workflow; `result` is JSON text, times are ISO text."""

    executionId: str  # noqa: N815 - appears as written
    status: str
    result: str | None = None
    startTime: str | None = None  # noqa: N815
    endTime: str | None = None  # noqa: N815
    totalDurationMs: int | None = None  # noqa: N815


class RunWorkflow(Mistral, RunnableTask):
    """Run a workflow at Mistral, and wait for its end; one that is waited for is cancelled with the task."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: summary
type: io.kestra.plugin.mistral.RunWorkflow
apiKey: "{{ secret('MISTRAL_API_KEY') }}"
workflowIdentifier: summarize
input:
  text: "{{ inputs.text }}"
waitTimeout: PT15M
""",
    )
    type: Literal["io.kestra.plugin.mistral.RunWorkflow"]
    workflow_identifier: Property[Text]
    input: Property[JsonMap] = Field(default_factory=dict)
    deployment_name: Property[OptionalText] = None
    execution_id: Property[OptionalText] = None
    wait: Property[bool] = True
    wait_timeout: Property[timedelta] = timedelta(minutes=15)
    poll_interval: Property[timedelta] = Field(default=timedelta(seconds=5), ge=timedelta(milliseconds=10))

    async def run(self, context: RunContext) -> Ran:
        body: dict[str, Any] = {"input": self.input, "wait_for_result": False}
        body |= {"deployment_name": self.deployment_name} if self.deployment_name else {}
        body |= {"execution_id": self.execution_id} if self.execution_id else {}
        path = f"workflows/{quote(self.workflow_identifier, safe='')}/execute"
        begun = await self.ask(context, "POST", path, json=body)
        if not (run := str(begun.get("execution_id") or "")):
            raise TaskFailed("Mistral answered without an execution.", fix="Check `baseUrl`.")
        context.log(f"The execution {run} of {self.workflow_identifier} is begun.")
        if not self.wait:
            return Ran(executionId=run, status="RUNNING")

        async def look() -> dict[str, Any] | None:
            found = await self.ask(context, "GET", f"workflows/executions/{quote(run, safe='')}")
            if "status" not in found:
                raise TaskFailed(f"Mistral does not say how the execution {run} stands.", fix="Check `baseUrl`.")
            return None if found["status"] in RUNNING else found

        done = await rest_service.waited(
            context,
            look,
            every=self.poll_interval,
            most=self.wait_timeout,
            what=f"The execution {run}",
            fix="Raise `waitTimeout`.",
            stop=lambda: self.ask(context, "POST", f"workflows/executions/{quote(run, safe='')}/cancel"),
            outlasts=True,
        )
        status = str(done["status"])
        if status in FAILED:
            why = done.get("error") or "nothing more is said"
            raise TaskFailed(f"The execution {run} ended as {status}: {why}", outputs={"executionId": run})
        result, start, end = done.get("result"), done.get("start_time"), done.get("end_time")
        return Ran(
            executionId=run,
            status=status,
            result=None if result is None else json.dumps(result, ensure_ascii=False),
            startTime=start,
            endTime=end,
            totalDurationMs=_milliseconds(start, end),
        )


def _milliseconds(start: Any, end: Any) -> int | None:
    """How long something took; nothing when its times are none."""
    try:
        return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)
    except (TypeError, ValueError):
        return None


class EventFields(Mistral):
    """Which events start executions."""

    workflow_name: Property[OptionalText] = None
    event_types: Property[TextList] = Field(default_factory=lambda: list(ENDS))

    async def page(self, context: RunContext, cursor: str | None) -> tuple[list[Any], str | None]:
        """The events a cursor leads to, and the cursor to those after them: the same when there are none yet."""
        asked = {"params": {"cursor": cursor}} if cursor else {}
        told = await self.ask(context, "GET", "workflows/events/list", **asked)
        return told.get("events") or [], told.get("next_cursor") or cursor

    def wants(self, event: Any) -> bool:
        """Whether an event is one of them."""
        if not isinstance(event, dict) or not event.get("event_type"):
            return False
        if self.event_types and event["event_type"] not in self.event_types:
            return False
        return not self.workflow_name or event.get("workflow_name") == self.workflow_name


class Happened(Outputs):
    """The event; `attributes` is all of it, as JSON text."""

    workflowExecId: str | None = None  # noqa: N815
    workflowName: str | None = None  # noqa: N815
    eventType: str  # noqa: N815
    eventTimestamp: int = 0  # noqa: N815
    attributes: str


class WorkflowEvents(EventFields, PollingTrigger):
    """Start an execution for each event of workflows at Mistral, one a look; not for those of before."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: done
type: io.kestra.plugin.mistral.WorkflowEvents
apiKey: "{{ secret('MISTRAL_API_KEY') }}"
workflowName: summarize
interval: PT30S
""",
    )
    type: Literal["io.kestra.plugin.mistral.WorkflowEvents"]
    interval: Duration = Field(default=timedelta(seconds=30), ge=timedelta(seconds=1))

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, EventFields, context)
        cursor, done = context.memory.get("cursor"), context.memory.get("done", 0)
        events, following = await fields.page(context, cursor)
        if "done" not in context.memory:
            for _ in range(PAGES):
                if following == cursor:
                    return Look(None, {"cursor": cursor, "done": len(events)})
                cursor = following
                events, following = await fields.page(context, cursor)
            return Look(None, {"cursor": cursor})  # of before are more than one look reads: the next goes on
        at = next((number for number, one in enumerate(events) if number >= done and fields.wants(one)), None)
        if at is None:
            return Look(None, {"cursor": following, "done": len(events) if following == cursor else 0})
        event = events[at]
        found = Happened(
            workflowExecId=event.get("workflow_execution_id"),
            workflowName=event.get("workflow_name"),
            eventType=event["event_type"],
            eventTimestamp=event.get("timestamp") or 0,
            attributes=json.dumps(event, ensure_ascii=False),
        )
        return Look(found, {"cursor": cursor, "done": at + 1})
