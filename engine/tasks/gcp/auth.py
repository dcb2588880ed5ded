"""`io.kestra.plugin.gcp.auth`: tokens for Google Cloud."""

from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, RunContext, RunnableTask
from engine.tasks.gcp_service import GcpConnected


class Granted(Outputs):
    """The token: `tokenValue`, what it allows and until when; a secret in the database, logs and cards."""

    accessToken: dict[str, Any]  # noqa: N815 - appears as written


class OauthAccessToken(GcpConnected, RunnableTask):
    """Fetch an access token, for calls of your own."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: token
type: io.kestra.plugin.gcp.auth.OauthAccessToken
serviceAccount: "{{ secret('GCP_KEY') }}"
""",
    )
    type: Literal["io.kestra.plugin.gcp.auth.OauthAccessToken"]

    async def run(self, context: RunContext) -> Granted:
        token, until = await self.granted(context)
        about = {"tokenValue": token, "scopes": list(self.scopes)}
        return Granted(accessToken={**about, "expirationTime": until.isoformat() if until else None})
