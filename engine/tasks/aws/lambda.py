"""`io.kestra.plugin.aws.lambda`: functions in the cloud."""

import json
import time
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.property_types import JsonMap, Text


class Invoked(Outputs):
    """The file with what the function answered."""

    uri: StoredUri
    contentLength: int  # noqa: N815 - appears as written
    contentType: str  # noqa: N815


class Invoke(AwsConnected, RunnableTask):
    """Call a function and wait for its answer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: add
type: io.kestra.plugin.aws.lambda.Invoke
region: eu-central-1
functionArn: arn:aws:lambda:eu-central-1:123456789012:function:adder
functionPayload:
  a: 1
""",
    )
    type: Literal["io.kestra.plugin.aws.lambda.Invoke"]
    function_arn: Property[Text]
    function_payload: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Invoked:
        payload = json.dumps(self.function_payload or {}).encode()
        began = time.monotonic()

        def work(client: Any) -> tuple[dict[str, Any], bytes]:
            found = client.invoke(FunctionName=self.function_arn, Payload=payload)
            return found, found["Payload"].read()

        answer, content = await self.aws(context, "lambda", work)
        context.metric("duration", time.monotonic() - began, "timer")
        if answer.get("FunctionError"):
            raise TaskFailed(f"The function {self.function_arn} failed: {_said(content)}")
        context.metric("file.size", len(content))
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        kind = str(headers.get("content-type", "application/octet-stream"))
        name = "answer.json" if kind.startswith("application/json") else "answer"
        return Invoked(uri=await context.files.put(content, name), contentLength=len(content), contentType=kind)


def _said(content: bytes) -> str:
    try:
        found = json.loads(content)
        return f"{found.get('errorType', 'Error')}: {found['errorMessage']}"
    except (ValueError, KeyError, AttributeError):
        return content.decode("utf-8", "replace")[:500]
