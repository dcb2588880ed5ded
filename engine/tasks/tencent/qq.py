"""`io.kestra.plugin.tencent.qq`: messages through Tencent Cloud IM, which reach people in QQ."""

import json
from secrets import randbelow
from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.execution_facts import facts
from engine.tasks.outbound import Answer
from engine.tasks.property_types import OptionalText, TextList
from engine.tasks.webhook_task import PayloadTask, SummaryTask, WebhookTask

RANDOM = 2**31 - 1  # below it, what tells one message from another


class TencentTask(WebhookTask):
    """Who asks Tencent Cloud IM."""

    service: ClassVar[str] = "Tencent IM"
    token: Property[OptionalText] = Field(default=None, description="Sent as a bearer token.")

    def headers(self, context: RunContext) -> dict[str, str]:
        if not self.token:
            return {}
        context.mask(self.token)
        return {"Authorization": f"Bearer {self.token}"}

    def judge(self, answer: Answer) -> None:
        try:
            told = json.loads(answer.content)
        except ValueError:  # another service than Tencent's own, with words of its own
            return
        if isinstance(told, dict) and told.get("ActionStatus") == "FAIL":  # which comes with the status 200
            raise TaskFailed(f"Tencent IM refused: {told.get('ErrorCode')} {told.get('ErrorInfo') or ''}".strip())


class QQIncomingWebhook(TencentTask, PayloadTask):
    """Post a message, in the words of Tencent Cloud IM."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.tencent.qq.QQIncomingWebhook
url: "{{ secret('TENCENT_IM_URL') }}"
token: "{{ secret('TENCENT_IM_TOKEN') }}"
payload: |
  {"To_Account": ["100001"], "MsgType": "TIMTextElem", "MsgContent": {"Text": {{ outputs.summary.value | toJson }}}}
""",
    )
    type: Literal["io.kestra.plugin.tencent.qq.QQIncomingWebhook"]


class QQExecution(TencentTask, SummaryTask):
    """Send people a summary of an execution, each his own message."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.tencent.qq.QQExecution
url: "{{ secret('TENCENT_IM_URL') }}"
recipientIds: ["100001", "100002"]
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal["io.kestra.plugin.tencent.qq.QQExecution"]
    recipient_ids: Property[TextList]

    async def run(self, context: RunContext) -> None:
        text = self.summary(facts(await context.execution_map(self.execution_id)))["text"]
        for one in self.recipient_ids:
            said = {"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}
            await self.post(context, {"To_Account": one, "MsgRandom": randbelow(RANDOM), "MsgBody": [said]})
