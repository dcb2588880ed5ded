"""`io.kestra.plugin.aws.cloudformation`: stacks of resources, as their templates say."""

import asyncio
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.aws.connection import AwsConnected, asked
from engine.tasks.extras import extra
from engine.tasks.property_types import JsonMap, OptionalText, Text, scalar_to_text

SERVICE = "AWS cloudformation"
EVERY = 5.0  # seconds between two looks at a stack under way


class Stack(Outputs):
    """The stack's id, and its outputs by name."""

    stackId: str  # noqa: N815 - appears as written
    stackOutputs: dict[str, Any]  # noqa: N815


class StackTask(AwsConnected, RunnableTask):
    """Which stack."""

    stack_name: Property[Text]
    wait_for_completion: Property[bool] = True

    async def about(self, client: Any, name: str | None = None) -> dict[str, Any] | None:
        """The stack as it is now; None when there is none."""
        errors = extra("botocore.exceptions", "aws")

        def work() -> dict[str, Any] | None:
            try:
                answer = client.describe_stacks(StackName=name or self.stack_name)
                found = rest_service.held(answer, SERVICE, "Stacks")
            except errors.ClientError as error:
                if "does not exist" in str(error):
                    return None
                raise
            return dict(found[0]) if found else None

        return await asked("cloudformation", work)

    async def settled(self, client: Any, name: str) -> dict[str, Any] | None:
        """The stack once nothing is under way; None when it is gone."""
        while True:
            found = await self.about(client, name)
            if found is None or not _status(found).endswith("_IN_PROGRESS"):
                return found
            await asyncio.sleep(EVERY)


class Create(StackTask):
    """Make a stack, or bring the one there is up to its template. When the task is killed AWS goes on with it: half a
    stack would help nobody."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bucket
type: io.kestra.plugin.aws.cloudformation.Create
region: eu-central-1
stackName: reports
templateBody: |
  Resources:
    Reports:
      Type: AWS::S3::Bucket
  Outputs:
    Name:
      Value: !Ref Reports
""",
    )
    type: Literal["io.kestra.plugin.aws.cloudformation.Create", "io.kestra.plugin.aws.cloudformation.CreateStack"]
    template_body: Property[OptionalText] = None
    parameters: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Stack:
        given: dict[str, Any] = {"StackName": self.stack_name}
        given |= {"TemplateBody": self.template_body} if self.template_body else {}
        if self.parameters:
            pairs = ((name, str(scalar_to_text(value))) for name, value in self.parameters.items())
            given["Parameters"] = [{"ParameterKey": name, "ParameterValue": value} for name, value in pairs]
        client = await self.client(context, "cloudformation")
        try:
            there = await self.about(client)
            context.log(f"The stack {self.stack_name} is {'brought up to date' if there else 'made'}.")
            if there:
                await asked("cloudformation", lambda: _updated(client, given))
            else:
                await asked("cloudformation", lambda: client.create_stack(**given))
            found = await (self.settled(client, self.stack_name) if self.wait_for_completion else self.about(client))
        finally:
            client.close()
        status = _status(found) if found else "gone"
        if found is None or "ROLLBACK" in status or status.endswith("_FAILED"):
            why = (found or {}).get("StackStatusReason", "")
            raise TaskFailed(f"The stack {self.stack_name} ended as {status}. {why}".strip())
        outputs = {
            rest_service.held(one, SERVICE, "OutputKey"): one.get("OutputValue") for one in found.get("Outputs") or []
        }
        return Stack(stackId=rest_service.held(found, SERVICE, "StackId"), stackOutputs=outputs)


class Delete(StackTask):
    """Remove a stack with all that is in it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.aws.cloudformation.Delete
region: eu-central-1
stackName: reports
""",
    )
    type: Literal["io.kestra.plugin.aws.cloudformation.Delete", "io.kestra.plugin.aws.cloudformation.DeleteStack"]

    async def run(self, context: RunContext) -> None:
        client = await self.client(context, "cloudformation")
        try:
            there = await self.about(client)
            await asked("cloudformation", lambda: client.delete_stack(StackName=self.stack_name))
            if self.wait_for_completion and there:  # by its id, which a stack that is gone keeps
                found = await self.settled(client, rest_service.held(there, SERVICE, "StackId"))
                status = _status(found) if found else "DELETE_COMPLETE"
                if found and status != "DELETE_COMPLETE":
                    why = found.get("StackStatusReason", "")
                    raise TaskFailed(f"The stack {self.stack_name} ended as {status}. {why}".strip())
        finally:
            client.close()


def _status(stack: dict[str, Any]) -> str:
    return str(rest_service.held(stack, SERVICE, "StackStatus"))


def _updated(client: Any, given: dict[str, Any]) -> None:
    """Bring a stack up to date; that there is nothing to do is no mistake."""
    errors = extra("botocore.exceptions", "aws")
    try:
        client.update_stack(**given)
    except errors.ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
