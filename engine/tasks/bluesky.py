"""`io.kestra.plugin.bluesky`: posts on Bluesky, or on another server of the AT protocol."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.execution_text import TextTask
from engine.tasks.property_types import Text

BLUESKY = "https://bsky.social"
SESSION = "/xrpc/com.atproto.server.createSession"
RECORD = "/xrpc/com.atproto.repo.createRecord"
POST = "app.bsky.feed.post"
MAX_TEXT = 300  # counted in characters, which are at least as many as the graphemes that are meant


class BlueskyExecution(TextTask):
    """Post a text, or a summary of an execution, on Bluesky.

    A text that is too long fails; a summary is shortened.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.bluesky.BlueskyExecution
identifier: myhandle.bsky.social
appPassword: "{{ secret('BLUESKY_APP_PASSWORD') }}"
textBody: "{{ inputs.version }} is out."
""",
        """
id: alert
type: io.kestra.plugin.bluesky.BlueskyExecution
identifier: myhandle.bsky.social
appPassword: "{{ secret('BLUESKY_APP_PASSWORD') }}"
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal["io.kestra.plugin.bluesky.BlueskyExecution"]
    identifier: Property[Text] = Field(description="The handle or address of mail of who posts.")
    app_password: Property[Text] = Field(description="A password for apps, not that of the account.")
    base_url: Property[Text] = Field(default=BLUESKY, description="The server of the account.")

    async def run(self, context: RunContext) -> None:
        text = await self.said_within(context, MAX_TEXT, "Bluesky")
        token, person = await self._session(context)
        post = {"$type": POST, "text": text, "createdAt": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
        record = {"repo": person, "collection": POST, "record": post}
        await self._call(context, RECORD, record, {"Authorization": f"Bearer {token}"})

    async def _session(self, context: RunContext) -> tuple[str, str]:
        """The token of a new session, and the id of whose it is."""
        context.mask(self.app_password)
        told = await self._call(context, SESSION, {"identifier": self.identifier, "password": self.app_password})
        if not isinstance(told, dict) or not (told.get("accessJwt") and told.get("did")):
            raise TaskFailed("Bluesky opened no session.", fix="Check `identifier`, `appPassword` and `baseUrl`.")
        context.mask(str(told["accessJwt"]))
        return str(told["accessJwt"]), str(told["did"])

    async def _call(
        self, context: RunContext, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Any:
        url = self.base_url.rstrip("/") + path
        return await rest_service.document(
            context, "Bluesky", "POST", url, options=self.options, headers=headers, json=body
        )
