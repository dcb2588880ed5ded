"""Services of Google Workspace as tasks call them: by a service account, one call, refusals in a sentence."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from engine.plugin import Property, RunContext, RunnableTask
from engine.tasks.google_account import access_token
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.property_types import OptionalInteger, OptionalText, TextList
from engine.tasks.rest_service import document

SHEETS, DRIVE = "https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive"
SHEETS_URL, DRIVE_URL = "https://sheets.googleapis.com/v4", "https://www.googleapis.com/drive/v3"


class WorkspaceTask(RunnableTask):
    """What every task of Google Workspace has."""

    service_account: Property[OptionalText] = Field(default=None, description="The whole JSON key.")
    scopes: Property[TextList] = Field(
        default_factory=lambda: [SHEETS, DRIVE], description="What the account asks to be allowed."
    )
    read_timeout: Property[OptionalInteger] = Field(default=120, description="Seconds Google may be silent.")

    async def ask(self, context: RunContext, service: str, method: str, path: str, **body: Any) -> dict[str, Any]:
        """What `sheets` or `drive` answers; TaskFailed when Google refuses."""
        seconds = self.read_timeout or 120
        token = await access_token(context, self.service_account, self.scopes, seconds)
        default = SHEETS_URL if service == "sheets" else DRIVE_URL
        base = context.settings.provider(f"google_{service}").base_url or default
        found = await document(
            context,
            f"Google {service.capitalize()}",
            method,
            f"{base.rstrip('/')}{path}",
            options=HttpOptions(timeout=Timeouts(read_idle_timeout=timedelta(seconds=seconds))),
            headers={"Authorization": f"Bearer {token}"},
            **body,
        )
        return found if isinstance(found, dict) else {}
