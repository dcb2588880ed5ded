"""Services of Google Workspace as tasks call them: by a service account, one call, refusals in a sentence."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from engine.plugin import Part, Property, RunContext, RunnableTask
from engine.tasks.google_account import access_token
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.outbound import Answer
from engine.tasks.property_types import OptionalInteger, OptionalText, TextList
from engine.tasks.rest_service import call, mapped, parsed

SHEETS, DRIVE = "https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive"
BASES = {
    "sheets": "https://sheets.googleapis.com/v4",
    "drive": "https://www.googleapis.com/drive/v3",
    "upload": "https://www.googleapis.com/upload/drive/v3",
}
NAMES = {"sheets": "Google Sheets", "drive": "Google Drive", "upload": "Google Drive"}


class WorkspaceFields(Part):
    """Who we are to Google Workspace, and what it allows us."""

    service_account: Property[OptionalText] = Field(default=None, description="The whole JSON key.")
    scopes: Property[TextList] = Field(
        default_factory=lambda: [SHEETS, DRIVE], description="What the account asks to be allowed."
    )
    read_timeout: Property[OptionalInteger] = Field(default=120, description="Seconds Google may be silent.")

    async def ask(self, context: RunContext, service: str, method: str, path: str, **body: Any) -> dict[str, Any]:
        """What `sheets`, `drive` or its `upload` answers; TaskFailed when Google refuses."""
        return mapped(
            parsed(await self._answer(context, service, method, path, **body), NAMES[service]), NAMES[service]
        )

    async def content(self, context: RunContext, path: str, asked: dict[str, str]) -> bytes:
        """The content of a file in Drive; TaskFailed when Google refuses."""
        return (await self._answer(context, "drive", "GET", path, params=asked)).content

    async def _answer(
        self, context: RunContext, service: str, method: str, path: str, *, kind: str | None = None, **body: Any
    ) -> Answer:
        seconds = self.read_timeout or 120
        token = await access_token(context, self.service_account, self.scopes, seconds)
        base = context.settings.provider(f"google_{service}").base_url or BASES[service]
        return await call(
            context,
            NAMES[service],
            method,
            f"{base.rstrip('/')}{path}",
            options=HttpOptions(timeout=Timeouts(read_idle_timeout=timedelta(seconds=seconds))),
            headers={"Authorization": f"Bearer {token}", **({"Content-Type": kind} if kind else {})},
            **body,
        )


class WorkspaceTask(WorkspaceFields, RunnableTask):
    """What every task of Google Workspace has."""
