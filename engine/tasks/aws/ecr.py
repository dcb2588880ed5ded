"""`io.kestra.plugin.aws.ecr`: container images."""

from base64 import b64decode
from typing import ClassVar, Literal

from engine.plugin import Outputs, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.aws.connection import AwsConnected


class Token(Outputs):
    """The password of the user `AWS`, valid for twelve hours."""

    token: str


class GetAuthToken(AwsConnected, RunnableTask):
    """Get the password with which Docker pulls from and pushes to the registry."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: registry
type: io.kestra.plugin.aws.ecr.GetAuthToken
region: eu-central-1
""",
    )
    type: Literal["io.kestra.plugin.aws.ecr.GetAuthToken"]

    async def run(self, context: RunContext) -> Token:
        found = await self.aws(context, "ecr", lambda client: client.get_authorization_token())
        given = next(iter(rest_service.held(found, "AWS ecr", "authorizationData")), None)
        pair = b64decode(rest_service.held(given, "AWS ecr", "authorizationToken")).decode()
        token = pair.partition(":")[2]
        context.mask(token)
        return Token(token=token)
