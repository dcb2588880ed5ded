"""Services that take one JSON document at one address: what their tasks share."""

from typing import Annotated, Any, ClassVar

from engine.plugin import Instead, JsonText, Property, RunContext, RunnableTask
from engine.tasks.chat_messages import payload_object
from engine.tasks.execution_facts import ExecutionFacts, as_texts, facts
from engine.tasks.execution_text import summary_text
from engine.tasks.http_options import DEFAULT, MessageOptions
from engine.tasks.outbound import Answer, deliver
from engine.tasks.property_types import JsonMap, OptionalText, Text


class WebhookTask(RunnableTask):
    """Post a JSON document to a webhook."""

    service: ClassVar[str] = "The service"
    url: Property[Text]
    options: Property[MessageOptions | None] = None

    async def post(self, context: RunContext, body: dict[str, Any]) -> None:
        """Deliver; waits when told to (429), TaskFailed when refused."""
        context.mask(self.url)
        options = self.options or DEFAULT
        answer = await deliver(
            context, self.url, service=self.service, options=options, headers=self.headers(context), json=body
        )
        self.judge(answer)

    def judge(self, answer: Answer) -> None:
        """TaskFailed when a service refuses in an answer that looks well (200)."""

    def headers(self, context: RunContext) -> dict[str, str]:
        """What the service wants beside the document."""
        return {}


class PayloadTask(WebhookTask):
    """Post the flow's own document."""

    payload: JsonText[Text]

    async def run(self, context: RunContext) -> None:
        await self.post(context, payload_object(self.payload, self.service))


class SummaryTask(WebhookTask):
    """Post a summary of an execution; as in Kestra its document takes the place of a `payload` of the flow's own."""

    payload: Annotated[Any, Instead("")] = None
    execution_id: Property[OptionalText] = None
    custom_fields: Property[JsonMap | None] = None
    custom_message: Property[OptionalText] = None
    template_render_map: Any = None

    async def run(self, context: RunContext) -> None:
        about = facts(await context.execution_map(self.execution_id))
        await self.post(context, self.summary(about))

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        """The service's JSON for a message about an execution."""
        return {"text": summary_text(about, self.custom_message, self.custom_fields or {})}


def rows(about: ExecutionFacts, fields: dict[str, Any] | None) -> dict[str, str]:
    """What there is to know about an execution as names and values, the flow's own last."""
    known = {
        "Namespace": about.namespace,
        "Flow ID": about.flow_id,
        "Execution ID": about.id,
        "Execution Status": about.state,
        "Final task ID": about.last_task,
        "Link": about.link or "",
    }
    return {name: value for name, value in known.items() if value} | as_texts(fields)
