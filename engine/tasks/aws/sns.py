"""`io.kestra.plugin.aws.sns`: messages to everybody who follows a topic."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import given_rows
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.property_types import Text


class Sent(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Publish(AwsConnected, RunnableTask):
    """Publish messages."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.aws.sns.Publish
region: eu-central-1
topicArn: arn:aws:sns:eu-central-1:000000000000:news
from:
  data: "{{ flow.id }} is done."
  subject: Import
""",
    )
    type: Literal["io.kestra.plugin.aws.sns.Publish"]
    topic_arn: Property[Text]
    from_: Property[Any] = Field(alias="from")

    async def run(self, context: RunContext) -> Sent:
        messages = [_message(row) for row in await given_rows.rows(context, self.from_)]

        def work(client: Any) -> None:
            for message in messages:
                client.publish(TopicArn=self.topic_arn, **message)

        await self.aws(context, "sns", work)
        context.metric("sns.publish.messages", len(messages))
        return Sent(messagesCount=len(messages))


def _message(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or row.get("data") is None:
        raise TaskFailed("A message has no `data`.", fix="Give maps with `data` and, if wanted, `subject`.")
    found = {
        "Message": given_rows.text_of(row["data"]),
        "Subject": row.get("subject"),
        "PhoneNumber": row.get("phoneNumber"),
        "MessageStructure": row.get("structure"),
        "MessageGroupId": row.get("groupId"),
        "MessageDeduplicationId": row.get("deduplicationId"),
    }
    return {name: value for name, value in found.items() if value is not None}
