"""Google's cloud: who asks, in which project, and one call of its REST APIs."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.google_account import granted, read_key
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalText, Text, TextList, moment_from_text

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
IMPERSONATION = "https://iamcredentials.googleapis.com/v1"
MOST_PAGES = 1000


def _region(text: str) -> str:
    if not re.fullmatch(r"[\w-]+", text.strip(), re.ASCII):
        raise ValueError(f"{text!r} is no name of a region; write it as europe-west3")
    return text.strip()


Region = Annotated[Text, AfterValidator(_region)]
"""Where in Google's cloud; it becomes part of the address that a token goes to, so it names no more than that."""


class GcpConnected(Part):
    """Who asks, and in which project."""

    api: ClassVar[str] = ""  # name under `providers`, with `base_url` in place of the public address
    public_url: ClassVar[str] = ""
    project_id: Property[OptionalText] = None
    service_account: Property[OptionalText] = Field(default=None, description="The whole JSON key.")
    impersonated_service_account: Property[OptionalText] = None
    scopes: Property[TextList] = Field(default_factory=lambda: [SCOPE])

    def project(self, context: RunContext) -> str:
        """The project: what the task says, else the key's own; TaskFailed when neither does."""
        found = self.project_id
        if not found and self.service_account:
            found = str(read_key(context, self.service_account).get("project_id") or "")
        if not found:
            raise TaskFailed("It is not said in which project.", fix="Give `projectId`.")
        return found

    async def token(self, context: RunContext) -> str:
        """An access token; TaskFailed when there is none to be had."""
        return (await self.granted(context))[0]

    async def granted(self, context: RunContext) -> tuple[str, datetime | None]:
        """An access token as above, and until when it holds."""
        token, until = await granted(context, self.service_account, self.scopes)
        if not self.impersonated_service_account:
            return token, until
        base = context.settings.provider("gcp_iam").base_url or IMPERSONATION
        url = f"{base}/projects/-/serviceAccounts/{self.impersonated_service_account}:generateAccessToken"
        body = {"scope": list(self.scopes), "lifetime": "3600s"}
        headers = {"Authorization": f"Bearer {token}"}
        found = await rest_service.mapping(context, "Google Cloud", "POST", url, headers=headers, json=body)
        given = str(rest_service.held(found, "Google Cloud", "accessToken"))
        context.mask(given)
        return given, moment_from_text(found.get("expireTime"))

    def at(self, context: RunContext) -> str:
        """The address of the API."""
        return (context.settings.provider(self.api).base_url or self.public_url).rstrip("/")

    async def headers(self, context: RunContext) -> dict[str, str]:
        """What every call carries."""
        return {"Authorization": f"Bearer {await self.token(context)}"}

    async def gcp(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON object of one call, an empty one when nothing is answered; TaskFailed when Google refuses."""
        url = f"{self.at(context)}/{path.lstrip('/')}"
        more: Mapping[str, str] = given.pop("headers", {})
        headers = {**await self.headers(context), **more}
        return await rest_service.mapping(context, "Google Cloud", method, url, headers=headers, **given)

    async def pages(self, context: RunContext, path: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        asked, pages = dict(params), Pages("Google Cloud")
        for _ in range(MOST_PAGES):
            page = await self.gcp(context, "GET", path, params=asked)
            found.append(page)
            if not (following := pages.after(page.get("nextPageToken"))):
                return found
            asked["pageToken"] = following
        raise TaskFailed(f"The list has more than {MOST_PAGES} pages.", fix="Narrow it.")


def is_conflict(error: TaskFailed) -> bool:
    """Whether Google said that there is one already."""
    return " answered 409:" in error.message
