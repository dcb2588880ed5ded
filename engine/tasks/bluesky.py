"""`io.kestra.plugin.bluesky`: posts on Bluesky, or on another server of the AT protocol."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.aliases import public_links
from engine.tasks.chat_messages import shortened
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.webhook_task import summary_of

BLUESKY = "https://bsky.social"
SESSION = "/xrpc/com.atproto.server.createSession"
RECORD = "/xrpc/com.atproto.repo.createRecord"
POST = "app.bsky.feed.post"
MAX_TEXT = 300  # counted in characters, which are at least as many as the graphemes that are meant


class BlueskyExecution(RunnableTask):
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
    text_body: Property[OptionalText] = Field(default=None, description="The text, instead of the summary.")
    execution_id: Property[OptionalText] = Field(default=None, description="Which execution; this one unless given.")
    custom_fields: Property[JsonMap | None] = Field(default=None, description="More lines: names and values.")
    custom_message: Property[OptionalText] = Field(default=None, description="The first line.")
    template_render_map: Any = None
    options: Property[HttpOptions | None] = None

    async def run(self, context: RunContext) -> None:
        text = public_links(self.text_body or "", context.settings.public_url)
        if len(text) > MAX_TEXT:
            raise TaskFailed(f"The text has {len(text)} characters; Bluesky takes {MAX_TEXT}.", fix="Make it shorter.")
        if not text.strip():
            said = await summary_of(context, self.execution_id, self.custom_message, self.custom_fields)
            text = shortened(said, MAX_TEXT)
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
