"""`io.kestra.plugin.github.auth`: who an app of ours is to GitHub."""

from datetime import UTC, datetime
from typing import ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.github.service import github
from engine.tasks.property_types import OptionalText, Text

EARLY, LIFE = 60, 530  # seconds: GitHub's clock may be behind ours, and takes no more than 600 in all


class Granted(Outputs):
    """A token for an hour, and until when it holds."""

    token: str
    expiresAt: str | None = None  # noqa: N815 - appears as written


class AppToken(RunnableTask):
    """Ask for a token of an app's installation, which other tasks take as `appInstallationToken`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: token
type: io.kestra.plugin.github.auth.AppToken
clientId: "{{ secret('GITHUB_APP_CLIENT_ID') }}"
installationId: "52068731"
privateKey: "{{ secret('GITHUB_APP_PRIVATE_KEY') }}"
""",
    )
    type: Literal["io.kestra.plugin.github.auth.AppToken"]
    client_id: Property[Text]
    installation_id: Property[Text]
    private_key: Property[Text]
    endpoint: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Granted:
        context.mask(self.private_key)
        if not self.installation_id.strip().isdigit():
            raise TaskFailed(
                f"`installationId` {self.installation_id!r} is not a number.",
                fix="It is the number at the end of the address of the app's page among the installed ones.",
            )
        signed = app_jwt(self.client_id.strip(), self.private_key, datetime.now(UTC))
        path = f"app/installations/{self.installation_id.strip()}/access_tokens"
        answer = await github(context, self.endpoint, signed, "POST", path)
        token = str(rest_service.held(answer, "GitHub", "token"))
        context.mask(token)
        return Granted(token=token, expiresAt=answer.get("expires_at"))


def app_jwt(client_id: str, private_key: str, now: datetime) -> str:
    """What an app shows for itself, signed with its RSA key (PKCS#1 or PKCS#8); TaskFailed when the key is none."""
    from google.auth import jwt
    from google.auth.crypt import RSASigner

    try:
        signer = RSASigner.from_string(private_key.strip() + "\n")  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise TaskFailed("`privateKey` is not a private key.", fix="Give the whole text of the `.pem` file.") from error
    moment = int(now.timestamp())
    claims = {"iat": moment - EARLY, "exp": moment + LIFE, "iss": client_id}
    return bytes(jwt.encode(signer, claims)).decode()  # type: ignore[no-untyped-call]
