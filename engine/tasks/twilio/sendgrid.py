"""`io.kestra.plugin.twilio.sendgrid`: mail through SendGrid."""

import base64
import html
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.email import PLAIN, Attachments
from engine.tasks.execution_facts import facts
from engine.tasks.execution_text import summary_text
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.rest_service import call

BASE_URL = "https://api.sendgrid.com/v3"


class Accepted(Outputs):
    """What SendGrid answered."""

    statusCode: int  # noqa: N815 - appears as written
    body: str
    headers: dict[str, str]


class SendGridTask(RunnableTask):
    """What both tasks have."""

    sendgrid_api_key: Property[Text] = Field(description="The key; may send mail.")
    from_: Property[Text] = Field(alias="from", description="The sender's address.")
    to: Property[TextList] = Field(description="Who gets it.")
    cc: Property[TextList | None] = Field(default=None, description="Who gets a copy.")
    subject: Property[OptionalText] = Field(default=None, description="The subject.")
    html_content: Property[OptionalText] = Field(default=None, description="The mail as HTML.")
    html_text_content: Property[OptionalText] = Field(default=None, description="The older name of `htmlContent`.")
    text_content: Property[OptionalText] = Field(default=None, description="The mail as text.")
    attachments: Property[Attachments | None] = Field(default=None, description="Files: `name`, `uri`, `contentType`.")
    embedded_images: Property[Attachments | None] = Field(
        default=None, description="Pictures that the HTML shows by `cid:` and their name."
    )

    async def send(self, context: RunContext, subject: str, text: str, markup: str | None) -> Accepted:
        """Hand one mail over; TaskFailed when SendGrid refuses it."""
        if not self.to:
            raise TaskFailed("`to` is empty.", fix="Name at least one address.")
        context.mask(self.sendgrid_api_key)
        person: dict[str, Any] = {"to": [{"email": address} for address in self.to], "subject": subject}
        if self.cc:
            person["cc"] = [{"email": address} for address in self.cc]
        files = [
            *[await _file(context, one, "attachment") for one in self.attachments or []],
            *[await _file(context, one, "inline") for one in self.embedded_images or []],
        ]
        contents = [("text/plain", text), ("text/html", markup)]
        mail = {
            "from": {"email": self.from_},
            "personalizations": [person],
            "content": [{"type": kind, "value": value} for kind, value in contents if value],
            **({"attachments": files} if files else {}),
        }
        base = context.settings.provider("sendgrid").base_url or BASE_URL
        headers = {"Authorization": f"Bearer {self.sendgrid_api_key}"}
        answer = await call(context, "SendGrid", "POST", f"{base.rstrip('/')}/mail/send", headers=headers, json=mail)
        return Accepted(statusCode=answer.code, body=answer.text, headers=dict(answer.headers))


class SendGridMailSend(SendGridTask):
    """Send a mail, as text and as HTML, with attachments."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.twilio.sendgrid.SendGridMailSend
sendgridApiKey: "{{ secret('SENDGRID_API_KEY') }}"
from: flows@example.com
to: [team@example.com]
subject: Report of {{ now() | date("yyyy-MM-dd") }}
htmlContent: "<p>See the attachment.</p>"
attachments:
  - name: report.csv
    uri: "{{ outputs.report.uri }}"
    contentType: text/csv
""",
    )
    type: Literal["io.kestra.plugin.twilio.sendgrid.SendGridMailSend"]

    async def run(self, context: RunContext) -> Accepted:
        markup = self.html_content or self.html_text_content
        return await self.send(context, self.subject or "", self.text_content or PLAIN, markup)


class SendGridMailExecution(SendGridTask):
    """Send a mail about an execution."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.twilio.sendgrid.SendGridMailExecution
sendgridApiKey: "{{ secret('SENDGRID_API_KEY') }}"
from: flows@example.com
to: [team@example.com]
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal["io.kestra.plugin.twilio.sendgrid.SendGridMailExecution"]
    execution_id: Property[OptionalText] = Field(default=None, description="Which execution; this one unless given.")
    custom_fields: Property[JsonMap | None] = Field(default=None, description="More lines: names and values.")
    custom_message: Property[OptionalText] = Field(default=None, description="The first line.")
    template_render_map: Any = None

    async def run(self, context: RunContext) -> Accepted:
        about = facts(await context.execution_map(self.execution_id))
        text = summary_text(about, self.custom_message, {"Execution ID": about.id, **(self.custom_fields or {})})
        subject = self.subject or about.headline
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in text.splitlines())
        markup = self.html_content or self.html_text_content or lines
        return await self.send(context, subject, self.text_content or text, markup)


async def _file(context: RunContext, file: Any, disposition: str) -> dict[str, str]:
    content = await context.files.read(file.uri)
    kind = {"filename": file.name, "type": file.content_type, "disposition": disposition, "content_id": file.name}
    return {**kind, "content": base64.b64encode(content).decode()}
